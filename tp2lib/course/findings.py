"""Test sentences of the report on measurements, seed by seed, and tabulate medians along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tp2lib.errors import SourceError
from tp2lib.metrics.measures import measure

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["tabulate", "verdict"]


def verdict(claim: str, holds: Sequence[bool], what: str = "seeds") -> str:
    """Say whether the measurements support a sentence of the report.

    Parameters
    ----------
    claim : str
        The sentence, precise enough to be wrong.
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
        raise SourceError(f"there is no case to test “{claim}” on. Measure at least one run.")
    said = "agree with" if all(holds) else "are split on" if any(holds) else "contradict"
    return f"“{claim}”: {sum(map(bool, holds))} of {len(holds)} {what}. Here the measurements {said} the report."


def tabulate(study: Any, axis: str, *names: str) -> pd.DataFrame:
    """Return a table: for each value of a sweep's axis, the median of some measures over all its pictures.

    Parameters
    ----------
    study : Sweep
    axis : str
        One of its axes.
    *names : str
        Of `tp2lib.metrics.measures.MEASURES`, those that need no reference.
    """
    import pandas as pd

    taken = [
        {axis: cell.place[axis]} | ({name: getattr(measure(cell.run.image), name) for name in names} if cell.run and cell.run.image else {})
        for cell in study.cells
    ]
    return pd.DataFrame(taken, columns=[axis, *names]).groupby(axis, sort=False).median()
