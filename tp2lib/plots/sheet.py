"""A sheet of paper to place pictures and words on, in inches from its top left corner.

Every picture that tp2lib shows is drawn on one, white, in one font, in colours that the colour-blind
tell apart, and without pyplot, whose global state the threads of a notebook corrupt.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from PIL import Image

__all__ = [
    "COLOURS",
    "DPI",
    "FAINT",
    "FRAME",
    "INK",
    "SOFT",
    "Sheet",
    "legible",
    "line_height",
    "style_axes",
    "text_style",
    "wrap",
]

DPI = 144
INK, SOFT, FAINT, FRAME = "#1a1a1a", "#555555", "#c8c8c8", "#D55E00"

# Okabe and Ito (2008): told apart with any colour vision, and in this order also when printed in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_FONT = "DejaVu Sans"  # comes with matplotlib, so a sheet looks the same everywhere


def text_style(size: float = 8, **more: Any) -> dict[str, Any]:
    """Return the keywords of a text: whatever the user's own matplotlib settings, and never as mathematics."""
    return {"fontsize": size, "family": _FONT, "color": INK, "parse_math": False, "usetex": False, **more}


def legible(text: str) -> str:
    """Return `text` on one line, with what the font cannot draw as a box; prompts hold anything."""
    return "".join(c if c == "\xa0" or _advance(c, False) else "□" for c in re.sub(r"[^\S\xa0]+", " ", text))


def wrap(text: str, width: float, size: float, bold: bool = False) -> list[str]:
    """Break a text at its blanks into lines of at most `width` inches; longer words are cut."""
    room, lines = width * 72 / size, [""]
    for word in legible(text).strip(" ").split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and _length(longer, bold) > room:
            lines.append("")
            longer = word
        while _length(longer, bold) > room and len(longer) > 1:
            fits = max(1, sum(1 for end in range(1, len(longer)) if _length(longer[:end], bold) <= room))
            lines[-1:] = [longer[:fits], ""]
            longer = longer[fits:]
        lines[-1] = longer
    return lines


def line_height(size: float) -> float:
    """Return the height of a line of text, in inches."""
    return size * 1.25 / 72


def _length(text: str, bold: bool) -> float:
    return sum(_advance(character, bold) for character in text)


@functools.cache
def _advance(character: str, bold: bool) -> float:
    """Return how far a character moves the pen, in font sizes; 0 where the font has none to draw."""
    font = get_font(findfont(FontProperties(family=_FONT, weight="bold" if bold else "normal")))
    if not font.get_char_index(ord(character)):
        return 0.0
    font.set_size(100, 72)
    return font.load_char(ord(character), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / 100


class Sheet:
    """A white page of `width` x `height` inches; x goes right, y goes down."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        self.page = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self.page.set_axis_off()

    def picture(self, image: Image.Image | np.ndarray, x: float, y: float, width: float, height: float, **how: Any) -> AxesImage:
        """Place a picture; `how` may name an `interpolation`, or a `cmap` and `norm` for a map."""
        drawn = AxesImage(self.page, extent=(x, x + width, y + height, y), **{"interpolation": "antialiased", **how})
        drawn.set_data(np.asarray(image))
        self.page.add_image(drawn)
        return drawn

    def box(self, x: float, y: float, width: float, height: float, **how: Any) -> Rectangle:
        """Draw a rectangle's outline, or more, as `how` says."""
        return self.page.add_patch(Rectangle((x, y), width, height, **{"fill": False, "lw": 0.8, "ec": INK, **how}))

    def text(self, x: float, y: float, words: str, size: float = 8, *, width: float = 0, **how: Any) -> None:
        """Write words from (x, y), their top left corner; if `width` is given, longer lines are broken."""
        bold = how.get("weight") == "bold"
        lines = [part for line in words.split("\n") for part in (wrap(line, width, size, bold) if width else [legible(line)])]
        if words:
            self.page.text(x, y, "\n".join(lines), **text_style(size, va=how.pop("va", "top"), **how))

    def plot(self, x: float, y: float, width: float, height: float) -> Axes:
        """Make room for a curve: the axes' own box, without its labels."""
        box = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        style_axes(axes)
        return axes


def style_axes(axes: Axes) -> None:
    """Give axes the look of the sheet: two thin lines, faint grid, small numbers."""
    axes.set_facecolor("white")
    axes.grid(True, color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=SOFT, linewidth=0.8)
    axes.tick_params(which="both", colors=SOFT, labelsize=7.5, labelcolor=INK, labelfontfamily=_FONT, width=0.8)
