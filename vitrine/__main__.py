"""The chain that makes Vitrine, step by step: ``python -m vitrine STEP``.

``all`` runs every step in order; each resumes where it was killed. ``--tiny`` runs the
whole chain in about a minute, to see that it works; its pictures are noise.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = Path(__file__).parents[1] / "tp2lib" / "models" / "vitrine"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much work each step does; the defaults are the sums of the legs behind the committed weights; more of everything is better."""

    tiny: bool = False
    pixels: int = 256
    samples: int = 4
    pictures: tuple[tuple[str, int], ...] = (("train", 2_853), ("judge", 6_000), ("test", 160))
    autoencoder: int = 8_100
    denoiser: int = 0  # 0: the plan's own
    judge: int = 2_600
    batch: int = 0  # 0: each step's own
    share: float = 1.0


# 128 pixels give half-size latents of 8×8: at 4×4 the innermost map would be 1×1, where
# oneDNN 3 leaves a bfloat16 weight gradient uninitialised.
TINY = Scale(tiny=True, pixels=128, samples=2, pictures=(("train", 12), ("judge", 8), ("test", 4)), autoencoder=3, denoiser=4, judge=3, batch=4, share=0.01)


def _size(scale: Scale):
    from .model import FULL, TINY

    return TINY if scale.tiny else FULL


def render(args: argparse.Namespace, scale: Scale) -> None:
    """path-trace this worker's share of the pictures"""
    import drjit
    import mitsuba  # noqa: F401  (drjit finds its library through it)

    from .render import render_split
    from .scene import SPLITS

    drjit.set_thread_count(1 if args.workers > 1 else int(os.environ.get("OMP_NUM_THREADS", "0")))
    for split, count in scale.pictures:
        if args.split not in (None, split):
            continue
        first = SPLITS[split][0]
        indices = range(first + args.worker, first + min(count, args.count or count), args.workers)
        coarse = 2 if split == "judge" else 1  # the judge sees 128 pixels
        started = time.monotonic()
        for n, _ in enumerate(render_split(args.data / "renders", indices, scale.pixels, scale.samples, coarse), 1):
            if n % 50 == 0 or n == len(indices):
                pace = (time.monotonic() - started) / n
                print(f"render {split}[{args.worker}] {n}/{len(indices)}  {pace:.2f} s a picture  {pace * (len(indices) - n) / 60:.0f} min to go", flush=True)


def autoencoder(args: argparse.Namespace, scale: Scale) -> None:
    """train the autoencoder and whiten its latents"""
    from .autoencoder import CROP, train

    train(args.data, args.count or scale.autoencoder, scale.batch or 16, size=_size(scale), crop=min(CROP, scale.pixels), start=args.start)


def latents(args: argparse.Namespace, scale: Scale) -> None:
    """encode the training pictures with the finished autoencoder"""
    from .latents import encode

    encode(args.data, args.worker, args.workers)


def denoiser(args: argparse.Namespace, scale: Scale) -> None:
    """train the text encoder and the UNet"""
    from .denoiser import Plan, train
    from .parallel import side_by_side

    plan = Plan(steps=args.count or scale.denoiser or Plan.steps, batch=scale.batch or Plan.batch)
    side_by_side(train, args.workers, args.data, plan, _size(scale), args.start)


def judge(args: argparse.Namespace, scale: Scale) -> None:
    """train and calibrate the judge"""
    from .judging import train
    from .model import seal

    train(args.data, args.to / "judge.safetensors", scale.judge, scale.batch or 32)
    seal(args.to)


def export(args: argparse.Namespace, scale: Scale) -> None:
    """write the trained pipeline as a diffusers folder"""
    import torch
    from diffusers import AutoencoderKL

    from .denoiser import Denoiser
    from .model import save_pipeline, seal

    model = Denoiser(_size(scale))
    model.load_state_dict(torch.load(args.data / "denoiser.pt", weights_only=True)[f"average.{args.average}"])
    save_pipeline(args.to, model.text, AutoencoderKL.from_pretrained(args.data / "vae"), model.unet, model.tokenizer)
    seal(args.to)


def evaluate(args: argparse.Namespace, scale: Scale) -> None:
    """measure every bar and print the table"""
    from .evaluate import Bench, report

    print(report(Bench(args.to), args.data, args.data / "evaluation", scale.share * args.share))


def photos(args: argparse.Namespace, scale: Scale) -> None:
    """render the photos of inputs/ at high quality into DATA/photos"""
    from .photos import take

    take(args.data / "photos", *((scale.pixels, scale.samples) if scale.tiny else ()))


STEPS = (render, autoencoder, latents, denoiser, judge, export, evaluate)


def everything(args: argparse.Namespace, scale: Scale) -> None:
    """run every step in order"""
    for step in STEPS:
        step(args, scale)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m vitrine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = {step.__name__: step for step in (*STEPS, photos)} | {"all": everything}
    parser.add_argument("step", choices=names, metavar="STEP", help="; ".join(f"{name}: {step.__doc__}" for name, step in names.items()))
    parser.add_argument("--tiny", action="store_true", help="a minute's worth of everything")
    parser.add_argument("--data", type=Path, default=Path(".vitrine"), help="working folder (default: .vitrine)")
    parser.add_argument("--to", type=Path, help="where the weights go or are (default: the package; with --tiny, DATA/weights)")
    parser.add_argument("--split", choices=("train", "judge", "test"), help="render: only this split")
    parser.add_argument("--count", type=int, help="render: only the first COUNT pictures of a split; autoencoder, denoiser: this many steps")
    parser.add_argument("--worker", type=int, default=0, help="render, latents: this worker's number")
    parser.add_argument(
        "--workers", type=int, default=1, help="render, latents: how many workers share the pictures; denoiser: how many processes share a batch"
    )
    parser.add_argument("--start", type=Path, help="autoencoder, denoiser: go on from the weights in this folder, with new data or plans")
    parser.add_argument("--average", choices=("fast", "slow"), default="slow", help="export: which moving average")
    parser.add_argument("--share", type=float, default=1.0, help="evaluate: share of the full sample sizes, for a quick look")
    args = parser.parse_args(argv)
    args.to = args.to or (args.data / "weights" if args.tiny else WEIGHTS)
    names[args.step](args, TINY if args.tiny else Scale())


if __name__ == "__main__":
    main()
