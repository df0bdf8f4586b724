"""The sixteen product kinds: a builder each, from a random generator to parts.

A builder gets ``rng`` and the picture's record and returns the `Part` list of one product
standing on z = 0. ``look`` names the surface of a part; `surfaces` turns it into a material.
"""

from __future__ import annotations

import numpy as np

from .bags import backpack, handbag, wallet
from .goods import book, headphones, lamp, pen, watch
from .shapes import Part
from .vessels import apple, bottle, bowl, candle, mug, perfume, teapot, vase

BUILDERS = {f.__name__: f for f in (apple, backpack, book, bottle, bowl, candle, handbag, headphones, lamp, mug, pen, perfume, teapot, vase, wallet, watch)}


def build(kind: str, rng: np.random.Generator, record: dict) -> list[Part]:
    """Build one product, longest side 1, standing on z = 0 and centred on the z axis."""
    parts = BUILDERS[kind](rng, record)
    points = np.concatenate([p.mesh.points for p in parts])
    low, high = points.min(0), points.max(0)
    size = 1.0 / float((high - low).max())
    x, y = -(low + high)[:2] / 2
    return [Part(p.mesh.moved(x, y, -low[2]).scaled(size), p.look) for p in parts]
