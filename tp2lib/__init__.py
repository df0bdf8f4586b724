"""tp2lib: controlled experiments with diffusion image generation, told through product photos.

>>> from tp2lib import OUTPUTS, Ledger, Recipe, generate, load
>>> model = load()
>>> run = generate(Recipe(prompt="a red apple on a white table"), model, ledger=Ledger(OUTPUTS))

Importing tp2lib is quick and loads none of the large packages: each name is fetched when it is used.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tp2lib.adherence import adherence
    from tp2lib.compare import before_after
    from tp2lib.doctor import doctor
    from tp2lib.errors import TP2Error
    from tp2lib.experiments import EXPERIMENTS
    from tp2lib.generate import generate
    from tp2lib.grid import show_grid
    from tp2lib.ledger import Ledger
    from tp2lib.measures import measure
    from tp2lib.models import load, unknown_words
    from tp2lib.panel import Panel
    from tp2lib.paths import INPUTS, OUTPUTS
    from tp2lib.pictures import export_picture, read_recipe
    from tp2lib.plan import resolve
    from tp2lib.recipe import Recipe, setting
    from tp2lib.replay import replay
    from tp2lib.runs import Run
    from tp2lib.show import show
    from tp2lib.source import prepare_source
    from tp2lib.sweep import sweep

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
    "EXPERIMENTS": "experiments",
    "INPUTS": "paths",
    "OUTPUTS": "paths",
    "Ledger": "ledger",
    "Panel": "panel",
    "Recipe": "recipe",
    "Run": "runs",
    "TP2Error": "errors",
    "before_after": "compare",
    "export_picture": "pictures",
    "load": "models",
    "measure": "measures",
    "prepare_source": "source",
    "read_recipe": "pictures",
    "resolve": "plan",
    "setting": "recipe",
    "show_grid": "grid",
    "unknown_words": "models",
}  # the others live in modules of their own name


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, name)}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps a module from hiding the function of its name: importing ``tp2lib.sweep`` would set it here."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
