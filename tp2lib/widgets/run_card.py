"""One run as a card: the picture, its settings as asked for and as they took effect, both to be copied, and buttons."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

from tp2lib.metadata.infotext import to_infotext
from tp2lib.plots.display import image_html, status_html
from tp2lib.plots.labels import fixed, problem
from tp2lib.widgets.drop_zone import STATIC
from tp2lib.widgets.panel import alt_of, effects


def configuration(run: Any) -> dict[str, Any]:
    """Return a run's exact configuration: what was asked for, what took effect, and how it went, as JSON values.

    Long lists of timesteps are kept; folders are not: a source photo is named by its file and its hash.
    """
    source = run.source and {**run.source, "path": (run.source.get("path") or "").replace("\\", "/").rpartition("/")[2]}
    return {
        "mode": run.effective.get("mode", "text2img" if run.recipe.source is None else "img2img"),
        "requested": run.requested,
        "effective": run.effective,
        "source": source,
        "timings": {stage: round(seconds, 3) for stage, seconds in run.timings.items()},
        "outcome": run.outcome,
        "key": run.key,
    }


def parameters(run: Any) -> str:
    """Return a run's settings as the text that the WebUI and similar tools read."""
    size = {"Size": f"{run.effective['width']}x{run.effective['height']}"}
    return to_infotext(run.recipe, **size, **run.infotext())


class CopyText(anywidget.AnyWidget):
    """Text that a button copies to the clipboard; the keyboard can scroll and select it."""

    _esm = STATIC / "copy_text.js"
    _css = STATIC / "widgets.css"
    text = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)

    def __init__(self, label: str, text: str = "") -> None:
        super().__init__(label=label, text=text)


class RunCard:
    """A run, shown; `acts` are the buttons under the picture: what stands on each, and what it does with the run."""

    def __init__(self, run: Any, acts: Mapping[str, Callable[[Any], Any]] | None = None) -> None:
        self.run = run
        fault = f"No picture: {problem(run)}."
        self.picture = widgets.HTML(status_html(fault, error=True) if problem(run) else image_html(run.image, alt=alt_of(run)))
        self.json = CopyText("JSON", json.dumps(configuration(run), indent=2, ensure_ascii=False))
        self.text = CopyText("A1111 text", parameters(run) if not problem(run) else "")
        shown = widgets.Accordion([self.json, self.text], titles=["Configuration (JSON)", "Configuration (A1111)"])
        shown.selected_index = None
        self.buttons = {name: self._button(name, act) for name, act in (acts or {}).items()}
        row = widgets.HBox(list(self.buttons.values()), layout={"flex_flow": "row wrap"})
        words = widgets.VBox([widgets.HTML(_told(run)), row, shown])
        self.widget = widgets.HBox([self.picture, words]).add_class("tp2-card")

    def _button(self, name: str, act: Callable[[Any], Any]) -> widgets.Button:
        button = widgets.Button(description=name, tooltip=f"{name}: run {self.run.key[:8]}", layout={"width": "auto"})
        button.on_click(lambda pressed: act(self.run))
        return button


def _told(run: Any) -> str:
    mode = "new background" if run.recipe.mask else "image to image" if run.recipe.source else "text to image"
    cost = "found in the ledger, made in" if run.reused else "made in"
    seconds = run.timings.get("total")
    took = f"{cost} {seconds:.1f} s" if isinstance(seconds, (int, float)) else ""
    if run.recipe.mask:
        took += f"; {run.effective.get('kept_share', 0):.1%} of the photo kept, {run.effective.get('kept_pixels_differing', '?')} of the kept pixels differ"
    return f"<b>{mode}</b>, {took}. {html.escape(effects(run))}<br>{html.escape('; '.join(fixed([run])))}"
