"""Sum up measurements: on sentences of the report, along an axis of a sweep, and on a learner's predictions."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tp2lib.course.predictions import Judged, judged
from tp2lib.errors import SourceError
from tp2lib.metrics.measures import take

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_FEWEST = 8  # predictions, below which halves are too few to compare


def verdict(claim: str, holds: Sequence[bool], what: str = "seeds", *, may: bool = False) -> str:
    """Say whether the measurements support a sentence of the report.

    Parameters
    ----------
    claim : str
        The sentence, precise enough to be wrong.
    holds : sequence of bool
        Whether it holds, case by case.
    what : str, default "seeds"
        What the cases are.
    may : bool, default False
        The report only says that it may be so: one case agrees with that, and none contradicts it.

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
    if may and not any(holds):
        return f"“{claim}”: 0 of {len(holds)} {what}. It did not happen here, and the report only says that it may."
    said = "agree with" if may or all(holds) else "are split on" if any(holds) else "contradict"
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

    taken = [{axis: cell.place[axis]} | ({name: take(name, cell.run.image) for name in names} if cell.run and cell.run.image else {}) for cell in study.cells]
    return pd.DataFrame(taken, columns=[axis, *names]).groupby(axis, sort=False).median()


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Predictions that counted, and whether the later ones came nearer."""

    judged: list[Judged] = field(default_factory=list, repr=False)  # in the order in which they were measured
    change: float | None = None  # mean score of the later half minus that of the earlier one; None for fewer than eight
    interval: tuple[float, float] | None = None  # 95 %, of `change`

    def said(self) -> str:
        """Say in a sentence whether later predictions came nearer, and how sure that is."""
        count = len(self.judged)
        if self.change is None or self.interval is None:
            return f"{count} predictions of your own were measured; from {_FEWEST} on, earlier and later ones compare."
        low, high = self.interval
        sure = "better" if low > 0 else "worse" if high < 0 else "not separable from luck"
        return f"{count} predictions: the later half scores {self.change:+.2f} against the earlier one (95 % interval {low:+.2f} to {high:+.2f}): {sure}."

    def table(self) -> pd.DataFrame:
        """Return a row for each notebook: predictions, their mean score, and that of blind picks among the choices."""
        import pandas as pd

        columns = ["notebook", "score", "blind pick"]
        rows = pd.DataFrame([(one.notebook, one.score, one.chance) for one in self.judged], columns=columns).astype({"blind pick": float})
        return rows.groupby("notebook").agg(**{"predictions": ("score", "size"), "mean score": ("score", "mean"), "blind pick": ("blind pick", "mean")})


def read_calibration(outputs: str | os.PathLike[str] | None = None) -> Calibration:
    """Read the predictions that count from a folder's record; by default ``outputs/``.

    Notes
    -----
    The interval adds a right and a wrong prediction to each half (Agresti and Caffo, American Statistician 54, 2000), and so
    keeps its level where a half is all right or all wrong. Scores between 0 and 1 vary less: for them it is wider than need be.
    """
    found = judged(outputs)
    if len(found) < _FEWEST:
        return Calibration(judged=found)
    half = len(found) // 2
    early, late = ([one.score for one in part] for part in (found[:half], found[half:]))
    shares = [fmean([*part, 0, 1]) for part in (early, late)]
    middle, wide = shares[1] - shares[0], 1.96 * math.sqrt(sum(share * (1 - share) / (half + 2) for share in shares))
    return Calibration(judged=found, change=fmean(late) - fmean(early), interval=(max(middle - wide, -1.0), min(middle + wide, 1.0)))


def make_calibration(found: Calibration) -> Figure:
    """Draw every prediction's score in order, the mean of each notebook, and what blind picks would score."""
    from tp2lib.plots.layout import COLOURS, SOFT, new_plot  # the report reads predictions, and draws none

    said = [found.said(), "1 is right, 0 is wrong; a number scores the smaller divided by the larger."]
    figure, axes = new_plot(said, x="notebook, and its predictions (bar: their mean; dotted: a blind pick)", y="how near")
    at, ticks = 0, []
    for notebook, count, mean, chance in found.table().itertuples():
        scores, ends = [one.score for one in found.judged if one.notebook == notebook], [at - 0.4, at + count - 0.6]
        axes.plot(range(at, at + count), scores, "o", color=COLOURS[0], markersize=4.5, clip_on=False)
        axes.plot(ends, [mean, mean], color=COLOURS[1], linewidth=2.2)
        axes.plot(ends, [chance, chance], color=SOFT, linewidth=1, linestyle=":")  # none is drawn where it is not known
        ticks.append((at + (count - 1) / 2, f"{notebook}\n{count}"))
        at += count
    axes.set_xticks([x for x, _ in ticks], [words for _, words in ticks])
    axes.set_xlim(-0.8, max(at, 1) - 0.2)
    axes.set_ylim(-0.02, 1.05)
    return figure
