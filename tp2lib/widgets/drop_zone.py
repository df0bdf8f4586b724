"""A drop zone for pictures, and the source photo of image to image: dropped, chosen, or a picture made earlier."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

from tp2lib.errors import RecordError, SourceError, TP2Error, did_you_mean, shown
from tp2lib.metadata.source import Source, prepare_source, reopen_source
from tp2lib.paths import INPUTS
from tp2lib.plots.display import image_html, macros, status_html
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import read_recipe

MAX_UPLOAD = 8_000_000  # bytes: what Jupyter's websocket lets through in one message is 10 MiB
STATIC = Path(__file__).parent / "static"
"""JavaScript and CSS: they fetch nothing, and put words into the page as text only, never as markup."""
HTML = macros(Path(__file__).with_name("widgets.html.j2"))

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_WAYS = {"crop": "cut to fill", "pad": "whole, with white around"}


class DropZone(anywidget.AnyWidget):
    """A place to drop a picture on, or to choose one from the visitor's own disk.

    ``on_file(data, name)`` returns what to say about the file, or raises a TP2Error, which is said instead; the name is untrusted text.
    """

    _esm = STATIC / "drop_zone.js"
    _css = STATIC / "widgets.css"
    label = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
    limit = traitlets.Int(MAX_UPLOAD).tag(sync=True)

    def __init__(self, label: str, on_file: Callable[[bytes, str], str | None]) -> None:
        super().__init__(label=label)
        self._on_file = on_file
        self.on_msg(self._received)

    def take(self, data: bytes, name: str = "", size: int | None = None) -> None:
        """Take a file, as a drop does: `data` is empty where the browser found it too large to send, `size` is its bytes as the browser counts them."""
        size = len(data) if size is None else size
        name = " ".join(name.split())[:80] or "the file"
        if size > self.limit:
            self.said = f"✗ {name} has {size / 1e6:.1f} MB; at most {self.limit / 1e6:.0f} can be sent. Save it smaller."
            return
        try:
            self.said = self._on_file(data, name) or f"{name}, {size / 1e3:.0f} kB"
        except TP2Error as error:
            self.said = f"✗ {' '.join(str(error).split())}"

    def _received(self, widget: Any, content: Any, buffers: Sequence[Any]) -> None:
        if isinstance(content, dict) and content.get("kind") == "file" and len(buffers) == 1:
            size, name = content.get("size"), content.get("name")
            whole = isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**53
            self.take(bytes(buffers[0]), name if isinstance(name, str) else "", size if whole else None)


class PhotoPicker:
    """Choose a source photo and prepare it; nothing that is typed or uploaded names a file.

    The photos of the folder `inputs` are offered by name, `ledger` has those of earlier runs, and `on_change()` is called when another photo was chosen.
    """

    mask_as: str | None = None  # what a recipe calls the mask, where something of the photo is kept

    def __init__(self, inputs: Path = INPUTS, *, ledger: Ledger | None = None, on_change: Callable[[], Any] | None = None) -> None:
        self.inputs, self.ledger, self._on_change = Path(inputs), ledger, on_change or (lambda: None)
        self._given: Any = None  # bytes of an upload, a path of our own finding, or a picture that was not kept
        self._called = ""
        self._prepared: tuple[Any, Source] | None = None
        self.turn = threading.RLock()  # held by who asks for the photo and its name: a draft's thread does, while a hand takes another
        names = self.offered()
        look = {"style": {"description_width": "9em"}, "layout": {"width": "36em", "max_width": "100%"}}
        self.choice = widgets.Dropdown(
            options=_options(names), description="from inputs/",
            tooltip="the photos of the folder inputs", **look,
        )  # fmt: skip
        self.way = widgets.Dropdown(
            options=[(words, way) for way, words in _WAYS.items()], description="fit", tooltip="how a photo of another shape is fitted", **look
        )
        self.drop = DropZone("Drop a product photo here, or choose one (PNG, JPEG, WebP)", self._dropped)
        self.view = widgets.HTML()
        self.widget = widgets.VBox([self.choice, self.drop, self.way, self.view])
        self.choice.observe(lambda change: self._chosen(change["new"]), "value")
        self.way.observe(lambda change: self._on_change(), "value")
        if names:
            self.choose("product.jpg" if "product.jpg" in names else names[0])

    def offered(self) -> list[str]:
        """List the photos in the folder, by name."""
        try:
            return sorted(p.name for p in self.inputs.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())[:200]
        except OSError:
            return []

    def choose(self, name: str) -> None:
        """Take a photo of the folder by its name; raise SourceError where it has none of this name."""
        names = self.offered()
        if name not in names:  # so that no path leads out of the folder
            raise SourceError(f"{self.inputs.name}/ has no photo {shown(name)}.{did_you_mean(name, names) or ' Drop yours instead.'}")
        self._take(self.inputs / name, f"{self.inputs.name}/{name}")
        if name not in dict(self.choice.options):  # it was put there since
            self.choice.options = _options(names)
        self.choice.value = name

    def upload(self, data: bytes, name: str = "the upload") -> None:
        """Take an uploaded photo; raise SourceError unless it is a whole PNG, JPEG or WebP picture of an allowed size."""
        prepare_source(data, 64, 64)  # refused here, before it takes the old photo's place
        self._take(bytes(data), " ".join(name.split())[:80])

    def use(self, run: Any) -> None:
        """Take the picture of an earlier run."""
        if getattr(run, "image", None) is None:
            raise SourceError("that run has no picture to start from. Choose another run.")
        self._take(getattr(run, "path", None) or run.image, f"the picture of run {run.key[:8]}")

    def recall(self, source: str, mask: str | None = None) -> None:
        """Take the photo that a recalled recipe names, by its hash, with its mask, or one of the folder; raise SourceError where it is not kept here."""
        if source.startswith("sha256:"):
            kept = self.ledger.find_source(source) if self.ledger else None
            if kept is None:
                raise SourceError(f"the photo {source[:20]}… is not kept here. Drop the photo itself.")
            self._take(kept, f"the kept photo {source[7:15]}")
            self.mask_as = mask
        else:
            self.choose(Path(source.replace("\\", "/")).name)

    def prepare(self, width: int, height: int) -> Source:
        """Return the photo as the model gets it, and show it with what was done to it; raise SourceError where there is none that can be used."""
        with self.turn:
            if self._given is None:
                raise SourceError("no photo is chosen. Drop one, or choose one from inputs/.")
            key = (width, height, self.way.value)
            if self._prepared is None or self._prepared[0] != key:
                source = prepare_source(self._given, width, height, resize=self.way.value)
                if isinstance(self._given, Path) and self._given.stem == source.pixels_sha256:  # as a ledger kept it
                    source = reopen_source(self._given)
                self._prepared = key, source
                self._show(self._prepared[1])
            return self._prepared[1]

    def name_of(self, source: Source) -> str:
        """Return what a recipe calls the photo: its path, where that alone leads to these pixels, else their hash."""
        own = isinstance(self._given, Path) and self._called.startswith(f"{self.inputs.name}/")
        return self._called if own and self.way.value == "crop" else f"sha256:{source.pixels_sha256}"

    def _take(self, given: Any, called: str) -> None:
        with self.turn:
            self._given, self._called, self._prepared = given, called, None
            if called != f"{self.inputs.name}/{self.choice.value}":
                self.choice.value = ""
            self._on_change()

    def _chosen(self, name: str) -> None:
        if name and f"{self.inputs.name}/{name}" != self._called:
            try:
                self.choose(name)
            except SourceError as error:
                self._given, self._called, self._prepared = None, "", None  # another photo than the one that is named must not be used
                self.fail(error)

    def _dropped(self, data: bytes, name: str) -> str:
        self.upload(data, name)
        return f"{name}, {len(data) / 1e3:.0f} kB: taken.{_settings_in(data)}"

    def fail(self, error: Exception) -> None:
        """Say in the photo's place why there is none."""
        self.view.value = status_html(error, error=True)

    def _show(self, source: Source) -> None:
        alt = f"The source photo, prepared: {self._called}"
        picture = image_html(source.image, alt=alt, caption=f"{self._called}, as the model gets it")
        self.view.value = str(HTML.prepared(picture, source, f"pixels {source.pixels_sha256[:12]}…"))


def _options(names: Sequence[str]) -> list[tuple[str, str]]:
    return [("choose …", ""), *((name, name) for name in names)]


def _settings_in(data: bytes) -> str:
    """Say which settings a photo carries; they are not those of the picture to be made."""
    try:
        reading = read_recipe(data)
    except RecordError:  # a photo, as most are
        return ""
    return f" It was made with settings of its own, which stay unused here; drop it in the gallery to use them. {reading}"
