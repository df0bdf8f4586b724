"""Do raters agree, does a rater agree with herself, and do scores go with a measure?

Every figure comes with its n and a bootstrap interval, and says "not separable" where the interval leaves it open:
in published studies of generated pictures two people's scores correlate at about 0.45 only (Ku et al., "VIEScore",
ACL 2024), so a difference of a point between single scores means little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from tp2lib.errors import RecordError, shown
from tp2lib.evaluation.ratings import Ratings
from tp2lib.evaluation.rubric import JUDGED, LEVELS

__all__ = ["Agreement", "agreement", "consistency", "correlation", "interval", "quadratic_kappa", "weighted_kappa"]

RESAMPLES = 2000
_LEAST = 3  # things below which an interval would be make-believe


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
        where it is not defined, because somebody gave the same points throughout.
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
        """Whether the interval says that it is more than chance."""
        return self.low is not None and self.low > 0


def weighted_kappa(table: np.ndarray, weights: np.ndarray) -> float | None:
    """Cohen's weighted kappa of a table of two raters; None where chance alone would leave no disagreement.

    Parameters
    ----------
    table : array of shape (k, k)
        Counts or shares: the first rater's category down, the second's across.
    weights : array of shape (k, k)
        How bad each disagreement is; 0 on the diagonal.

    Notes
    -----
    1 - sum(w·observed) / sum(w·expected), from J. Cohen, "Weighted kappa: nominal scale agreement with provision for
    scaled disagreement or partial credit", Psychological Bulletin 70 (1968).
    """
    observed = np.asarray(table, float)
    observed = observed / observed.sum()
    expected = np.outer(observed.sum(1), observed.sum(0))
    by_chance = float((weights * expected).sum())
    return None if by_chance <= 0 else 1 - float((weights * observed).sum()) / by_chance


def quadratic_kappa(first: Sequence[int], second: Sequence[int], levels: Sequence[int] = LEVELS) -> float | None:
    """Weighted kappa of two raters' points, a disagreement of two levels counting four times one of one.

    Parameters
    ----------
    first, second : sequence of int
        Points of the same pictures, in the same order.
    levels : sequence of int
        The points that there are.

    Notes
    -----
    Quadratic weights make kappa an intraclass correlation: Fleiss and Cohen, Educational and Psychological
    Measurement 33 (1973).

    Raises
    ------
    RecordError
        Not the same number of scores.
    """
    if len(first) != len(second):
        raise RecordError(f"there are {len(first)} and {len(second)} scores; give two of each picture.")
    if not len(first):
        return None
    places = {level: at for at, level in enumerate(levels)}
    table = np.zeros((len(levels), len(levels)))
    for a, b in zip(first, second, strict=True):
        table[places[a], places[b]] += 1
    steps = np.asarray(levels, float)
    return weighted_kappa(table, (steps[:, None] - steps[None, :]) ** 2)


def interval(n: int, statistic: Callable[[np.ndarray], float | None], *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float] | None:
    """Return the 95 % percentile bootstrap interval of a statistic of n things (Efron, Annals of Statistics 7, 1979).

    Parameters
    ----------
    n : int
    statistic : callable
        Gets the numbers of the things drawn, with repetition; None where it is not defined.
    seed : int
        Makes the interval the same each time.

    Returns
    -------
    (low, high) or None
        None for fewer than three things, or where half of the resamples leave the statistic undefined.
    """
    if n < _LEAST:
        return None
    draw = np.random.default_rng(seed)
    found = [value for _ in range(resamples) if (value := statistic(draw.integers(0, n, n))) is not None]
    if len(found) < resamples / 2:
        return None
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def agreement(ratings: Sequence[Ratings], *, by: str = "pixels_sha256", resamples: int = RESAMPLES) -> list[Agreement]:
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
        rows = np.array([[one[picture] for picture in shared] for one in points], int)
        found.append(_agreement(criterion, rows, resamples))
    return found


def consistency(ratings: Ratings, *, resamples: int = RESAMPLES) -> Agreement:
    """Compare a rater with herself, on the pictures that were shown to her twice, all criteria together."""
    pairs = [pair for name in JUDGED for pair in ratings.repeats(name)]
    whole = _agreement("all", np.array(pairs, int).reshape(-1, 2).T, resamples)
    return Agreement(criterion="all", raters=1, n=whole.n, value=whole.value, low=whole.low, high=whole.high, equal=whole.equal)


def _agreement(criterion: str, rows: np.ndarray, resamples: int) -> Agreement:
    """Mean pairwise kappa of an array of shape (raters, pictures)."""
    raters, n = rows.shape if rows.size else (len(rows), 0)
    if not n:
        return Agreement(criterion=criterion, raters=raters, n=0)

    def kappa(chosen: np.ndarray) -> float | None:
        values = _pairwise(rows[:, chosen].astype(float))
        return float(values.mean()) if values.size else None

    value = kappa(np.arange(n))
    ends = interval(n, kappa, resamples=resamples) if value is not None else None
    low, high = ends or (None, None)
    first, second = np.triu_indices(raters, 1)
    equal = float((rows[first] == rows[second]).mean())
    return Agreement(criterion=criterion, raters=raters, n=n, value=value, low=low, high=high, equal=equal)


def _pairwise(rows: np.ndarray) -> np.ndarray:
    """Quadratic weighted kappa of every two rows for which it is defined, from their moments at once.

    2·cov / (var + var + (difference of means)²): the same number as from the table, by algebra; Lin's concordance
    correlation (Biometrics 45, 1989).
    """
    means = rows.mean(1)
    spread = rows - means[:, None]
    covariance = spread @ spread.T / rows.shape[1]
    variance = np.diag(covariance)
    apart = variance[:, None] + variance[None, :] + (means[:, None] - means[None, :]) ** 2
    first, second = np.triu_indices(len(rows), 1)
    defined = apart[first, second] > 1e-12
    return 2 * covariance[first, second][defined] / apart[first, second][defined]


def correlation(scores: Mapping[Any, float], measured: Mapping[Any, float], *, name: str = "", resamples: int = RESAMPLES) -> Agreement:
    """Spearman's rank correlation of people's scores with an automatic measure, over the pictures that have both.

    Notes
    -----
    C. Spearman, American Journal of Psychology 15 (1904): the correlation of the ranks, equal values sharing theirs.
    """
    shared = [key for key in scores if key in measured]
    pair = np.array([[scores[key] for key in shared], [measured[key] for key in shared]], float)

    def rho(chosen: np.ndarray) -> float | None:
        a, b = (rankdata(row[chosen]) for row in pair)
        spread = a.std() * b.std()
        return None if spread == 0 else float(((a - a.mean()) * (b - b.mean())).mean() / spread)

    if len(shared) < _LEAST or (value := rho(np.arange(len(shared)))) is None:
        return Agreement(criterion=name, raters=1, n=len(shared))
    low, high = interval(len(shared), rho, resamples=resamples) or (None, None)
    return Agreement(criterion=name, raters=1, n=len(shared), value=value, low=low, high=high)
