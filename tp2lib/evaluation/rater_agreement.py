"""Do raters agree, does a rater agree with herself, do scores correlate with a measure, and do two pictures differ?

Every figure comes with its n and an interval, and says "not separable" where the interval leaves it open:
in published studies of generated pictures two people's scores correlate at about 0.45 only (Ku et al., "VIEScore",
ACL 2024), so a difference of a point between single scores means little.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata, t

from tp2lib.errors import RecordError, shown
from tp2lib.evaluation.ratings import Ratings
from tp2lib.evaluation.rubric import JUDGED

_LEAST = 3  # things below which an interval means nothing
_LEAST_RANKED = 6  # for a correlation: of five pictures of independent values the interval leaves 0 out in 15 % of cases, of six in 4 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far scores agree.

    Attributes
    ----------
    criterion : str
    raters, n : int
        Raters, and pictures (or repeats) that two of them scored, or more.
    value : float or None
        Quadratic weighted kappa, the mean over pairs of raters, or a correlation: 1 is agreement, 0 is chance. None
        where it is not defined: for one picture, or where one side is always the same.
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


def interval(n: int, statistic: Callable[[np.ndarray], np.ndarray], *, least: int = _LEAST, resamples: int = 2000) -> tuple[float, float] | None:
    """Return the 95 % percentile bootstrap interval of a statistic of n things (Efron, Annals of Statistics 7, 1979).

    Parameters
    ----------
    n : int
    statistic : callable
        Gets the indices of the things drawn, of shape (resamples, n), the same each time, and returns a value for each
        resample; NaN where it is not defined.

    Returns
    -------
    (low, high) or None
        None for fewer than `least` things, or where half of the resamples leave the statistic undefined.
    """
    if n < least:
        return None
    found = np.asarray(statistic(np.random.default_rng(0).integers(0, n, (resamples, n))))
    defined = found[~np.isnan(found)]
    if defined.size < resamples / 2:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def agreement(ratings: Sequence[Ratings], *, by: str = "pixels_sha256") -> list[Agreement]:
    """Compare several raters, criterion by criterion, on the pictures that two of them scored, or more.

    Parameters
    ----------
    ratings : sequence of Ratings
        Of two or more raters.
    by : {"pixels_sha256", "recipe"}
        What makes two pictures the same one.

    Notes
    -----
    For more than two raters, the mean of the pairs' kappas (R. J. Light, Psychological Bulletin 76, 1971), each on the pictures
    that both scored: one log of other pictures takes nothing from the others' agreement.

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
        shared = sorted(picture for picture, times in Counter(itertools.chain(*points)).items() if times > 1)
        rows = [[one.get(picture, math.nan) for picture in shared] for one in points if not one.keys().isdisjoint(shared)]
        found.append(_agreement(criterion, [rows], len(rows)) if rows else Agreement(criterion=criterion, raters=0, n=0))
    return found


def paired(ratings: Sequence[Ratings]) -> tuple[str, list[Agreement]]:
    """Compare raters as `agreement` does, and return by what: by pixels, or by recipe where that pairs more, as with several machines."""
    if len(ratings) < 2:
        return "pixels_sha256", []
    found = {by: agreement(ratings, by=by) for by in ("pixels_sha256", "recipe")}
    by = max(found, key=lambda by: sum(one.n * one.raters for one in found[by]))
    return by, found[by]


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

    return Agreement(criterion=name, raters=1, n=len(shared), **_estimate(len(shared), rho, least=_LEAST, enough=_LEAST_RANKED))


def compare(ratings: Sequence[Ratings], first: str, second: str, *, by: str = "pixels_sha256") -> Difference | None:
    """Ask whether two pictures' judged points (0 to 8) differ by more than the raters' own noise.

    Hidden repeats show the noise, as the root mean square of their differences: 95 % of repeated scores differ by less than 1.96
    times it (the coefficient of repeatability of Bland and Altman, Lancet 327, 1986). It is taken for at least half a point.
    With three raters or more: the t interval of the mean difference, over raters (Student, Biometrika 6, 1908). Their standard
    deviation is taken for that root mean square at least: raters who happen to agree would leave no interval. With fewer, the
    noise of their repeats alone, times the t of so many repeats: a few tell the noise badly.

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
    mean, noise = float(apart.mean()), max(math.sqrt(np.mean(np.square(repeats))) if repeats else 0, 0.5)
    many = apart.size >= _LEAST
    wide = t.ppf(0.975, apart.size - 1 if many else len(repeats)) * max(apart.std(ddof=1) if many else 0, noise)
    half = float(wide) / math.sqrt(apart.size)
    return Difference(mean=mean, low=mean - half, high=mean + half, raters=int(apart.size), repeats=len(repeats))


def _agreement(criterion: str, rows: Any, raters: int) -> Agreement:
    """Mean quadratic weighted kappa over criteria and pairs of raters; `rows` has the shape (criteria, raters, pictures), NaN for no points.

    2·cov / (var + var + (difference of means)²), all resamples at once: by algebra the same number as Cohen's weighted
    kappa of the table of two raters with quadratic weights; Lin's concordance correlation (Biometrics 45, 1989).
    """
    rows = np.asarray(rows, float)
    n = rows.shape[-1]
    if not n:
        return Agreement(criterion=criterion, raters=raters, n=0)
    one, other = (rows[:, of].reshape(-1, rows.shape[-1]).T for of in np.triu_indices(rows.shape[1], 1))  # (pictures, criteria × pairs)
    both = ~np.isnan(one + other)
    a, b = np.where(both, one, 0), np.where(both, other, 0)

    def kappa(chosen: np.ndarray) -> np.ndarray:
        times = np.stack([np.bincount(row, minlength=n) for row in chosen]).astype(float)  # that each picture was drawn
        size = times @ both
        mean_a, mean_b, products, squares = (times @ of / np.maximum(size, 1) for of in (a, b, a * b, a * a + b * b))
        apart = squares - 2 * mean_a * mean_b
        each = np.divide(2 * (products - mean_a * mean_b), apart, out=np.full_like(apart, np.nan), where=(apart > 1e-9) & (size > 1))
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # where none is defined, neither is the mean
            return np.nanmean(each, axis=1)

    return Agreement(criterion=criterion, raters=raters, n=n, equal=float((one == other)[both].mean()), **_estimate(n, kappa, least=1, enough=_LEAST))


def _estimate(n: int, statistic: Callable[[np.ndarray], np.ndarray], *, least: int, enough: int) -> dict[str, float]:
    """A statistic of n things, for `least` or more, with its interval for `enough` or more; nothing where it is not defined."""
    value = float(statistic(np.arange(n)[None])[0]) if n >= least else math.nan
    if math.isnan(value):
        return {}
    ends = interval(n, statistic, least=enough)
    return {"value": value} | (dict(zip(("low", "high"), ends, strict=True)) if ends else {})
