"""Figures that look closer: the denoising as a filmstrip, the difference as a map, a part enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from tp2lib.errors import RecipeError, SourceError, shown
from tp2lib.metrics.distances import colour_difference, perceptual_distance, psnr, ssim
from tp2lib.metrics.measures import in_words
from tp2lib.plots.labels import changes
from tp2lib.plots.layout import Tile, draw_tiles

__all__ = ["Film", "Frame", "make_crops", "make_difference", "make_filmstrip"]

_SEEN = 2.0  # ΔE00: twice what half of all observers see between flat patches (Paravina et al. 2015 find 0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One step of a run, in pictures.

    Attributes
    ----------
    step, total : int
        Model calls made, of all that are made.
    timestep : float
        Noise level of the step, from 999 (noise alone) to 0.
    noisy : PIL.Image.Image
        The latents after the step, decoded.
    predicted : PIL.Image.Image
        What the model expected at this step to end up with, decoded.
    """

    step: int
    total: int
    timestep: float
    noisy: Image.Image = field(repr=False)
    predicted: Image.Image = field(repr=False)


class Film:
    """Records a run's denoising: ``film = Film(); generate(recipe, model, on_step=film)``.

    Parameters
    ----------
    count : int, default 6
        Frames, evenly spread from the first step to the last. Each decodes two pictures.

    Attributes
    ----------
    frames : list of Frame
        Of the last run.
    """

    def __init__(self, count: int = 6) -> None:
        if not isinstance(count, int) or count < 1:
            raise RecipeError(f"count is {shown(count)}; a film has at least 1 frame. Use 6.")
        self.count = count
        self.frames: list[Frame] = []

    def __call__(self, info: Any) -> None:
        """Keep the step if it is one of the frames; `info` is a `StepInfo`."""
        if info.index == 0:
            self.frames = []
        if info.index not in np.linspace(0, info.total - 1, self.count).round():
            return
        # schedulers of the Euler family keep latents whose spread grows with the noise; the decoder knows spread 1 only
        spread = max(float(info.latents.std()), 1.0)
        self.frames.append(
            Frame(
                step=info.index + 1,
                total=info.total,
                timestep=info.timestep,
                noisy=info.decode(info.latents / spread),
                predicted=info.decode(info.x0),
            )
        )


def make_filmstrip(frames: Sequence[Frame], *, title: str = "") -> Figure:
    """Draw a denoising: above what the run is at each step, below what the model expects of it.

    Parameters
    ----------
    frames : sequence of Frame
        As a `Film` records them.
    title : str, optional

    Raises
    ------
    RecipeError
        There are none.
    """
    if not frames:
        raise RecipeError("the film has no frames; it records while a run is made. Give generate(…, on_step=film).")
    tiles = [
        [Tile(image=frame.noisy) for frame in frames],
        [Tile(image=frame.predicted, notes=(f"noise level {frame.timestep:.0f}",)) for frame in frames],
    ]
    heads = [f"step {frame.step} of {frame.total}" for frame in frames]
    caption = ["Above: the latents after the step, decoded. Below: the picture that the model expects at that step."]
    return draw_tiles(tiles, heads=heads, sides=["so far", "expected"], title=title, caption=caption)


def make_crops(
    pictures: Sequence[Any],
    *,
    centre: tuple[float, float] = (0.5, 0.5),
    zoom: int = 2,
    heads: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Draw pictures with a part of each enlarged, every pixel as a square.

    Parameters
    ----------
    pictures : sequence of Run or PIL.Image.Image
    centre : tuple of float
        Where to look: shares of width and height, 0 to 1.
    zoom : int, default 2
        The part is one `zoom`-th of the width and of the height.
    heads : sequence of str, optional
        Names; by default what each run changes against the first.
    title : str, optional
    """
    images = [_image(picture) for picture in pictures]
    if not images or not isinstance(zoom, int) or zoom < 2:
        raise RecipeError(f"there are {len(images)} pictures and zoom is {shown(zoom)}; give a picture and 2 or more.")
    if heads is None:
        heads = changes(pictures) if hasattr(pictures[0], "recipe") else [""] * len(images)
    frames = [_part(image, centre, zoom) for image in images]
    whole = [Tile(image=image, frame=frame) for image, frame in zip(images, frames, strict=True)]
    parts = [
        Tile(image=image.crop(frame), look={"interpolation": "nearest"}, notes=(f"{zoom}×, pixels {frame[0]}–{frame[2]} × {frame[1]}–{frame[3]}",))
        for image, frame in zip(images, frames, strict=True)
    ]
    return draw_tiles([whole, parts], heads=heads, title=title)


def make_difference(before: Any, after: Any, *, heads: Sequence[str] = ("before", "after"), top: float = 30.0, title: str = "") -> Figure:
    """Draw two pictures and where they differ, in ΔE00, with the numbers.

    Parameters
    ----------
    before, after : Run or PIL.Image.Image
        Of one size.
    heads : sequence of two str
        Their names.
    top : float, default 30
        The difference from which on the map is brightest; the same for maps that are to be compared.
    title : str, optional

    Raises
    ------
    SourceError
        They differ in size, or a run has no picture.
    """
    pair = _image(before), _image(after)
    difference = colour_difference(*pair)
    look = {"cmap": "cividis", "norm": Normalize(0, top), "interpolation": "nearest"}
    tiles = [*(Tile(image=image) for image in pair), Tile(image=difference, look=look, bar="ΔE00 (CIEDE2000)")]
    values = {"psnr": psnr(*pair), "ssim": ssim(*pair), "perceptual_distance": perceptual_distance(*pair)}
    words = [f"{(difference > _SEEN).mean():.0%} of the pixels differ by more than {_SEEN:g} ΔE00"]
    words += [in_words(name, value) for name, value in values.items()]
    return draw_tiles([tiles], heads=[*heads, "colour difference"], title=title, caption=[" · ".join(words)], widest=3.0)


def _image(picture: Any) -> Image.Image:
    image = getattr(picture, "image", picture)
    if not isinstance(image, Image.Image):
        raise SourceError(f"the picture is {shown(picture)}; give a PIL image, or a run that has one.")
    return image


def _part(image: Image.Image, centre: tuple[float, float], zoom: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the part to enlarge, moved so that it lies within the picture."""
    width, height = max(1, image.width // zoom), max(1, image.height // zoom)
    left = min(max(round(centre[0] * image.width - width / 2), 0), image.width - width)
    top = min(max(round(centre[1] * image.height - height / 2), 0), image.height - height)
    return left, top, left + width, top + height
