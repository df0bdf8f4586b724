"""The speed bars, measured on this machine; run on a quiet one, and nothing of it gates a test run.

``python tests/bench/bars.py`` prints a table: each row is measured with the model that TP2_VITRINE names, or the real
one. Ratios are taken within one process, the two sides by turns; their spread says how quiet the machine was.
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

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
import itertools
import os
import random

from filled import fill

from tp2lib import INPUTS, Ledger, Panel, Recipe, generate, load, sweep  # before torch: tp2lib.startup
from tp2lib.cli.bench import Bench, against_diffusers, ratio
from tp2lib.errors import Cancelled
from tp2lib.report.report import write_report
from tp2lib.startup import POLICY
from tp2lib.widgets.studio import Studio

import torch  # isort: skip

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
            tool.text.job.result(120)
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


PICTURES = """
import os, sys, time
if sys.argv[1] == "default":
    import torch  # first, so that tp2lib comes too late
from tp2lib import Recipe, generate, load
model = load("vitrine", device="cpu")
recipe = Recipe(prompt="a red apple on a white background", steps=10)
generate(recipe, model)
for line in sys.stdin:
    began = time.perf_counter()
    generate(recipe, model)
    print(time.perf_counter() - began, flush=True)
"""


def busy(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """A picture while one other process is busy, with the system's own way of waiting and with ours; by turns, the load made here."""
    bare = {name: value for name, value in os.environ.items() if name not in (*POLICY, "OMP_WAIT_POLICY", "OMP_NUM_THREADS")}
    how = {"env": bare, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": Path(__file__).parents[2]}
    ours, default = (subprocess.Popen([sys.executable, "-c", PICTURES, name], **how) for name in ("ours", "default"))

    def picture(process: subprocess.Popen) -> float:
        process.stdin.write("\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    quiet, plain, loaded, spinning = [], [], [], []
    for turn in range(5):
        quiet.append(picture(ours))
        plain.append(picture(default))
        load_here = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        loaded.append(picture(ours))
        if turn == 0:
            spinning.append(picture(default))
        load_here.kill()
        load_here.wait()
    for process in (ours, default):
        process.communicate()
    for what, one, other, wanted in (
        ("beside one busy process, against alone", loaded, quiet, "≤ 3"),
        ("alone, against threads that spin", quiet, plain, "≤ 1.1"),
        ("threads that spin, beside one busy process, against alone", spinning, plain[:1], "what it was"),
    ):
        times, spread = ratio(one, other)
        yield f"a picture {what}", f"{times:.2f} times ({spread})", wanted


def together(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """A sweep of twelve pictures of eight steps and of thirty, several going through the model together."""
    grid = {"guidance": [4.0, 6.0, 7.5], "seeds": range(4), "say": lambda line: None}
    for steps in (8, APPLE.steps):  # decoding, which goes one by one, is two fifths of a picture of 8 steps and an eighth of one of 30
        works = {width: lambda width=width, steps=steps: sweep(APPLE.vary(steps=steps), model, batch_width=width, **grid) for width in (1, 2, 4, 8)}
        took = Bench("cpu").by_turns(works, 2)
        for width in (2, 4, 8):
            gain, spread = ratio(took[1], took[width])
            yield f"12 pictures of {steps} steps, {width} together", f"{gain:.2f} times as fast ({spread})", "≥ 1.3" if width == 4 else ""


def drafted(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """From a slider's movement to the draft of it, the one before being at work or not."""
    shown = threading.Event()
    panel = Panel(APPLE, ["guidance"], model=model)
    panel.picture.observe(lambda change: shown.set() if "Draft" in change["new"] else None, "value")
    took, chance = [], random.Random(0)
    for turn in range(20):
        panel.controls["guidance"].set_state({"value": 2.0 + turn / 2})
        time.sleep(chance.uniform(0, 0.3))
        shown.clear()
        began = time.perf_counter()
        panel.controls["guidance"].set_state({"value": 2.5 + turn / 2})
        shown.wait(60)
        took.append(time.perf_counter() - began)
    panel.drafts.stop()
    one = statistics.median(seconds(lambda: generate(APPLE.vary(steps=10), model)) for _ in range(3))
    late = statistics.quantiles(took, n=20)[-1]
    yield (
        "a slider's movement to its draft, 95 % within",
        f"{late:.2f} s, {late / one:.2f} of a picture of 10 steps",
        "≤ 0.5 s where 10 steps take 0.54 s: ≤ 0.93",
    )


def plain(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """A picture of ours against a plain diffusers call."""
    for row in against_diffusers(Bench("cpu")):
        if row.value is not None:
            yield row.what, f"{row.value:.3g} {row.unit} {row.note}", "≤ 1.05" if "against" in row.what else ""


def reported(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """The report of the eleven pictures, in both languages."""
    fill(folder / "report")
    took = seconds(lambda: write_report(folder / "report"))
    yield "report of the full set", f"{took:.1f} s", "< 10 s"


def surroundings(folder: Path, model: Any) -> Iterator[tuple[str, str, str]]:
    """A product that is kept, before eight sets; see surroundings.py, which keeps its pictures in outputs/."""
    from surroundings import measured

    yield from measured()


def main() -> None:
    model = load("vitrine", device="cpu")
    print(f"{model.name}, {torch.get_num_threads()} threads")
    generate(APPLE.vary(seed=99), model)  # warms up
    with tempfile.TemporaryDirectory() as folder:
        chosen = sys.argv[1:]
        for bar in (imported, plain, overhead, busy, together, drafted, warm, panel, reported, surroundings):
            if chosen and bar.__name__ not in chosen:
                continue
            for what, measured, wanted in bar(Path(folder), model):
                print(f"{what:<55} {measured:<40} {wanted}", flush=True)


if __name__ == "__main__":
    main()
