"""One widget for one setting, with the range, the words and the help that the recipe itself has for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import RecipeError, did_you_mean, shown
from tp2lib.recipe import setting

__all__ = ["SETTINGS", "control", "settled"]

# What may have a control. Not model and source: what is typed into a text box must not name a file.
SETTINGS = (
    "prompt", "negative_prompt", "seed", "steps", "guidance", "scheduler", "strength", "strength_mode",
    "width", "height",
)  # fmt: skip

_LONG = 10_000  # values, from which on a whole number is typed and not slid


def control(name: str, value: Any) -> widgets.Widget:
    """Make the control of one setting, with the range, words and help of the recipe's own field.

    Raises
    ------
    RecipeError
        The setting can have no control, or `value` is None.
    """
    if name not in SETTINGS:
        hint = did_you_mean(name, SETTINGS)
        raise RecipeError(f"{shown(name)} can have no control; these can: {', '.join(SETTINGS)}.{hint}")
    known = setting(name)
    if value is None:
        need = "a source and a strength" if name == "strength" else f"a {name}"
        raise RecipeError(f"{name} is None, which no control can show. Give the recipe {need} first.")
    how = {"value": value, "description": known.label, "tooltip": known.help, "continuous_update": False}
    look = {"style": {"description_width": "9em"}, "layout": {"width": "36em"}}
    if known.kind == "choice":
        del how["continuous_update"]
        return widgets.Dropdown(options=known.choices, **how, **look)
    if known.kind == "text":
        return widgets.Textarea(rows=3, **how, **look)
    how |= {"min": min(known.min, value), "max": known.max, "step": known.step}
    if known.kind == "real":
        return widgets.FloatSlider(readout_format=".2f" if known.step < 0.1 else ".1f", **how, **look)
    return (widgets.IntSlider if known.max - known.min < _LONG else widgets.BoundedIntText)(**how, **look)


def settled(controls: Mapping[str, widgets.Widget]) -> dict[str, Any]:
    """Return what the controls stand for, as a recipe keeps it.

    A slider in steps of 0.01 counts 0.35000000000000003; that would be another recipe.
    """
    values = {name: one.value for name, one in controls.items()}
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}
