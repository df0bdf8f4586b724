"""A sweep: one or two settings varied over a grid, for the same seeds in every cell, and nothing else.

Each different picture is made once, in batches, by one process or by several.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tqdm.auto import tqdm

from tp2lib.engine.axes import Place, announce, axis_values, batches, check_axes, choose_width, plan_cells, where
from tp2lib.engine.control import dead_pairs, prove
from tp2lib.engine.fallbacks import FLOAT32, OutOfMemory, treatments
from tp2lib.engine.generate import find_source, reuse, run_together
from tp2lib.engine.plan import Plan, model_for
from tp2lib.engine.preview import StepInfo
from tp2lib.engine.runs import Run
from tp2lib.errors import Cancelled, RecipeError, TP2Error, did_you_mean
from tp2lib.metadata.source import Source
from tp2lib.models.loading import Model
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import pixels_sha256

Plans = Sequence[tuple[Place, Plan]]

_POLL = 0.2  # seconds between looks at what other processes have finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One place in the grid."""

    place: Place
    recipe: Recipe
    key: str  # hash of its effective settings; equal keys are one picture
    run: Run | None = None  # None before it is made, and where it failed
    error: str | None = None  # why it failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A grid of runs, and what was proved and noticed about it."""

    axes: dict[str, tuple]  # the declared ones, with their values in order
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...] = field(repr=False)  # first axis slowest, seed fastest
    control: dict[str, list[str]] = field(default_factory=dict)  # for each axis, the effective settings that vary along it: the proof, as a table
    notes: tuple[str, ...] = ()  # values that made no difference, and why; cells that failed

    @property
    def runs(self) -> list[Run]:
        """The runs, in the order of the cells; failed cells are left out."""
        return [cell.run for cell in self.cells if cell.run is not None]

    def at(self, **place: Any) -> list[Cell]:
        """List the cells at these values, such as ``at(steps=15, seed=42)``; raise RecipeError if a name is no axis of this sweep, or no cell has them."""
        for name in place:
            if name not in (*self.axes, "seed"):
                known = (*self.axes, "seed")
                raise RecipeError(f"the sweep has no axis {name!r}; it has {', '.join(known)}.{did_you_mean(name, known)}")
        found = [cell for cell in self.cells if place.items() <= cell.place.items()]
        if not found:
            raise RecipeError(f"the sweep has no cell at {place}; its axes are {self.axes}, its seeds {self.seeds}. Give values from these.")
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
    model = model_for(recipe, model)
    chosen = (recipe.seed,) if seeds is None else axis_values("seeds", seeds)
    places = [dict(zip((*grid, "seed"), values, strict=True)) for values in itertools.product(*grid.values(), chosen)]
    plan_all = partial(plan_cells, recipe, model, find_source(recipe, source, ledger), places)
    plans = plan_all(batch_width=1 if batch_width is None else batch_width)
    if batch_width is None:
        width = choose_width([plan for _, plan in plans], ledger)
        plans = [(place, plan.at_width(width)) for place, plan in plans]
    control = prove([(place, plan.effective) for place, plan in plans], grid)
    todo = [plan for key, plan in {plan.key: plan for _, plan in plans}.items() if not (ledger and ledger.lookup(key))]
    said = list(announce(plans, grid, chosen, todo))
    for line in said:
        say(line)
    if dry_run:
        cells = [Cell(place=place, recipe=plan.recipe, key=plan.key) for place, plan in plans]
        return Sweep(axes=grid, seeds=chosen, cells=tuple(cells), control=control)
    with tqdm(total=sum(plan.effective["model_calls"] for plan in todo), unit="call", disable=not progress) as bar:

        def step(info: StepInfo) -> None:
            bar.update()
            if on_step:
                on_step(info)

        work = Work(ledger=ledger, on_run=on_run, on_step=step if progress or on_step else None, should_stop=should_stop)
        cells = work.do(plan_all, plans, say)
    made = [(cell.place, cell.run) for cell in cells if cell.run and cell.run.outcome == "ok"]  # what is withheld has no kept pixels to count
    effective = [(place, run.effective) for place, run in made]
    control = prove(effective, grid) if made else control
    # The pictures themselves are compared: whatever the settings say, an axis that moves no pixel is dead.
    pixels = [pixels_sha256(run.picture) for _, run in made]
    notes = [*dead_pairs(effective, grid, pixels.__getitem__), *(f"{where(cell.place)}: {cell.error}" for cell in cells if cell.error)]
    for note in notes:
        if note not in said:
            say(note)
    return Sweep(axes=grid, seeds=chosen, cells=tuple(cells), control=control, notes=tuple(notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Makes the cells of a sweep, each different picture once, whichever process makes it."""

    ledger: Ledger | None
    on_run: Callable[[Cell], None] | None
    on_step: Callable[[StepInfo], None] | None
    should_stop: Callable[[], bool] | None

    def do(self, plan_all: Callable[[list[str], int], Plans], plans: Plans, say: Callable[[str], None]) -> list[Cell]:
        """Make all cells; if one needs a fallback, make all of them with it."""
        fallbacks: list[str] = []
        width = plans[0][1].effective["batch_width"]
        while True:
            try:
                found = self._fill(plans, fallbacks)
            except OutOfMemory:  # of several pictures together
                width //= 2
                why, how = "memory ran out", f"{width} at a time" if width > 1 else "one by one"
            else:
                if isinstance(found, dict):
                    return [found[plan.key, str(place)] for place, plan in plans]
                why = "memory ran out" if found[-1] != FLOAT32 else "a picture overflowed"
                fallbacks, how = found, f"with {', '.join(found)}"
            say(f"{why}: all cells are made again {how}, so that they compare")
            plans = plan_all(fallbacks, width)

    def _fill(self, plans: Plans, fallbacks: list[str]) -> dict[tuple[str, str], Cell] | list[str]:
        """Make the missing pictures, and take those of other processes; return the cells, or the fallbacks that all of them must use."""
        cells: dict[tuple[str, str], Cell] = {}
        crashed = self.ledger.crashes if self.ledger else lambda key: 0
        todo = batches((plan for _, plan in plans), alone=crashed)
        while todo:
            waiting = []
            for batch in todo:
                made, left = self._make(batch)
                for key, (run, error) in made.items():
                    cells |= self._tell(key, run, error, plans)
                    taken = treatments(run.effective["rungs"]) if run else fallbacks
                    if taken != fallbacks:
                        return taken
                waiting += [left] if left else []
            todo = waiting
            if todo:
                time.sleep(_POLL)  # other processes are making all that is left
                if self.should_stop and self.should_stop():
                    raise Cancelled("the sweep was stopped on request; finished pictures are kept. Run it again to go on.")
        return cells

    def _make(self, batch: list[Plan]) -> tuple[dict[str, tuple[Run | None, str | None]], list[Plan]]:
        """Make or find the pictures of a batch; return them by key, and the plans that another process has at work."""
        made: dict[str, tuple[Run | None, str | None]] = {}
        mine, left = batch, []
        if self.ledger:
            claimed = self.ledger.claim([plan.key for plan in batch])
            mine = [plan for plan in batch if plan.key in claimed]
            for plan in batch:
                if plan.key in claimed:
                    continue
                if reason := self.ledger.quarantined(plan.key):
                    made[plan.key] = (None, f"run {plan.key} is in quarantine: {reason}. Change its recipe, or release it in the ledger.")
                elif not self.ledger.lookup(plan.key):
                    left.append(plan)
                elif found := reuse(plan, self.ledger):
                    made[plan.key] = (found, None)
                else:
                    self.ledger.fail(plan.key, "its record does not say how it was made")
                    left.append(plan)
        return made | (self._execute(mine) if mine else {}), left

    def _execute(self, plans: list[Plan]) -> dict[str, tuple[Run | None, str | None]]:
        try:
            runs = run_together(plans, on_step=self.on_step, should_stop=self.should_stop, ledger=self.ledger)
        except Cancelled:
            raise
        except TP2Error as error:  # the other cells still count
            if isinstance(error, OutOfMemory) and plans[0].effective["batch_width"] > 1:
                raise
            return {plan.key: (None, str(error)) for plan in plans}
        return {run.key: (run, None if run.outcome == "ok" else f"no picture: {run.outcome}") for run in runs}

    def _tell(self, key: str, run: Run | None, error: str | None, plans: Plans) -> dict[tuple[str, str], Cell]:
        """Return the cells of a picture: several, where settings come down to the same."""
        cells = {}
        for place, plan in plans:
            if plan.key == key:
                own = run and replace(run, recipe=plan.recipe)
                cell = cells[key, str(place)] = Cell(place=place, recipe=plan.recipe, key=key, run=own, error=error)
                if self.on_run:
                    self.on_run(cell)
        return cells
