"""An example picture for each level of each criterion: our own product photos with a fault added.

The faults are made by arithmetic, not by a model, so the examples are the same everywhere and do not depend on a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from tp2lib.errors import RecordError, did_you_mean, shown
from tp2lib.evaluation.rubric import CRITERIA, LEVELS
from tp2lib.metadata.source import prepare_source
from tp2lib.paths import INPUTS
from tp2lib.plots.layout import Tile, draw_tiles

__all__ = ["PROMPT", "exemplar", "make_exemplars"]

PROMPT = "a red apple on a white background"
"""What the exemplars of adherence are judged against."""

_SIDE = 256


def exemplar(criterion: str, level: int, inputs: Path = INPUTS) -> Image.Image:
    """Return a picture that deserves a level of a criterion: a product photo, with a fault put in.

    Parameters
    ----------
    criterion : str
        One of `tp2lib.evaluation.rubric.CRITERIA`.
    level : int
        0, 1 or 2.
    inputs : Path
        The folder of the pack's own photos.

    Raises
    ------
    RecordError
        No such criterion or level.
    SourceError
        The photo is missing.
    """
    if criterion not in CRITERIA or level not in LEVELS:
        hint = did_you_mean(criterion, CRITERIA)
        raise RecordError(f"there is no level {shown(level)} of {shown(criterion)}; there are 0 to 2 of {', '.join(CRITERIA)}.{hint}")
    file, make = _MADE[criterion][level]
    return make(prepare_source(inputs / file, _SIDE, _SIDE).image)


def make_exemplars(language: str = "en", inputs: Path = INPUTS) -> Figure:
    """Draw all of them: a criterion a row, a level a column, each with its sentence."""
    tiles = [[Tile(image=exemplar(name, level, inputs), notes=(one.levels[language][level],)) for level in LEVELS] for name, one in CRITERIA.items()]
    sides = [one.label[language] for one in CRITERIA.values()]
    return draw_tiles(tiles, heads=[str(level) for level in LEVELS], sides=sides)


def _as_is(image: Image.Image) -> Image.Image:
    return image


def _green(image: Image.Image) -> Image.Image:
    """The right product in a wrong colour."""
    hue, saturation, light = image.convert("HSV").split()
    return Image.merge("HSV", (hue.point(lambda value: (value + 80) % 256), saturation, light)).convert("RGB")


def _plastic(image: Image.Image) -> Image.Image:
    """Too strong and too smooth, as with a guidance that is too high."""
    return ImageEnhance.Color(ImageEnhance.Contrast(image.filter(ImageFilter.MedianFilter(7))).enhance(1.35)).enhance(1.7)


def _flat(image: Image.Image) -> Image.Image:
    """A few flat colours, as no camera sees them."""
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


_Make = Callable[[Image.Image], Image.Image]

_MADE: Mapping[str, tuple[tuple[str, _Make], ...]] = {
    "adherence": (("mug.jpg", _as_is), ("product.jpg", _green), ("product.jpg", _as_is)),
    "realism": (("wallet.jpg", _flat), ("wallet.jpg", _plastic), ("wallet.jpg", _as_is)),
    "artifacts": (("backpack.jpg", _doubled), ("backpack.jpg", _smear), ("backpack.jpg", _as_is)),
    "usability": (("product.jpg", _mislabelled), ("product.jpg", _dim), ("product.jpg", _as_is)),
    "reproducibility": (("headphones.jpg", _as_is), ("product.jpg", _one_off), ("product.jpg", _as_is)),
}
