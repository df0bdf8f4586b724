"""Widgets: a panel for one experiment, two runs side by side, and the mini-product with its web page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tp2lib.startup import attach

if TYPE_CHECKING:
    from tp2lib.widgets.app import read_page, serve
    from tp2lib.widgets.explore import Explorer
    from tp2lib.widgets.exports import KINDS, PRESETS, Export, export_run
    from tp2lib.widgets.jobs import Job
    from tp2lib.widgets.panel import Panel, control
    from tp2lib.widgets.run_card import alt_of, configuration, differing, effects, parameters
    from tp2lib.widgets.studio import Studio

__getattr__, __dir__, __all__ = attach(__name__, __file__)
