"""Which pictures go through the model together, and how many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tp2lib.engine.plan import Plan
from tp2lib.storage.ledger import Ledger

__all__ = ["ROW_COST", "batches", "choose_width"]

ROW_COST: Mapping[int, float] = {1: 1.0, 2: 0.86, 4: 0.75, 8: 0.7}
"""What a picture's rows cost in a batch of so many pictures, against alone: vitrine on one thread of a CPU; `tests/bench/bars.py`
measures it. GPUs gain more."""


def batches(plans: Iterable[Plan], alone: Callable[[str], Any] = lambda key: False) -> list[list[Plan]]:
    """Put plans of equal size and number of model calls together, as many as their batch width, in order.

    `alone` tells the keys of those that get a batch of their own: whatever they do takes no other run down.
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

    Rows that are filled up count as work, and pictures that the ledger has at a width do not: so a sweep that is taken up again, or has grown, stays at the
    width that it began with.
    """
    return min(ROW_COST, key=lambda width: (_work(plans, width, ledger), width))


def _work(plans: Sequence[Plan], width: int, ledger: Ledger | None) -> float:
    wide = [plan.at_width(width) for plan in plans]
    todo = [plan for plan in wide if not (ledger and ledger.lookup(plan.key))]
    return sum(width * batch[0].effective["model_calls"] for batch in batches(todo)) * ROW_COST[width]
