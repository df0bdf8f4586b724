"""Sentences held against measurements: the report's claims seed by seed, and medians along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from tp2lib.errors import SourceError
from tp2lib.metrics.measures import measure

__all__ = ["tabulate", "verdict"]


def verdict(claim: str, holds: Sequence[bool], what: str = "seeds") -> str:
    """Say whether the measurements bear a sentence of the report out.

    Parameters
    ----------
    claim : str
        The sentence, made sharp enough to be wrong.
    holds : sequence of bool
        Whether it holds, case by case.
    what : str, default "seeds"
        What the cases are.

    Raises
    ------
    SourceError
        There is no case.

    Examples
    --------
    >>> verdict("50 steps are sharper than 30", [True, False, True])
    '“50 steps are sharper than 30”: 2 of 3 seeds. Here the measurements are split on the report.'
    """
    holds = list(holds)
    if not holds:
        raise SourceError(f"there is no case to hold “{claim}” against. Measure at least one run.")
    said = "agree with" if all(holds) else "are split on" if any(holds) else "contradict"
    return f"“{claim}”: {sum(map(bool, holds))} of {len(holds)} {what}. Here the measurements {said} the report."


def tabulate(study: Any, axis: str, *names: str) -> str:
    """Return a table: for each value of a sweep's axis, the median of some measures over all its pictures.

    Parameters
    ----------
    study : Sweep
    axis : str
        One of its axes.
    *names : str
        Of `tp2lib.metrics.measures.MEASURES`, those that need no reference.
    """
    wide = max(map(len, names), default=0) + 2
    lines = [f"{axis:>10}" + "".join(f"{name:>{wide}}" for name in names)]
    for value in study.axes[axis]:
        taken = [measure(cell.run.image) for cell in study.at(**{axis: value}) if cell.run and cell.run.image]
        row = (f"{median(getattr(one, name) for one in taken):{wide}.3f}" if taken else f"{'-':>{wide}}" for name in names)
        lines.append(f"{value!s:>10}" + "".join(row))
    return "\n".join(lines)
