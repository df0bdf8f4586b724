"""The rubric: five criteria of 0 to 2 points, each level in words and as an example picture, and their sum.

The criteria are the report's. People score four of them, blind. The fifth, reproducibility, is measured: its points
follow from the grade of a replay in a new process.

A level is a sentence that can be true or false of a picture, after the practice that Otani et al. ("Toward
verifiable and reproducible human evaluation for text-to-image generation", CVPR 2023) found missing in most studies.
The example pictures are our own product photos with a fault added by arithmetic, not by a model, so they are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from tp2lib.errors import RecordError, did_you_mean, shown
from tp2lib.evaluation.languages import translations, words
from tp2lib.metadata.source import prepare_source
from tp2lib.paths import INPUTS

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


# -- the example pictures -----------------------------------------------------------------------------


def exemplar(criterion: str, level: int) -> Image.Image:
    """Return a picture that deserves a level of a criterion: a product photo, with a fault put in."""
    if criterion not in CRITERIA or level not in LEVELS:
        hint = did_you_mean(criterion, CRITERIA)
        raise RecordError(f"there is no level {shown(level)} of {shown(criterion)}; there are 0 to 2 of {', '.join(CRITERIA)}.{hint}")
    file, make = _MADE[criterion][level]
    return make(prepare_source(INPUTS / file, 256, 256).image)


def make_exemplars(language: str = "en") -> Figure:
    """Draw all of them: a criterion a row, a level a column, each with its sentence."""
    from tp2lib.plots.layout import Tile, draw_tiles  # brings matplotlib, which the rubric itself needs not

    words(language)  # there is such a language, or it says which
    tiles = [[Tile(image=exemplar(name, level), notes=(one.levels[language][level],)) for level in LEVELS] for name, one in CRITERIA.items()]
    sides = [one.label[language] for one in CRITERIA.values()]
    return draw_tiles(tiles, heads=[str(level) for level in LEVELS], sides=sides)


def _green(image: Image.Image) -> Image.Image:
    """The right product in a wrong colour."""
    hue, saturation, light = image.convert("HSV").split()
    return Image.merge("HSV", (hue.point(lambda value: (value + 80) % 256), saturation, light)).convert("RGB")


def _plastic(image: Image.Image) -> Image.Image:
    """Too strong and too smooth, as with a guidance that is too high."""
    return ImageEnhance.Color(ImageEnhance.Contrast(image.filter(ImageFilter.MedianFilter(7))).enhance(1.35)).enhance(1.7)


def _flat(image: Image.Image) -> Image.Image:
    """A few flat colours, unlike any photo."""
    return image.filter(ImageFilter.ModeFilter(9)).quantize(5, dither=Image.Dither.NONE).convert("RGB")


def _smear(image: Image.Image) -> Image.Image:
    """A small fault at the outline."""
    box, size = (140, 90, 212, 150), (72, 60)
    drawn_out = image.crop(box).resize((6, 5)).resize((108, 60), Image.Resampling.BICUBIC).crop((0, 0, *size))
    soft = Image.new("L", size)
    ImageDraw.Draw(soft).ellipse((8, 8, size[0] - 8, size[1] - 8), fill=255)
    smeared = image.copy()
    smeared.paste(drawn_out, box[:2], soft.filter(ImageFilter.GaussianBlur(4)))
    return smeared


def _doubled(image: Image.Image) -> Image.Image:
    """The product twice, and torn."""
    ghost = Image.blend(image, image.transform(image.size, Image.Transform.AFFINE, (1, 0.25, -60, 0.1, 1.1, 10), fillcolor="white"), 0.5)
    pixels = np.asarray(ghost).copy()
    for top in range(60, 220, 32):
        pixels[top : top + 12] = np.roll(pixels[top : top + 12], 22, axis=1)
    return Image.fromarray(pixels)


def _dim(image: Image.Image) -> Image.Image:
    """Underexposed and off centre: to be retouched."""
    moved = image.crop((34, 22, 256, 244)).resize(image.size, Image.Resampling.LANCZOS)
    return ImageEnhance.Brightness(moved).enhance(0.62)


def _mislabelled(image: Image.Image) -> Image.Image:
    """Cropped, with an unwanted price tag."""
    cut = image.crop((96, 40, 256, 200)).resize(image.size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(cut)
    draw.rectangle((14, 190, 132, 232), fill="#d55e00")
    draw.text((24, 196), "-50% OFF", fill="white", font_size=22)
    return cut


def _one_off(image: Image.Image) -> Image.Image:
    """Every second value changed by one: invisible, but measurable."""
    pixels = np.asarray(image).astype(np.int16)
    return Image.fromarray((pixels - (np.indices(pixels.shape[:2]).sum(0) % 2)[..., None]).clip(0, 255).astype(np.uint8))


_good = Image.Image.copy

# the photos, with the fault of each level; those of adherence are judged against "a red apple on a white background"
_MADE: Mapping[str, tuple[tuple[str, Callable[[Image.Image], Image.Image]], ...]] = {
    "adherence": (("mug.jpg", _good), ("product.jpg", _green), ("product.jpg", _good)),
    "realism": (("wallet.jpg", _flat), ("wallet.jpg", _plastic), ("wallet.jpg", _good)),
    "artifacts": (("backpack.jpg", _doubled), ("backpack.jpg", _smear), ("backpack.jpg", _good)),
    "usability": (("product.jpg", _mislabelled), ("product.jpg", _dim), ("product.jpg", _good)),
    "reproducibility": (("headphones.jpg", _good), ("product.jpg", _one_off), ("product.jpg", _good)),
}
