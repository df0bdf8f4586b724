"""From a photo to what is kept of it: by its alpha channel, by a mask that is given, or found by the cut-out network."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tp2lib.errors import SourceError
from tp2lib.metadata.mask import Mask, read_mask
from tp2lib.metadata.source import Source, mask_source
from tp2lib.models.cutout import find_mask

__all__ = ["cut_out"]

SURELY = 0.8  # share of the product in a pixel from which on it is kept: pixels with much of the old background would be a rim on the new one


def cut_out(photo: Image.Image | str | os.PathLike[str] | bytes, mask: str | os.PathLike[str] | bytes | Image.Image | np.ndarray = "auto") -> Source:
    """Open a photo and say what of it is kept.

    Parameters
    ----------
    photo : PIL image, path, or bytes
        PNG, JPEG or WebP. It is turned upright and brought to sRGB, and keeps its own size.
    mask : str, path, bytes, PIL image or ndarray, default "auto"
        ``"alpha"``: what is opaque is kept. ``"found"``: the cut-out network finds the product. ``"auto"``: the first where the photo
        has transparency, else the second. Anything else is a mask, white where the photo is kept: see `read_mask`.

    Returns
    -------
    Source
        With its `mask`; `chain` says how that came about.

    Raises
    ------
    SourceError
        If photo or mask cannot be read, do not fit, or the mask keeps nothing or all.
    """

    def find(image: Image.Image, alpha: Image.Image | None) -> tuple[Mask, Sequence[str]]:
        varies = alpha is not None and any(alpha.histogram()[:255])
        named = mask if isinstance(mask, str) else None
        if named in ("auto", "alpha") and alpha is not None and varies:
            return Mask.of(alpha, "the alpha channel").check(), ["mask from the alpha channel"]
        if named == "alpha":
            raise SourceError("mask is 'alpha' and the photo has no transparency. Use mask='found', give a mask, or cut the product out first.")
        if named in ("auto", "found"):
            return _found(image)
        found, acts = read_mask(mask, image.size)
        return found.check(), acts

    return mask_source(photo, find)


def _found(image: Image.Image) -> tuple[Mask, Sequence[str]]:
    found = find_mask(image)
    mask = Mask(kept=found.mask >= SURELY, origin="found by the cut-out network", confidence=round(found.confidence, 3))
    if not mask.kept.any():
        raise SourceError(found.doubt)
    acts = [f"mask found by the cut-out network, confidence {mask.confidence:.2f}", *filter(None, [found.doubt])]
    return mask.check(), acts
