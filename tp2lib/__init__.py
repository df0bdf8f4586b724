"""tp2lib: controlled experiments with diffusion image generation, told through product photos.

>>> from tp2lib import OUTPUTS, Ledger, Recipe, generate, load
>>> model = load()
>>> run = generate(Recipe(prompt="a red apple on a white table"), model, ledger=Ledger(OUTPUTS))

Importing tp2lib is quick and loads none of the large packages: each name is fetched when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tp2lib.doors.doctor import doctor
    from tp2lib.engine.generate import generate
    from tp2lib.engine.models import load, unknown_words
    from tp2lib.engine.plan import resolve
    from tp2lib.engine.replay import replay
    from tp2lib.engine.runs import Run
    from tp2lib.engine.sweep import sweep
    from tp2lib.errors import TP2Error
    from tp2lib.evaluation.experiments import EXPERIMENTS
    from tp2lib.measures.adherence import adherence
    from tp2lib.measures.measures import measure
    from tp2lib.paths import INPUTS, OUTPUTS
    from tp2lib.records.ledger import Ledger
    from tp2lib.records.pictures import export_picture, read_recipe
    from tp2lib.records.recipe import Recipe, setting
    from tp2lib.records.source import prepare_source
    from tp2lib.showing.compare import before_after
    from tp2lib.showing.grid import show_grid
    from tp2lib.showing.panel import Panel
    from tp2lib.showing.show import show

__all__ = [
    "EXPERIMENTS",
    "INPUTS",
    "OUTPUTS",
    "Ledger",
    "Panel",
    "Recipe",
    "Run",
    "TP2Error",
    "adherence",
    "before_after",
    "doctor",
    "export_picture",
    "generate",
    "load",
    "measure",
    "prepare_source",
    "read_recipe",
    "replay",
    "resolve",
    "setting",
    "show",
    "show_grid",
    "sweep",
    "unknown_words",
]

_HOME = {
    "EXPERIMENTS": "evaluation.experiments",
    "INPUTS": "paths",
    "OUTPUTS": "paths",
    "Ledger": "records.ledger",
    "Panel": "showing.panel",
    "Recipe": "records.recipe",
    "Run": "engine.runs",
    "TP2Error": "errors",
    "adherence": "measures.adherence",
    "before_after": "showing.compare",
    "doctor": "doors.doctor",
    "export_picture": "records.pictures",
    "generate": "engine.generate",
    "load": "engine.models",
    "measure": "measures.measures",
    "prepare_source": "records.source",
    "read_recipe": "records.pictures",
    "replay": "engine.replay",
    "resolve": "engine.plan",
    "setting": "records.recipe",
    "show": "showing.show",
    "show_grid": "showing.grid",
    "sweep": "engine.sweep",
    "unknown_words": "engine.models",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
