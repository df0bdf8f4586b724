"""Two pictures on top of each other, and a slider that uncovers one of them."""

from __future__ import annotations

import io
import secrets
from typing import Any

import ipywidgets as widgets
from PIL import Image

from tp2lib.errors import SourceError, shown
from tp2lib.plots.display import image_html

__all__ = ["before_after"]


def before_after(before: Any, after: Any, *, alt_before: str, alt_after: str) -> widgets.VBox:
    """Return a before/after slider: left of the line the one picture, right of it the other.

    The pictures are sent to the browser once; the slider, which the keyboard moves too, sends a
    line of style only.

    Parameters
    ----------
    before, after : Run or PIL.Image.Image
        Of one size.
    alt_before, alt_after : str
        What there is to see on each, for those who do not see it.

    Raises
    ------
    SourceError
        The sizes differ, a run has no picture, or an alternative text is blank.
    """
    pair = [getattr(picture, "image", picture) for picture in (before, after)]
    for image in pair:
        if not isinstance(image, Image.Image):
            raise SourceError(f"the picture is {shown(image)}; give a PIL image, or a run that has one.")
    if pair[0].size != pair[1].size:
        sizes = " and ".join(f"{image.width}x{image.height}" for image in pair)
        raise SourceError(f"the pictures are {sizes}; to be laid on each other they must have one size. Resize one.")
    name = f"tp2-{secrets.token_hex(6)}"
    place = "position:absolute;left:0;top:0;width:100%;max-width:100%"
    images = [image_html(_png(one), alt=alt, style=place) for one, alt in zip(pair, (alt_before, alt_after), strict=True)]
    width, height = pair[0].size
    frame = f"position:relative;width:{width}px;max-width:100%;aspect-ratio:{width}/{height}"
    pictures = widgets.HTML(f'<div id="{name}" style="{frame}">{"".join(images)}</div>')
    slider = widgets.IntSlider(
        value=50, min=0, max=100, description="uncover", tooltip="percent of the width that shows the first picture",
        layout={"width": f"{max(width, 320)}px"},
    )  # fmt: skip
    style = widgets.HTML()

    def uncover(change: Any = None) -> None:
        style.value = f"<style>#{name} img:last-child {{ clip-path: inset(0 0 0 {slider.value}%) }}</style>"

    slider.observe(uncover, "value")
    uncover()
    return widgets.VBox([pictures, slider, style])


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
