"""``tp2 bench``: measure this machine against plain diffusers in the same process; nothing is downloaded.

Each part compares two things by turns in this process, and yields rows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from tp2lib.cli.benchsettings import blank_model, unet_call, unet_inputs, variants
from tp2lib.engine.fallbacks import OutOfMemory
from tp2lib.engine.generate import generate
from tp2lib.engine.replay import grade, replay_all
from tp2lib.engine.schedulers import make_scheduler
from tp2lib.engine.sweep import sweep
from tp2lib.errors import Cancelled, ModelError, RecipeError, did_you_mean
from tp2lib.evaluation.experiments import APPLE, EXPERIMENTS, run_experiment
from tp2lib.models.devices import choose_device, environment
from tp2lib.models.loading import Model, load
from tp2lib.paths import NOTEBOOKS
from tp2lib.recipe import Recipe
from tp2lib.storage.files import write_atomically
from tp2lib.storage.ledger import Ledger

FILE = "bench.json"
_BUDGET = 480  # seconds; a part that would begin later is left for the next call
_CAPS_GB = (6, 4, 3, 2)
_WIDTHS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: what, how much (None where nothing was measured), its unit, and how it was got."""

    what: str
    value: float | None = None
    unit: str = ""
    note: str = ""


class Bench:
    """The machine under measurement, and the models on it."""

    def __init__(self, device: str | None = None) -> None:
        self.placement = choose_device(device)
        self.cuda = self.placement.device == "cuda"
        self.machine = {**environment(self.placement.device), "device": self.placement.device, "dtype": self.placement.dtype_name}
        self.recipe = Recipe(prompt=APPLE, steps=30 if self.cuda else 10)

    @cached_property
    def model(self) -> Model:
        """The model of SD 1.5's shapes; on a CPU, where a picture of it takes minutes, vitrine."""
        return blank_model(self.placement) if self.cuda else self.vitrine

    @cached_property
    def vitrine(self) -> Model:
        return load("vitrine", device=self.placement.device)

    def seconds(self, work: Callable[[], Any]) -> float:
        """How long it takes until the device has done it."""
        self.wait()
        began = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - began

    def wait(self) -> None:
        if self.placement.device != "cpu":
            torch.accelerator.synchronize()

    def by_turns(self, works: Mapping[str, Callable[[], Any]], rounds: int = 5) -> dict[str, list[float]]:
        """Time several things by turns, so that other work of the machine affects all of them; one round warms up."""
        took: dict[str, list[float]] = {name: [] for name in works}
        for turn in range(rounds + 1):
            for name, work in works.items():
                once = self.seconds(work)
                if turn:
                    took[name].append(once)
        return took

    @contextlib.contextmanager
    def peak(self, into: list[float]) -> Iterator[None]:
        """Note the most GPU memory that was allocated, in GB."""
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        yield
        if self.cuda:
            into.append(torch.cuda.max_memory_allocated() / 1e9)


def ratio(one: list[float], other: list[float]) -> tuple[float, str]:
    """How many times as long `one` took as `other`: the median of the turns, and their spread."""
    turns = [a / b for a, b in zip(one, other, strict=True)]
    return statistics.median(turns), f"of {len(turns)} turns: {min(turns):.2f} to {max(turns):.2f}"


def against_diffusers(bench: Bench) -> Iterator[Row]:
    """Guided steps: a plain diffusers pipeline against `generate`."""
    model, recipe = bench.model, bench.recipe
    parts = {**model.pipe.components, "scheduler": make_scheduler(recipe.scheduler, model.base_scheduler_config)}
    pipe = type(model.pipe)(**parts, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)

    def plain() -> None:
        pipe.scheduler = make_scheduler(recipe.scheduler, model.base_scheduler_config)
        pipe(recipe.prompt, num_inference_steps=recipe.steps, guidance_scale=recipe.guidance, generator=torch.Generator().manual_seed(recipe.seed))

    took = bench.by_turns({"diffusers": plain, "generate": lambda: generate(recipe, model)}, 4)
    size = f"{recipe.steps} guided steps at {model.native_size}², {model.name}"
    for name, times in took.items():
        yield Row(what=f"{name}: {size}", value=statistics.median(times), unit="s a picture")
    factor, spread = ratio(took["generate"], took["diffusers"])
    yield Row(what="generate against diffusers", value=factor, unit="times as long", note=spread)
    for name, work in (("diffusers", plain), ("generate", lambda: generate(recipe, model))):
        most: list[float] = []
        with bench.peak(most):
            work()
        yield Row(what=f"{name}: most memory", value=most[0] if most else None, unit="GB")


