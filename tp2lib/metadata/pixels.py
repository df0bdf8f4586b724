"""Open untrusted images: check the size before decoding, reject truncated files, hash the pixels."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import stat
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from tp2lib.errors import SourceError, did_you_mean, shown

FORMATS = ("PNG", "JPEG", "WEBP")  # the only decoders that are used: others had security holes
MAX_BYTES = 100_000_000
MAX_PIXELS = 89_478_485  # where Pillow starts to suspect a decompression bomb
_ROUNDING = 2  # of 255: what a conversion from sRGB to sRGB may change
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def pixels_sha256(image: Image.Image) -> str:
    """Return the SHA-256 of an image's mode, size and pixels (64 hex digits); metadata does not count."""
    width, height = image.size
    digest = hashlib.sha256(f"{image.mode} {width}x{height}\n".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def bare(image: Image.Image) -> Image.Image:
    """Return the pixels alone: an image's own info (profile, transparency) would be written too."""
    return Image.frombytes(image.mode, image.size, image.tobytes())


def eight_bits(image: Image.Image) -> Image.Image:
    """Return a picture of 16 bits as one of 8, with both ends kept; any other as it is."""
    if not image.mode.startswith("I;16"):
        return image
    shrunk = image.convert("I").point(lambda level: level * (1 / 257) + 0.5).convert("L")
    shrunk.info.pop("transparency", None)  # a 16-bit key colour has no 8-bit counterpart
    return shrunk


def in_srgb(image: Image.Image, chain: list[str]) -> Image.Image:
    """Return a picture upright and in sRGB, as RGB or RGBA, and add to `chain` what was done; on damaged EXIF and profiles, anything may be raised."""
    orientation = image.getexif().get(0x0112, 1)
    upright = ImageOps.exif_transpose(image)
    if upright is not image and orientation in range(2, 9):
        chain.append(f"turned upright (EXIF orientation {orientation})")
    profile = upright.info.get("icc_profile")
    mode = upright.mode
    upright = eight_bits(upright)
    if mode in ("I", "F"):
        raise ValueError(f"mode {mode} has no fixed range")
    transparent = upright.has_transparency_data
    if upright.mode not in ("RGB", "RGBA", "CMYK") or (transparent and upright.mode == "RGB"):
        upright = upright.convert("RGBA" if transparent else "RGB")
    upright = _to_srgb(upright, profile, chain)
    if mode != "RGB":
        chain.append(f"{mode} to RGB")
    return upright if transparent else upright.convert("RGB")


def _to_srgb(image: Image.Image, profile: bytes | None, chain: list[str]) -> Image.Image:
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, mode).apply(image)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        chain.append("colour profile ignored (unreadable, or for another kind of picture)")
        return image
    extrema: Any = ImageChops.difference(converted, image).getextrema() if converted.mode == image.mode else ()
    if extrema and max(most for _, most in extrema) <= _ROUNDING:
        return image  # sRGB itself, whatever its name is
    chain.append(f"colours from {shown(name, 40)} to sRGB")
    return converted


def open_image(path_or_bytes: str | os.PathLike[str] | bytes) -> tuple[Image.Image, str]:
    """Open and fully decode an untrusted PNG, JPEG or WebP file.

    Returns
    -------
    image : PIL.Image.Image
        Loaded, in the file's own mode, first frame.
    bytes_sha256 : str
        Hash of the very bytes that were decoded.

    Raises
    ------
    SourceError
        Missing, too large in bytes or pixels (checked before decoding), another format, damaged.
    """
    if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
        data, name = bytes(path_or_bytes[: MAX_BYTES + 1]), "the uploaded file"
    else:
        data, name = _read(path_or_bytes), shown(os.fspath(path_or_bytes), 200)
    if len(data) > MAX_BYTES:
        raise SourceError(f"{name} has more than {MAX_BYTES // 10**6} MB; a source photo may not. Save it smaller.")
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise SourceError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is True; with it, damaged photos pass for whole ones. Set it to False.")
    try:
        with _parsed(data) as image:
            image.verify()  # checksums of a PNG; it spoils the image for anything else
            if not _has_end(data):  # verify() and load() both forgive an end that is cut by a few bytes
                raise OSError("the end is missing")
        image = _parsed(data)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise SourceError(f"{name} has more than {MAX_PIXELS} pixels; a source photo may not. Scale it down.") from None
    except Exception as error:  # decoders raise many kinds of errors on damaged bytes
        why = "it looks like none of them" if isinstance(error, UnidentifiedImageError) else shown(error)
        raise SourceError(f"{name} is not a whole PNG, JPEG or WebP picture: {why}. Open it in an image editor, save it as PNG.") from error
    return loaded(image, name), hashlib.sha256(data).hexdigest()


def _parsed(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        given = Path(path)
        if not stat.S_ISREG(given.stat().st_mode):  # a pipe or a device would never end
            raise SourceError(f"{shown(path)} is not a file; give the path of a PNG, JPEG or WebP photo.")
        with open(given, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except SourceError:
        raise
    except FileNotFoundError:
        hint = did_you_mean(given.name, _neighbours(given)) or " Check the path; it starts at the current folder."
        if str(path).startswith("sha256:"):
            hint = " It names a photo by its pixels, as untrusted files do; give the photo itself."
        elif "://" in str(path):
            hint = " A web address is not opened; download the photo first."
        raise SourceError(f"there is no file {shown(path, 200)}.{hint}") from None
    except (OSError, ValueError, TypeError) as error:
        raise SourceError(f"{shown(path, 200)} cannot be read ({shown(error)}). Give the path of a PNG, JPEG or WebP photo.") from error


def _has_end(data: bytes) -> bool:
    """Return whether a PNG or JPEG has its end marker; what may follow it (motion photos do) is ignored."""
    if not data.startswith(b"\xff\xd8"):
        return _PNG_END in data or not data.startswith(b"\x89PNG")
    at = 2
    while data[at : at + 1] == b"\xff" and data[at : at + 2] != b"\xff\xda":  # segments, each with its length
        at += 1 if data[at + 1 : at + 2] == b"\xff" else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.find(b"\xff\xd9", at) > 0


def _neighbours(path: Path) -> list[str]:
    try:
        return [entry.name for entry in itertools.islice(path.parent.iterdir(), 1000)]
    except OSError:
        return []


def loaded(image: Image.Image, name: str) -> Image.Image:
    """Return `image` with its pixels decoded; raise SourceError, which calls it `name`, if it is damaged, empty, or of more than `MAX_PIXELS`."""
    if image.width * image.height > MAX_PIXELS:
        raise SourceError(f"{name} has {image.width}x{image.height} pixels; at most {MAX_PIXELS} are accepted. Scale it down.")
    try:
        image.load()
    except Exception as error:  # as above
        raise SourceError(f"{name} is damaged or cut off ({shown(error)}). Get the photo again.") from error
    if 0 in image.size:
        raise SourceError(f"{name} has {image.width}x{image.height} pixels; it must have at least one. Choose another.")
    return image
