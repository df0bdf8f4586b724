"""Pictures in rows and columns, each with its words: how every grid, gallery and strip is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image

from tp2lib.plots.sheet import FAINT, FRAME, INK, SOFT, Sheet, line_height, wrap

__all__ = ["Tile", "draw_tiles"]

PAGE = 10.6  # inches across, at most: A4 on its side
_MARGIN, _GAP, _SIDE = 0.15, 0.12, 1.25  # inches: around the page, between tiles, for the names of rows
_WIDEST, _NARROWEST = 2.1, 0.9  # inches, a tile
_TITLE, _HEAD, _NOTE, _CAPTION = 11.0, 9.0, 7.0, 7.5  # points


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One place of a layout.

    Attributes
    ----------
    image : PIL.Image.Image or None
        The picture, if there is one.
    instead : str
        What to write where it would be.
    head : str
        Above it.
    notes : tuple of str
        Below it, one line each, broken where they are too long.
    frame : tuple of int or None
        Left, top, right, bottom, in pixels of the picture, of a part to mark.
    raw : bool
        Draw each pixel as a square.
    """

    image: Image.Image | None = None
    instead: str = ""
    head: str = ""
    notes: tuple[str, ...] = ()
    frame: tuple[int, int, int, int] | None = None
    raw: bool = False


def draw_tiles(
    tiles: Sequence[Sequence[Tile | None]],
    *,
    heads: Sequence[str] = (),
    sides: Sequence[str] = (),
    title: str = "",
    caption: Sequence[str] = (),
    widest: float = _WIDEST,
) -> Figure:
    """Draw rows of tiles on a page that is as large as they need.

    Parameters
    ----------
    tiles : sequence of rows, each a sequence of Tile or None
        As many in each row; None leaves the place white.
    heads, sides : sequence of str
        Names of the columns and of the rows.
    title : str
        Above all.
    caption : sequence of str
        Below all, one paragraph each.
    widest : float
        Inches, a tile at most; many columns make it smaller.
    """
    left = _MARGIN + (_SIDE if sides else 0)
    across = len(tiles[0])
    width = min(widest, max(_NARROWEST, (PAGE - left - _MARGIN + _GAP) / across - _GAP))
    page = max(left + across * (width + _GAP) - _GAP + _MARGIN, 4.2)
    rows = [_Row.of(row, width) for row in tiles]
    top = _MARGIN + (0.36 if title else 0)
    above = _room(heads, width, _HEAD, bold=True)
    lines = [line for words in caption for line in wrap(words, page - 2 * _MARGIN, _CAPTION)]
    foot = top + above + sum(row.total for row in rows) - (0 if lines else _GAP)
    sheet = Sheet(page, foot + len(lines) * line_height(_CAPTION) + _MARGIN)
    sheet.text(_MARGIN, _MARGIN, title, _TITLE, weight="bold")
    places = [left + column * (width + _GAP) for column in range(across)]
    for x, head in zip(places, heads):
        sheet.text(x + width / 2, top + above - 0.06, head, _HEAD, width=width, ha="center", va="bottom", weight="bold")
    y = top + above
    for number, (row, tops) in enumerate(zip(tiles, rows, strict=True)):
        y += tops.above
        if sides:
            sheet.text(_MARGIN, y + tops.height / 2, sides[number], _HEAD, width=_SIDE - 0.1, va="center", weight="bold")
        for x, tile in zip(places, row, strict=True):
            if tile is not None:
                _draw(sheet, tile, x, y, width, tops.height)
        y += tops.total - tops.above
    sheet.text(_MARGIN, foot, "\n".join(lines), _CAPTION)
    return sheet.figure


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """Inches that a row takes: for the heads of its tiles, the pictures, the notes and the gap below."""

    above: float
    height: float
    below: float

    @classmethod
    def of(cls, row: Sequence[Tile | None], width: float) -> _Row:
        there = [tile for tile in row if tile is not None]
        shapes = [tile.image.height / tile.image.width for tile in there if tile.image]
        return cls(
            above=_room([tile.head for tile in there], width, _HEAD, bold=True),
            height=width * min(max(shapes, default=1), 2),
            below=0.05 + _room(["\n".join(tile.notes) for tile in there], width, _NOTE),
        )

    @property
    def total(self) -> float:
        return self.above + self.height + self.below + _GAP


def _room(texts: Sequence[str], width: float, size: float, bold: bool = False) -> float:
    """Return the height in inches of the tallest of some texts, none where all are empty."""
    most = max((sum(len(wrap(line, width, size, bold)) for line in text.split("\n")) for text in texts if text), default=0)
    return most * line_height(size) + (0.06 if most else 0)


def _draw(sheet: Sheet, tile: Tile, x: float, y: float, width: float, height: float) -> None:
    sheet.text(x, y - 0.06, tile.head, _HEAD, width=width, va="bottom", weight="bold")
    if tile.image is None:
        sheet.box(x, y, width, height, fill=True, fc="white", ec=FAINT, hatch="///", lw=0)
        sheet.box(x, y, width, height, ec=INK, ls="--")
        plate = {"facecolor": "white", "edgecolor": "none", "pad": 3}
        sheet.text(x + width / 2, y + height / 2, tile.instead, 8, width=width - 0.3, ha="center", va="center", bbox=plate)
    else:
        _place(sheet, tile, x, y, width, height)
    sheet.text(x, y + height + 0.05, "\n".join(tile.notes), _NOTE, width=width, color=SOFT)


def _place(sheet: Sheet, tile: Tile, x: float, y: float, width: float, height: float) -> None:
    """Draw a picture in its own proportions, in the middle of its place."""
    scale = min(width / tile.image.width, height / tile.image.height)
    w, h = tile.image.width * scale, tile.image.height * scale
    x, y = x + (width - w) / 2, y + (height - h) / 2
    sheet.picture(tile.image, x, y, w, h, interpolation="nearest" if tile.raw else "antialiased")
    sheet.box(x, y, w, h, ec=FAINT, lw=0.5)  # a white background ends where the paper begins
    if tile.frame:
        a, b, c, d = (scale * edge for edge in tile.frame)
        sheet.box(x + a, y + b, c - a, d - b, ec="white", lw=2.4)
        sheet.box(x + a, y + b, c - a, d - b, ec=FRAME, lw=1.2)
