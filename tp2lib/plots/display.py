"""How a notebook shows a picture: as PNG, with alternative text for screen readers; and two pictures under a before/after slider; HTML from templates."""

from __future__ import annotations

import base64
import html
import io
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Template
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tp2lib.errors import SourceError, shown

if TYPE_CHECKING:
    import ipywidgets as widgets
    from matplotlib.figure import Figure


def to_png(picture: Figure | Image.Image, *, alt: str) -> bytes:
    """Return a figure or a picture as PNG, with the alternative text as its PNG text ``Description``."""
    about = alt_text(alt)
    buffer = io.BytesIO()
    if isinstance(picture, Image.Image):
        text = PngInfo()
        text.add_itxt("Description", about)
        picture.save(buffer, "PNG", pnginfo=text)
    elif hasattr(picture, "savefig"):  # a figure; matplotlib is not loaded to ask
        options: dict[str, Any] = {"dpi": picture.dpi, "facecolor": "white", "bbox_inches": picture.bbox_inches, "transparent": False}
        picture.savefig(buffer, format="png", metadata={"Description": about, "Software": None}, **options)
    else:
        raise SourceError(f"the picture is {shown(picture)}; it must be a figure or a PIL image. Give run.image.")
    return buffer.getvalue()


def show(picture: Figure | Image.Image, *, alt: str, caption: str = "") -> None:
    """Show a figure or a picture in the notebook.

    JupyterLab drops the alternative text of plain images, so HTML is sent along, which keeps it.

    Parameters
    ----------
    picture : matplotlib.figure.Figure or PIL.Image.Image
    alt : str
        What the picture shows, for screen readers; required.
    caption : str, optional
        Words to stand under the picture.

    Raises
    ------
    SourceError
        `alt` is blank, or `picture` is neither.
    """
    from IPython.display import display

    png = to_png(picture, alt=alt)
    bundle = {
        "text/plain": f"[{alt_text(alt)}]" + (f"\n{caption}" if caption else ""),
        "text/html": image_html(png, alt=alt, caption=caption),
        "image/png": base64.b64encode(png).decode(),
    }
    display(bundle, raw=True, metadata={"image/png": {"alt": alt_text(alt)}})


def image_html(
    picture: Figure | Image.Image | bytes, *, alt: str, caption: str = "", quality: int | None = None, side: int | None = None, style: str = "max-width:100%"
) -> str:
    """Return an ``<img>`` that holds its own picture (bytes are a PNG already); `alt` and `caption` may be untrusted text.

    With a `quality` it is a JPEG, smaller, for what is only looked at; with a `side`, it has at most so many pixels a side.
    """
    words = html.escape(alt_text(alt))
    if isinstance(picture, Image.Image) and side is not None:
        picture = picture.copy()
        picture.thumbnail((side, side))
    if isinstance(picture, Image.Image) and quality is not None:
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "JPEG", quality=quality, subsampling=0)
        data, kind = buffer.getvalue(), "jpeg"
    else:
        data, kind = picture if isinstance(picture, bytes) else to_png(picture, alt=alt), "png"
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    image = f'<img src="{source}" alt="{words}" style="{style}">'
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>" if caption else image


def status_html(words: object, error: bool = False) -> str:
    """Return one line of untrusted text that a screen reader says when it changes, an error at once."""
    role, live, sign = ("alert", "assertive", "✗ ") if error else ("status", "polite", "")
    return f'<div role="{role}" aria-live="{live}">{sign}{html.escape(" ".join(str(words).split()))}</div>'


def alt_text(alt: Any) -> str:
    """Return an alternative text on one line.

    Raises
    ------
    SourceError
        It is blank.
    """
    if not isinstance(alt, str) or not alt.strip():
        raise SourceError(
            f"alt is {shown(alt)}; it must say what the picture shows, for screen readers. "
            'Write a sentence, such as alt="Six wallets; with more steps the stitches appear."'
        )
    return " ".join(alt.split())


def as_image(picture: Any) -> Image.Image:
    """Return the picture of a run, or the picture itself."""
    image = getattr(picture, "image", picture)
    if not isinstance(image, Image.Image):
        raise SourceError(f"the picture is {shown(picture)}; give a PIL image, or a run that has one.")
    return image


def macros(template: Path) -> Any:
    """Return the macros of a Jinja template of HTML; what is filled in is escaped."""
    return Template(template.read_text(encoding="utf-8"), autoescape=True, trim_blocks=True, lstrip_blocks=True).module


def before_after(before: Any, after: Any, *, alt_before: str, alt_after: str) -> widgets.VBox:
    """Return a before/after slider: left of the line the one picture, right of it the other.

    The pictures are sent to the browser once; the slider, which the keyboard moves too, sends a
    line of style only.

    Parameters
    ----------
    before, after : Run or PIL.Image.Image
        Of one size.
    alt_before, alt_after : str
        What each picture shows, for screen readers.

    Raises
    ------
    SourceError
        The sizes differ, a run has no picture, or an alternative text is blank.
    """
    import ipywidgets as widgets

    pair = [as_image(picture) for picture in (before, after)]
    if pair[0].size != pair[1].size:
        sizes = " and ".join(f"{image.width}x{image.height}" for image in pair)
        raise SourceError(f"the pictures are {sizes}; to be laid on each other they must have one size. Resize one.")
    name = f"tp2-{secrets.token_hex(6)}"
    place = "position:absolute;left:0;top:0;width:100%;max-width:100%"
    images = [image_html(one, alt=alt, style=place) for one, alt in zip(pair, (alt_before, alt_after), strict=True)]
    width, height = pair[0].size
    frame = f"position:relative;width:{width}px;max-width:100%;aspect-ratio:{width}/{height}"
    pictures = widgets.HTML(f'<div id="{name}" style="{frame}">{"".join(images)}</div>')
    slider = widgets.IntSlider(
        value=50, min=0, max=100, description="uncover", tooltip="percent of the width that shows the first picture",
        layout={"width": f"{max(width, 320)}px"},
    )  # fmt: skip
    style = widgets.HTML()
    widgets.dlink((slider, "value"), (style, "value"), lambda percent: f"<style>#{name} img:last-child {{ clip-path: inset(0 0 0 {percent}%) }}</style>")
    return widgets.VBox([pictures, slider, style])
