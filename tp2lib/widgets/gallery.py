"""The gallery: this session's and earlier runs: view, mark as favourite, export, use the settings again."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from tp2lib.engine.runs import Favourites, earlier_keys, read_run
from tp2lib.errors import RecordError, counted
from tp2lib.plots.display import image_html, status_html
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import read_recipe
from tp2lib.widgets.drop_zone import HTML, DropZone
from tp2lib.widgets.exports import KINDS, PRESETS, Export, export_run
from tp2lib.widgets.jobs import told
from tp2lib.widgets.run_card import RunCard, alt_of, refill

PAGE = 12
_OFFERED = 3 * PAGE  # latest runs in a list, and as many favourites
_THUMB = 224  # pixels


def title_of(run: Any) -> str:
    """Name a run in a list: its key, mode and prompt, shortly."""
    words = " ".join(run.recipe.prompt.split())
    cut = words if len(words) <= 48 else words[:47] + "…"
    extra = "" if run.recipe.strength is None else f", strength {run.recipe.strength:g}"
    return f"{run.key[:8]} · {cut} · seed {run.recipe.seed}, {run.recipe.steps} steps, guidance {run.recipe.guidance:g}{extra}"


class Gallery:
    """Pages of thumbnails over a ledger, and one run in full (`selected`); empty until :meth:`turn` turns to a page.

    ``recall(recipe, notes)`` is called when a run's settings are to be used again; `acts` are more buttons under the run that is looked at.
    """

    def __init__(self, ledger: Ledger, recall: Callable[..., Any], acts: Mapping[str, Callable[[Any], Any]] | None = None) -> None:
        self.ledger, self.favourites = ledger, Favourites(ledger)
        self._recall, self._acts, self._page = recall, dict(acts or {}), 0
        self._shown: list[tuple[str, str, str]] = []  # key, thumbnail and title of each tile
        self._thumbs: dict[str, tuple[str, str]] = {}  # key -> its thumbnail and its title, made once
        self.selected: Any = None
        self.which = widgets.ToggleButtons(options=["all runs", "favourites"], description="show", tooltips=["", ""])
        self.newer = widgets.Button(description="← newer", tooltip="the page of later runs", layout={"width": "8em"})
        self.older = widgets.Button(description="older →", tooltip="the page of earlier runs", layout={"width": "8em"})
        self.where, self.status = widgets.HTML(), widgets.HTML()
        self.grid = widgets.HBox(layout={"flex_flow": "row wrap"})
        self.drop = DropZone("Drop a picture made here, or by another tool, to use its settings again", lambda data, name: f"{name}: {self.drop_in(data)}")
        self.kind = widgets.Dropdown(options=KINDS, description="export as", tooltip="file format")
        self.preset = widgets.Dropdown(options=PRESETS, description="preset", tooltip="marketplace: square, 1000 pixels, checked")
        self.export_button = widgets.Button(description="Export", tooltip="write a copy to outputs/exports")
        self.exported, self.detail = widgets.HTML(), widgets.VBox().add_class("tp2-detail")
        self.which.observe(lambda change: self.turn(0), "value")
        self.newer.on_click(lambda button: self.turn(self._page - 1))
        self.older.on_click(lambda button: self.turn(self._page + 1))
        self.export_button.on_click(lambda button: self._attempt(self.export))
        bar = widgets.HBox([self.which, self.newer, self.older, self.where], layout={"flex_flow": "row wrap"})
        out = widgets.HBox([self.kind, self.preset, self.export_button], layout={"flex_flow": "row wrap"})
        self.out = widgets.VBox([out, self.exported], layout={"display": "none"})
        self.widget = widgets.VBox([self.drop, bar, self.grid, self.status, self.detail, self.out])

    def keys(self) -> list[str]:
        """List the keys that are shown, the latest first."""
        liked = {*self.favourites} if self.which.value == "favourites" else None
        return [key for key in earlier_keys(self.ledger) if liked is None or key in liked]

    def read(self, key: str) -> Any:
        """Return a kept run, or None."""
        return read_run(self.ledger, key)

    def turn(self, page: int) -> None:
        """Show a page, 0 being the latest runs."""
        self._attempt(lambda: self._turn(page))

    def options(self) -> list[tuple[str, str]]:
        """Return the latest runs and the latest favourites as (title, key), for lists, whichever page is shown."""
        keys, liked = earlier_keys(self.ledger), {*self.favourites}
        offered = dict.fromkeys([*keys[:_OFFERED], *[key for key in keys if key in liked][:_OFFERED]])
        return [(title, key) for key in offered if (title := self._thumb(key)[1])]

    def select(self, run: Any) -> None:
        """Look at one run in full; raise RecordError where its picture is gone, and `read` found none."""
        if run is None:
            raise RecordError("the picture of this run is gone or damaged. Make it again, or choose another run.")
        self.selected = run
        star = {"☆ favourite" if run.key not in self.favourites else "★ remove from favourites": self._toggle}
        acts = {"Use these settings": self.use, **star, **self._acts}
        refill(self.detail, [RunCard(run, acts, self._attempt).widget])
        self.out.layout.display, self.exported.value = "", ""

    def use(self, run: Any) -> None:
        """Use a run's settings again."""
        recipe = run.recipe
        digest = (run.source or {}).get("pixels_sha256")
        if recipe.source is not None and digest:
            recipe = recipe.vary(source=f"sha256:{digest}")  # the very pixels, whatever became of the file
        self._recall(recipe, ())

    def drop_in(self, data: bytes) -> Any:
        """Use the settings of a picture that was dropped, and return what was read; raise RecordError if it carries none that can be."""
        reading = read_recipe(data)
        self._recall(reading.recipe, reading.lines)
        return reading

    def export(self) -> Export:
        """Write a copy of the run that is looked at, and offer it for download; raise TP2Error if none is, or it cannot be written."""
        if self.selected is None:
            raise RecordError("no run is chosen. Click a picture first.")
        copy = export_run(self.selected, self.ledger.outputs / "exports", kind=self.kind.value, preset=self.preset.value)
        self.exported.value = str(HTML.exported(copy, self.kind.value, base64.b64encode(copy.path.read_bytes()).decode()))
        return copy

    def _turn(self, page: int) -> None:
        keys = self.keys()
        pages = max(1, -(-len(keys) // PAGE))
        self._page = min(max(page, 0), pages - 1)
        shown = [(key, *self._thumb(key)) for key in keys[self._page * PAGE : (self._page + 1) * PAGE]]
        if shown != self._shown:  # a click on a tile that is drawn anew would be lost
            self._shown = shown
            refill(self.grid, [self._tile(*one) for one in shown])
        self.newer.disabled, self.older.disabled = self._page == 0, self._page == pages - 1
        self.where.value = status_html(f"{counted(len(keys), 'run')}, page {self._page + 1} of {pages}")

    def _tile(self, key: str, picture: str, title: str) -> widgets.Widget:
        button = widgets.Button(description=f"open {key[:8]}", tooltip=title or "its picture is gone", disabled=not title)
        button.on_click(lambda pressed: self._attempt(lambda: self.select(self.read(key))))
        return widgets.VBox([widgets.HTML(picture), button], layout={"margin": "0 8px 8px 0"}).add_class("tp2-thumb")

    def _thumb(self, key: str) -> tuple[str, str]:
        if key not in self._thumbs:
            run = self.read(key)
            if run is None:
                return "<div>✗ picture gone or damaged</div>", ""
            self._thumbs[key] = image_html(run.image, alt=alt_of(run), quality=85, side=_THUMB), title_of(run)
        return self._thumbs[key]

    def _toggle(self, run: Any) -> None:
        self.favourites.toggle(run.key)
        self.select(run)
        self._turn(self._page)

    def _attempt(self, act: Callable[[], Any]) -> None:
        self.status.value = ""
        try:
            act()
        except Exception as error:
            self.status.value = status_html(told(error), error=True)
