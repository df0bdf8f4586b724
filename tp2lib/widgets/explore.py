"""Explore: choose two settings and move through the grid over them; pictures that are made stay in it.

A place that was rendered is kept in memory as the very bytes that are shown, so going back costs no more than
sending them. Places come from `generate` and its ledger: nothing is made twice, in this session or another.
"""

from __future__ import annotations

import functools
import html
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import RecipeError, did_you_mean, shown
from tp2lib.plots.display import image_html, status_html
from tp2lib.plots.labels import problem
from tp2lib.recipe import Recipe, setting
from tp2lib.settings import schedule_name, scheduler_name
from tp2lib.widgets.drafts import Drafts, by_hand
from tp2lib.widgets.drop_zone import HTML
from tp2lib.widgets.jobs import Job
from tp2lib.widgets.run_card import alt_of, effects
from tp2lib.widgets.runner import Ending, Runner

AXES = {
    "steps": "5, 10, 20, 30, 50", "guidance": "1, 4, 7.5, 12", "strength": "0.2, 0.35, 0.6, 0.85",
    "scheduler": "EulerA, Euler, DDIM, DPM++ 2M", "schedule": "default, trailing", "seed": "1, 2, 3, 42",
}  # fmt: skip
"""What can be explored, and the values that are offered first."""

MAX_VALUES = 8
_THUMB = 112  # pixels
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,6})?")


def parse_values(axis: str, text: str) -> list[Any]:
    """Read a list of values as it was typed, such as ``"5, 10, 20"`` or ``"4; 7,5"``; raise RecipeError for none, too many, one twice or one that is not allowed."""
    if axis not in AXES:
        raise RecipeError(f"{shown(axis)} cannot be explored; these can: {', '.join(AXES)}.{did_you_mean(axis, AXES)}")
    words = [word.strip() for word in text[:400].split(";" if ";" in text else ",") if word.strip()]
    if not 1 <= len(words) <= MAX_VALUES:
        raise RecipeError(f"{axis} has {len(words)} values; give 1 to {MAX_VALUES}, such as {AXES[axis]}.")
    read = {"scheduler": scheduler_name, "schedule": schedule_name}.get(axis, functools.partial(_number, axis))
    values = [setting(axis).check(axis, read(word)) for word in words]
    if len({*values}) < len(values):
        raise RecipeError(f"{axis} has a value twice: {shown(text)}. Give each once.")
    return values


