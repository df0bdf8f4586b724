"""The rubric: five criteria of 0 to 2 points, each level in words, and their sum.

The criteria are the report's. People score four of them, blind. The fifth, reproducibility, is measured: its points
follow from the grade of a replay in a new process.

A level is a sentence that can be true or false of a picture, after the practice that Otani et al. ("Toward
verifiable and reproducible human evaluation for text-to-image generation", CVPR 2023) found missing in most studies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tp2lib.errors import RecordError, did_you_mean, shown
from tp2lib.evaluation.languages import translations

__all__ = ["CRITERIA", "JUDGED", "LEVELS", "MEASURED", "POINTS", "Criterion", "check_scores", "total"]

LEVELS = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One line of the rubric.

    Attributes
    ----------
    name : str
        Its name in files and in code.
    label, question : mapping of str to str
        What it is called and what it asks, by language.
    levels : mapping of str to sequence of str
        What 0, 1 and 2 points mean, by language.
    judged : bool
        Whether a person gives the points; else they are measured.
    """

    name: str
    label: Mapping[str, str]
    question: Mapping[str, str]
    levels: Mapping[str, Sequence[str]]
    judged: bool = True


_NAMES = ("adherence", "realism", "artifacts", "usability", "reproducibility")

CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        name: Criterion(
            name=name, judged=name != "reproducibility",
            **{part: translations("criteria", name, part) for part in ("label", "question", "levels")},
        )
        for name in _NAMES
    }
)  # fmt: skip
"""Every criterion under its name, in the report's order."""

JUDGED = tuple(name for name, one in CRITERIA.items() if one.judged)
MEASURED = tuple(name for name, one in CRITERIA.items() if not one.judged)

POINTS: Mapping[str, int] = MappingProxyType({"identical": 2, "within 1 level": 1, "close": 1, "different": 0})
"""Points for reproducibility, by the grade of a replay."""


def check_scores(scores: Mapping[Any, Any], names: tuple[str, ...] = JUDGED) -> dict[str, int]:
    """Return the scores of one picture, once each is of a known criterion and is 0, 1 or 2.

    Parameters
    ----------
    scores : mapping of str to int
        Criterion to points.
    names : tuple of str
        The criteria that may be scored; by default, those that people judge.

    Raises
    ------
    RecordError
        A criterion that may not be scored here, or points other than 0, 1 and 2.
    """
    if not isinstance(scores, Mapping):
        raise RecordError(f"the scores are {shown(scores)}; they must be a dictionary such as {{'realism': 1}}.")
    for name, points in scores.items():
        if name not in names:
            measured = " It is measured by a replay, not judged." if name in MEASURED else did_you_mean(name, names)
            raise RecordError(f"{shown(name)} cannot be scored; these can: {', '.join(names)}.{measured}")
        if type(points) is not int or points not in LEVELS:
            raise RecordError(f"{name} is {shown(points)}; it must be 0, 1 or 2. Read the three sentences and choose one.")
    return dict(scores)


def total(scores: Mapping[str, float | None]) -> float | None:
    """Add up the five criteria, of 10; None while one of them is missing: a gap is no zero."""
    found = [points for name in CRITERIA if (points := scores.get(name)) is not None]
    return sum(found) if len(found) == len(CRITERIA) else None
