"""Prepare source photos for image to image: open them safely, convert them to RGB, record every step.

diffusers takes an RGBA or CMYK picture for *latents* without an error, ignores EXIF orientation, and
shows black where a picture is transparent. A cut-out product photo has all three problems; this module solves them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from tp2lib.errors import RecordError, SourceError, did_you_mean, shown
from tp2lib.metadata.pixels import in_srgb, loaded, open_image, pixels_sha256
from tp2lib.metadata.record import COMPOSITE, GENERATED, digital_source_type, dump_json, is_sha256, load_json, xmp_packet

if TYPE_CHECKING:
    from tp2lib.metadata.mask import Mask

RESIZE_MODES = ("crop", "fit", "pad")
MULTIPLE = 8  # pixels: a latent is 8 wide
_TEXT, _LONGEST = "tp2 source", 10_000  # the key of the text in a kept photo, and characters that are read of it
_KEPT = "kept with the photo"
OPAQUE = 128  # of 255: the opacity from which on a pixel belongs to the product
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A prepared source photo.

    `image` is RGB at the size asked for; `chain` says in order what was done to get there;
    `bytes_sha256` is the hash of the file as given (None for a picture in memory), `pixels_sha256`
    that of `kept_as`; `path` is the file's path as given, if there was one; `digital_source_type` is
    IPTC's, GENERATED or COMPOSITE, where the file says that a model made it: then it is no photo;
    `mask` says what of it stays, where something does: then `image` has the photo's own size.
    """

    image: Image.Image = field(repr=False)
    chain: tuple[str, ...]
    bytes_sha256: str | None
    pixels_sha256: str
    path: str | None
    digital_source_type: str | None = None
    mask: Mask | None = None

    @property
    def kept_as(self) -> Image.Image:
        """The picture that a ledger keeps: `image`, with the mask as its alpha channel where there is one."""
        return self.image if self.mask is None else _with_alpha(self.image, self.mask)

    def described(self) -> dict[str, Any]:
        """Return what a record says of the photo, as JSON values; of a path with a root, whose folders can name their owner, the file's name."""
        path = PureWindowsPath(self.path or "")
        known = {name: getattr(self, name) for name in ("bytes_sha256", "pixels_sha256", "digital_source_type")}
        known |= {"path": path.name if path.anchor else self.path, "chain": list(self.chain)}
        return known | ({"mask": self.mask.origin, "mask_confidence": self.mask.confidence} if self.mask else {})

    def chunks(self) -> PngInfo:
        """Return what stands beside the pixels in the file that keeps the photo: where it is from, and its mark of origin."""
        chunks = PngInfo()
        chunks.add_text(_TEXT, dump_json(self.described()))
        if self.digital_source_type:
            chunks.add_itxt("XML:com.adobe.xmp", xmp_packet(self.digital_source_type == COMPOSITE).decode())
        return chunks

    def with_mask(self, mask: Mask) -> Source:
        """Return the photo with another mask, of the same size."""
        return replace(self, mask=mask, pixels_sha256=pixels_sha256(_with_alpha(self.image, mask)))


def prepare_source(
    image_or_path: Image.Image | str | os.PathLike[str] | bytes, width: int, height: int, resize: str = "crop", background: str = "#ffffff"
) -> Source:
    """Turn a photo into the RGB picture of the right size that image to image starts from.

    In this order: EXIF orientation, embedded colour profile to sRGB, 16-bit, palette, grey and CMYK
    to RGB, transparency flattened on `background`, Lanczos resize.

    Parameters
    ----------
    image_or_path : PIL image, path, or bytes
        PNG, JPEG or WebP, complete, within the limits of :mod:`tp2lib.metadata.pixels`.
    width, height : int
        Target size in pixels, multiples of 8.
    resize : {"crop", "fit", "pad"}, default "crop"
        ``"crop"`` fills the target and cuts what stands out, evenly on both sides; ``"pad"`` shows
        the whole photo with `background` around it; ``"fit"`` shrinks the target to the photo's
        shape, rounded down to multiples of 8. None of them distorts.
    background : str, default "#ffffff"
        Colour under transparency and around a padded photo, as ``#rrggbb``.

    Returns
    -------
    Source
        The picture, the chain of acts, and the hashes of both ends.

    Raises
    ------
    SourceError
        No such file, not one of the three formats, too large, damaged, or an impossible target.
    """
    if resize not in RESIZE_MODES:
        hint = did_you_mean(resize, RESIZE_MODES)
        raise SourceError(f"resize is {shown(resize)}; it must be one of {', '.join(RESIZE_MODES)}.{hint}")
    if not (isinstance(background, str) and _COLOUR.fullmatch(background)):
        raise SourceError(f"background is {shown(background)}; it must be a colour such as '#ffffff' for white.")
    for name, value in (("width", width), ("height", height)):
        if not isinstance(value, int) or isinstance(value, bool) or not MULTIPLE <= value <= 8192 or value % MULTIPLE:
            raise SourceError(f"{name} is {shown(value)}; it must be a multiple of {MULTIPLE} from {MULTIPLE} to 8192.")
    image, chain, known = _opened(image_or_path)
    image = _resized(_flattened(image, background.lower(), chain), (width, height), resize, background.lower(), chain)
    return Source(image=image, chain=tuple(chain), pixels_sha256=pixels_sha256(image), **known)