def settings(bench: Bench) -> Iterator[Row]:
    """How the UNet is called: attention, memory format, number format, compiled; one call of a guided step, by turns."""
    unet = bench.model.pipe.unet
    exact, inputs = unet_call(unet, 2), unet_inputs(unet, 2)
    for name, variant in variants(bench.cuda).items():
        try:
            right = exact()
            took: dict[str, list[float]] = {"as it is": [], "other": []}
            for _ in range(2):  # a variant may change how the weights lie, so turns are of five calls each
                took["as it is"] += [bench.seconds(exact) for _ in range(6)][1:]
                with variant(unet) as other:
                    off = float((other(*inputs) - right).abs().max())  # warms up too
                    took["other"] += [bench.seconds(partial(other, *inputs)) for _ in range(5)]
        except Exception as error:  # no compiler, no kernel: said, and the others still count
            yield Row(what=f"UNet, {name}", unit="times as fast", note=f"not to be had here: {type(error).__name__}: {str(error).splitlines()[0][:120]}")
            continue
        gain, spread = ratio(took["as it is"], took["other"])
        yield Row(what=f"UNet, {name}", value=gain, unit="times as fast", note=f"{spread}; largest difference {off:.1e}")
    for width in _WIDTHS:
        most: list[float] = []
        try:
            with bench.peak(most):
                call = unet_call(unet, 2 * width)
                took = bench.by_turns({"one": exact, "many": call}, 4)
        except RuntimeError as error:
            yield Row(what=f"{width} together", unit="times as fast", note=f"does not fit: {str(error).splitlines()[0][:100]}")
            continue
        gain, spread = ratio([width * one for one in took["one"]], took["many"])
        fast = f"{width / (30 * statistics.median(took['many'])):.3g} pictures of 30 steps a second, denoising alone"
        yield Row(what=f"{width} together", value=gain, unit="times as fast", note=f"{spread}; {fast}" + (f"; {most[0]:.2f} GB" if most else ""))


def memory(bench: Bench) -> Iterator[Row]:
    """With less and less GPU memory: a picture or a clear error, and the next one unharmed."""
    if not bench.cuda:
        yield Row(what="memory fallbacks", note="needs a CUDA GPU")
        return
    recipe, model = bench.recipe.vary(steps=4), bench.model
    whole, total = generate(recipe, model), torch.cuda.get_device_properties(0).total_memory
    for cap in _CAPS_GB:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(min(cap * 1e9 / total, 1.0))
        try:
            run = generate(recipe, model)
            note = f"fallbacks: {', '.join(run.effective['rungs']) or 'none'}; {grade(whole.picture, run.picture)[0]}"
        except OutOfMemory as error:
            note = f"no picture: {str(error)[:160]}"
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        after = generate(recipe, model)
        yield Row(what="memory capped", value=cap, unit="GB", note=f"{note}; the next picture: {grade(whole.picture, after.picture)[0]}")


