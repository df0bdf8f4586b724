"""The chain that makes Vitrine: ``python -m vitrine STEP``, from the folder of the clone.

``all`` runs it in order (render, train, judge, cutout, evaluate); each step goes on where it was cut off. On a GPU elsewhere: ``pack``
here, ``train --pack FILE --parts DIR`` there, ``join --parts DIR`` here. ``--tiny`` runs everything in a minute or two, to see
that it works; its pictures are noise.
"""

from __future__ import annotations

import argparse
import os
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = Path(__file__).parents[1] / "tp2lib" / "models" / "vitrine"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is rendered and how long is trained; more of everything is better."""

    tiny: bool = False
    pixels: int = 256
    samples: int = 4
    pictures: tuple[tuple[str, int], ...] = (("train", 12_000), ("judge", 12_000), ("test", 500))
    minutes: float = 600.0
    judge_minutes: float = 60.0
    cutout_minutes: float = 60.0
    share: float = 1.0
    pace: float = 1.0


# 128 pixels give latents of 16×16. At 4×4 the innermost map would be 1×1, where oneDNN 3 leaves a bfloat16 weight gradient uninitialised.
TINY = Scale(
    tiny=True,
    pixels=128,
    samples=2,
    pictures=(("train", 12), ("judge", 8), ("test", 4)),
    minutes=0.1,
    judge_minutes=0.05,
    cutout_minutes=0.05,
    share=0.01,
    pace=0.1,
)


def render(args: argparse.Namespace, scale: Scale) -> None:
    """path-trace this worker's share of the pictures"""
    import drjit
    import mitsuba  # noqa: F401  (drjit finds its library through it)

    from .render import render_split
    from .renders import missing
    from .scene import SPLITS

    drjit.set_thread_count(1 if args.workers > 1 else int(os.environ.get("OMP_NUM_THREADS", "0")))
    for split, count in scale.pictures:
        if args.split not in (None, split):
            continue
        first = SPLITS[split][0]
        seeds = missing(args.data / "renders", range(first + args.worker, first + min(count, args.count or count), args.workers))
        coarse = 2 if split == "judge" else 1  # the judge sees 128 pixels
        started = time.monotonic()
        for n, _ in enumerate(render_split(args.data / "renders", seeds, scale.pixels, scale.samples, coarse), 1):
            if n % 50 == 0 or n == len(seeds):
                pace = (time.monotonic() - started) / n
                print(f"render {split}[{args.worker}] {n}/{len(seeds)}  {pace:.2f} s a picture  {pace * (len(seeds) - n) / 60:.0f} min to go", flush=True)


def train(args: argparse.Namespace, scale: Scale) -> None:
    """train autoencoder, text encoder and UNet within MINUTES, on the GPU or the processor, and write the pipeline"""
    from . import pack
    from .train import train

    if args.pack:
        pack.unpack(args.pack, args.data)
    train(args.data, args.to, args.minutes or scale.minutes, args.device, scale.tiny, args.start, args.parts)


def guide(args: argparse.Namespace, scale: Scale) -> None:
    """distil a better guidance into the UNet of START, which has none distilled yet, and write the pipeline"""
    from .train import guide

    if not args.start:
        raise SystemExit("guide needs --start FOLDER, the pipeline whose guidance is to be distilled.")
    guide(args.data, args.start, args.to, args.minutes or scale.minutes / 10, args.device, scale.tiny)


def judge(args: argparse.Namespace, scale: Scale) -> None:
    """train and calibrate the judge"""
    from .judging import train
    from .model import seal
    from .pack import unpack
    from .training import choose_device

    if args.pack:
        unpack(args.pack, args.data)
    train(args.data, args.to / "judge.safetensors", 60 * (args.minutes or scale.judge_minutes), choose_device(args.device), 4 if scale.tiny else 32)
    seal(args.to)


def cutout(args: argparse.Namespace, scale: Scale) -> None:
    """train and calibrate the network that cuts products out"""
    from .cutout import train
    from .model import seal
    from .training import choose_device

    train(args.data, args.to / "cutout.safetensors", 60 * (args.minutes or scale.cutout_minutes), choose_device(args.device), 8 if scale.tiny else 16)
    seal(args.to)


