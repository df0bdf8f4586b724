"""Show a run as a card with its requested and effective settings, and compare any two runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

from tp2lib.errors import SourceError, TP2Error
from tp2lib.metadata.infotext import to_infotext
from tp2lib.metadata.readings import foreign_syntax
from tp2lib.plots.display import before_after, image_html, status_html
from tp2lib.plots.labels import AXES, conditions, fixed, label, problem, value
from tp2lib.storage.pictures import known_as, published
from tp2lib.widgets.drop_zone import HTML, STATIC

VIEWS = ("side by side", "before / after", "difference")


def effects(run: Any) -> str:
    """Say what the settings came down to, where that is not what was asked for; else nothing."""
    words = [": ".join(label(run, axis)) for axis in AXES if axis != "steps" and label(run, axis)[1]]
    syntax = foreign_syntax(run.recipe.prompt, run.recipe.negative_prompt)
    return f"{'; '.join(words)}. {syntax}".strip() if words else syntax


def alt_of(run: Any) -> str:
    """Describe a generated picture by what was asked for, for screen readers."""
    words = [label(run, axis)[0] for axis in ("scheduler", "schedule", "steps", "guidance", "seed") if getattr(run.recipe, axis) != "default"]
    return f"Generated picture. {label(run, 'prompt')[0]}; {', '.join(words)}."


def configuration(run: Any) -> dict[str, Any]:
    """Return a run's exact configuration: what was asked for, what took effect, and how it went, as JSON values.

    Long lists of timesteps are kept; folders are not: a source photo is named by its file and its hash.
    """
    known = published({"recipe": dict(run.requested), "effective": dict(run.effective), "source": run.source and dict(run.source)})
    return {
        "mode": run.effective.get("mode", "text2img" if run.recipe.source is None else "img2img"),
        "requested": known["recipe"],
        "effective": known["effective"],
        "source": known["source"],
        "timings": {stage: round(seconds, 3) for stage, seconds in run.timings.items()},
        "outcome": run.outcome,
        "key": run.key,
    }


def parameters(run: Any) -> str:
    """Return a run's settings as the text that the WebUI and similar tools read."""
    size = {"Size": f"{run.effective['width']}x{run.effective['height']}"}
    return to_infotext(run.recipe, **size, **run.infotext() | {"Model": known_as(run.effective["model"])})


class CopyText(anywidget.AnyWidget):
    """Text that a button copies to the clipboard; the keyboard can scroll and select it."""

    _esm = STATIC / "copy_text.js"
    _css = STATIC / "widgets.css"
    text = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)


class RunCard:
    """A run, shown; `acts` are the buttons under the picture: what stands on each, and what it does with the run, through `attempt`."""

    def __init__(self, run: Any, acts: Mapping[str, Callable[[Any], Any]], attempt: Callable[[Callable[[], Any]], Any]) -> None:
        self.run, self._attempt = run, attempt
        fault = f"No picture: {problem(run)}."
        self.picture = widgets.HTML(status_html(fault, error=True) if problem(run) else image_html(run.image, alt=alt_of(run)))
        self.json = CopyText(label="JSON", text=json.dumps(configuration(run), indent=2, ensure_ascii=False))
        self.text = CopyText(label="A1111 text", text=parameters(run) if not problem(run) else "")
        shown = widgets.Accordion([self.json, self.text], titles=["Configuration (JSON)", "Configuration (A1111)"])
        shown.selected_index = None
        self.buttons = {name: self._button(name, act) for name, act in acts.items()}
        row = widgets.HBox(list(self.buttons.values()), layout={"flex_flow": "row wrap"})
        words = widgets.VBox([widgets.HTML(str(HTML.run(run, effects(run), fixed([run])))), row, shown])
        self.widget = widgets.HBox([self.picture, words]).add_class("tp2-card")

    def _button(self, name: str, act: Callable[[Any], Any]) -> widgets.Button:
        button = widgets.Button(description=name, tooltip=f"{name}: run {self.run.key[:8]}", layout={"width": "auto"})
        button.on_click(lambda pressed: self._attempt(lambda: act(self.run)))
        return button


