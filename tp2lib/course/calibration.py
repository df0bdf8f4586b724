"""Calibration of a learner's predictions: how near they came to the measurements, notebook by notebook."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from tp2lib.course.predictions import Judged, judged
from tp2lib.plots.layout import COLOURS, SOFT, new_plot, text_style

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Calibration", "make_calibration", "read_calibration"]

_FEWEST = 4  # predictions, below which halves cannot be compared
_DRAWS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Predictions that counted, and whether the later ones came nearer.

    Attributes
    ----------
    judged : list of Judged
        In the order in which they were measured.
    change : float or None
        Mean score of the later half minus that of the earlier one; None for fewer than four.
    interval : (low, high) or None
        95 % bootstrap interval of `change` (Efron's percentiles, 4000 draws from a fixed seed).
    """

    judged: list[Judged] = field(default_factory=list, repr=False)
    change: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def by_notebook(self) -> dict[str, tuple[int, float, float | None]]:
        """Notebook to (predictions, mean score, mean score of blind picks among the choices)."""
        rows = {}
        for notebook in sorted({one.notebook for one in self.judged}):
            mine = [one for one in self.judged if one.notebook == notebook]
            chances = [one.chance for one in mine if one.chance is not None]
            rows[notebook] = (len(mine), fmean(one.score for one in mine), fmean(chances) if chances else None)
        return rows

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

        columns = ["predictions", "mean score", "blind pick"]
        return pd.DataFrame.from_dict(self.by_notebook, orient="index", columns=columns).rename_axis("notebook")


def read_calibration(outputs: str | os.PathLike[str] | None = None) -> Calibration:
    """Read the predictions that count from a folder's record; by default ``outputs/``."""
    found = judged(outputs)
    if len(found) < _FEWEST:
        return Calibration(judged=found)
    half = len(found) // 2
    early, late = (np.array([one.score for one in part]) for part in (found[:half], found[half:]))
    draw = np.random.default_rng(0)
    again = [draw.choice(part, (_DRAWS, len(part))).mean(axis=1) for part in (early, late)]
    low, high = np.percentile(again[1] - again[0], [2.5, 97.5])
    return Calibration(judged=found, change=float(late.mean() - early.mean()), interval=(float(low), float(high)))


def make_calibration(found: Calibration) -> Figure:
    """Draw every prediction's score in order, the mean of each notebook, and what blind picks would score."""
    figure, axes = new_plot(caption=[found.said(), "1 is right, 0 is wrong; a number scores the smaller divided by the larger."])
    at, ticks = 0, []
    for notebook, (count, mean, chance) in found.by_notebook.items():
        places = np.arange(at, at + count)
        scores = [one.score for one in found.judged if one.notebook == notebook]
        axes.plot(places, scores, "o", color=COLOURS[0], markersize=4.5, clip_on=False)
        axes.plot([at - 0.4, at + count - 0.6], [mean, mean], color=COLOURS[1], linewidth=2.2)
        if chance is not None:
            axes.plot([at - 0.4, at + count - 0.6], [chance, chance], color=SOFT, linewidth=1, linestyle=":")
        ticks.append((at + (count - 1) / 2, f"{notebook}\n{count}"))
        at += count
    axes.set_xticks([x for x, _ in ticks], [words for _, words in ticks])
    axes.set_xlim(-0.8, max(at, 1) - 0.2)
    axes.set_ylim(-0.02, 1.05)
    axes.set_xlabel("notebook, and its predictions (bar: their mean; dotted: a blind pick)", **text_style(8))
    axes.set_ylabel("how near", **text_style(8))
    return figure
