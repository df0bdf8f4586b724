"""Draw a grid of runs: what varies stands along its sides, what is fixed below it, the time under each picture.

A grid leaves nothing out: a run without a picture is drawn as a tile that says what happened, and
everything that varies besides the two axes is named under the grid.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from tp2lib.errors import ControlError, RecipeError, counted, shown
from tp2lib.metrics.measures import in_words, take
from tp2lib.plots.display import alt_text, show
from tp2lib.plots.labels import changes, fixed, label, problem, unplanned, value, values, varying
from tp2lib.plots.layout import Tile, draw_tiles


def show_grid(runs: Sequence[Any], rows: str | None = None, cols: str | None = None, *, alt: str, **how: Any) -> None:
    """Show a grid in the notebook; see :func:`make_grid` for what it takes.

    Parameters
    ----------
    alt : str
        What the pictures show, in a sentence, for screen readers. What the grid is made of is added to it.
    """
    about = f"{alt_text(alt)} {describe_grid(runs, rows, cols)}"
    show(make_grid(runs, rows, cols, **how), alt=about)


def make_grid(
    runs: Sequence[Any],
    rows: str | None = None,
    cols: str | None = None,
    *,
    title: str = "",
    measures: Sequence[str] = ("sharpness", "contrast"),
    reference: Image.Image | None = None,
    columns: int = 3,
    titles: Sequence[str] | None = None,
) -> Figure:
    """Draw runs as a grid over one or two settings, or as a gallery.

    Parameters
    ----------
    runs : Sweep, or sequence of Run or of a sweep's cells
        A run is anything with `recipe`, `effective`, `timings`, `outcome` and `image`.
    rows, cols : str, optional
        The settings that vary down and across, such as ``"scheduler"`` and ``"steps"``. With
        neither, the runs are a gallery: each is headed by what it changes against the first.
    title : str, optional
    measures : sequence of str
        What stands under each picture beside the seconds; see `tp2lib.metrics.measures.MEASURES`.
    reference : PIL.Image.Image, optional
        What measures such as ``"ssim"`` compare with, of the pictures' size.
    columns : int
        Pictures a line, in a gallery.
    titles : sequence of str, optional
        Headings of a gallery, one a run, instead of what changes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    RecipeError
        No runs, or a side that is no setting.
    ControlError
        Two runs belong into one place: more varies than the two sides.
    """
    runs = _runs(runs)
    heads: list[str] = []
    sides: list[str] = []
    if rows or cols:
        axes = [axis for axis in (rows, cols) if axis]
        cells = _places(runs, rows, cols)
        heads = [_side(column, cols) for column in zip(*cells, strict=True)] if cols else []
        sides = [_side(row, rows) for row in cells] if rows else []
        tiles = [
            [_tile(run, axes, "\n".join([*heads[column : column + 1], *sides[row : row + 1]]), measures, reference) for column, run in enumerate(line)]
            for row, line in enumerate(cells)
        ]
    else:
        axes = varying(runs)
        names = changes(runs) if titles is None else titles
        if len(names) != len(runs):
            raise RecipeError(f"there are {len(names)} titles for {len(runs)} runs; give one a run.")
        across = max(1, min(columns, len(runs)))
        gallery = [replace(_tile(run, axes, name, measures, reference), head=name) for run, name in zip(runs, names, strict=True)]
        tiles = [gallery[at : at + across] for at in range(0, len(gallery), across)]
    caption = [f"Fixed: {'; '.join(fixed(runs, axes))}."]
    undeclared = [f"{axis} {', '.join(map(str, values(runs, axis)))}"[:90] for axis in varying(runs) if axis not in axes]
    for what, words in (("Also varies", undeclared), ("Not the same", unplanned(runs))):
        caption += [f"⚠ {what}: {'; '.join(words)}."] if words else []
    return draw_tiles(tiles, heads=heads, sides=sides, title=title, caption=caption)


def describe_grid(runs: Sequence[Any], rows: str | None = None, cols: str | None = None) -> str:
    """Say in words what a grid is made of: its sides, what is fixed, what failed."""
    runs = _runs(runs)
    sides = [f"{axis} in {side}: {', '.join(map(str, values(runs, axis)))}" for axis, side in ((rows, "rows"), (cols, "columns")) if axis]
    what = f"Grid with {' and '.join(sides)}." if sides else f"{len(runs)} pictures: {'; '.join(changes(runs))}."
    lost = {", ".join(label(run, axis)[0] for axis in varying(runs)): why for run in runs if (why := problem(run))}
    failed = [f"{which}: {why}" for which, why in lost.items()]
    return f"{what} Fixed: {'; '.join(fixed(runs))}." + (f" Failed: {'; '.join(failed)}." if failed else "")


def _runs(given: Any) -> list[Any]:
    """List the runs of a sweep, of its cells, or as they are; a failed cell stands as what it would have been."""
    cells = list(getattr(given, "cells", given))
    done = [run for cell in cells if (run := getattr(cell, "run", cell)) is not None]
    known = {name: done[0].effective.get(name) for name in ("model", "width", "height")} if done else {}
    runs = []
    for cell in cells:
        run = getattr(cell, "run", cell)
        if run is None and cell.error:
            own = {name: asked for name in known if (asked := getattr(cell.recipe, name)) not in (None, "auto")}
            why = textwrap.shorten(f"failed: {cell.error}", 140, placeholder=" …")
            run = SimpleNamespace(recipe=cell.recipe, outcome=why, effective=known | own, timings={}, image=None)
        runs += [run] if run is not None else []
    if not runs:
        raise RecipeError("there are no runs to draw; a grid needs at least one. Run the sweep first.")
    return runs


def _places(runs: Sequence[Any], rows: str | None, cols: str | None) -> list[list[Any]]:
    """Put each run in its row and column; None where there is no run."""
    if rows == cols:
        raise RecipeError(f"rows and cols are both {shown(rows)}; they must be two settings. Leave one out.")
    down, across = (values(runs, axis) if axis else [None] for axis in (rows, cols))
    cells: list[list[Any]] = [[None] * len(across) for _ in down]
    for run in runs:
        row, column = (known.index(value(run, axis)) if axis else 0 for known, axis in ((down, rows), (across, cols)))
        if cells[row][column] is not None:
            more = [axis for axis in varying([cells[row][column], run]) if axis not in (rows, cols)]
            why = f"they differ in {', '.join(more)}" if more else "they are the same recipe twice"
            raise ControlError(
                f"two runs belong in the same place of the grid, {shown(value(run, rows or cols or ''))}: {why}. "
                "Draw the runs of one seed at a time, or make that setting a side of the grid."
            )
        cells[row][column] = run
    return cells


def _side(runs: Iterable[Any], axis: str) -> str:
    """Name a row or a column; what the setting came down to only where that holds for all of it."""
    labels = dict.fromkeys(label(run, axis) for run in runs if run is not None)
    setting, effect = next(iter(labels))
    return f"{setting}\n{effect}" if effect and len(labels) == 1 else setting


def _tile(run: Any, axes: Sequence[str], named: str, measures: Sequence[str], reference: Image.Image | None) -> Tile:
    """Draw a run with its cost, its measures, and what its settings came down to where that is not `named` beside it."""
    if run is None:
        return Tile(instead="not run")
    failed = problem(run)
    cost = [f"{run.timings['total']:.1f} s"] if "total" in run.timings else []
    calls = run.effective.get("model_calls")
    cost += [counted(calls, "model call")] if calls else []
    effects = [effect for axis in axes if (effect := label(run, axis)[1]) and effect not in named]
    measured = [] if failed else [in_words(name, take(name, run.image, reference)) for name in measures]
    kept = run.effective.get("kept_pixels_differing")
    proof = [] if kept is None or failed else [f"{run.effective['kept_share']:.1%} kept", f"{kept} kept pixels differ"]
    notes = tuple(" · ".join(part.replace(" ", "\xa0") for part in parts) for parts in (cost, effects, measured, proof) if parts)
    return Tile(image=None if failed else run.image, instead=f"✗ {failed}", notes=notes)
