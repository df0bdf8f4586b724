"""The chain that makes Vitrine, step by step: ``python -m tp2lib.vitrine STEP``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path


def render(args: argparse.Namespace) -> None:
    """Path-trace this worker's share of a split."""
    import drjit
    import mitsuba  # noqa: F401  (drjit finds its library through it)

    from .render import render_split
    from .scene import SPLITS

    drjit.set_thread_count(1)
    first, stop = SPLITS[args.split]
    indices = range(first + args.worker, min(stop, first + (args.count or stop)), args.workers)
    started, fresh = time.monotonic(), 0
    for n, index in enumerate(render_split(args.data / "renders", indices), 1):
        fresh += 1
        if n % 50 == 0 or n == len(indices):
            pace = (time.monotonic() - started) / fresh
            print(f"render {args.split}[{args.worker}] {n}/{len(indices)}  {pace:.2f} s a picture  "
                  f"{pace * (len(indices) - n) / 60:.0f} min to go", flush=True)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tp2lib.vitrine", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".vitrine"), help="working folder (default: .vitrine)")
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("render", help=render.__doc__)
    step.add_argument("--split", default="train", choices=("train", "judge", "test"))
    step.add_argument("--count", type=int, help="only the first COUNT pictures of the split")
    step.add_argument("--worker", type=int, default=0)
    step.add_argument("--workers", type=int, default=1)
    step.set_defaults(run=render)
    args = parser.parse_args(argv)
    args.run(args)


if __name__ == "__main__":
    main()
