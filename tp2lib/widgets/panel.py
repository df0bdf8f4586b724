"""A panel for a notebook: sliders for some settings of a recipe, a button, and the picture.

It holds no logic of its own: ranges and words come from the recipe's settings, the work is a `Job`,
and what a click does, a call does too (``panel.run()``), so that a notebook runs without anybody there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from tp2lib.plots.display import image_html
from tp2lib.plots.labels import problem
from tp2lib.recipe import Recipe
from tp2lib.widgets.controls import control, settled
from tp2lib.widgets.drafts import Drafts
from tp2lib.widgets.run_card import alt_of, effects
from tp2lib.widgets.runner import Ending, Runner


class Panel(Runner):
    """Controls, Generate and Stop, progress, live preview, the picture; errors as one sentence.

    Parameters
    ----------
    recipe : Recipe
        Where the controls start, and what stays as it is.
    settings : sequence of str
        Which settings get a control, in order; see `tp2lib.widgets.controls.SETTINGS`.
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
        """Return the recipe that the controls stand for.

        Raises
        ------
        RecipeError
            The settings contradict each other, such as a strength so low that no step would run.
        """
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
