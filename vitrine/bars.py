"""Vitrine's bars, one function each: what is measured, the bar, the figure.

Seeds are fixed. How far weights were mixed, and how much the teacher pushes, was chosen on a part of the prompts of `obedience`.
"""

from __future__ import annotations

import itertools
import re
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler, StableDiffusionInpaintPipeline
from PIL import Image

from tp2lib.engine.schedulers import make_scheduler
from tp2lib.models.vocabulary import COLOUR_WORDS, SET_WORDS
from tp2lib.settings import SCHEDULER_NAMES

from .bench import REPORT_PROMPTS, Bench, Row, pixels, prompt_for, rmse, row, share_right, wishes_for
from .judging import accuracy
from .renders import Renders
from .vocabulary import HELD_OUT, KINDS, TRAINING_PAIRS


def obedience(bench: Bench, n: int = 300) -> list[Row]:
    """Share of prompts whose kind, colour, set and light the judge reads back."""
    wishes = wishes_for(n, TRAINING_PAIRS, 51)
    reads = bench.reads(bench.draw([prompt_for(w) for w in wishes], list(range(n))))
    held = wishes_for(max(4, n // 3), HELD_OUT, 52)
    held_reads = bench.reads(bench.draw([prompt_for(w) for w in held], list(range(len(held)))))
    bars = [(("kind",), 0.98), (("colour",), 0.95), (("set",), 0.97), (("light",), 0.90), (("kind", "colour", "set"), 0.92)]
    rows = [row(f"obedience: {'+'.join(names)} ({n} prompts)", bar, share_right(wishes, reads, *names)) for names, bar in bars]
    return [*rows, row(f"obedience: held-out pairs, kind+colour ({len(held)} prompts)", 0.90, share_right(held, held_reads, "kind", "colour"))]


def report_prompts(bench: Bench, seeds: int = 16) -> list[Row]:
    """The report's four prompts, read by the judge."""
    rows = []
    for name, (prompt, wanted) in REPORT_PROMPTS.items():
        reads = bench.reads(bench.draw([prompt] * seeds, list(range(seeds))))
        right = sum(all(r[k] == v for k, v in wanted.items()) for r in reads)
        rows.append(Row(f"report prompt: {name}", f"{seeds} of {seeds}", f"{right}", right == seeds))
    return rows


def _saturation(pixels: np.ndarray) -> float:
    return float((pixels.max(-1) - pixels.min(-1)).mean())


def _clipped(pixels: np.ndarray) -> float:
    return float(((pixels <= 1 / 255) | (pixels >= 254 / 255)).mean())


def guidance(bench: Bench, n: int = 64) -> list[Row]:
    """Obedience, saturation, clipping and seed diversity along the guidance axis."""
    wishes = wishes_for(n, TRAINING_PAIRS, 53)
    pairs, values, obeyed, colourful, clipped, diverse = min(6, n // 2), (1.0, 4.0, 7.5, 12.0), [], [], [], []
    for value in values:
        images = bench.draw([prompt_for(w) for w in wishes], list(range(n)), guidance=value)
        same = pixels(bench.draw([REPORT_PROMPTS["wallet"][0]] * 2 * pairs, list(range(2 * pairs)), guidance=value))
        obeyed.append(share_right(wishes, bench.reads(images), "kind", "colour", "set"))
        colourful.append(_saturation(pixels(images)))
        clipped.append(_clipped(pixels(images)))
        diverse.append(float(rmse(same[:pairs], same[pairs:]).mean()))
    figures = "  ".join(f"g={v:g}: {o:.0%}" for v, o in zip(values, obeyed))
    return [
        Row("guidance: kind+colour+set rises 1 → 4 → 7.5", "rises", figures, obeyed[0] < obeyed[1] <= obeyed[2]),
        Row("guidance: saturation, 7.5 → 12", "up", f"{colourful[2]:.3f} → {colourful[3]:.3f}", colourful[3] > colourful[2]),
        Row("guidance: clipped share, 7.5 → 12", "up", f"{clipped[2]:.3f} → {clipped[3]:.3f}", clipped[3] > clipped[2]),
        Row("guidance: distance between seeds, 1 → 4 → 7.5", "falls", " → ".join(f"{d:.3f}" for d in diverse[:3]), diverse[0] > diverse[1] > diverse[2]),
    ]


def steps(bench: Bench, n: int = 16) -> list[Row]:
    """Distance to the 100-step picture of the same seed."""
    rows = []
    prompts = [prompt_for(w) for w in wishes_for(n, TRAINING_PAIRS, 54)]
    for scheduler, name in ((DDIMScheduler, "DDIM"), (EulerAncestralDiscreteScheduler, "EulerA")):
        target = pixels(bench.draw(prompts, list(range(n)), steps=100, scheduler=scheduler))
        far = [float(rmse(pixels(bench.draw(prompts, list(range(n)), steps=s, scheduler=scheduler)), target).mean()) for s in (5, 15, 30, 50)]
        rows.append(
            Row(
                f"steps: {name}, distance to 100 steps at 5, 15, 30, 50",
                "falls",
                " → ".join(f"{f:.3f}" for f in far),
                all(a > b for a, b in itertools.pairwise(far)),
            )
        )
        gains = far[1] - far[2], far[2] - far[3]
        rows.append(Row(f"steps: {name}, gain from 15 to 30 against 30 to 50", "larger", f"{gains[0]:.3f} against {gains[1]:.3f}", gains[0] > gains[1]))
    return rows


def schedulers(bench: Bench) -> list[Row]:
    """Every scheduler of the library in diffusers' own pipelines; the grids and a pair that must differ."""
    side = bench.pipe.unet.config.sample_size * bench.pipe.vae_scale_factor
    source, mask = Image.new("RGB", (side, side), "grey"), Image.new("L", (side, side), 255)
    pipes, modes = [(bench.pipe, {}), (bench.img2img, {"image": source, "strength": 0.6})], "text-to-image and image-to-image"
    if bench.pipe.unet.config.in_channels == 4:  # what diffusers' inpainting asks for; tp2lib's own takes any number
        inpaint = StableDiffusionInpaintPipeline(**bench.pipe.components, requires_safety_checker=False)
        inpaint.set_progress_bar_config(disable=True)
        pipes, modes = [*pipes, (inpaint, {"image": source, "mask_image": mask})], "text-to-image, image-to-image and inpainting"
    ran, equal = [], 0
    for name in SCHEDULER_NAMES:
        finite = True
        for pipe, more in pipes:
            pipe.scheduler = make_scheduler(name, bench.base)
            picture = pipe("a red apple", num_inference_steps=5, generator=torch.Generator().manual_seed(0), output_type="np", **more).images
            finite = finite and bool(np.isfinite(picture).all())
        if finite:
            ran.append(name)
        ours, theirs = make_scheduler(name, bench.base), make_scheduler(name)
        ours.set_timesteps(20), theirs.set_timesteps(20)
        equal += torch.equal(ours.timesteps, theirs.timesteps)
    a, b = (pixels(bench.draw(["a red apple"], [0], scheduler=kind)) for kind in (EulerAncestralDiscreteScheduler, DDIMScheduler))
    return [
        Row(f"schedulers: {modes}", "≥ 14", f"{len(ran)} of {len(SCHEDULER_NAMES)}", len(ran) >= 14),
        Row("schedulers: timesteps equal Stable Diffusion 1.5's", "all", f"{equal} of {len(SCHEDULER_NAMES)}", equal == len(SCHEDULER_NAMES)),
        Row("schedulers: EulerA and DDIM at one seed", "differ", f"RMSE {rmse(a, b)[0]:.3f}", bool(rmse(a, b)[0] > 0.005)),
    ]


def strength(bench: Bench, data: Path, n: int = 32) -> list[Row]:
    """Image-to-image on clean renders: how far the picture moves, and what it still shows."""
    renders = Renders(data / "renders", "test")
    picks = [k for k, r in enumerate(renders.records) if r["defect"] == "none"][:n]
    records = [renders.records[k] for k in picks]
    sources = [Image.fromarray(renders.picture(k)) for k in picks]
    own = [prompt_for(r) for r in records]
    base, seeds = pixels(sources), list(range(len(picks)))
    far, kept = [], 0.0
    for value in (0.2, 0.35, 0.5, 0.6, 0.75, 0.85, 0.95):
        images = bench.draw(own, seeds, image=sources, strength=value)
        far.append(float(rmse(pixels(images), base).mean()))
        if value == 0.35:
            kept = share_right(records, bench.reads(images), "kind")
    kinds = list(KINDS)
    others = [r | {"kind": kinds[(kinds.index(r["kind"]) + 5) % len(kinds)]} for r in records]
    moved = share_right(others, bench.reads(bench.draw([prompt_for(o) for o in others], seeds, image=sources, strength=0.85)), "kind")
    return [
        Row("strength: distance to the source, 0.2 … 0.95", "rises", " ".join(f"{f:.3f}" for f in far), all(a < b for a, b in itertools.pairwise(far))),
        row("strength 0.35, same product: kind kept", 0.90, kept),
        row("strength 0.85, another product: kind follows", 0.80, moved),
    ]


def negative(bench: Bench, n: int = 100) -> list[Row]:
    """A degraded prompt with and without the negative prompt, same seeds."""
    prompts = [
        f"blurry, grainy, dark photo of a {COLOUR_WORDS[w['colour']][0]} {w['kind']} on a {SET_WORDS[w['set']][0]}" for w in wishes_for(n, TRAINING_PAIRS, 55)
    ]
    plain = pixels(bench.draw(prompts, list(range(n)))).mean(-1)
    helped = pixels(bench.draw(prompts, list(range(n)), negative="blurry, grainy, dark")).mean(-1)
    smooth = lambda x: (x[:, :-1, :-1] + x[:, 1:, :-1] + x[:, :-1, 1:] + x[:, 1:, 1:]) / 4
    detail = lambda x: np.array([np.percentile(np.hypot(*np.gradient(smooth(im[None])[0])), 99) for im in x])
    sharper, brighter = detail(helped) > detail(plain), helped.mean((1, 2)) > plain.mean((1, 2))
    return [
        row(f"negative prompt: sharper ({n} seeds)", 0.80, float(sharper.mean())),
        row(f"negative prompt: brighter ({n} seeds)", 0.80, float(brighter.mean())),
    ]


def speed(bench: Bench) -> list[Row]:
    """Seconds for one guided 30-step picture (median of 5), and the peak memory, in a process that does nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        middle, peak = alone.submit(_alone, bench.folder, bench.pace, torch.get_num_threads()).result()
    return [
        Row(f"speed: 30 guided steps, {torch.get_num_threads()} threads", "≤ 1.5 s", f"{middle:.2f} s", middle <= 1.5),
        Row("memory: peak of a process that makes pictures", "≤ 1.1 GB", f"{peak:.2f} GB", peak <= 1.1),
    ]


def _alone(folder: Path, pace: float, threads: int) -> tuple[float, float]:
    torch.set_num_threads(threads)
    bench = Bench(folder, pace=pace)
    seconds = []
    for seed in range(6):
        started = time.perf_counter()
        bench.draw(["a red apple on a white background"], [seed])
        seconds.append(time.perf_counter() - started)
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())  # rusage would count the parent's, before exec
    return float(np.median(seconds[1:])), int(peak) / 2**20


def judging(bench: Bench, data: Path) -> list[Row]:
    """The judge on held-out renders, with its expected calibration error; a photo that is bad on purpose may hide what is asked."""
    renders = Renders(data / "renders", "test")
    clear = sum(record["defect"] == "none" for record in renders.records)
    got = accuracy(bench.judge.net, renders)
    bars = {"kind": 0.99, "colour": 0.97, "set": 0.99, "light": 0.95, "focus": 0.0, "view": 0.0, "defect": 0.0}
    return [
        Row(
            f"judge: {name} ({len(renders)} held-out renders)",
            f"≥ {bar:.0%}" if bar else "reported",
            f"{got[name]['right']:.1%} (calibration error {got[name]['calibration_error']:.3f}; of the {clear} without a defect {got[name]['clear']:.1%})",
            got[name]["right"] >= bar,
        )
        for name, bar in bars.items()
    ]
