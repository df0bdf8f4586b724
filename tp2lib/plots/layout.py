"""Lay out pictures, curves and text in one style.

White, in one font, in colours that the colour-blind tell apart, whatever the user's own matplotlib
settings, and without pyplot, whose global state the threads of a notebook corrupt.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.gridspec import GridSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from PIL import Image

INK, SOFT, FAINT, FRAME = "#1a1a1a", "#555555", "#c8c8c8", "#D55E00"

# Okabe and Ito (2008): told apart with any colour vision, and in this order also when printed in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_FONT = "DejaVu Sans"  # comes with matplotlib, so a figure looks the same everywhere
_PAGE, _SIDE, _GAP = 10.6, 1.25, 0.12  # inches: across at most (A4 on its side), for the names of rows, between tiles
_NARROWEST, _NARROW_PAGE, _BAR = 0.9, 4.2, 0.75  # inches: a tile at least, a page at least, a colour bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One place of a layout."""

    image: Image.Image | np.ndarray | None = None  # an array of numbers is drawn as a map
    instead: str = ""  # what to write where the picture would be
    head: str = ""  # above it
    notes: tuple[str, ...] = ()  # below it, one line each, broken where they are too long
    frame: tuple[int, int, int, int] | None = None  # left, top, right, bottom, in pixels, of a part to mark
    look: Mapping[str, Any] = field(default_factory=dict)  # more for matplotlib's imshow, such as an `interpolation` or a `cmap`
    bar: str = ""  # the words beside a colour bar; a map without them has none

    @property
    def shape(self) -> float:
        """Height divided by width."""
        height, width = (1, 1) if self.image is None else np.asarray(self.image).shape[:2]
        return height / width


def draw_tiles(
    tiles: Sequence[Sequence[Tile]], *, heads: Sequence[str] = (), sides: Sequence[str] = (), title: str = "", caption: Sequence[str] = (), widest: float = 2.1
) -> Figure:
    """Draw rows of tiles, the first the longest, on a page that is as large as they need.

    The columns and the rows may have names; a tile is `widest` inches at most, and smaller where there are many columns.
    """
    across, side = len(tiles[0]), _SIDE if sides else 0
    width = min(widest, max(_NARROWEST, (_PAGE - side - _GAP) / across - _GAP))
    places = side + across * (width + _GAP)
    page = max(places + _GAP + (_BAR if any(tile.bar for row in tiles for tile in row) else 0), _NARROW_PAGE)
    title, below = wrap(title, page - 2 * _GAP, 11, bold=True), wrap("\n".join(caption), page - 2 * _GAP, 7.5)
    left = [wrap(words, side - 0.1, 9, bold=True) for words in sides or [""] * len(tiles)]
    above = [[wrap(tile.head, width, 9, bold=True) for tile in row] for row in tiles]
    above[0] = [wrap(words, width, 9, bold=True) for words in heads] or above[0]
    notes = [[wrap("\n".join(tile.notes), width, 7) for tile in row] for row in tiles]
    tall = [width * min(max(tile.shape for tile in row), 2) for row in tiles]
    rows = zip(above, tall, notes, left, strict=True)
    heights = [part for a, h, b, words in rows for part in (_room(a, 9), h, max(_room(b, 7), _room([words], 9) - h) + _GAP)]
    top, bottom = _GAP + _room([title], 11), _room([below], 7.5) + (_GAP / 2 if below else 0)
    high = top + sum(heights) + bottom
    figure = Figure(figsize=(page, high), dpi=144, facecolor="white")
    grid = GridSpec(
        len(heights), across, figure, height_ratios=heights, hspace=0, wspace=_GAP / width,
        left=(_GAP + side) / page, right=places / page, top=1 - top / high, bottom=bottom / high,
    )  # fmt: skip
    for number, row in enumerate(tiles):
        for column, tile in enumerate(row):
            axes = figure.add_subplot(grid[3 * number + 1, column])
            axes.set_title(above[number][column], loc="center" if heads else "left", pad=4, **text_style(9, weight="bold"))
            axes.set_xlabel(notes[number][column], loc="left", labelpad=3, **text_style(7, color=SOFT))
            _draw(axes, tile, width, tall[number])
        box = grid[3 * number + 1, 0].get_position(figure)
        figure.text(_GAP / page, (box.y0 + box.y1) / 2, left[number], **text_style(9, weight="bold", va="center"))
    figure.text(_GAP / page, 1 - _GAP / high, title, **text_style(11, weight="bold", va="top"))
    figure.text(_GAP / page, _GAP / 2 / high, below, **text_style(7.5, va="bottom"))
    return figure