def _number(axis: str, word: str) -> int | float:
    number = word.replace(",", ".")
    if not _NUMBER.fullmatch(number):
        raise RecipeError(f"{axis} has the value {shown(word)}; give numbers with commas, such as {AXES[axis]}, or with semicolons, such as 4; 7,5.")
    return float(number) if "." in number else int(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shot:
    """A place of the grid that was rendered: the run, and what is shown of it, ready to be sent."""

    run: Any
    picture: str
    thumb: str


class Explorer(Runner):
    """A grid over two settings, and two sliders to move in it.

    Parameters
    ----------
    recipes : dict of str to callable
        Where settings can be taken from: a name, and what gives the recipe at that moment.
    make : callable
        Makes a run: ``make(recipe, on_step=…, should_stop=…)``; with ``keep=False``, a draft.

    Attributes
    ----------
    shots : dict of Recipe to shot
        What was rendered; kept when the axes change.
    """

    def __init__(self, recipes: dict[str, Callable[[], Recipe]], make: Callable[..., Any]) -> None:
        super().__init__("Fill the grid")
        self._recipes, self._make = recipes, make
        self.shots: dict[Recipe, _Shot] = {}
        self.base: Recipe
        self._axes: list[tuple[str, list[Any]]] = []
        self._whole, self._laying, self._laid, self._made = True, False, False, 0
        self._grid = threading.RLock()  # the job's thread must not read axes that are half laid out
        look = {"style": {"description_width": "9em"}, "layout": {"width": "24em", "max_width": "100%"}}
        self.origin = widgets.Dropdown(options=list(recipes), description="settings of", tooltip="what the grid starts from", **look)
        self.across = widgets.Dropdown(options=list(AXES), value="guidance", description="across", tooltip="the setting of the columns", **look)
        self.down = widgets.Dropdown(options=list(AXES), value="steps", description="down", tooltip="the setting of the rows", **look)
        self.columns = widgets.Text(value=AXES["guidance"], description="values", tooltip="with commas", continuous_update=False, **look)
        self.rows = widgets.Text(value=AXES["steps"], description="values", tooltip="with commas", continuous_update=False, **look)
        self.live = widgets.Checkbox(value=True, description="make a place when a slider stops on it", indent=False)
        self.x = widgets.SelectionSlider(options=["-"], value="-", description="-", **look)
        self.y = widgets.SelectionSlider(options=["-"], value="-", description="-", **look)
        self.shown, self.table = widgets.HTML(), widgets.HTML()
        for axis, text in ((self.across, self.columns), (self.down, self.rows)):
            widgets.dlink((axis, "value"), (text, "value"), AXES.get)
        for one in (self.columns, self.rows, self.origin):
            one.observe(lambda change: self.attempt(self.lay_out), "value")
        self.drafts = Drafts(self.place, lambda recipe, **how: make(recipe, keep=False, **how), self, self.shown)
        for slider in (self.x, self.y):
            slider.observe(lambda change: self.attempt(lambda: self.scrubbed(by_hand(change))), "value")
        wraps = {"flex_flow": "row wrap"}
        top = [widgets.HBox(pair, layout=wraps) for pair in ((self.across, self.columns), (self.down, self.rows))]
        sliders = widgets.VBox([self.x, self.y, self.live, self.drafts.on, *self.parts[:3], self.shown]).add_class("tp2-place")
        self.table.add_class("tp2-places")
        self.widget = widgets.VBox([self.origin, *top, widgets.HBox([self.table, sliders], layout=wraps)])

    def lay_out(self) -> None:
        """Lay the grid out anew; what was rendered before is kept and shown where it belongs. Raise RecipeError where an axis, a value or a place cannot be."""
        self._laid = False
        axes = [(one.value, parse_values(one.value, text.value)) for one, text in ((self.across, self.columns), (self.down, self.rows))]
        if axes[0][0] == axes[1][0]:
            raise RecipeError(f"both axes are {axes[0][0]}; choose two different settings.")
        base = self._recipes[self.origin.value]()
        if base.strength is None and "strength" in (axes[0][0], axes[1][0]):
            raise RecipeError("strength needs a source photo; take the settings of image to image.")
        for x in axes[0][1]:
            for y in axes[1][1]:
                base.vary(**{axes[0][0]: x, axes[1][0]: y})
        with self._grid:
            self.base, self._axes, self._laying = base, axes, True
            for slider, (name, values) in zip((self.x, self.y), axes, strict=True):
                slider.description, slider.tooltip, here = setting(name).label, f"place on the axis {name}", slider.value
                slider.options = [(f"{value:g}" if isinstance(value, float) else str(value), value) for value in values]
                slider.value = here if here in values else values[0]
            self._laying, self._laid = False, True
        self.say(f"{len(axes[0][1]) * len(axes[1][1])} places; {len(self.missing())} are to be made.")
        self._draw()

    def place(self) -> Recipe:
        """Return the recipe under the sliders."""
        with self._grid:
            return self.base.vary(**{name: slider.value for slider, (name, _) in zip((self.x, self.y), self._axes, strict=True)})

    def places(self) -> list[list[Recipe]]:
        """Return the grid's recipes, row by row."""
        with self._grid:
            (across, columns), (down, rows) = self._axes
            return [[self.base.vary(**{across: x, down: y}) for x in columns] for y in rows]

    def missing(self) -> list[Recipe]:
        """List the places that are not rendered yet."""
        return [recipe for row in self.places() for recipe in row if recipe not in self.shots]

    def move(self, x: Any, y: Any) -> bool:
        """Move both sliders, as a hand does; return whether the place was there at once."""
        self.x.value, self.y.value = x, y
        return self.place() in self.shots

    def scrubbed(self, hand: bool = False) -> None:
        """Show the place under the sliders, or make it, if that is wanted: for a hand, a draft first."""
        if not self._axes or self._laying:
            return
        self._draw()
        if self.place() in self.shots or not self.live.value:
            self.drafts.drop()
            return
        if hand and self.drafts.on.value:
            self.drafts.moved()
        elif not (self.job and self.job.active):
            self._whole = False
            self.start()

    def fill(self, timeout: float | None = None) -> list[Any]:
        """Make all places and wait, as a click on "Fill the grid" does, and return the runs row by row: ready for `show_grid`."""
        self._whole = True
        self.run(timeout)
        return [self.shots[recipe].run for row in self.places() for recipe in row]

    # -- the work -------------------------------------------------------------------------------------

    def _prepare(self) -> Callable[..., str]:
        if not (self._laid or self.resting):
            self.lay_out()  # or say again why it cannot be
        whole, self._whole, self._made = self._whole and not self.resting, True, 0
        return lambda on_step, should_stop: self._work(whole, on_step, should_stop)

    def _finish(self, made: str) -> Ending:
        return Ending(words=made)

    def _on_end(self, job: Job) -> None:
        super()._on_end(job)
        if job.state == "cancelled" and self._made:
            self.say(f"Stopped; {self._made} made before are kept.")
        if job.state != "done":
            self._draw()  # a draft must not stand for a picture that does not follow

    def _work(self, whole: bool, on_step: Callable[[Any], None], should_stop: Callable[[], bool]) -> str:
        """Make the place under the sliders first, wherever they are by then; then, if wanted, the others."""
        while True:
            here = self.place()
            todo = here if here not in self.shots else next(iter(self.missing()), None) if whole else None
            if todo is None:
                return f"{self._made} made."
            step = self._counting(on_step, todo, [one for one in self.missing() if one != todo] if whole else [])
            self.shots[todo] = _shot(self._make(todo, on_step=step, should_stop=should_stop))
            self._made += 1
            self._draw()

    def _draw(self) -> None:
        with self._grid:
            here = self.place()
            (across, columns), (down, _) = self._axes
            shot = self.shots.get(here)
            self.shown.value = shot.picture if shot else status_html("This place is not made yet.")
            self.table.value = str(HTML.grid(across, down, columns, self.places(), self.shots, here))


def _shot(run: Any) -> _Shot:
    if problem(run):
        picture = status_html(f"No picture: {problem(run)}.", error=True)
        return _Shot(run=run, picture=picture, thumb=f'<span title="{html.escape(problem(run))}">✗</span>')
    alt = alt_of(run)
    picture = image_html(run.image, alt=alt, quality=95, caption=effects(run) or "as asked for")
    return _Shot(run=run, picture=picture, thumb=image_html(run.image, alt=alt, quality=80, side=_THUMB))
