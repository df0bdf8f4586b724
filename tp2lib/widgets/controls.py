"""The controls of the mini-product: a recipe's settings with a seed to roll, and the words that the embedded model understands.

The words are offered as chips and suggestions, and those of a prompt that a model does not know are pointed out.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import RecipeError, shown
from tp2lib.models.vocabulary import COLOUR_WORDS
from tp2lib.plots.display import status_html
from tp2lib.recipe import Recipe, drawn, setting
from tp2lib.widgets.drop_zone import HTML
from tp2lib.widgets.panel import control, settled
from tp2lib.widgets.run_card import refill

MAX_PICTURES = 8
_NUMBERS = ("steps", "guidance", "scheduler", "schedule", "strength", "width", "height", "grow", "feather")

CHIPS: Mapping[str, Sequence[str]] = tomllib.loads(Path(__file__).with_name("chips.toml").read_text(encoding="utf-8")) | {"colours": tuple(COLOUR_WORDS)}
"""What is offered first, by kind; only chips whose every word a model knows are shown for it."""

_SMALL = frozenset({"a", "an", "the", "on", "of", "in", "with", "and"})


def chips(words: frozenset[str] | None) -> dict[str, list[str]]:
    """Return the chips that a model understands, by kind; none where its words are not known."""
    if words is None:
        return {}
    found = {kind: [chip for chip in offered if {*re.findall(r"[a-z]+", chip)} <= words | _SMALL] for kind, offered in CHIPS.items()}
    return {kind: some for kind, some in found.items() if some}


def add_words(text: str, words: str) -> str:
    """Return a prompt with words added at its end; the same prompt if it ends with them, or has no room left."""
    head = text.rstrip()
    if re.search(rf"(?<!\w){re.escape(words)}$", head, re.IGNORECASE):
        return text
    joins = re.search(r"(^|\s)(a|an|the)$|,$", head) or words.startswith("on ")
    joint = "" if not head else " " if joins else ", "
    longer = f"{head}{joint}{words}"
    return longer if len(longer) <= setting("prompt").max else text


def unknown_html(model: Any, **texts: str) -> str:
    """Point out the words of some boxes (name to text, which may be anybody's) that a model never saw, each with the nearest that it did."""
    if model is None:
        return status_html("")
    if model.words is None:
        return status_html(f"Which words {shown(model.name)} knows is not recorded, so none can be pointed out.")
    from tp2lib.models.loading import unknown_words

    unknown = [(word[:40], box) for box, text in texts.items() for word in unknown_words(model, text)[:12]]
    told = [(word, difflib.get_close_matches(word, model.words, n=1, cutoff=0.75), box) for word, box in unknown]
    return str(HTML.unknown(told)) if told else status_html("Every word is known to the model.")


class PromptWords:
    """Chips and suggestions under the prompt boxes; what is unknown is pointed out as it is typed.

    A chip "to avoid" goes to the `negative` box, all else to `prompt`; the words are those of `model`, which :meth:`use` changes.
    """

    def __init__(self, prompt: Any, negative: Any, model: Any = None) -> None:
        self.prompt, self.negative = prompt, negative
        self.unknown = widgets.HTML()
        self.suggest = widgets.Combobox(
            description="add a word", placeholder="type a letter", ensure_option=False, continuous_update=False,
            tooltip="words that the model knows; Enter adds one to the prompt", style={"description_width": "9em"},
            layout={"width": "36em", "max_width": "100%"},
        )  # fmt: skip
        self.folds = widgets.Accordion()
        self.widget = widgets.VBox([self.unknown, self.suggest, self.folds])
        for box in (prompt, negative):
            box.continuous_update = True  # what is unknown is said while it is typed
            box.observe(lambda change: self.check(), "value")
        self.suggest.observe(lambda change: self.pick(change["new"]), "value")
        self.use(model)

    def use(self, model: Any) -> None:
        """Offer and check the words of this model."""
        self.model = model
        words = getattr(model, "words", None)
        self.suggest.options = tuple(sorted(words)) if words else ()
        self.suggest.layout.display = "" if words else "none"
        rows = [self._row(kind, some) for kind, some in chips(words).items()]
        refill(self.folds, [widgets.VBox(rows)] if rows else [])
        self.folds.titles = ["Words that the model knows"] if rows else []
        self.folds.selected_index = None
        self.check()

    def pick(self, words: str) -> None:
        """Add a suggested word to the prompt, if it is one, and empty the box."""
        if words and words in self.suggest.options:
            self.add(words)
            self.suggest.value = ""

    def add(self, words: str, box: Any = None) -> None:
        """Add words to a box, by default the prompt's, as a chip does."""
        box = self.prompt if box is None else box
        box.value = add_words(box.value, words)

    def check(self) -> None:
        """Say which words are unknown."""
        self.unknown.value = unknown_html(self.model, prompt=self.prompt.value, negative_prompt=self.negative.value)

    def _row(self, kind: str, some: list[str]) -> widgets.Widget:
        box = self.negative if kind == "to avoid" else self.prompt
        row = widgets.ToggleButtons(options=some, value=None, description=kind, style={"description_width": "9em", "button_width": "auto"})

        def pressed(change: Any) -> None:
            if change["new"] is not None:
                self.add(change["new"], box)
                row.value = None  # a chip is pressed, not chosen

        row.observe(pressed, "value")
        return row


class RecipeControls:
    """Controls for every setting of a recipe, a seed with a dice and a lock, and how many pictures.

    With a strength they are those of image to image, with a mask those of new backgrounds. `size` is the given model's own side in pixels, which an open width or
    height is shown as; with another model chosen it is that one's. `models` are (what to call a model, what a recipe calls it). While `lock` is pressed the seed stays; else every click on Generate rolls
    another one.
    """

    def __init__(self, recipe: Recipe, *, size: int, models: Sequence[tuple[str, str]] = (("auto", "auto"),)) -> None:
        self.base, self.size, self._given = recipe, size, size
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
        widgets.dlink((self.lock, "value"), (self.lock, "description"), lambda stays: "seed stays" if stays else "new seed each")
        widgets.dlink((self.lock, "value"), (self.lock, "icon"), lambda stays: "lock" if stays else "unlock")
        self.model.observe(lambda change: self._resize(change["new"]), "value")
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

    def roll(self) -> int:
        """Draw another seed, and return it."""
        self.controls["seed"].value = drawn(-1)
        return self.controls["seed"].value

    def load(self, recipe: Recipe) -> list[str]:
        """Set the controls to a recipe's settings, and return what could not be set, one sentence each."""
        notes = []
        asked = {words: name for words, name in self.model.options}
        if recipe.model in asked.values():
            self.model.value = recipe.model
        elif recipe.model in asked:
            self.model.value = asked[recipe.model]
        else:
            notes.append(f"model {shown(recipe.model)} is not offered here; {self.model.label} stays.")
        for name, one in self.controls.items():
            value = getattr(recipe, name)
            value = self.size if value is None and name in ("width", "height") else value
            if value is not None:
                one.value = value
                if one.value != value:  # a slider clips without an error
                    notes.append(f"{name} {value} lies outside of its slider; {one.value} is set instead.")
        self.base = recipe.vary(model="auto", **{side: None for side in ("width", "height") if side in self.controls})  # else they stay
        self.lock.value, self.count.value = True, 1
        try:
            self.recipe()
        except RecipeError as error:
            notes.append(str(error))
        return notes

    def size_of(self, model: str) -> int:
        """Return the side in pixels that an open width or height stands for with this model."""
        from tp2lib.models.catalogue import CATALOGUE  # it knows of devices, and so loads torch

        return CATALOGUE[model].native_size if model in CATALOGUE else self._given

    def _resize(self, model: str) -> None:
        """Show the size that is open as that of the model which is chosen."""
        before, self.size = self.size, self.size_of(model)
        for side in ("width", "height"):
            if side in self.controls and getattr(self.base, side) is None and self.controls[side].value == before:
                self.controls[side].value = self.size