def new_plot(caption: Sequence[str], *, x: str, y: str) -> tuple[Figure, Axes]:
    """Return a figure with one plot over a caption, and its axes, named `x` and `y`: two thin lines, faint grid, small numbers."""
    page = 6.2
    below = wrap("\n".join(caption), page - 0.2, 7.5)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    figure = Figure(figsize=(page, 3.6 + _room([below], 7.5)), dpi=144, facecolor="white", layout=layout)
    figure.supxlabel(below, x=0.1 / page, ha="left", **text_style(7.5))
    axes = figure.subplots()
    axes.set_xlabel(x, **text_style(8))
    axes.set_ylabel(y, **text_style(8))
    axes.set_facecolor("white")
    axes.grid(True, color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=SOFT, linewidth=0.8)
    _small_numbers(axes)
    return figure, axes


def add_legend(axes: Axes) -> None:
    """Name the curves of a plot."""
    axes.legend(frameon=False, prop={"family": _FONT, "size": 7.5}, labelcolor=INK)


def _room(texts: Sequence[str], size: float) -> float:
    """Return the height in inches of the tallest of some texts, with a little air; none where all are empty."""
    lines = max((text.count("\n") + 1 for text in texts if text), default=0)
    return lines * size * 1.2 / 72 + (0.08 if lines else 0)


def _draw(axes: Axes, tile: Tile, width: float, height: float) -> None:
    axes.set(xticks=[], yticks=[])
    edge = {"color": FAINT, "linewidth": 0.5, "linestyle": "-"}  # a white background ends where the paper begins
    if tile.image is None:
        edge = {"color": INK, "linewidth": 0.8, "linestyle": "--"}
        axes.set_box_aspect(height / width)
        axes.patch.set(facecolor="white", edgecolor=FAINT, hatch="///", linewidth=0)
        plate = {"facecolor": "white", "edgecolor": "none", "pad": 3}
        words = wrap(tile.instead, width - 0.3)
        axes.text(0.5, 0.5, words, transform=axes.transAxes, bbox=plate, **text_style(ha="center", va="center"))
    else:
        drawn = axes.imshow(tile.image, **{"origin": "upper", "aspect": "equal", "interpolation": "antialiased", **tile.look})
        if tile.bar:
            bar = axes.inset_axes((1.03, 0, 0.05, 1))
            axes.figure.colorbar(drawn, cax=bar, extend="max").set_label(tile.bar, **text_style(7.5))
            _small_numbers(bar)
    for spine in axes.spines.values():
        spine.set(visible=True, **edge)
    if tile.frame:
        left, top, right, bottom = tile.frame
        for colour, thick in (("white", 2.4), (FRAME, 1.2)):
            axes.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, ec=colour, lw=thick))


def _small_numbers(axes: Axes) -> None:
    axes.tick_params(which="both", colors=SOFT, labelsize=7.5, labelcolor=INK, labelfontfamily=_FONT, width=0.8)


# -- words -------------------------------------------------------------------------------------------


def text_style(size: float = 8, **more: Any) -> dict[str, Any]:
    """Return the keywords of a text: whatever the user's own matplotlib settings, and never as mathematics."""
    return {"fontsize": size, "family": _FONT, "weight": "normal", "color": INK, "parse_math": False, "usetex": False, **more}


def legible(text: str) -> str:
    """Return `text` on one line, with what the font cannot draw as a box; prompts hold anything."""
    return "".join(c if c == "\xa0" or _advance(c, False) else "□" for c in re.sub(r"[^\S\xa0]+", " ", text)).strip(" ")


def wrap(text: str, width: float, size: float = 8, bold: bool = False) -> str:
    """Break each line of a text at its blanks into lines of at most `width` inches; longer words are cut.

    Matplotlib's own wrapping knows the figure's width only, and cuts no word.
    """
    lines = []
    for line in map(legible, text.split("\n")):
        lines.append("")
        for character in line:
            lines[-1] += character
            if sum(_advance(one, bold) for one in lines[-1].rstrip(" ")) * size / 72 > width and len(lines[-1]) > 1:
                cut = lines[-1].rfind(" ") if " " in lines[-1] else len(lines[-1]) - 1
                lines[-1:] = [lines[-1][:cut], lines[-1][cut:].lstrip(" ")]
    return "\n".join(lines)


@functools.cache
def _advance(character: str, bold: bool) -> float:
    """Return how far a character moves the pen, in font sizes; 0 where the font has none to draw."""
    font = get_font(findfont(FontProperties(family=_FONT, weight="bold" if bold else "normal")))
    if not font.get_char_index(ord(character)):
        return 0.0
    font.set_size(100, 72)
    return font.load_char(ord(character), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / 100