def cutout_bars(args: argparse.Namespace, scale: Scale) -> None:
    """measure the bars of the cut-out network alone and print the table"""
    from .cutout_bars import cutting_out
    from .evaluate import table

    print(table(cutting_out(args.data, args.to, args.data / "evaluation", scale.share * args.share)))


def pack(args: argparse.Namespace, scale: Scale) -> None:
    """write the pictures and the autoencoder into one file for a training elsewhere"""
    from .pack import pack

    to = args.pack or args.data / "pack.zip"
    held = pack(args.data, to, args.count or 12_000, split=args.split or "train")
    print(f"{to}: {held} pictures, {to.stat().st_size / 2**20:.1f} MiB")


def join(args: argparse.Namespace, scale: Scale) -> None:
    """join the parts that came back from elsewhere, and lay the weights in place"""
    from .model import seal
    from .pack import join

    for path in join(args.parts, args.data):
        if path.suffix == ".zip":
            zipfile.ZipFile(path).extractall(args.to)
            seal(args.to)  # the sums that came along know nothing of the judge
            print(f"{path} unpacked in {args.to}")


def export(args: argparse.Namespace, scale: Scale) -> None:
    """write the pipeline as it is trained so far"""
    from .model import FULL, TINY
    from .train import export

    export(args.data, args.to, TINY if scale.tiny else FULL)


def evaluate(args: argparse.Namespace, scale: Scale) -> None:
    """measure every bar and print the table"""
    from .evaluate import Bench, report

    print(report(Bench(args.to, pace=scale.pace), args.data, args.data / "evaluation", scale.share * args.share))


def photos(args: argparse.Namespace, scale: Scale) -> None:
    """render the photos of inputs/ at high quality into DATA/photos"""
    from .photos import take

    take(args.data / "photos", *((scale.pixels, scale.samples) if scale.tiny else ()))


STEPS = (render, train, judge, cutout, evaluate)


def everything(args: argparse.Namespace, scale: Scale) -> None:
    """run render, train, judge, cutout and evaluate in order"""
    for step in STEPS:
        step(args, scale)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m vitrine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = {step.__name__.replace("_", "-"): step for step in (*STEPS, guide, cutout_bars, pack, join, export, photos)} | {"all": everything}
    parser.add_argument("step", choices=names, metavar="STEP", help="; ".join(f"{name}: {step.__doc__}" for name, step in names.items()))
    parser.add_argument("--tiny", action="store_true", help="a minute's worth of everything")
    parser.add_argument("--data", type=Path, help="working folder (default: .vitrine; with --tiny, .vitrine/tiny)")
    parser.add_argument("--to", type=Path, help="where the weights go or are (default: the package; with --tiny, DATA/weights)")
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto", help="train, guide, judge, cutout: default auto")
    parser.add_argument("--minutes", type=float, help="train, guide, judge, cutout: the time to use, loading included")
    parser.add_argument("--start", type=Path, help="train: go on from the pipeline in this folder, with its autoencoder; guide: distil into that pipeline")
    parser.add_argument("--pack", type=Path, help="pack: the file to write (default: DATA/pack.zip); train, judge: unpack this file first")
    parser.add_argument("--parts", type=Path, help="train: put the result here besides, as parts of at most 15 MB; join: where the parts are")
    parser.add_argument("--split", choices=("train", "judge", "test"), help="render: only this split; pack: this one (default: train)")
    parser.add_argument("--count", type=int, help="render, pack: only the first COUNT pictures of a split")
    parser.add_argument("--worker", type=int, default=0, help="render: this worker's number")
    parser.add_argument("--workers", type=int, default=1, help="render: how many workers share the pictures")
    parser.add_argument("--share", type=float, default=1.0, help="evaluate, cutout-bars: share of the full sample sizes, for a quick look")
    args = parser.parse_args(argv)
    args.data = args.data or Path(".vitrine/tiny" if args.tiny else ".vitrine")
    if args.start and not (args.start / "model_index.json").is_file():
        raise SystemExit(f"--start {args.start} is no saved pipeline: no model_index.json is there. Give a folder such as {WEIGHTS}.")
    args.to = args.to or (args.data / "weights" if args.tiny else WEIGHTS)
    names[args.step](args, TINY if args.tiny else Scale())


if __name__ == "__main__":
    main()
