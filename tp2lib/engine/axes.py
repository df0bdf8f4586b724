"""Plan a sweep: resolve every cell before the first picture, put cells together into batches, and estimate the time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from tp2lib.engine.control import TOUCHES, dead_pairs
from tp2lib.engine.fallbacks import is_out_of_memory
from tp2lib.engine.plan import Plan, make_plan
from tp2lib.errors import RecipeError, TP2Error, counted, did_you_mean, shown
from tp2lib.metadata.source import Source
from tp2lib.models.loading import Model
from tp2lib.recipe import Recipe, drawn
from tp2lib.settings import scheduler_name
from tp2lib.storage.ledger import Ledger

ROW_COST: Mapping[int, float] = {1: 1.0, 2: 0.86, 4: 0.75, 8: 0.7}
"""What a picture's rows cost in a batch of so many pictures, against alone: vitrine on one thread of a CPU; `tests/bench/bars.py`
measures it. GPUs gain more."""


def batches(plans: Iterable[Plan], alone: Callable[[str], Any] = lambda key: False) -> list[list[Plan]]:
    """Put plans of equal size and number of model calls together, as many as their batch width, in order.

    `alone` says which keys get a batch of their own, so that a crash in one ends no other run.
    """
    open_ones: dict[tuple, list[Plan]] = {}
    found = []
    for plan in {plan.key: plan for plan in plans}.values():
        kind = (plan.latents_shape, plan.effective["model_calls"], plan.key if alone(plan.key) else None)
        batch = open_ones.get(kind, [])
        if not batch or len(batch) == plan.effective["batch_width"]:
            batch = open_ones[kind] = []
            found.append(batch)
        batch.append(plan)
    return found


def choose_width(plans: Sequence[Plan], ledger: Ledger | None) -> int:
    """Choose how many pictures go through the model together: what leaves the least to do.

    Rows that are filled up count as work, and pictures that the ledger has at a width do not: so a sweep that is continued or extended keeps the width that
    it began with. One that ended its process at a width, so that a run is in quarantine, goes on at another.
    """
    return min(ROW_COST, key=lambda width: (_work(plans, width, ledger), width))


def _work(plans: Sequence[Plan], width: int, ledger: Ledger | None) -> float:
    wide = [plan.at_width(width) for plan in plans]
    ended = [plan.key for plan in wide if ledger and ledger.quarantined(plan.key)]
    todo = [plan for plan in wide if not (plan.key in ended or (ledger and ledger.lookup(plan.key)))]
    if width > 1 and ended and todo:
        return float("inf")
    return sum(width * batch[0].effective["model_calls"] for batch in batches(todo)) * ROW_COST[width]


AXES = tuple(name for name in TOUCHES if name != "seed")
"""What a sweep can vary."""

Place = dict[str, Any]
"""A cell's value on each axis, and its seed."""


def check_axes(axes: Mapping[str, Iterable[Any]]) -> dict[str, tuple]:
    """Return the values of a sweep's axes; raise RecipeError if there are none or more than two, or one is not fit for it."""
    grid = {name: axis_values(name, values) for name, values in axes.items()}
    if not 1 <= len(grid) <= 2:
        raise RecipeError(f"the sweep has {len(grid)} axes ({', '.join(grid) or 'none'}); it must have one or two, such as steps=[15, 30, 50].")
    return grid


def axis_values(name: str, values: Iterable[Any]) -> tuple:
    """Return an axis's values; raise RecipeError if it cannot be varied, or they are not a list of different ones."""
    if name not in (*AXES, "seeds"):
        hint = " Give seeds=[…], so that the seeds are the same in every cell." if name == "seed" else did_you_mean(name, AXES)
        raise RecipeError(f"{name!r} cannot be an axis; an axis is one of {', '.join(AXES)}.{hint}")
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise RecipeError(f"{name} is {shown(values)}; as an axis it must be a list, such as {name}=[{shown(values)}].")
    read = {"seeds": drawn, "scheduler": scheduler_name}.get(name, lambda one: one)
    listed = tuple(map(read, values))
    told = [one % 2**32 if name == "seeds" and type(one) is int else one for one in listed]  # torch draws noise from a seed's last 32 bits
    if not listed or any(one == other for one, other in itertools.combinations(told, 2)):
        also = " Seeds that are equal modulo 2**32 draw the same noise, and count as one." if name == "seeds" else ""
        raise RecipeError(f"{name} is {shown(listed)}; an axis needs at least one value, and each value once.{also}")
    return listed


