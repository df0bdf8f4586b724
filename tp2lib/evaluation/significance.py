"""May two pictures be told apart by their scores, or is the difference the raters' own noise?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tp2lib.evaluation.rater_agreement import interval
from tp2lib.evaluation.ratings import Ratings
from tp2lib.evaluation.rubric import JUDGED

__all__ = ["Difference", "compare"]

_LEAST = 3  # raters from whom on the interval is over raters
_Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far two pictures' scores are apart.

    Attributes
    ----------
    mean : float
        First minus second picture, in points, mean over raters.
    low, high : float
        With three raters or more, the 95 % bootstrap interval over raters; with fewer, what one rater's repeats allow.
    raters, repeats : int
        What the interval rests on.
    """

    mean: float
    low: float
    high: float
    raters: int
    repeats: int

    @property
    def separable(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def compare(ratings: Sequence[Ratings], first: str, second: str, *, by: str = "pixels_sha256") -> Difference | None:
    """Ask whether two pictures' judged points (0 to 8) are apart by more than the raters' own noise.

    With three raters or more: the bootstrap interval of the mean difference, over raters. With fewer, the noise
    is known from hidden repeats only: 95 % of repeated scores differ by less than 1.96 times their root mean square
    difference (the coefficient of repeatability of Bland and Altman, Lancet 327, 1986), and one point is the least that
    it is taken for. Without repeats, nothing is known of the noise.

    Returns
    -------
    Difference or None
        None where nobody scored both, or nothing is known of the noise.
    """
    sums = [[sum(of.values()) for picture in (first, second) if len(of := one.of(picture, by=by)) == len(JUDGED)] for one in ratings]
    apart = np.array([both[0] - both[1] for both in sums if len(both) == 2], float)
    if not apart.size:
        return None
    mean, repeats = float(apart.mean()), _repeat_differences(ratings)
    if apart.size >= _LEAST:
        low, high = interval(apart.size, lambda chosen: float(apart[chosen].mean())) or (-math.inf, math.inf)
    elif repeats:
        noise = max(_Z * math.sqrt(np.mean(np.square(repeats))), 1.0) / math.sqrt(apart.size)
        low, high = mean - noise, mean + noise
    else:
        return None
    return Difference(mean=mean, low=low, high=high, raters=int(apart.size), repeats=len(repeats))


def _repeat_differences(ratings: Sequence[Ratings]) -> list[float]:
    """Differences of the judged totals between the first and the second showing, over all raters."""
    found = []
    for one in ratings:
        pairs = [one.repeats(name) for name in JUDGED]
        if all(len(pair) == len(pairs[0]) for pair in pairs):
            found += [float(sum(a - b for a, b in whole)) for whole in zip(*pairs, strict=True)]
    return found