def replays(bench: Bench) -> Iterator[Row]:
    """The report's pictures, made again in a fresh process; and the same recipe on CPU and GPU."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(folder)
        runs = [run_experiment(one, bench.vitrine, ledger) for one in EXPERIMENTS.values()]
        grades = [verdict.grade for verdict in replay_all(runs)]
        ledger.close()
    yield Row(what="pictures replayed identically", value=grades.count("identical"), unit=f"of {len(grades)}", note=", ".join(sorted(set(grades))))
    if not bench.cuda:
        yield Row(what="the same recipe on CPU and GPU", note="needs a GPU")
        return
    here = generate(bench.recipe, bench.vitrine)
    name, largest, psnr, _ = grade(here.picture, generate(bench.recipe, load("vitrine", device="cpu")).picture)
    del bench.vitrine
    yield Row(what="the same recipe on CPU and GPU", value=psnr, unit="dB", note=f"{name}; largest difference {largest} of 255")


def use(bench: Bench) -> Iterator[Row]:
    """A sweep in batches, Stop, a draft, and two notebooks."""
    model, recipe = bench.model, bench.recipe
    grid: dict[str, Any] = {"guidance": [4.0, 6.0, 7.5], "seeds": range(4), "say": lambda line: None}
    turns = {f"{width}": lambda width=width: sweep(recipe, model, batch_width=width, **grid) for width in (1, 4)}
    took = bench.by_turns(turns, 2)
    gain, spread = ratio(took["1"], took["4"])
    yield Row(what="a sweep of 12 pictures, 4 together against one by one", value=gain, unit="times as fast", note=spread)
    calls: list[int] = []
    with contextlib.suppress(Cancelled):
        generate(recipe, model, on_step=lambda info: calls.append(info.index), should_stop=lambda: len(calls) >= 2)
    yield Row(what="steps made after Stop", value=len(calls) - 2, unit="steps")
    few = recipe.vary(steps=4, scheduler="DPM++ 2M")
    times = bench.by_turns({"draft": lambda: generate(few, bench.vitrine)}, 8)["draft"]
    yield Row(what="a draft of vitrine", value=statistics.quantiles(times, n=20, method="inclusive")[-1], unit="s, 95 % of 8")
    for name in ("03_text2img", "05_mini_product") if bench.cuda else ():
        yield Row(what=f"notebook {name}", value=bench.seconds(partial(_execute, NOTEBOOKS / f"{name}.ipynb")), unit="s")


def _execute(path: Path) -> None:
    import nbclient
    import nbformat

    if not path.is_file():
        raise ModelError(f"{path} is not there; the notebooks come with the clone, so start `tp2 bench` in one.")
    nbclient.NotebookClient(nbformat.read(path, as_version=4), timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()


PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "diffusers": against_diffusers, "settings": settings, "memory": memory, "replays": replays, "use": use,
}  # fmt: skip
"""Every part, in the order in which they are measured."""


def bench(outputs: Path, parts: list[str] | None = None, *, device: str | None = None, again: bool = False, say: Callable[[str], Any] = print) -> Path:
    """Measure what is not measured yet, part by part, and write ``bench.json`` into `outputs`; return its path.

    A part that stands there for this machine and these versions is measured `again` only if asked. `say` gets each part's table as soon as it is measured.
    Without a GPU, vitrine stands for the model of SD 1.5's shapes.
    """
    for name in parts or ():
        if name not in PARTS:
            raise RecipeError(f"part {name!r} is not known; the parts are {', '.join(PARTS)}.{did_you_mean(name, PARTS)}")
    began, path = time.monotonic(), Path(outputs) / FILE
    bench = Bench(device)
    known = _read(path, bench.machine)
    for name in parts or PARTS:
        if name in known["parts"] and not again:
            say(f"{name}: measured before")
        elif time.monotonic() - began > _BUDGET:
            say(f"{name}: left for the next call, {_BUDGET} s are over")
            continue
        else:
            rows: list[Row] = []
            started = time.monotonic()
            try:
                rows.extend(PARTS[name](bench))
            except Exception as error:  # a driver can raise any error: the other parts still count
                rows.append(Row(what=name, note=f"failed: {type(error).__name__}: {str(error)[:300]}"))
            failed = any(row.note.startswith("failed") for row in rows)
            if failed:
                known["parts"].pop(name, None)
            known["parts" if not failed else "failed"][name] = {
                "seconds": round(time.monotonic() - started, 1),
                "rows": [dataclasses.asdict(row) for row in rows],
            }
            write_atomically(path, lambda file: file.write(json.dumps(known, indent=1).encode()))
        for line in table(known["parts"].get(name) or known["failed"][name]):
            say(line)
    return path


def table(part: dict[str, Any]) -> list[str]:
    """Return a part's rows as lines; a figure that was not measured stays empty."""
    shown = lambda value: "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return [f"{row['what']:<58} {shown(row['value']):>10} {row['unit']:<14} {row['note']}".rstrip() for row in part["rows"]]


def _read(path: Path, machine: dict[str, Any]) -> dict[str, Any]:
    """Read what was measured here before; figures of another machine or other versions are put aside."""
    fresh = {"machine": machine, "parts": {}, "failed": {}}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return fresh
    same = isinstance(known, dict) and known.get("machine") == machine and isinstance(known.get("parts"), dict)
    return {**fresh, "parts": known["parts"]} if same else fresh