def plan_cells(
    recipe: Recipe, model: Model, source: Source | None, places: Sequence[Place], fallbacks: Sequence[str] = (), batch_width: int = 1
) -> list[tuple[Place, Plan]]:
    """Resolve every cell of the grid, with given memory fallbacks and so many pictures at a time.

    RecipeError, which names the first five faults, is raised if any cannot be run.
    """
    plans, faults = [], []
    photos: dict[tuple[int | None, ...], Source | None] = {}  # of a size each, so that no cell decodes the file again
    for place in places:
        try:
            cell = recipe.vary(**place)
            size = cell.width, cell.height
            plans.append((place, make_plan(cell, model, source or photos.get(size), fallbacks, batch_width)))
            photos[size] = plans[-1][1].source
        except TP2Error as error:
            faults.append(f"  {where(place)}: {error}")
    if faults:
        more = [f"  and {len(faults) - 5} more"] if len(faults) > 5 else []
        count = f"{len(faults)} of {len(places)} cells cannot be run, so none was:"
        raise RecipeError("\n".join([count, *faults[:5], *more]))
    return plans


def where(place: Mapping[str, Any]) -> str:
    """Name a cell in a message."""
    return ", ".join(f"{name} {shown(value)}" for name, value in place.items())


def announce(plans: Sequence[tuple[Place, Plan]], axes: Mapping[str, tuple], seeds: Sequence[int], todo: Sequence[Plan]) -> Iterator[str]:
    """Say how long the sweep will take with what is `todo`, and which cells are the same picture."""
    unique = {plan.key for _, plan in plans}
    names = " x ".join(
        counted(len(values), name.replace("_", " ")) if name.endswith("prompt") else f"{name} {shown(list(values))}" for name, values in axes.items()
    )
    counts = {"to make": len(todo), "kept from before": len(unique) - len(todo), "the same as another": len(plans) - len(unique)}
    parts = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    yield f"sweep over {names}, seeds {shown(list(seeds))}: {len(plans)} images ({parts})"
    if todo:
        calls = sum(plan.effective["model_calls"] for plan in todo)
        width = todo[0].effective["batch_width"]
        together = f", {width} pictures at a time" if width > 1 else ""
        yield f"{calls} model calls{together}, about {_duration(_estimate(todo))}"
    cells = [(place, plan.effective) for place, plan in plans]
    yield from dead_pairs(cells, axes, lambda i: plans[i][1].key)


def _estimate(plans: Sequence[Plan]) -> float:
    """Seconds that the model calls will take, from one timed call of each shape."""
    seconds: dict[tuple[int, ...], float] = {}
    total = 0.0
    for plan, *_ in batches(plans):
        width = plan.effective["batch_width"]
        rows = 2 * width if width > 1 or plan.effective["guidance_active"] else 1
        shape = (rows, *plan.latents_shape[1:])
        if shape not in seconds:
            seconds[shape] = _time_one_call(plan.model, shape)
        total += plan.effective["model_calls"] * seconds[shape]
    return total


def _time_one_call(model: Model, shape: tuple[int, ...]) -> float:
    """Time the model, once it is warm, on a quarter of the area: a size that is too large for the memory must not end the process here."""
    unet = model.pipe.unet
    rows, _, *sides = shape
    height, width = (max(side // 2, min(side, 8)) for side in sides)
    zeros = torch.zeros((rows, unet.config.in_channels, height, width), device=unet.device, dtype=unet.dtype)
    words = torch.zeros((rows, 77, unet.config.cross_attention_dim), device=unet.device, dtype=unet.dtype)
    try:
        with torch.no_grad():
            for _ in range(2):
                began = time.perf_counter()
                unet(zeros, 500, encoder_hidden_states=words, return_dict=False)[0].sum().item()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return 0.0
    return (time.perf_counter() - began) * (sides[0] * sides[1]) / (height * width)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{max(rest, 1)} s"
