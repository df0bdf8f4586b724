"""The mini-product: text to image, image to image and new backgrounds, a gallery, a comparison and a grid to explore, as one tool.

Everything it does can also be done by a call: ``studio.text.run()`` is the click on Generate.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import Cancelled, SourceError, TP2Error, shown
from tp2lib.models.catalogue import CATALOGUE, choose_model, find_card
from tp2lib.models.devices import choose_device
from tp2lib.paths import INPUTS, OUTPUTS
from tp2lib.plots.display import status_html
from tp2lib.plots.labels import problem
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.widgets.controls import PromptWords, RecipeControls
from tp2lib.widgets.drafts import Drafts
from tp2lib.widgets.drop_zone import STATIC, PhotoPicker
from tp2lib.widgets.explore import Explorer
from tp2lib.widgets.gallery import Gallery
from tp2lib.widgets.mask_editor import ProductPicker
from tp2lib.widgets.run_card import CompareRuns, RunCard, effects, refill
from tp2lib.widgets.runner import Ending, Runner

_SET = "on a white background, studio lighting, soft shadow"
TABS = ("Text to image", "Image to image", "New background", "Gallery", "Compare", "Explore")
_CARDS = 8  # pictures of this session that stay under a mode; the gallery has them all


class Mode(Runner):
    """One way of making pictures: controls, words, perhaps a photo, Generate and Stop, and what was made.

    The controls start at `recipe`; with a strength it is image to image, with a mask new backgrounds. The studio gives the model and keeps what is made.
    """

    def __init__(self, studio: Any, recipe: Recipe) -> None:
        super().__init__()
        self.studio = studio
        self.settings = RecipeControls(recipe, size=studio.native_size(), models=studio.offered())
        self.words = PromptWords(*self.settings.words, studio.model)
        self.photo: PhotoPicker | None = None
        if recipe.strength is not None:
            picker = ProductPicker if recipe.mask else PhotoPicker
            self.photo = picker(studio.inputs, ledger=studio.ledger, on_change=self.look)
            for name in ("grow", "feather") if recipe.mask else ("width", "height"):
                self.settings.controls[name].observe(lambda change: self.look(), "value")
        self.controls = self.settings.controls
        self.drafts = Drafts(self.recipe, lambda recipe, **how: studio.make(*self._with_photo(recipe), keep=False, **how), self)
        self.drafts.watch(self.controls.values())
        self.settings.model.observe(lambda change: self.words.use(studio.loaded(change["new"])), "value")
        self.made = widgets.HBox(layout={"flex_flow": "row wrap", "align_items": "flex-start"}).add_class("tp2-made")
        left = [*([self.photo.widget] if self.photo else []), *self.settings.words, self.words.widget, *self.settings.widgets, self.drafts.on]
        columns = [widgets.VBox(left).add_class("tp2-controls"), widgets.VBox([*self.parts, self.made]).add_class("tp2-pictures")]
        self.widget = widgets.HBox(columns, layout={"flex_flow": "row wrap"})
        if not recipe.mask:  # finding a product waits until it is asked for
            self.look()

    def recipe(self) -> Recipe:
        """Return the recipe that the controls and the photo stand for; raise TP2Error where they stand for none."""
        return self._with_photo(self.settings.recipe())[0]

    def load(self, recipe: Recipe) -> list[str]:
        """Set controls and photo to a recipe, and return what could not be set."""
        notes = self.settings.load(recipe)
        if self.photo and recipe.source is not None:
            try:
                self.photo.recall(recipe.source, recipe.mask)
                if self.photo.mask_as != recipe.mask:
                    notes.append(f"the mask {shown(recipe.mask)} is not kept here; the photo gets a new mask.")
            except TP2Error as error:
                notes.append(str(error))
        return notes

    def _with_photo(self, recipe: Recipe) -> tuple[Recipe, Any]:
        if self.photo is None:
            return recipe, None
        size = self.settings.size_of(recipe.model)  # another model may be chosen by now
        with self.photo.turn:
            source = self.photo.prepare(recipe.width or size, recipe.height or size)
            return recipe.vary(source=self.photo.name_of(source), mask=self.photo.mask_as), source

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
        named, source = self._with_photo(self.settings.recipe())  # what is refused rolls no seed
        if not (self.resting or self.settings.lock.value):  # the full picture of a draft has the draft's seed, and comes alone
            self.settings.roll()
        first, count = self.controls["seed"].value, 1 if self.resting else self.settings.count.value
        pairs = [(named.vary(seed=(first + number) % 2**64), source) for number in range(count)]
        return functools.partial(self._series, pairs)

    def _series(self, pairs: list[tuple[Recipe, Any]], *, on_step: Callable[[Any], None], should_stop: Callable[[], bool]) -> tuple[int, str]:
        """Make one picture after the other, and return how many and, after a stop, which keeps those that are finished, what to say of it."""
        for number, (recipe, source) in enumerate(pairs):
            step = self._counting(on_step, recipe, [later for later, _ in pairs[number + 1 :]])
            try:
                run = self.studio.make(recipe, source, on_step=step, should_stop=should_stop)
            except Cancelled:
                if number == 0:
                    raise
                return number, f"Stopped after {number} of {len(pairs)} pictures; those are kept."
            self.runs.append(run)
            acts = {} if problem(run) else self.studio.acts()
            refill(self.made, [RunCard(run, acts, self.attempt).widget, *self.made.children[: _CARDS - 1]])
        return len(pairs), ""

    def _finish(self, made: tuple[int, str]) -> Ending:
        count, stopped = made
        runs, used = self.runs[-count:], self.studio.loaded(self.settings.model.value)
        if used is not self.words.model and used is not None:  # it was loaded for this picture
            self.words.use(used)
        none = [problem(run) for run in runs if problem(run)]
        if len(none) == count:
            return Ending(words=f"No picture: {none[-1]}.", failed=True)
        lost = f"{len(none)} of {count} without a picture: {none[-1]}." if none else ""
        words = stopped or ("Found in the ledger." if all(run.reused for run in runs) else "")
        return Ending(words=" ".join(filter(None, (words, lost, effects(runs[-1])))))


class Studio:
    """The whole tool.

    Parameters
    ----------
    model : Model, optional
        By default, `load()` chooses one when it is first needed.
    ledger : Ledger, optional
        By default, that of ``outputs/``.
    inputs : path
        The folder whose photos are offered.
    generate : callable, optional
        What makes a run; by default :func:`tp2lib.engine.generate.generate`.

    Attributes
    ----------
    text, image, background : Mode
        Text to image, image to image, and new backgrounds for a product that is kept.
    gallery : Gallery
    comparison : CompareRuns
    explorer : Explorer
    """

    def __init__(self, model: Any = None, ledger: Ledger | None = None, *, inputs: Path = INPUTS, generate: Callable[..., Any] | None = None) -> None:
        self.model, self.ledger, self.inputs = model, ledger or Ledger(OUTPUTS), Path(inputs)
        self._generate = generate
        self._loaded = {} if model is None else {"auto": model}
        self.text = Mode(self, Recipe(prompt=f"ultra-realistic product photo of a backpack {_SET}, very sharp"))
        self.image = Mode(self, Recipe(prompt=f"professional product photo of a red apple {_SET}", source="inputs/product.jpg", strength=0.6))
        self.background = Mode(self, Recipe(prompt="a red apple on a marble counter, soft natural light", source="inputs/product.jpg", mask="auto"))
        self.gallery = Gallery(self.ledger, self.recall, self.acts(gallery=False))
        self.comparison = CompareRuns(self.gallery.read)
        self.explorer = Explorer({TABS[0]: self.text.recipe, TABS[1]: self.image.recipe}, self._explored)
        self.notes = widgets.HTML()
        parts = [part.widget for part in (self.text, self.image, self.background, self.gallery, self.comparison, self.explorer)]
        self.tabs = widgets.Tab(parts, titles=TABS)
        self.tabs.observe(lambda change: self.opened(change["new"]), "selected_index")
        self.widget = widgets.VBox([widgets.HTML(f"<style>{(STATIC / 'studio.css').read_text(encoding='utf-8')}</style>"), self.notes, self.tabs])
        self.widget.add_class("tp2-studio")

    def offered(self) -> list[tuple[str, str]]:
        """List the models to choose from: what to call each, and what a recipe calls it."""
        given = "auto" if self.model is None else Path(self.model.name).name
        return [(given, "auto"), *((name, name) for name in CATALOGUE if name != given)]

    def native_size(self) -> int:
        """Return the side in pixels that the given model was trained for, or the one that `load` would choose."""
        if self.model is not None:
            return self.model.native_size
        with contextlib.suppress(TP2Error):
            return find_card(os.environ.get("TP2_MODEL") or choose_model(choose_device(), False)[0]).native_size
        return 512

    def loaded(self, name: str) -> Any:
        """Return the model of this name if it is loaded already, else None."""
        return self._loaded.get(name)

    def make(self, recipe: Recipe, source: Any = None, *, keep: bool = True, **how: Any) -> Any:
        """Make one run on the model that the recipe names, and keep it, unless it is a draft; nothing is fetched for it."""
        if recipe.model not in self._loaded:
            from tp2lib.models.loading import load

            self._loaded = {recipe.model: load(recipe.model, download=False)}  # one model at a time is in memory
            if self.model is not None and recipe.model != "auto":
                self._loaded["auto"] = self.model
        generate: Any = self._generate
        if generate is None:
            from tp2lib.engine.generate import generate
        return generate(recipe, self._loaded[recipe.model], source=source, ledger=self.ledger if keep else None, **how)

    def recall(self, recipe: Recipe, notes: Any = ()) -> None:
        """Set the tab that a recipe belongs to, to its settings, and open it."""
        mode = self.background if recipe.mask else self.text if recipe.strength is None else self.image
        told = [*notes, *mode.load(recipe)]
        self.tabs.selected_index = (self.text, self.image, self.background).index(mode)
        self.notes.value = status_html(" ".join(["The settings are set.", *map(str, told)]))
        mode.say("The settings are set; Generate makes the picture.")

    def start_from(self, run: Any) -> None:
        """Take a picture as the source of image to image."""
        if self.image.photo:
            self.image.photo.use(run)
        self.tabs.selected_index = 1

    def compare(self, side: str, run: Any) -> None:
        """Put a run on side A or B of the comparison; the second one opens it."""
        self.comparison.put(side, run)
        if self.comparison.first.value and self.comparison.second.value:
            self.tabs.selected_index = TABS.index("Compare")

    def acts(self, gallery: bool = True) -> dict[str, Callable[[Any], Any]]:
        """Return the buttons under a picture."""
        first: dict[str, Callable[[Any], Any]] = {"Details and export": self.open} if gallery else {}
        compare = {f"Compare as {side}": functools.partial(self.compare, side) for side in "AB"}
        return {**first, **compare, "Start a photo from it": self.start_from}

    def open(self, run: Any) -> None:
        """Look at a run in the gallery."""
        self.tabs.selected_index = TABS.index("Gallery")
        self.gallery.select(run)

    def opened(self, tab: int) -> None:
        """Bring a tab up to date when it is opened."""
        name = TABS[tab]
        if name == "Gallery":
            self.gallery.turn(0)
        if name == "Compare":
            self.comparison.offer(self.gallery.options())
        if name == "New background":
            self.background.look()
        if name == "Explore":
            self.explorer.attempt(self.explorer.lay_out)

    def _explored(self, recipe: Recipe, **how: Any) -> Any:
        if recipe.source is None:
            return self.make(recipe, None, **how)
        same, source = self.image._with_photo(recipe)
        if same != recipe:
            raise SourceError("the photo is another one than the grid was laid out for. Open Explore again.")
        return self.make(recipe, source, **how)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)
