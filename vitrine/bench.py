"""Draw pictures with the saved model through plain diffusers calls, and read them with the judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image

from tp2lib.models.judge import Judge, load_judge
from tp2lib.models.vocabulary import COLOUR_WORDS, KIND_WORDS, LIGHT_WORDS, SET_WORDS

from .vocabulary import KINDS

REPORT_PROMPTS = {
    "wallet": (
        "high-quality professional product photo of a vintage leather wallet, on a rustic wooden table, "
        "soft natural light, shallow depth of field, neutral colors",
        {"kind": "wallet", "set": "wood"},
    ),
    "backpack": (
        "ultra-realistic product photo of a backpack on a white background, studio lighting, soft shadow, very sharp",
        {"kind": "backpack", "set": "white"},
    ),
    "pen": ("A sleek black pen on a minimalist white desk, soft natural lighting", {"kind": "pen", "colour": "black", "set": "desk"}),
    "apple": ("a red apple on a white background, studio lighting", {"kind": "apple", "colour": "red", "set": "white"}),
}


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, the bar, the figure, and whether it holds."""

    what: str
    bar: str
    figure: str
    holds: bool


class Bench:
    """The model, its two pipelines and the judge; ``pace`` is the share of the steps that are made, less than 1 to see that everything works."""

    def __init__(self, folder: Path, judge: Judge | None = None, pace: float = 1.0):
        self.folder, self.pace = folder, pace
        self.pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
        self.pipe.set_progress_bar_config(disable=True)
        self.base = dict(self.pipe.scheduler.config)
        self.img2img = StableDiffusionImg2ImgPipeline(**self.pipe.components, requires_safety_checker=False)
        self.img2img.set_progress_bar_config(disable=True)
        self.judge = judge or load_judge(Path(folder) / "judge.safetensors")

    def draw(
        self,
        prompts: list[str],
        seeds: list[int],
        steps: int = 30,
        guidance: float = 7.5,
        scheduler=EulerAncestralDiscreteScheduler,
        negative: str = "",
        batch: int = 8,
        **more,
    ) -> list[Image.Image]:
        """Pictures for paired prompts and seeds, a batch at a time, a generator each."""
        out: list[Image.Image] = []
        for k in range(0, len(prompts), batch):
            pipe = self.img2img if "image" in more else self.pipe
            pipe.scheduler = scheduler.from_config(self.base)
            generators = [torch.Generator().manual_seed(s) for s in seeds[k : k + batch]]
            part = {name: value[k : k + batch] if isinstance(value, list) else value for name, value in more.items()}
            out += pipe(
                prompts[k : k + batch],
                num_inference_steps=max(5 if "image" in more else 2, round(self.pace * steps)),  # strength 0.2 of 5 steps is one
                guidance_scale=guidance,
                generator=generators,
                negative_prompt=[negative] * len(generators),
                **part,
            ).images
        return out

    def reads(self, images: list[Image.Image]) -> list[dict[str, str]]:
        """The most probable value of each attribute."""
        return [{name: max(p, key=p.__getitem__) for name, p in reading.items()} for reading in self.judge.read(images)]


def prompt_for(wanted: dict[str, str]) -> str:
    return (
        f"professional product photo of a {COLOUR_WORDS[wanted['colour']][0]} {KIND_WORDS[wanted['kind']][0]} "
        f"on a {SET_WORDS[wanted['set']][0]}, {LIGHT_WORDS[wanted['light']][0]}"
    )


def wishes_for(n: int, pairs, seed: int) -> list[dict[str, str]]:
    """Balanced wishes: every kind in turn, the rest drawn."""
    rng = np.random.default_rng(seed)
    pairs = sorted(pairs)
    by_kind = {kind: [c for k, c in pairs if k == kind] for kind in KINDS}
    kinds = list(KINDS)
    return [
        {
            "kind": kinds[k % len(kinds)],
            "colour": str(rng.choice(by_kind[kinds[k % len(kinds)]])),
            "set": str(rng.choice(list(SET_WORDS))),
            "light": str(rng.choice(list(LIGHT_WORDS))),
        }
        for k in range(n)
    ]


def share_right(wishes: list[dict], reads: list[dict], *names: str) -> float:
    return float(np.mean([all(w[n] == r[n] for n in names) for w, r in zip(wishes, reads)]))


def row(what: str, bar: float, value: float) -> Row:
    return Row(what, f"≥ {bar:.0%}", f"{value:.1%}", value >= bar)


def pixels(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(im, np.float32) / 255 for im in images])


def rmse(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(((a - b) ** 2).mean((1, 2, 3)))