def mask_source(
    image_or_path: Image.Image | str | os.PathLike[str] | bytes, find: Callable[[Image.Image, Image.Image | None], tuple[Mask, Sequence[str]]]
) -> Source:
    """Open a photo at its own size, upright and in sRGB, with the mask of what is kept of it.

    Pixels of an opacity of one half and more keep their own colour, the others are flattened on white. `find` gets the photo, RGB, and its alpha channel, or
    None; it returns the mask, and what it did to get there.
    """
    opened, chain, known = _opened(image_or_path)
    alpha = opened.getchannel("A") if opened.mode == "RGBA" else None
    image = _flattened(opened, "#ffffff", chain)
    if alpha is not None:
        image.paste(opened.convert("RGB"), mask=alpha.point(lambda level: 255 * (level >= OPAQUE)))
    mask, acts = find(image, alpha)
    return Source(image=image, chain=(*chain, *acts), pixels_sha256=pixels_sha256(_with_alpha(image, mask)), mask=mask, **known)


def reopen_source(path: str | os.PathLike[str]) -> Source:
    """Open a source photo as a ledger kept it, with its mask if it has one, and what was noted of where it is from."""
    image = open_image(path)[0]
    told, of_mask = _told(image)
    if image.mode != "RGBA":
        return replace(prepare_source(path, *image.size), **told)
    from tp2lib.metadata.mask import Mask  # brings NumPy and SciPy

    mask = replace(Mask.of(image.getchannel("A"), _KEPT), **of_mask)
    known = {"chain": (f"read the kept photo {image.width}x{image.height} and its mask",), "bytes_sha256": None, "path": os.fspath(path)} | told
    return Source(image=image.convert("RGB"), pixels_sha256=pixels_sha256(image), digital_source_type=_maker(image), mask=mask, **known)


def _told(image: Image.Image) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a kept photo's text says, as fields of `Source` and of its mask; the text is untrusted, and nothing where it cannot be."""
    text = image.info.get(_TEXT, "")
    try:
        known = load_json(text)
        chain, path, digest = tuple(known["chain"]), known["path"], known["bytes_sha256"]
        origin, confidence = known.get("mask", _KEPT), known.get("mask_confidence")
        sound = all(isinstance(one, str) for one in (*chain, origin, "" if path is None else path)) and (digest is None or is_sha256(digest))
        if sound and len(text) <= _LONGEST and (confidence is None or 0 <= confidence <= 1):
            return {"chain": chain, "path": path, "bytes_sha256": digest}, {"origin": origin, "confidence": confidence}
    except (RecordError, LookupError, TypeError):
        pass
    return {}, {"origin": _KEPT}


def _with_alpha(image: Image.Image, mask: Mask) -> Image.Image:
    both = image.copy()
    both.putalpha(mask.image)
    return both


def _opened(image_or_path: Image.Image | str | os.PathLike[str] | bytes) -> tuple[Image.Image, list[str], dict[str, Any]]:
    """Return a photo upright and in sRGB, as RGB or RGBA; what was done; and where it is from, as fields of `Source`."""
    digest = path = None
    if isinstance(image_or_path, Image.Image):
        image = loaded(image_or_path, "the image")
        chain = [f"read {image.mode} {image.width}x{image.height} from memory"]
    else:
        image, digest = open_image(image_or_path)
        path = os.fspath(image_or_path) if isinstance(image_or_path, (str, os.PathLike)) else None
        chain = [f"read {image.format} {image.mode} {image.width}x{image.height}"]
        if (frames := getattr(image, "n_frames", 1)) > 1:
            chain.append(f"took the first of {frames} frames")
    if made := _maker(image):
        chain.append(f"its mark of origin says that a model made it ({made.rpartition('/')[2]})")
    try:
        return in_srgb(image, chain), chain, {"bytes_sha256": digest, "path": path, "digital_source_type": made}
    except Exception as error:  # from KeyError to struct.error
        raise SourceError(f"the photo cannot be converted to RGB ({shown(error)}). Save it again as PNG.") from error


def _maker(image: Image.Image) -> str | None:
    return kind if (kind := digital_source_type(image)) in (GENERATED, COMPOSITE) else None


def _flattened(image: Image.Image, background: str, chain: list[str]) -> Image.Image:
    if image.mode != "RGBA":
        return image
    if any(image.getchannel("A").histogram()[:255]):
        chain.append(f"transparency flattened on {background}")
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")


def _resized(image: Image.Image, size: tuple[int, int], resize: str, background: str, chain: list[str]) -> Image.Image:
    (width, height), (from_width, from_height) = size, image.size
    scale = min(width / from_width, height / from_height)
    if resize == "fit":
        width, height = (int(side * scale + 1e-6) // MULTIPLE * MULTIPLE for side in image.size)
        if not (width and height):
            raise SourceError(
                f"the photo has {from_width}x{from_height} pixels, too thin to fit {size[0]}x{size[1]} in multiples of {MULTIPLE}. Use resize='pad' or 'crop'."
            )
    if resize == "pad":
        inner = max(1, round(from_width * scale)), max(1, round(from_height * scale))
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        canvas = Image.new("RGB", (width, height), background)
        canvas.paste(image.resize(inner, Image.Resampling.LANCZOS), (left, top))
        chain.append(f"scaled to {inner[0]}x{inner[1]}, padded with {background} to {width}x{height}")
        return canvas
    if (width, height) == image.size:
        return image
    if width * from_height != height * from_width:
        cover = max(width / from_width, height / from_height)
        kept = width * height / cover**2 / (from_width * from_height)
        chain.append(f"cut to the middle {100 * kept:.1f} %")
    chain.append(f"scaled to {width}x{height} (Lanczos)")
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
