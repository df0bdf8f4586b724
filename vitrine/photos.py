"""The photos in ``inputs/``: what a learner starts image-to-image from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from .scene import draw

_CLEAN = {"defect": "none", "palette": "plain", "style": "plain", "focus": "deep", "light": "studio"}
# name -> the record behind it; seeds far from every split, so no network has seen these pictures.
PHOTOS: dict[str, dict[str, Any]] = {
    "product": {"seed": 900_109, "kind": "apple", "colour": "red", "set": "white", "view": "three-quarter", "palette": "vivid", "fill": 0.62},
    "wallet": {
        "seed": 900_012,
        "kind": "wallet",
        "colour": "brown",
        "material": "leather",
        "model": 0,
        "set": "wood",
        "light": "natural",
        "view": "three-quarter",
        "style": "vintage",
    },
    "backpack": {"seed": 900_005, "kind": "backpack", "colour": "blue", "material": "fabric", "model": 0, "set": "white", "view": "front"},
    "mug": {
        "seed": 900_021,
        "kind": "mug",
        "colour": "turquoise",
        "material": "ceramic",
        "model": 1,
        "set": "desk",
        "light": "natural",
        "view": "three-quarter",
    },
    "perfume": {"seed": 900_009, "kind": "perfume", "colour": "pink", "model": 0, "set": "marble", "view": "front"},
    "headphones": {"seed": 900_033, "kind": "headphones", "colour": "black", "material": "plastic", "model": 0, "set": "pastel", "view": "three-quarter"},
}


def record(name: str) -> dict:
    """The full record of one photo."""
    fixed = dict(PHOTOS[name])
    return draw(fixed.pop("seed"), **_CLEAN | fixed)


def take(folder: Path, size: int = 512, spp: int = 64) -> None:
    """Render the photos at high quality into ``folder``, as JPEG, and their masks into ``folder/masks``."""
    from .render import photograph

    (folder / "masks").mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        image, mask = photograph(record(name), size, spp)
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png", optimize=True)
        image.save(folder / f"{name}.jpg", quality=95, subsampling=0)
        print(f"{name}.jpg", flush=True)
