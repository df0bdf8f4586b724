"""Do raters agree, does a rater agree with herself, do scores correlate with a measure, and do two pictures differ?

Every figure comes with its n and an interval, and says "not separable" where the interval leaves it open:
in published studies of generated pictures two people's scores correlate at about 0.45 only (Ku et al., "VIEScore",
ACL 2024), so a difference of a point between single scores means little.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata, t

from tp2lib.errors import RecordError, shown
from tp2lib.evaluation.ratings import Ratings
from tp2lib.evaluation.rubric import JUDGED

_LEAST = 3  # things below which an interval means nothing
_Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far scores agree.

    Attributes
    ----------
    criterion : str
    raters, n : int
        Raters, and pictures (or repeats) that all of them scored.
    value : float or None
        Quadratic weighted kappa, the mean over pairs of raters, or a correlation: 1 is agreement, 0 is chance. None
        where it is not defined, because a rater always gave the same points.
    low, high : float or None
        The 95 % bootstrap interval over pictures.
    equal : float or None
        Share of the pairs of scores that are equal, 0 to 1.
    """

    criterion: str
    raters: int
    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    equal: float | None = None

    @property
    def separable(self) -> bool:
        """Whether the interval says that it is more than chance: for scores, agreement; for a correlation, of either sign."""
        return (self.low or 0) > 0 or (self.equal is None and (self.high or 0) < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference between two pictures' judged points."""

    mean: float  # first minus second picture, in points, mean over raters
    low: float  # with three raters or more, the 95 % t interval over raters; with fewer, what one rater's repeats allow
    high: float
    raters: int  # what the interval rests on: raters, and repeats
    repeats: int

    @property
    def separable(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def interval(n: int, statistic: Callable[[np.ndarray], np.ndarray], *, seed: int = 0, resamples: int = 2000) -> tuple[float, float] | None:
    """Return the 95 % percentile bootstrap interval of a statistic of n things (Efron, Annals of Statistics 7, 1979).

    Parameters
    ----------
    n : int
    statistic : callable
        Gets the indices of the things drawn, of shape (resamples, n), and returns a value for each resample; NaN where
        it is not defined.
    seed : int
        Makes the interval the same each time.

    Returns
    -------
    (low, high) or None
        None for fewer than three things, or where half of the resamples leave the statistic undefined.
    """
    if n < _LEAST:
        return None
    found = np.asarray(statistic(np.random.default_rng(seed).integers(0, n, (resamples, n))))
    defined = found[~np.isnan(found)]
    if defined.size < resamples / 2:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def agreement(ratings: Sequence[Ratings], *, by: str = "pixels_sha256") -> list[Agreement]:
    """Compare several raters, criterion by criterion, on the pictures that all of them scored.

    Parameters
    ----------
    ratings : sequence of Ratings
        Of two or more raters.
    by : {"pixels_sha256", "recipe"}
        What makes two pictures the same one.

    Notes
    -----
    For more than two raters, the mean of the pairs' kappas (R. J. Light, Psychological Bulletin 76, 1971).

    Raises
    ------
    RecordError
        Fewer than two raters, or one of them twice.
    """
    names = [one.rater for one in ratings]
    if len(names) < 2 or len(set(names)) < len(names):
        raise RecordError(f"the raters are {shown(names)}; agreement takes two or more, each once. Ask a classmate for a log.")
    found = []
    for criterion in JUDGED:
        points = [one.points(criterion, by=by) for one in ratings]
        shared = sorted(set.intersection(*(set(one) for one in points)))
        found.append(_agreement(criterion, [[[one[picture] for picture in shared] for one in points]], len(names)))
    return found


def paired(ratings: Sequence[Ratings]) -> tuple[str, list[Agreement]]:
    """Compare raters as `agreement` does, and return by what: by pixels, or by recipe where no picture has the same pixels for all, as on several machines."""
    by, found = "pixels_sha256", agreement(ratings) if len(ratings) > 1 else []
    return (by, found) if not found or any(one.n for one in found) else ("recipe", agreement(ratings, by="recipe"))


def consistency(ratings: Ratings) -> Agreement:
    """Compare a rater with herself, on the pictures that were shown to her twice: the mean of the criteria's kappas, where they are defined."""
    return _agreement("all", np.array(ratings.repeats()).reshape(-1, 2, len(JUDGED)).T, 1)


def correlation(scores: Mapping[Any, float], measured: Mapping[Any, float], *, name: str = "") -> Agreement:
    """Spearman's rank correlation of people's scores with an automatic measure, over the pictures that have both.

    Notes
    -----
    C. Spearman, American Journal of Psychology 15 (1904): the correlation of the ranks, equal values sharing theirs.
    """
    shared = [key for key in scores if key in measured]
    pair = np.array([[scores[key] for key in shared], [measured[key] for key in shared]], float)

    def rho(chosen: np.ndarray) -> np.ndarray:
        a, b = (rankdata(row[chosen], axis=-1) for row in pair)
        spread = a.std(-1) * b.std(-1)
        moment = (a * b).mean(-1) - a.mean(-1) * b.mean(-1)
        return np.divide(moment, spread, out=np.full_like(spread, np.nan), where=spread > 0)

    return Agreement(criterion=name, raters=1, n=len(shared), **_estimate(len(shared), rho, _LEAST))


def compare(ratings: Sequence[Ratings], first: str, second: str, *, by: str = "pixels_sha256") -> Difference | None:
    """Ask whether two pictures' judged points (0 to 8) differ by more than the raters' own noise.

    Hidden repeats show the noise: 95 % of repeated scores differ by less than 1.96 times their root mean square difference
    (the coefficient of repeatability of Bland and Altman, Lancet 327, 1986), taken for at least one point. With three raters or
    more: the t interval of the mean difference, over raters (Student, Biometrika 6, 1908). Their standard deviation is taken for
    that root mean square at least: raters who happen to agree would leave no interval. With fewer, the noise of their repeats alone.

    Returns
    -------
    Difference or None
        None where no rater scored both, or where fewer than three did and have no repeats.
    """
    sums = [[sum(of.values()) for picture in (first, second) if len(of := one.of(picture, by=by)) == len(JUDGED)] for one in ratings]
    apart = np.array([both[0] - both[1] for both in sums if len(both) == 2], float)
    repeats = [sum(one) - sum(other) for rating in ratings for one, other in rating.repeats()]
    if apart.size < _LEAST and not (apart.size and repeats):
        return None
    mean, noise = float(apart.mean()), max(math.sqrt(np.mean(np.square(repeats))) if repeats else 0, 1 / _Z)  # points are whole
    wide = t.ppf(0.975, apart.size - 1) * max(apart.std(ddof=1), noise) if apart.size >= _LEAST else _Z * noise
    half = float(wide) / math.sqrt(apart.size)
    return Difference(mean=mean, low=mean - half, high=mean + half, raters=int(apart.size), repeats=len(repeats))


def _agreement(criterion: str, rows: Any, raters: int) -> Agreement:
    """Mean quadratic weighted kappa over criteria and pairs of raters; `rows` has the shape (criteria, raters, pictures).

    2·cov / (var + var + (difference of means)²), all resamples at once: by algebra the same number as Cohen's weighted
    kappa of the table of two raters with quadratic weights; Lin's concordance correlation (Biometrics 45, 1989).
    """
    rows = np.asarray(rows, float)
    n = rows.shape[-1]
    if not n:
        return Agreement(criterion=criterion, raters=raters, n=0)
    one, other = (rows[:, of] for of in np.triu_indices(rows.shape[1], 1))

    def kappa(chosen: np.ndarray) -> np.ndarray:
        a, b = one[..., chosen], other[..., chosen]
        means = a.mean(-1), b.mean(-1)
        covariance = (a * b).mean(-1) - means[0] * means[1]
        apart = a.var(-1) + b.var(-1) + (means[0] - means[1]) ** 2
        each = np.divide(2 * covariance, apart, out=np.full_like(apart, np.nan), where=apart > 1e-12)
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # where none is defined, neither is the mean
            return np.nanmean(each, axis=(0, 1))

    return Agreement(criterion=criterion, raters=raters, n=n, equal=float((one == other).mean()), **_estimate(n, kappa, 1))


def _estimate(n: int, statistic: Callable[[np.ndarray], np.ndarray], least: int) -> dict[str, float]:
    """A statistic of n things with its interval; nothing where it is not defined."""
    value = float(statistic(np.arange(n)[None])[0]) if n >= least else math.nan
    if math.isnan(value):
        return {}
    ends = interval(n, statistic)
    return {"value": value} | (dict(zip(("low", "high"), ends, strict=True)) if ends else {})
