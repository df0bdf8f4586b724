"""Find the product in a picture, and measure how it changed.

The network that cuts products out finds it, on any background (`tp2lib.models.cutout`). What it doubts does not count as found, and not as missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import Image

from tp2lib.metrics.measures import Picture, as_pixels, perceptual_map
from tp2lib.models.cutout import CUT_OFF, find_mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product in its frame."""

    mask: np.ndarray = field(repr=False)  # shape (height, width), bool
    share: float  # of the frame, 0 to 1
    touching: float  # share of the frame's outermost pixels that belong to the product, 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How a product changed between its photo and a picture."""

    colour: float  # perceptual distance (ΔE00), mean over the photo's product: 1 is just noticeable
    shape: float | None  # overlap of both outlines, intersection over union, 0 to 1; None where the picture has no product whose outline is sure


def find_product(image: Picture, *, doubted: bool = False) -> Product | None:
    """Find the product of a picture, of 16×16 pixels at least; None where there is none, or, unless `doubted`, the network is not sure of its outline."""
    pixels = as_pixels(image)
    product, sure = _find(pixels.shape, pixels.tobytes())
    return product if sure or doubted else None


@lru_cache(maxsize=4)  # a picture and its photo are asked for several times; large ones take 36 MB each
def _find(shape: tuple[int, ...], rgb: bytes) -> tuple[Product | None, bool]:
    found = find_mask(Image.fromarray(np.frombuffer(rgb, np.uint8).reshape(shape)))
    mask = found.mask >= 0.5
    mask.flags.writeable = False
    touching = float(np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]]).mean())
    product = Product(mask=mask, share=float(mask.mean()), touching=touching) if mask.any() else None
    return product, not found.doubt or touching > CUT_OFF


def fidelity_to(image: Picture, photo: Picture) -> Fidelity | None:
    """Measure how the product of a photo changed; None where the photo has no product whose outline is sure.

    Parameters
    ----------
    image, photo : PIL.Image.Image of mode RGB, or ndarray of shape (height, width, 3), uint8
        Of one size: the prepared photo, and what image to image made of it.

    Raises
    ------
    SourceError
        The two differ in size.
    """
    there = find_product(photo)
    if there is None:
        return None
    colour = float(perceptual_map(image, photo)[there.mask].mean())
    now = find_product(image)
    shape = None if now is None else float((there.mask & now.mask).sum() / (there.mask | now.mask).sum())
    return Fidelity(colour=colour, shape=shape)
