"""Where a model looks for each word: cross-attention as heat over the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tp2lib.errors import RecipeError
from tp2lib.plots.display import show
from tp2lib.plots.layout import legible, text_style

__all__ = ["make_words", "show_words"]

_COLUMNS = 4
_SIDE = 2.1  # inches a picture
_PLAIN = {"a", "an", "the", "of", "on", "in", "with", "and", ",", ".", "-", "(start)", "(end)"}


def make_words(image: Any, maps: Any, *, words: list[str] | None = None, mask: np.ndarray | None = None, step: int | None = None) -> Figure:
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
    step : int, optional
        One model call's maps, from 0; by default the mean of all.

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
        axis.imshow(maps.of(word, step), cmap="inferno", alpha=0.62, extent=extent, interpolation="bilinear")
        title = f"“{word}”"
        if mask is not None:
            axis.contour(np.asarray(mask, float), [0.5], colors="white", linewidths=0.9)
            title += f"  {maps.inside(mask, word, step):.0%} inside"
        axis.set_title(legible(title), **text_style(10))
    return figure


def show_words(run: Any, model: Any = None, *, words: list[str] | None = None, mask: np.ndarray | None = None) -> Any:
    """Make a run again, watching where the model looks for each word, and show the maps over the picture.

    Parameters
    ----------
    run : Run or Recipe
    model : Model, optional
    words, mask
        See `make_words`.

    Returns
    -------
    WordMaps
        To measure with: ``maps.inside(mask, "apple")``.
    """
    from tp2lib.engine.attention import map_words

    again, maps = map_words(run, model)
    figure = make_words(again.image, maps, words=words, mask=mask)
    drawn = ", ".join(word for word in maps.words if word.lower() not in _PLAIN)
    show(
        figure,
        alt=f"Where the model looks for each word of the prompt: {drawn}.",
        caption="Bright: most attention of that word, mean over all steps, layers and heads.",
    )
    return maps
