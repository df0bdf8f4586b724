"""Draw details: the denoising step by step, the difference of two pictures, an enlarged part, and the attention of each word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from tp2lib.errors import RecipeError, shown
from tp2lib.metrics.measures import colour_difference, in_words, perceptual_distance, psnr, ssim
from tp2lib.plots.display import as_image, show
from tp2lib.plots.labels import changes
from tp2lib.plots.layout import Tile, draw_tiles, legible, text_style

_COLUMNS, _SIDE = 4, 2.1  # of the figure of words: pictures across, inches a picture
_PLAIN = {"a", "an", "the", "of", "on", "in", "with", "and", ",", ".", "-", "(start)", "(end)"}
_BRIGHTEST = 30.0  # ΔE00, from which on a map of differences is brightest: maps can be compared
_SEEN = 2.0  # ΔE00: twice what half of all observers see between flat patches (Paravina et al. 2015 find 0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One step of a run, in pictures.

    Attributes
    ----------
    step, total : int
        Model calls made, of all that are made.
    timestep : float
        Of the step, from 999 (noise alone) to 0.
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
        pictures = {"noisy": info.decode(info.latents / spread), "predicted": info.decode(info.x0)}
        self.frames.append(Frame(step=info.index + 1, total=info.total, timestep=info.timestep, **pictures))


def make_filmstrip(frames: Sequence[Frame]) -> Figure:
    """Draw a denoising: above, the latents at each step; below, the result that the model predicts.

    Parameters
    ----------
    frames : sequence of Frame
        As a `Film` records them.

    Raises
    ------
    RecipeError
        There are none.
    """
    if not frames:
        raise RecipeError("the film has no frames; it records while a run is made. Give generate(…, on_step=film).")
    tiles = [
        [Tile(image=frame.noisy) for frame in frames],
        [Tile(image=frame.predicted, notes=(f"timestep {frame.timestep:.0f}",)) for frame in frames],
    ]
    heads = [f"step {frame.step} of {frame.total}" for frame in frames]
    caption = ["Above: the latents after the step, decoded. Below: the picture that the model expects at that step."]
    return draw_tiles(tiles, heads=heads, sides=["so far", "expected"], caption=caption)


def make_crops(pictures: Sequence[Any], *, centre: tuple[float, float] = (0.5, 0.5), zoom: int = 2, heads: Sequence[str] | None = None) -> Figure:
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
    """
    images = [as_image(picture) for picture in pictures]
    if not images or not isinstance(zoom, int) or zoom < 2:
        raise RecipeError(f"there are {len(images)} pictures and zoom is {shown(zoom)}; give a picture and 2 or more.")
    if heads is None:
        heads = changes(pictures) if hasattr(pictures[0], "recipe") else [""] * len(images)
    frames = [_part(image, centre, zoom) for image in images]
    whole = [Tile(image=image, frame=frame) for image, frame in zip(images, frames, strict=True)]
    notes = [(f"{zoom}×, pixels {left}–{right} × {top}–{bottom}",) for left, top, right, bottom in frames]
    look = {"interpolation": "nearest"}
    parts = [Tile(image=image.crop(frame), look=look, notes=note) for image, frame, note in zip(images, frames, notes, strict=True)]
    return draw_tiles([whole, parts], heads=heads)


def make_difference(before: Any, after: Any, *, heads: Sequence[str] = ("before", "after")) -> Figure:
    """Draw two pictures and where they differ, in ΔE00, with the numbers.

    Parameters
    ----------
    before, after : Run or PIL.Image.Image
        Of one size.
    heads : sequence of two str
        Their names.

    Raises
    ------
    SourceError
        They differ in size, or a run has no picture.
    """
    pair = as_image(before), as_image(after)
    difference = colour_difference(*pair)
    look = {"cmap": "cividis", "norm": Normalize(0, _BRIGHTEST), "interpolation": "nearest"}
    tiles = [*(Tile(image=image) for image in pair), Tile(image=difference, look=look, bar="ΔE00 (CIEDE2000)")]
    values = {"psnr": psnr(*pair), "ssim": ssim(*pair), "perceptual_distance": perceptual_distance(*pair)}
    words = [f"{(difference > _SEEN).mean():.0%} of the pixels differ by more than {_SEEN:g} ΔE00"]
    words += [in_words(name, value) for name, value in values.items()]
    return draw_tiles([tiles], heads=[*heads, "colour difference"], caption=[" · ".join(words)], widest=3.0)


def _part(image: Image.Image, centre: tuple[float, float], zoom: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the part to enlarge, moved so that it lies within the picture."""
    width, height = max(1, image.width // zoom), max(1, image.height // zoom)
    left = min(max(round(centre[0] * image.width - width / 2), 0), image.width - width)
    top = min(max(round(centre[1] * image.height - height / 2), 0), image.height - height)
    return left, top, left + width, top + height


def make_words(image: Any, maps: Any, *, words: list[str] | None = None, mask: np.ndarray | None = None) -> Figure:
    """Draw a heat map a word over the picture, all on one scale for each word: dark is its least, bright its most attention.

    Parameters
    ----------
    image : PIL.Image.Image
    maps : WordMaps
        From `map_words`.
    words : list of str, optional
        Which ones; by default all but articles, prepositions and signs.
    mask : ndarray of shape (height, width), bool, optional
        Of the product: its outline is drawn, and what share of the word's attention lies inside is written above.

    Raises
    ------
    RecipeError
        No word is left to draw, or one is not in the prompt.
    """
    chosen = list(dict.fromkeys(words if words is not None else [w for w in maps.words if w.lower() not in _PLAIN]))
    if not chosen:
        raise RecipeError(f"there is no word to draw. Give words=[…], some of: {', '.join(maps.words)}.")
    rows = -(-(len(chosen) + 1) // _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * _SIDE, rows * (_SIDE + 0.35)), dpi=144, facecolor="white", layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    extent = (0, image.width, image.height, 0)
    axes[0].imshow(image)
    axes[0].set_title("picture", **text_style(10))
    grey = image.convert("L")
    for axis, word in zip(axes[1:], chosen, strict=False):
        axis.imshow(grey, cmap="gray", vmin=-120, vmax=255)
        axis.imshow(maps.of(word), cmap="inferno", alpha=0.62, extent=extent, interpolation="bilinear")
        title = f"“{word}”"
        if mask is not None:
            axis.contour(np.asarray(mask, float), [0.5], colors="white", linewidths=0.9)
            title += f"  {maps.inside(mask, word):.0%} inside"
        axis.set_title(legible(title), **text_style(10))
    return figure


def show_words(run: Any, model: Any = None, *, mask: np.ndarray | None = None) -> Any:
    """Make a run again, watching where the model looks for each word, and show the maps over the picture.

    Parameters
    ----------
    run : Run or Recipe
    model : Model, optional
    mask
        See `make_words`.

    Returns
    -------
    WordMaps
        To measure with: ``maps.inside(mask, "apple")``.
    """
    from tp2lib.engine.attention import map_words

    again, maps = map_words(run, model)
    figure = make_words(again.image, maps, mask=mask)
    drawn = ", ".join(word for word in maps.words if word.lower() not in _PLAIN)
    show(
        figure,
        alt=f"Where the model looks for each word of the prompt: {drawn}.",
        caption="Bright: most attention of that word, mean over all steps, layers and heads.",
    )
    return maps
