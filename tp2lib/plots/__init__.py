"""Figures: grids, curves, crops and differences, which say what was fixed and what was varied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tp2lib.startup import attach

if TYPE_CHECKING:
    from tp2lib.plots.curves import Point, convergence, fidelity, make_convergence, make_fidelity, make_schedules
    from tp2lib.plots.display import alt_text, before_after, show
    from tp2lib.plots.figures import Film, Frame, make_crops, make_difference, make_filmstrip, make_words, show_words
    from tp2lib.plots.grid import describe_grid, make_grid, show_grid
    from tp2lib.plots.labels import changes, fixed, label

__getattr__, __dir__, __all__ = attach(__name__, __file__)
