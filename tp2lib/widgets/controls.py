"""Controls: a widget for one setting, with the range, words and help of the recipe; and a set of them that stands for recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import RecipeError, did_you_mean, shown
from tp2lib.recipe import Recipe, drawn, setting

# What may have a control. Not model and source: what is typed into a text box must not name a file.
SETTINGS = (
    "prompt", "negative_prompt", "seed", "steps", "guidance", "scheduler", "schedule", "strength", "strength_mode",
    "width", "height", "grow", "feather",
)  # fmt: skip

MAX_PICTURES = 8
_NUMBERS = ("steps", "guidance", "scheduler", "schedule", "strength", "width", "height", "grow", "feather")
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
    """Return what the controls stand for, as a recipe keeps it: a slider in steps of 0.01 counts 0.35000000000000003, which would be another recipe."""
    values = {name: one.value for name, one in controls.items()}
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}


class RecipeControls:
    """Controls for every setting of a recipe, a seed with a dice and a lock, and how many pictures.

    With a strength they are those of image to image, with a mask those of new backgrounds. `size` is the model's own side in pixels, which an open width or
    height is shown as; `models` are (what to call a model, what a recipe calls it). While `lock` is pressed the seed stays; else every click on Generate rolls
    another one.
    """

    def __init__(self, recipe: Recipe, *, size: int, models: Sequence[tuple[str, str]] = (("auto", "auto"),)) -> None:
        self.base, self.size = recipe, size
        shown_as = {"width": recipe.width or size, "height": recipe.height or size}
        left_out = {"width", "height"} if recipe.mask else {"grow", "feather", *(() if recipe.strength else ("strength",))}  # a mask has the photo's shape
        names = ("prompt", "negative_prompt", *(name for name in _NUMBERS if name not in left_out), "seed")
        self.controls = {name: control(name, shown_as.get(name, getattr(recipe, name))) for name in names}
        known = setting("model")
        look = {"style": {"description_width": "9em"}, "layout": {"width": "36em"}}
        self.model = widgets.Dropdown(options=list(models), description=known.label, tooltip="which model draws", **look)
        self.count = widgets.IntSlider(value=1, min=1, max=MAX_PICTURES, description="pictures", tooltip="how many; each has the next seed", **look)
        self.dice = widgets.Button(description="roll", icon="random", tooltip="another random seed", layout={"width": "6em"})
        lock = "pressed: every picture from this seed; not pressed: each click rolls another one"
        self.lock = widgets.ToggleButton(value=True, tooltip=lock, layout={"width": "11em"})
        self.dice.on_click(lambda button: self.roll())
        self.lock.observe(lambda change: self._name_lock(), "value")
        self._name_lock()
        for one in (*self.controls.values(), self.model, self.count):
            one.layout.max_width = "100%"
        seed = widgets.HBox([self.controls["seed"], self.dice, self.lock], layout={"flex_flow": "row wrap"})
        self.controls["seed"].layout.width = "20em"
        sliders = [self.controls[name] for name in _NUMBERS if name in self.controls]
        self.words = (self.controls["prompt"], self.controls["negative_prompt"])
        self.widgets = (self.model, *sliders, seed, self.count)

    def recipe(self) -> Recipe:
        """Return the recipe that the controls stand for; raise RecipeError where the settings contradict each other."""
        values = settled(self.controls)
        for side in ("width", "height"):
            if getattr(self.base, side) is None and values.get(side) == self.size:
                values[side] = None
        return self.base.vary(**values, model=self.model.value)

    def recipes(self) -> list[Recipe]:
        """Return a recipe for each picture asked for; they differ in the seed, which counts up."""
        first = self.recipe()
        return [first.vary(seed=(first.seed + n) % 2**64) for n in range(self.count.value)]

    def roll(self) -> int:
        """Draw another seed, and return it."""
        self.controls["seed"].value = drawn(-1)
        return self.controls["seed"].value

    def load(self, recipe: Recipe) -> list[str]:
        """Set the controls to a recipe's settings, and return what could not be set, one sentence each."""
        notes = []
        for name, one in self.controls.items():
            value = getattr(recipe, name)
            value = self.size if value is None and name in ("width", "height") else value
            if value is not None:
                one.value = value
                if one.value != value:  # a slider clips in silence
                    notes.append(f"{name} {value} lies outside of its slider; {one.value} is set instead.")
        self.base = recipe.vary(model="auto", width=None, height=None)
        asked = {words: name for words, name in self.model.options}
        if recipe.model in asked.values():
            self.model.value = recipe.model
        elif recipe.model in asked:
            self.model.value = asked[recipe.model]
        else:
            notes.append(f"model {shown(recipe.model)} is not offered here; {self.model.label} stays.")
        self.lock.value = True
        try:
            self.recipe()
        except RecipeError as error:
            notes.append(str(error))
        return notes

    def _name_lock(self) -> None:
        self.lock.description = "seed stays" if self.lock.value else "new seed each"
        self.lock.icon = "lock" if self.lock.value else "unlock"
