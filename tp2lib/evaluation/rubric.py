"""The rubric: five criteria of 0 to 2 points, each level in words and as an example picture, and their sum.

The criteria are the report's. People score four of them, blind. The fifth, reproducibility, is measured: its points
follow from the grade of a replay in a new process.

A level is a sentence that can be true or false of a picture, after the practice that Otani et al. ("Toward
verifiable and reproducible human evaluation for text-to-image generation", CVPR 2023) found missing in most studies.
The example pictures, ``exemplars/``, are our own product photos with a fault added by arithmetic, not by a model: ``exemplars/README.md`` says how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from PIL import Image

from tp2lib.errors import RecordError, did_you_mean, shown
from tp2lib.evaluation.languages import translations, words
from tp2lib.metadata.pixels import open_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVELS = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One line of the rubric; its texts are by language."""

    name: str  # in files and in code
    label: Mapping[str, str]
    question: Mapping[str, str]
    levels: Mapping[str, Sequence[str]]  # what 0, 1 and 2 points mean
    judged: bool = True  # whether a person gives the points; else they are measured


CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        name: Criterion(name=name, judged=name != "reproducibility", **{part: translations("criteria", name, part) for part in ("label", "question", "levels")})
        for name in words("en")["criteria"]
    }
)
"""Every criterion under its name, in the report's order."""

JUDGED = tuple(name for name, one in CRITERIA.items() if one.judged)
MEASURED = tuple(name for name, one in CRITERIA.items() if not one.judged)

POINTS: Mapping[str, int] = MappingProxyType({"identical": 2, "within 1 level": 1, "close": 1, "different": 0})
"""Points for reproducibility, by the grade of a replay."""


def check_scores(scores: Mapping[Any, Any]) -> dict[str, int]:
    """Return the scores of one picture (criterion to points), once each is of a criterion that people judge and is 0, 1 or 2."""
    if not isinstance(scores, Mapping):
        raise RecordError(f"the scores are {shown(scores)}; they must be a dictionary such as {{'realism': 1}}.")
    for name, points in scores.items():
        if name not in JUDGED:
            measured = " It is measured by a replay, not judged." if name in MEASURED else did_you_mean(name, JUDGED)
            raise RecordError(f"{shown(name)} cannot be scored; these can: {', '.join(JUDGED)}.{measured}")
        if type(points) is not int or points not in LEVELS:
            raise RecordError(f"{name} is {shown(points)}; it must be 0, 1 or 2. Read the three sentences and choose one.")
    return dict(scores)


def total(scores: Mapping[str, float | None]) -> float | None:
    """Add up the five criteria, of 10; None while one of them is missing: a gap is not a zero."""
    found = [points for name in CRITERIA if (points := scores.get(name)) is not None]
    return sum(found) if len(found) == len(CRITERIA) else None


def exemplar(criterion: str, level: int) -> Image.Image:
    """Return a picture that deserves a level of a criterion: a product photo, with a fault put in."""
    if criterion not in CRITERIA or level not in LEVELS:
        hint = did_you_mean(criterion, CRITERIA)
        raise RecordError(f"there is no level {shown(level)} of {shown(criterion)}; there are 0 to 2 of {', '.join(CRITERIA)}.{hint}")
    return open_image(Path(__file__).with_name("exemplars") / f"{criterion}_{level}.png")[0]


def make_exemplars(language: str = "en") -> Figure:
    """Draw all of them: a criterion a row, a level a column, each with its sentence."""
    from tp2lib.plots.layout import Tile, draw_tiles  # brings matplotlib, which the rubric itself needs not

    words(language)  # there is such a language, or it says which
    tiles = [[Tile(image=exemplar(name, level), notes=(one.levels[language][level],)) for level in LEVELS] for name, one in CRITERIA.items()]
    sides = [one.label[language] for one in CRITERIA.values()]
    return draw_tiles(tiles, heads=[str(level) for level in LEVELS], sides=sides)
