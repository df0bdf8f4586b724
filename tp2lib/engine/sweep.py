"""A sweep: one or two settings varied over a grid, for the same seeds in every cell, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tqdm.auto import tqdm

from tp2lib.engine.axes import announce, axis_values, check_axes, choose_width, plan_cells, where
from tp2lib.engine.cells import Cell, Work
from tp2lib.engine.control import dead_pairs, prove
from tp2lib.engine.generate import find_source
from tp2lib.engine.preview import StepInfo
from tp2lib.engine.runs import Run
from tp2lib.errors import RecipeError, did_you_mean
from tp2lib.metadata.source import Source
from tp2lib.models.loading import Model, load
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import pixels_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A grid of runs, and what was proved and noticed about it.

    Attributes
    ----------
    axes : dict
        The declared axes, with their values in order.
    seeds : tuple of int
    cells : tuple of Cell
        First axis slowest, seed fastest.
    control : dict
        For each axis, the effective settings that vary along it: the proof, as a table.
    notes : tuple of str
        Values that made no difference, and why; cells that failed.
    """

    axes: dict[str, tuple]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...] = field(repr=False)
    control: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> list[Run]:
        """The runs, in the order of the cells; failed cells are left out."""
        return [cell.run for cell in self.cells if cell.run is not None]

    def at(self, **place: Any) -> list[Cell]:
        """List the cells at these values, such as ``at(steps=15, seed=42)``.

        Raises
        ------
        RecipeError
            If a name is no axis of this sweep, or no cell has these values.
        """
        for name in place:
            if name not in (*self.axes, "seed"):
                known = (*self.axes, "seed")
                raise RecipeError(f"the sweep has no axis {name!r}; it has {', '.join(known)}.{did_you_mean(name, known)}")
        found = [cell for cell in self.cells if place.items() <= cell.place.items()]
        if not found:
            raise RecipeError(f"the sweep has no cell at {place}; its axes are {self.axes}, its seeds {self.seeds}.")
        return found


def sweep(
    recipe: Recipe,
    model: Model | None = None,
    *,
    seeds: Iterable[int] | None = None,
    source: Source | None = None,
    ledger: Ledger | None = None,
    on_run: Callable[[Cell], None] | None = None,
    on_step: Callable[[StepInfo], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    progress: bool = False,
    say: Callable[[str], None] = print,
    dry_run: bool = False,
    batch_width: int | None = None,
    **axes: Iterable[Any],
) -> Sweep:
    """Vary one or two settings of a recipe, and prove that nothing else varied.

    Parameters
    ----------
    recipe : Recipe
        What stays the same.
    model : Model, optional
        By default, the one that the recipe names.
    seeds : iterable of int, optional
        The same in every cell, so that cells compare in pairs; by default, the recipe's own.
    source : Source, optional
        The prepared photo, for image to image.
    ledger : Ledger, optional
        Where runs are kept: a sweep that was killed goes on where it stood, and processes that make the same sweep over
        one ledger at the same time share its pictures out between them.
    on_run, on_step : callable, optional
        Called after each cell, and after each model call.
    should_stop : callable, optional
        Asked before and during each run.
    progress : bool, default False
        Show a bar with the time left, counted in model calls.
    say : callable, default print
        Gets the plan and the notes, line by line.
    dry_run : bool, default False
        Only plan.
    batch_width : int, optional
        How many pictures of equal size and steps go through the model together; by default, what leaves the least to do. It
        decides the last bits, so it is the same for all cells and stands in each picture's record; which pictures a
        batch holds decides nothing.
    **axes
        One or two settings with their values, such as ``steps=[15, 30, 50]``.

    Returns
    -------
    Sweep

    Raises
    ------
    RecipeError
        If any cell cannot be run: before the first picture is made.
    ControlError
        If anything but the declared axes varies, planned or seen.
    Cancelled
        If it was stopped; finished runs stay in the ledger.
    """
    grid = check_axes(axes)
    chosen = (recipe.seed,) if seeds is None else axis_values("seeds", seeds)
    model = load(recipe.model) if model is None else model
    places = [dict(zip((*grid, "seed"), values, strict=True)) for values in itertools.product(*grid.values(), chosen)]
    plan_all = partial(plan_cells, recipe, model, find_source(recipe, source, ledger), places)
    plans = plan_all(batch_width=1 if batch_width is None else batch_width)
    if batch_width is None:
        width = choose_width([plan for _, plan in plans], ledger)
        plans = [(place, plan.at_width(width)) for place, plan in plans]
    control = prove([(place, plan.effective) for place, plan in plans], grid)
    said = list(announce(plans, grid, chosen, ledger))
    for line in said:
        say(line)
    if dry_run:
        cells = [Cell(place=place, recipe=plan.recipe, key=plan.key) for place, plan in plans]
        return Sweep(axes=grid, seeds=chosen, cells=tuple(cells), control=control)
    calls = sum(plan.effective["model_calls"] for plan in {plan.key: plan for _, plan in plans}.values())
    with tqdm(total=calls, unit="call", disable=not progress) as bar:

        def step(info: StepInfo) -> None:
            bar.update()
            if on_step:
                on_step(info)

        work = Work(ledger, on_run, step if progress or on_step else None, should_stop)
        cells = work.do(plan_all, plans, say)
    control = prove([(cell.place, cell.run.effective) for cell in cells if cell.run], grid)
    notes = [*_dead(cells, grid), *(f"{where(cell.place)}: {cell.error}" for cell in cells if cell.error)]
    for note in notes:
        if note not in said:
            say(note)
    return Sweep(axes=grid, seeds=chosen, cells=tuple(cells), control=control, notes=tuple(notes))


def _dead(cells: Sequence[Cell], axes: Mapping[str, tuple]) -> list[str]:
    """Compare the pictures themselves: whatever the settings say, an axis that moves no pixel is dead."""
    made = [(cell.place, cell.run) for cell in cells if cell.run]
    pixels = [pixels_sha256(run.picture) if run.outcome == "ok" else None for _, run in made]
    return dead_pairs([(place, run.effective) for place, run in made], axes, pixels.__getitem__)
