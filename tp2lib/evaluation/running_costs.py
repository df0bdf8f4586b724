"""Measure running costs: seconds a step and a picture, from the runs in the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from tp2lib.engine.runs import Run
from tp2lib.errors import RecipeError, shown

MOST = 1e9  # seconds, or steps: a record that says more is from elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What pictures of one kind took."""

    model: str
    device: str
    size: str  # such as "256 × 256"
    threads: int
    runs: tuple[str, ...]  # the keys of those that were counted
    step_s: float  # median seconds of a step, guidance included
    image_s: float  # median seconds of a whole picture

    @property
    def per_hour(self) -> float:
        """Pictures an hour, one after another."""
        return 3600 / self.image_s


def costs(runs: Iterable[Run]) -> list[Cost]:
    """Sum up what runs took, for each model, device, size and number of threads; the kinds with most runs first."""
    kinds: dict[tuple[Any, ...], list[tuple[str, float, float]]] = {}
    for run in runs:
        known = run.effective
        steps, spent, whole = known.get("steps", 0), run.timings.get("denoise", 0.0), run.timings.get("total", 0.0)
        if not all(isinstance(one, (int, float)) and 0 < one < MOST for one in (steps, spent, whole)):
            continue  # a record from elsewhere
        size = f"{known.get('width')} × {known.get('height')}"
        kind = (shown(known.get("model"), 1000)[1:-1], shown(known.get("device"))[1:-1], size, known.get("threads"))
        kinds.setdefault(kind, []).append((run.key, spent / steps, whole))
    found = []
    for (model, device, size, threads), rows in sorted(kinds.items(), key=lambda item: -len(item[1])):
        keys, each, images = zip(*rows, strict=True)
        found.append(Cost(model=model, device=device, size=size, threads=threads, runs=keys, step_s=median(each), image_s=median(images)))
    return found


def energy_kwh(cost: Cost, watts: float, pictures: int = 1000) -> float:
    """Return the energy that pictures take, in kilowatt hours, at a power that you read off a meter.

    Raises
    ------
    RecipeError
        A power that cannot be.
    """
    if not isinstance(watts, (int, float)) or not 0 < watts < 100_000:
        raise RecipeError(f"watts is {shown(watts)}; it must be the power drawn while generating, such as 30 for a laptop.")
    return cost.image_s * pictures * watts / 3_600_000
