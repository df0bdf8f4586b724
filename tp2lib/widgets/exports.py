"""Copies of a picture for publication: PNG, JPEG or WebP, as it is or as a marketplace asks, always with its mark of origin.

The marketplaces' sellers' guides agree on: square, 1000 pixels a side or more, a pure white background, no text. What
a picture of 256 pixels cannot have is detail: Lanczos makes it larger, not finer.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from tp2lib.errors import OutputError, RecipeError, did_you_mean, shown
from tp2lib.metadata.pixels import open_image, pixels_sha256
from tp2lib.metadata.record import COMPOSITE, GENERATED, digital_source_type
from tp2lib.metrics.measures import background_whiteness
from tp2lib.storage.pictures import export_picture, save_picture

KINDS = ("png", "jpeg", "webp")
PRESETS = ("as made", "marketplace")
SIDE = 1000  # pixels, the least that marketplaces ask for (their guides recommend 1600)
_MOST_SIDE = 4096
_WHITE = 0.99  # mean whiteness of the frame's outer band that passes for pure white after JPEG


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule, whether the copy keeps it, and the number behind that."""

    name: str
    ok: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A copy that was written, and what was checked on it as it lies on the disk."""

    path: Path
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every rule is kept."""
        return all(check.ok for check in self.checks)


def export_run(run: Any, folder: str | os.PathLike[str], *, kind: str = "png", preset: str = "as made", side: int = SIDE, quality: int = 95) -> Export:
    """Write a copy of a run's picture into a folder, and check what was written.

    Parameters
    ----------
    run : Run
        One that is kept: with a `path`.
    folder : path
        Made if it is missing.
    kind : {"png", "jpeg", "webp"}, default "png"
    preset : {"as made", "marketplace"}, default "as made"
        ``"marketplace"``: scaled up to `side` pixels (Lanczos) if it is smaller, and padded with white to a square.
    side : int, default 1000
        Of the square at least, 1000 to 4096 pixels.
    quality : int, default 95
        Of JPEG and WebP, 1 to 100.

    Raises
    ------
    RecipeError
        There is no such kind, preset or side.
    OutputError
        The run has no picture, or the copy cannot be written.
    """
    for name, value, known in (("kind", kind, KINDS), ("preset", preset, PRESETS)):
        if value not in known:
            raise RecipeError(f"{name} is {shown(value)}; it must be one of {', '.join(known)}.{did_you_mean(value, known)}")
    if not isinstance(side, int) or isinstance(side, bool) or not SIDE <= side <= _MOST_SIDE:
        raise RecipeError(f"side is {shown(side)}; it must be a whole number from {SIDE} to {_MOST_SIDE}. Use {SIDE}.")
    if run.image is None or run.path is None:
        raise OutputError("the run has no kept picture to export. Make it with a ledger.")
    suffix = {"jpeg": "jpg"}.get(kind, kind)
    to = Path(folder) / f"{run.key[:12]}{'_shop' if preset == 'marketplace' else ''}.{suffix}"
    if preset == "as made":
        path = export_picture(run.path, to, quality=quality)
        return _checked(path, run)
    with tempfile.TemporaryDirectory(prefix="tp2-") as scratch:
        large = Path(scratch) / "large.png"
        side = max(side, *run.image.size)
        image = ImageOps.pad(run.image, (side, side), Image.Resampling.LANCZOS, color="#ffffff")
        made = {"preset": preset, "side": side, "resample": "Lanczos", "from_pixels_sha256": pixels_sha256(run.image)}
        made |= {"key": run.key, "weights_sha256": run.effective["weights_sha256"]}
        # no claim about how these pixels were sampled, for they were not: only the run they come from
        size = {"Size": f"{run.image.width}x{run.image.height}"}
        save_picture(image, large, {"export": made, "source": run.source}, run.recipe, composite=run.composite, infotext={**run.infotext(), **size})
        path = export_picture(large, to, quality=quality)
    return _checked(path, run, side)


def _checked(path: Path, run: Any, side: int | None = None) -> Export:
    """Check the copy as it lies on the disk: what marketplaces ask for, if it has a `side` to keep, and its mark of origin."""
    image, _ = open_image(path)
    checks = []
    if side is not None:
        white = background_whiteness(image.convert("RGB"))
        checks = [
            Check(name="square", ok=image.width == image.height, words=f"{image.width} x {image.height} pixels"),
            Check(name="size", ok=min(image.size) >= side, words=f"{min(image.size)} pixels a side, at least {SIDE} are asked for"),
            Check(name="white background", ok=white >= _WHITE, words=f"whiteness of the border {white:.1%}, {_WHITE:.0%} passes"),
        ]
    mark, wanted = digital_source_type(image), COMPOSITE if run.composite else GENERATED
    words = f"DigitalSourceType {mark.rpartition('/')[2]}" if mark else "no mark of origin"
    return Export(path=path, checks=(*checks, Check(name="mark of origin", ok=mark == wanted, words=words)))