def refill(box: widgets.Box, children: Sequence[widgets.Widget]) -> None:
    """Put other widgets into a box and close those that leave it: the page and the kernel keep what is only taken out."""
    gone = [one for one in box.children if one not in children]
    box.children = children
    while gone:
        one = gone.pop()
        gone += [*getattr(one, "children", ()), *(getattr(one, part) for part in ("layout", "style") if one.has_trait(part))]
        one.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A setting in which two runs differ: its name, and what it is in each, in words."""

    setting: str
    first: str
    second: str


def differing(first: Any, second: Any) -> list[Difference]:
    """List the settings in which two runs differ, as asked for and as they took effect, then the conditions.

    Returns
    -------
    list of Difference
        Empty where both were asked for and made in the same way.
    """
    found = []
    for axis in AXES:
        words = [" → ".join(filter(None, label(run, axis))) for run in (first, second)]
        # how many steps ran follows from strength, whose own words say it
        follows = axis == "steps" and value(first, "strength") != value(second, "strength")
        if value(first, axis) != value(second, axis) or (words[0] != words[1] and not follows):
            found.append(Difference(setting=axis.replace("_", " "), first=words[0], second=words[1]))
    hashes: list[Any] = [(run.source or {}).get("pixels_sha256") for run in (first, second)]
    if all(hashes) and hashes[0] != hashes[1] and value(first, "source") == value(second, "source"):
        found.append(Difference(setting="pixels of the source", first=hashes[0][:12], second=hashes[1][:12]))
    changed = conditions([first, second]).items()
    return found + [Difference(setting=name.replace("_", " "), first=words[0], second=words[1]) for name, words in changed]


class CompareRuns:
    """Two runs, chosen, and three ways of looking at them; `read` gives the run of a key, or None."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read, self._offering = read, False
        look = {"style": {"description_width": "3em"}, "layout": {"width": "44em", "max_width": "100%"}}
        self.first = widgets.Dropdown(options=[("none yet", "")], description="A", tooltip="the first run", **look)
        self.second = widgets.Dropdown(options=[("none yet", "")], description="B", tooltip="the second run", **look)
        self.view = widgets.ToggleButtons(options=VIEWS, description="look", style={"description_width": "3em"})
        self.table, self.place = widgets.HTML(), widgets.VBox()
        self.widget = widgets.VBox([self.first, self.second, self.view, self.table, self.place]).add_class("tp2-compare")
        for one in (self.first, self.second, self.view):
            one.observe(lambda change: self.show(), "value")
        self.show()

    def offer(self, options: list[tuple[str, str]]) -> None:
        """Offer these runs, as (words, key); what is chosen stays chosen."""
        self._offering = True  # a list that is filled anew has nothing chosen for a moment
        for one in (self.first, self.second):
            kept = [(words, key) for words, key in one.options if key == one.value and key not in {known for _, known in options}]
            chosen = one.value
            one.options = list(dict.fromkeys([("none yet", ""), *options, *kept]))
            one.value = chosen
        self._offering = False

    def put(self, side: str, run: Any) -> None:
        """Put a run on side "A" or "B"."""
        one = self.first if side == "A" else self.second
        if run.key not in [key for _, key in one.options]:
            self.offer([(f"run {run.key[:8]}", run.key), *one.options[1:]])
        one.value = run.key

    def show(self) -> None:
        """Draw both runs in the way that is chosen; what is wrong is said in their place."""
        if self._offering:
            return
        table, shown = "<div>Choose two runs, here or with the buttons under a picture.</div>", list[widgets.Widget]()
        try:
            if self.first.value and self.second.value:
                table = ""
                runs = [self._run(side, one.value) for side, one in (("A", self.first), ("B", self.second))]
                table = str(HTML.differences(differing(*runs)))
                shown = self._draw(*runs)
        except TP2Error as error:
            shown = [widgets.HTML(status_html(error, error=True))]
        self.table.value = table  # at once: emptied before, it would flicker
        refill(self.place, shown)

    def _run(self, side: str, key: str) -> Any:
        run = self._read(key)
        if run is None or problem(run):
            raise SourceError(f"run {side} has no picture any more. Choose another one.")
        return run

    def _draw(self, *runs: Any) -> list[widgets.Widget]:
        """Return the pictures of two runs; raise SourceError where they cannot be laid on each other."""
        alts = [f"{side}: {alt_of(run)}" for side, run in zip("AB", runs, strict=True)]
        if self.view.value == VIEWS[1]:
            return [before_after(*runs, alt_before=alts[0], alt_after=alts[1])]
        if self.view.value == VIEWS[2]:
            from tp2lib.plots.figures import make_difference  # a panel shows a run's card, and compares nothing

            alt = f"{alts[0]} {alts[1]} And a map of where their colours differ."
            return [widgets.HTML(image_html(make_difference(*runs, heads=("A", "B")), alt=alt))]
        pair = [widgets.HTML(image_html(run.image, alt=alt, caption=alt[0])) for run, alt in zip(runs, alts, strict=True)]
        return [widgets.HBox(pair, layout={"flex_flow": "row wrap"}).add_class("tp2-pair")]
