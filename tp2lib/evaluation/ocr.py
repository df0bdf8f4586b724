"""Read text in a picture with an optional reader whose wheel contains its weights: ``pip install "tp2lib[ocr]"``.

A generated picture may contain unwanted letters: a price, a brand, part of a logo. The reader finds letters
only; a person must look for marks without letters.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from PIL import Image

from tp2lib.metrics.distances import as_pixels

__all__ = ["MISSING", "READER", "read_text"]

READER = "rapidocr"
MISSING = 'No text reader is installed, so text was not searched for. Install it: pip install "tp2lib[ocr]".'

_SURE = 0.8  # the reader's own confidence, 0 to 1
_LEAST = 2  # letters or digits: rims and reflections are often taken for a single one
_SIDE = 512  # pixels, to which smaller pictures are enlarged: the reader was trained on larger letters


def read_text(image: Image.Image) -> tuple[str, ...] | None:
    """Return the words found in a picture, or None where no reader is installed.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.

    Notes
    -----
    PP-OCR (Du et al., arXiv:2009.09941) as packed by rapidocr, on the CPU; seconds a picture, nothing is fetched.
    """
    reader = _reader()
    if reader is None:
        return None
    pixels = as_pixels(image)
    scale = _SIDE / min(pixels.shape[:2])
    if scale > 1:
        image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
        pixels = np.asarray(image)
    found = reader(np.ascontiguousarray(pixels[:, :, ::-1]))  # it takes blue first
    pairs = zip(found.txts or (), found.scores or (), strict=True)
    return tuple(text[:80] for text, sure in pairs if sure >= _SURE and sum(one.isalnum() for one in text) >= _LEAST)


@functools.cache
def _reader() -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError:
        return None
    return RapidOCR(params={"Global.log_level": "critical"})
