"""A panel for a notebook: sliders for some settings of a recipe, a button, and the picture.

It holds no logic of its own: ranges and words come from the recipe's settings, the work is a `Job`,
and what a click does, a call does too (``panel.run()``), so that a notebook runs without anybody there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import RecipeError, did_you_mean, shown
from tp2lib.plots.display import image_html
from tp2lib.plots.labels import problem
from tp2lib.recipe import Recipe, drawn, setting
from tp2lib.widgets.drafts import Drafts
from tp2lib.widgets.run_card import alt_of, effects
from tp2lib.widgets.runner import Ending, Runner

# What may have a control. Not model and source: what is typed into a text box must not name a file.
SETTINGS = (
    "prompt", "negative_prompt", "seed", "steps", "guidance", "scheduler", "schedule", "strength", "strength_mode",
    "width", "height", "grow", "feather",
)  # fmt: skip

_LONG = 10_000  # values, from which on a whole number is typed and not slid


def control(name: str, value: Any) -> widgets.Widget:
    """Make the control of one setting, with the range, words and help of the recipe's own field; -1 in a seed's box draws a seed, as in a recipe.

    Raises
    ------
    RecipeError
        The setting can have no control, or `value` is None.
    """
    if name not in SETTINGS:
        hint = did_you_mean(name, SETTINGS)
        raise RecipeError(f"{shown(name)} has no control; these settings have one: {', '.join(SETTINGS)}.{hint}")
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
    if known.max - known.min < _LONG:
        return widgets.IntSlider(**how, **look)
    box = widgets.BoundedIntText(**how | {"value": drawn(value), "min": -1}, **look)
    box.observe(lambda change: box.set_trait("value", drawn(change["new"])), "value")
    return box


def settled(controls: Mapping[str, widgets.Widget]) -> dict[str, Any]:
    """Return what the controls stand for, as a recipe keeps it: a slider in steps of 0.01 counts 0.35000000000000003, which would be another recipe."""
    values = {name: one.value for name, one in controls.items()}
    return {name: near if isinstance(value, float) and abs((near := round(value, 6)) - value) < 1e-9 else value for name, value in values.items()}


class Panel(Runner):
    """Controls, Generate and Stop, progress, live preview, the picture; errors as one sentence.

    Parameters
    ----------
    recipe : Recipe
        Where the controls start, and what stays as it is.
    settings : sequence of str
        Which settings get a control, in order; see `tp2lib.widgets.panel.SETTINGS`.
    model, source, ledger : optional
        Passed on to `generate`. Words that the model never saw are pointed out.
    generate : callable, optional
        What makes the run; by default :func:`tp2lib.engine.generate.generate`.

    Attributes
    ----------
    controls : dict of str to Widget
    drafts : Drafts
        What is shown while a slider moves; ``panel.drafts.on.value = False`` switches it off.
    runs : list of Run
        What was made, oldest first: ready for `show_grid`.

    Raises
    ------
    RecipeError
        A setting that cannot have a control, or is left open in the recipe.

    Examples
    --------
    >>> panel = Panel(Recipe(prompt="a red apple"), ["steps", "guidance"])
    >>> panel.controls["steps"].value = 20
    >>> panel.recipe().steps
    20
    """

    def __init__(
        self,
        recipe: Recipe,
        settings: Sequence[str] = ("steps", "guidance", "scheduler"),
        *,
        model: Any = None,
        source: Any = None,
        ledger: Any = None,
        generate: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        self.base = recipe
        self.controls = {name: control(name, getattr(recipe, name, None)) for name in settings}
        self._given = {"model": model, "source": source, "ledger": ledger}
        self._generate = generate
        self.drafts = Drafts(self.recipe, functools.partial(self._make, ledger=None), self)
        follow = [self.drafts.on] if self.drafts.watch(self.controls.values()) else []
        self.widget = widgets.VBox([*self.controls.values(), *follow, *self.parts])

    def recipe(self) -> Recipe:
        """Return the recipe that the controls stand for; raise RecipeError where they contradict each other, as a strength so low that no step runs does."""
        return self.base.vary(**settled(self.controls))

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def _prepare(self) -> Callable[..., Any]:
        return functools.partial(self._make, self.recipe())

    def _make(self, recipe: Recipe, **how: Any) -> Any:
        make: Any = self._generate
        if make is None:
            from tp2lib.engine.generate import generate as make
        return make(recipe, **(self._given | how))

    def _finish(self, run: Any) -> Ending:
        self.runs.append(run)
        if problem(run):
            return Ending(words=f"No picture: {problem(run)}.", failed=True)
        alt = alt_of(run)
        words = effects(run)
        if getattr(model := self._given["model"], "words", None):
            from tp2lib.models.loading import out_of_vocabulary

            words = f"{words} {out_of_vocabulary(model, run.recipe.prompt, run.recipe.negative_prompt)}".strip()
        return Ending(words=words, picture=image_html(run.image, alt=alt))
