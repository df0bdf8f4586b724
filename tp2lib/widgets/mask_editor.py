"""Edit a mask: the mask that was found is shown over the photo and corrected with brush, eraser and box."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from PIL import Image

from tp2lib.errors import SourceError
from tp2lib.metadata.mask import Mask
from tp2lib.metadata.source import Source, mask_source, reopen_source
from tp2lib.plots.display import image_html, status_html
from tp2lib.widgets.drop_zone import HTML, STATIC, PhotoPicker

_SIDE = 512  # pixels of the longer side, as the editor shows a photo
_BY_HAND = ", corrected by hand"


class MaskEditor(anywidget.AnyWidget):
    """A photo with its mask over it, in blue: `kept` is the mask as it is now, of the photo's own size, and `corrected` whether it was drawn on."""

    _esm = STATIC / "mask_editor.js"
    _css = STATIC / "widgets.css"
    photo = traitlets.Bytes().tag(sync=True)
    mask = traitlets.Bytes().tag(sync=True)
    drawn = traitlets.Bytes(help="the mask as it was corrected: what a view that is opened later starts from").tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)

    def __init__(self, on_change: Callable[[], Any]) -> None:
        super().__init__()
        self.kept: Mask | None = None
        self.corrected = False
        self._found: tuple[Image.Image, Mask] | None = None
        self._seen = np.zeros((0, 0), bool)
        self._on_change = on_change
        self.on_msg(self._received)

    def show_photo(self, image: Image.Image, mask: Mask) -> None:
        """Show a photo and its mask."""
        self._found, self.kept, self.corrected = (image, mask), mask, False
        small = image.copy()
        small.thumbnail((_SIDE, _SIDE))
        shrunk = mask.image.resize(small.size, Image.Resampling.BOX).point(lambda level: 255 * (level > 127))
        self._seen = np.asarray(shrunk) > 0
        with self.hold_sync():
            self.photo, self.mask, self.drawn = _png(small), _veil(shrunk), b""
        self._tell()

    def draw(self, seen: np.ndarray) -> None:
        """Take a mask as it is drawn, of the size at which the editor shows the photo; what was not drawn on keeps the edge that was found."""
        if self.kept is None or seen.shape != self._seen.shape:
            return
        changed, drawn = (np.asarray(Image.fromarray(one).resize(self.kept.size, Image.Resampling.NEAREST)) for one in (seen ^ self._seen, seen))
        self.kept = Mask(kept=np.where(changed, drawn, self.kept.kept), origin=f"{self.kept.origin.removesuffix(_BY_HAND)}{_BY_HAND}")
        self._seen, self.corrected = seen, True
        self.drawn = _veil(Image.fromarray(seen.astype(np.uint8) * 255))
        self._tell()
        self._on_change()

    def reset(self) -> None:
        """Show the mask as it was found."""
        if self._found:
            self.show_photo(*self._found)
            self._on_change()

    def _tell(self) -> None:
        if self.kept:
            sure = "" if self.kept.confidence is None else f", confidence {self.kept.confidence:.2f}"
            self.said = f"kept: {self.kept.share:.1%} of the photo, {self.kept.origin}{sure}"

    def _received(self, widget: Any, content: Any, buffers: Sequence[Any]) -> None:
        kind = content.get("kind") if isinstance(content, dict) else None
        if kind == "reset":
            self.reset()
        if kind == "mask" and len(buffers) == 1 and len(buffers[0]) == self._seen.size:
            self.draw(np.frombuffer(bytes(buffers[0]), np.uint8).reshape(self._seen.shape) > 0)


class ProductPicker(PhotoPicker):
    """Choose a photo, and what of it is kept, with the mask editor `editor`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._source: Source | None = None
        self._doubts: list[str] = []
        self.edges = (0, 0)  # grow and feather, for the view
        self.editor = MaskEditor(lambda: self._on_change())
        super().__init__(*arguments, **options)
        self.widget.children = (self.choice, self.drop, self.editor, self.view)

    def prepare(self, width: int, height: int) -> Source:
        """Return the photo, at its own size, with the mask as it is now; a model paints around it at the size that it chooses."""
        with self.turn:
            if self._given is None:
                raise SourceError("no photo is chosen. Drop one, or choose one from inputs/.")
            if self._source is None:
                self._source, self._doubts = _masked(self._given)
                if self._source.mask:
                    self.editor.show_photo(self._source.image, self._source.mask)
            mask = self.editor.kept
            if mask is None or not mask.kept.any():
                raise SourceError(" ".join([*self._doubts, "Paint over the product with the brush."]))
            source = self._source.with_mask(mask.check())
            self._show(source)
            return source

    def name_of(self, source: Source) -> str:
        """Return what a recipe calls the photo: its path, where that alone leads to photo and mask, else their hash."""
        own = isinstance(self._given, Path) and self._called.startswith(f"{self.inputs.name}/") and not self.editor.corrected
        return self._called if own else f"sha256:{source.pixels_sha256}"

    def _take(self, given: Any, called: str) -> None:
        with self.turn:
            self._source, self.mask_as = None, "auto"
            super()._take(given, called)

    def _show(self, source: Source) -> None:
        from tp2lib.engine.inpainting import put_back

        small, mask = source.image.copy(), source.mask
        grow, feather = self.edges
        if mask is None:
            return
        small.thumbnail((_SIDE, _SIDE))
        scale = small.width / source.image.width
        shrunk = Mask.of(mask.image.resize(small.size, Image.Resampling.BOX), mask.origin).grown(round(grow * scale))
        alt = "What is kept, on grey"
        shown = put_back(Image.new("RGB", small.size, "#8a8a8a"), small, shrunk, round(feather * scale)) if shrunk.kept.any() else small
        doubt = status_html(f"{' '.join(self._doubts)} Look at the mask, and correct it.", error=True) if self._doubts else ""
        self.view.value = str(HTML.prepared(f"{doubt}{image_html(shown, alt=alt, caption='what is kept, on grey')}", source))


def _masked(given: Any) -> tuple[Source, list[str]]:
    """Return a photo with its mask, and why the mask needs a look; with an empty one where no product is found, to be drawn on."""
    from tp2lib.engine.inpainting import cut_out

    if isinstance(given, Path) and given.parent.name == "sources":
        kept = reopen_source(given)
        if kept.mask:
            return kept, []
    try:
        source = cut_out(given)
    except SourceError as error:
        doubt = " ".join(str(error).split())
        return mask_source(given, lambda image, alpha: (Mask(kept=np.zeros(image.size[::-1], bool), origin="nothing was found"), [])), [doubt]
    return source, [] if source.chain[-1].startswith("mask ") else [source.chain[-1]]


def _veil(kept: Image.Image) -> bytes:
    """Return a white picture that is opaque where a grey one is white."""
    clear = Image.new("RGBA", kept.size, "white")
    clear.putalpha(kept)
    return _png(clear)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
