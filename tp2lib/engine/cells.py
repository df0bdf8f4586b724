"""The cells of a sweep, and how they are made: in batches, each different picture once, by one process or by several."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tp2lib.engine.axes import Place, batches
from tp2lib.engine.fallbacks import OutOfMemory, treatments
from tp2lib.engine.generate import reuse, run_together
from tp2lib.engine.plan import Plan
from tp2lib.engine.preview import StepInfo
from tp2lib.engine.runs import Run
from tp2lib.errors import Cancelled, TP2Error
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger

Plans = Sequence[tuple[Place, Plan]]

_POLL = 0.2  # seconds between looks at what other processes have finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One place in the grid.

    Attributes
    ----------
    place : dict
        Its value on each axis, and its seed.
    recipe : Recipe
    key : str
        Hash of its effective settings; equal keys are one picture.
    run : Run or None
        None before it is made, and where it failed.
    error : str or None
        Why it failed.
    """

    place: Place
    recipe: Recipe
    key: str
    run: Run | None = None
    error: str | None = None


class Work:
    """Makes the cells of a sweep, each different picture once, whichever process makes it."""

    def __init__(
        self,
        ledger: Ledger | None,
        on_run: Callable[[Cell], None] | None,
        on_step: Callable[[StepInfo], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.ledger, self.on_run = ledger, on_run
        self.run_together = partial(run_together, ledger=ledger, on_step=on_step, should_stop=should_stop)
        self.should_stop = should_stop or (lambda: False)

    def do(self, plan_all: Callable[[list[str], int], Plans], plans: Plans, say: Callable[[str], None]) -> list[Cell]:
        """Make all cells; if one has to climb the memory ladder, make all of them in the same way."""
        rungs: list[str] = []
        width = plans[0][1].effective["batch_width"]
        while True:
            try:
                found = self._fill(plans, rungs)
            except OutOfMemory:  # of several pictures together
                width //= 2
                how = f"{width} at a time" if width > 1 else "one by one"
            else:
                if isinstance(found, dict):
                    return [found[plan.key, str(place)] for place, plan in plans]
                rungs, how = found, f"with {', '.join(found)}"
            say(f"memory ran out: all cells are made again {how}, so that they compare")
            plans = plan_all(rungs, width)

    def _fill(self, plans: Plans, rungs: list[str]) -> dict[tuple[str, str], Cell] | list[str]:
        """Make what is missing, and take what others make; return the cells, or the rungs that all have to stand on."""
        cells: dict[tuple[str, str], Cell] = {}
        crashed = self.ledger.crashes if self.ledger else lambda key: 0
        todo = batches((plan for _, plan in plans), alone=crashed)
        while todo:
            waiting = []
            for batch in todo:
                made, left = self._make(batch)
                for key, (run, error) in made.items():
                    cells |= self._tell(key, run, error, plans)
                    taken = treatments(run.effective["rungs"]) if run else rungs
                    if taken != rungs:
                        return taken
                waiting += [left] if left else []
            todo = waiting
            if todo and not any(crashed(plan.key) for batch in todo for plan in batch):
                self._pause()
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
                elif found := reuse(plan, self.ledger):
                    made[plan.key] = (found, None)
                else:
                    left.append(plan)
        return made | (self._execute(mine) if mine else {}), left

    def _execute(self, plans: list[Plan]) -> dict[str, tuple[Run | None, str | None]]:
        try:
            runs = self.run_together(plans)
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

    def _pause(self) -> None:
        """Wait for other processes, which have all that is left at work."""
        time.sleep(_POLL)
        if self.should_stop():
            raise Cancelled("the sweep was stopped on request; finished pictures are kept. Run it again to go on.")
