"""Read the rendered pictures and their records back."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from .scene import SPLITS


class Renders:
    """The pictures of a split that stand in a folder, decoded on first use and kept.

    Parameters
    ----------
    folder : Path
        What `render_split` wrote to.
    split : {"train", "judge", "test"}
    """

    def __init__(self, folder: Path, split: str):
        first, stop = SPLITS[split]
        self.paths = [p.with_suffix(".png") for p in sorted(Path(folder).glob("*/*.json")) if first <= int(p.stem) < stop]
        if not self.paths:
            raise FileNotFoundError(f"no {split} pictures in {folder}; run: python -m vitrine render --split {split}")
        self.records = [json.loads(p.with_suffix(".json").read_text()) for p in self.paths]
        self.picture = lru_cache(maxsize=None)(self._decode)

    @property
    def side(self) -> int:
        """Width and height of the pictures, in pixels."""
        return len(self.picture(0))

    def __len__(self) -> int:
        return len(self.paths)

    def _decode(self, k: int) -> np.ndarray:
        """Picture ``k`` as ndarray of shape (256, 256, 3), uint8."""
        with Image.open(self.paths[k]) as image:
            return np.asarray(image.convert("RGB"))
