"""The speed bars, measured on this machine; run on a quiet one, and nothing of it gates a test run.

``python tests/bench/bars.py`` prints a table: each row is measured with the model that TP2_VITRINE names, or the real
one. Ratios are taken within one process, the two sides by turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import itertools

from filled import fill

from tp2lib import INPUTS, Ledger, Recipe, generate, load, sweep
from tp2lib.errors import Cancelled
from tp2lib.report.report import write_report
from tp2lib.widgets.studio import Studio

APPLE = Recipe(prompt="a red apple on a white background", seed=42, steps=30)


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes, once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def imported(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """A fresh interpreter imports tp2lib, five times, against one that imports nothing."""
    took = {
        code: statistics.median(seconds(lambda code=code: subprocess.run([sys.executable, "-c", code], check=True)) for _ in range(5))
        for code in ("import sys", "import sys, tp2lib; assert 'torch' not in sys.modules")
    }
    bare, ours = took.values()
    yield "import tp2lib, without torch", f"{ours - bare:.3f} s", "≤ 0.2 s"


def overhead(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """What an image costs outside the UNet and the VAE, in a plain run and in one that the ledger keeps."""
    busy = 0.0

    def timed(module: Any, name: str) -> None:
        inner = getattr(module, name)

        def outer(*args: Any, **how: Any) -> Any:
            nonlocal busy
            began = time.perf_counter()
            try:
                return inner(*args, **how)
            finally:
                busy += time.perf_counter() - began

        setattr(module, name, outer)

    pipe = model.pipe
    before = pipe.unet.forward, pipe.vae.decode
    timed(pipe.unet, "forward")
    timed(pipe.vae, "decode")
    ledger = Ledger(folder / "overhead")
    for what, kept in (("engine overhead", None), ("engine overhead, kept in the ledger", ledger)):
        shares = []
        for seed in range(6):
            busy = 0.0
            whole = seconds(lambda seed=seed, kept=kept: generate(APPLE.vary(seed=seed), model, ledger=kept))
            shares.append(1 - busy / whole)
        yield f"{what}, outside UNet and VAE", f"{100 * statistics.median(shares[1:]):.1f} % of an image", "≤ 5 %"
    pipe.unet.forward, pipe.vae.decode = before


def warm(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """A finished sweep, once more."""
    calls = 0
    forward = model.pipe.unet.forward

    def counted(*args: Any, **how: Any) -> Any:
        nonlocal calls
        calls += 1
        return forward(*args, **how)

    model.pipe.unet.forward = counted

    def work() -> None:
        sweep(APPLE, model, guidance=[4.0, 7.5], seeds=[1, 2], ledger=Ledger(folder / "warm"), say=lambda line: None)

    cold, calls = seconds(work), 0
    again = seconds(work)
    model.pipe.unet.forward = forward
    yield "a finished sweep again", f"{cold / again:.0f} times faster, {calls} model calls", "≥ 50 times, 0 calls"


def panel(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """The tool: there, stopped, scrubbed."""
    made: list[Studio] = []
    ready = seconds(lambda: made.append(Studio(model, Ledger(folder / "panel"), inputs=INPUTS)))
    yield "panel ready, the model being loaded", f"{ready:.2f} s", "< 1 s"
    studio = made[0]
    studio.text.controls["steps"].value = 50
    late, a_step = [], 0.0
    for step in (3, 10, 20):
        reached, marks = threading.Event(), []

        def on_step(info: Any, step: int = step, reached: threading.Event = reached, marks: list = marks) -> None:
            marks.append(time.perf_counter())
            if info.index == step:
                reached.set()

        def make(recipe: Recipe, *args: Any, on_step: Any, watch: Any = on_step, **how: Any) -> Any:
            return generate(recipe, *args, on_step=lambda info: (watch(info), on_step(info)), **how)

        tool = Studio(model, Ledger(folder / f"panel{step}"), inputs=INPUTS, generate=make)
        tool.text.controls["steps"].value = 50
        tool.text.start()
        reached.wait(120)
        began = time.perf_counter()
        tool.text.stop()
        try:
            tool.text.runner.job.result(120)
        except Cancelled:
            late.append(time.perf_counter() - began)
        a_step = max(a_step, statistics.median(b - a for a, b in itertools.pairwise(marks)))
    yield "Stop to idle", f"{1000 * max(late):.0f} ms, a step being {1000 * a_step:.0f} ms", "≤ one step + 200 ms"
    explorer = studio.explorer
    explorer.live.value = False
    explorer.rows.value, explorer.columns.value = "2, 3", "1, 4, 7.5"
    explorer.lay_out()
    explorer.fill(timeout=300)
    took = [seconds(lambda x=x, y=y: explorer.move(x, y)) for x in (1.0, 4.0, 7.5) for y in (2, 3)]
    yield "a place that was rendered comes back", f"{1000 * max(took):.0f} ms at most", "< 100 ms"


def reported(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """The report of the eleven pictures, in both languages."""
    fill(folder / "report")
    took = seconds(lambda: write_report(folder / "report"))
    yield "report of the full set", f"{took:.1f} s", "< 10 s"


def main() -> None:
    model = load("vitrine", device="cpu")
    print(f"{model.name}, {torch.get_num_threads()} threads")
    generate(APPLE.vary(seed=99), model)  # warms up
    with tempfile.TemporaryDirectory() as folder:
        for bar in (imported, overhead, warm, panel, reported):
            for what, measured, wanted in bar(Path(folder), model):
                print(f"{what:<55} {measured:<40} {wanted}", flush=True)


if __name__ == "__main__":
    main()
