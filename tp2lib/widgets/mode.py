"""One way of making pictures in the mini-product: controls, words, perhaps a photo, Generate and Stop, what was made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import Cancelled, TP2Error
from tp2lib.plots.labels import problem
from tp2lib.recipe import Recipe
from tp2lib.widgets.controls import RecipeControls
from tp2lib.widgets.drafts import Drafts
from tp2lib.widgets.drop_zone import PhotoPicker
from tp2lib.widgets.mask_editor import ProductPicker
from tp2lib.widgets.panel import effects
from tp2lib.widgets.prompt_words import PromptWords
from tp2lib.widgets.run_card import RunCard
from tp2lib.widgets.runner import Ending, Runner

__all__ = ["Mode"]

_CARDS = 8  # pictures of this session that stay under a mode; the gallery has them all


class Mode:
    """One way of making pictures: controls, words, perhaps a photo, Generate and Stop, and what was made.

    Parameters
    ----------
    studio : Studio
        Gives the model and keeps what is made.
    recipe : Recipe
        Where the controls start; with a strength, it is image to image, with a mask, new backgrounds.
    """

    def __init__(self, studio: Any, recipe: Recipe) -> None:
        self.studio = studio
        self.runs: list[Any] = []
        size = getattr(studio.model, "native_size", 512)
        self.settings = RecipeControls(recipe, size=size, models=studio.offered())
        self.words = PromptWords(*self.settings.words, studio.model)
        self.runner = Runner(self._prepare, self._finish)
        self.photo: PhotoPicker | None = None
        if recipe.strength is not None:
            picker = ProductPicker if recipe.mask else PhotoPicker
            self.photo = picker(studio.inputs, ledger=studio.ledger, on_change=self.look)
            for name in ("grow", "feather") if recipe.mask else ("width", "height"):
                self.settings.controls[name].observe(lambda change: self.look(), "value")
        self.controls = self.settings.controls
        self.drafts = Drafts(self.recipe, self._draft, self.runner)
        self.drafts.watch(self.controls.values())
        self.settings.model.observe(lambda change: self.words.use(studio.loaded(change["new"])), "value")
        self.made = widgets.HBox(layout={"flex_flow": "row wrap", "align_items": "flex-start"}).add_class("tp2-made")
        left = [*([self.photo.widget] if self.photo else []), *self.settings.words, self.words.widget, *self.settings.widgets, self.drafts.on]
        columns = [widgets.VBox(left).add_class("tp2-controls"), widgets.VBox([*self.runner.widgets, self.made]).add_class("tp2-pictures")]
        self.widget = widgets.HBox(columns, layout={"flex_flow": "row wrap"})
        if not recipe.mask:  # finding a product waits until it is asked for
            self.look()

    @property
    def result(self) -> Any:
        """The last run that was made, or None."""
        return self.runs[-1] if self.runs else None

    def recipe(self) -> Recipe:
        """Return the recipe that the controls and the photo stand for.

        Raises
        ------
        TP2Error
            They stand for none.
        """
        return self._with_photo(self.settings.recipe())[0]

    def start(self) -> Any:
        """Start making the pictures, as Generate does; returns the `Job` at once."""
        return self.runner.start()

    def stop(self) -> None:
        """Stop at the next step; pictures that were finished are kept."""
        self.runner.stop()

    def run(self, timeout: float | None = None) -> Any:
        """Make the pictures and wait: the call that does what a click on Generate does.

        Returns
        -------
        Run
            The last one; all of them are in `runs`.

        Raises
        ------
        TP2Error
            Whatever stood in the way.
        """
        self.runner.run(timeout)
        return self.result

    def load(self, recipe: Recipe) -> list[str]:
        """Set controls and photo to a recipe, and return what could not be set."""
        notes = self.settings.load(recipe)
        if self.photo and recipe.source is not None:
            try:
                self.photo.recall(recipe.source)
            except TP2Error as error:
                notes.append(str(error))
        return notes

    def _with_photo(self, recipe: Recipe) -> tuple[Recipe, Any]:
        if self.photo is None:
            return recipe, None
        source = self.photo.prepare(recipe.width or self.settings.size, recipe.height or self.settings.size)
        return recipe.vary(source=self.photo.name_of(source)), source

    def look(self) -> None:
        """Show the photo as the model would get it now, and what of it is kept."""
        if self.photo is not None:
            try:
                if isinstance(self.photo, ProductPicker):
                    self.photo.edges = self.settings.controls["grow"].value, self.settings.controls["feather"].value
                width, height = (self.settings.controls[side].value if side in self.settings.controls else self.settings.size for side in ("width", "height"))
                self.photo.prepare(width, height)
            except TP2Error as error:
                self.photo.fail(error)

    def _prepare(self) -> Callable[..., Any]:
        if not self.runner.resting:  # the full picture of a draft has the draft's seed, and comes alone
            self.settings.before_start()
        recipes = [self.settings.recipe()] if self.runner.resting else self.settings.recipes()
        pairs = [self._with_photo(recipe) for recipe in recipes]
        return functools.partial(self._series, pairs)

    def _draft(self, recipe: Recipe, **how: Any) -> Any:
        return self.studio.make(*self._with_photo(recipe), keep=False, **how)

    def _series(self, pairs: list[tuple[Recipe, Any]], *, on_step: Callable[[Any], None], should_stop: Callable[[], bool]) -> str:
        """Make one picture after the other; a stop keeps those that are finished."""
        for number, (recipe, source) in enumerate(pairs):

            def step(info: Any, number: int = number) -> None:
                place = {"index": number * info.total + info.index, "total": len(pairs) * info.total}
                on_step(SimpleNamespace(preview=info.preview, **place))

            try:
                run = self.studio.make(recipe, source, on_step=step, should_stop=should_stop)
            except Cancelled:
                if number == 0:
                    raise
                return f"Stopped after {number} of {len(pairs)} pictures; those are kept."
            self._keep(run)
        return ""

    def _keep(self, run: Any) -> None:
        self.runs.append(run)
        acts = {} if problem(run) else self.studio.acts()
        guarded = {name: lambda run, act=act: self.runner.attempt(lambda: act(run)) for name, act in acts.items()}
        self.made.children = (RunCard(run, guarded).widget, *self.made.children[: _CARDS - 1])

    def _finish(self, stopped: str) -> Ending:
        run = self.result
        if problem(run):
            return Ending(words=f"No picture: {problem(run)}.", failed=True)
        words = stopped or ("Found in the ledger." if run.reused else "")
        return Ending(words=f"{words} {effects(run)}".strip())
