"""Pictures that contain their recipe: written completely or not at all, and read as untrusted files.

A PNG of ours holds three texts: ``parameters`` (what other tools read), ``tp2`` (versioned JSON, the
truth), and XMP with IPTC's DigitalSourceType. What is read from a file never names a model or a path
that gets loaded unless the caller says that the file is trusted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tp2lib.errors import OutputError, RecordError, SourceError, did_you_mean, shown
from tp2lib.metadata.infotext import to_infotext
from tp2lib.metadata.pixels import bare, open_image, pixels_sha256
from tp2lib.metadata.readings import KNOWN_MODELS, Reading
from tp2lib.metadata.record import (
    COMPOSITE,
    GENERATED,
    PADDING,
    RECORD_VERSION,
    digital_source_type,
    dump_json,
    exif_with_user_comment,
    is_sha256,
    load_record,
    user_comment,
    xmp_packet,
)
from tp2lib.metadata.tools import carried_texts, read_texts
from tp2lib.recipe import KNOWN_MASKS, Recipe
from tp2lib.storage.files import write_atomically

_MODEL_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")  # of the catalogue, or of the hub: owner/name
_MODEL = re.compile(r'(?<=, Model: )(?:"((?:\\.|[^\\"\n])+)"|[^",\n][^,\n]*)')  # in the parameters text, quoted or not
_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def save_picture(
    image: Image.Image,
    path: str | os.PathLike[str],
    record: Mapping[str, Any],
    recipe: Recipe,
    *,
    composite: bool = False,
    infotext: Mapping[str, object] | None = None,
) -> str:
    """Write an RGB picture as PNG with its recipe, record and origin mark, atomically, read it back, and return the SHA-256 of its pixels.

    `record` is what is to be known about the run, as values JSON can hold, half a megabyte at most; the keys ``tp2``, ``recipe``, ``pixels_sha256`` and
    ``digital_source_type`` are added here. With `composite`, for image to image, IPTC's term says that a photo went in. `infotext` are more pairs for the
    ``parameters`` text, such as ``{"Model": "vitrine"}``. RecordError is raised for a record that JSON cannot hold, that is too large, or that contradicts an
    added key.
    """
    if not isinstance(image, Image.Image) or image.mode != "RGB":
        raise OutputError(f"the image is {shown(image)}; it must be a PIL image of mode RGB. Use image.convert('RGB').")
    if Path(path).suffix.lower() != ".png":
        raise OutputError(f"the path is {shown(str(path))}; it must end in .png. export_picture writes JPEG and WebP.")
    if not isinstance(record, Mapping):
        raise RecordError(f"the record is {shown(record)}; it must be a dictionary. Wrap it in one.")
    digest = pixels_sha256(image)
    added = {"tp2": RECORD_VERSION, "recipe": recipe.to_dict(), "pixels_sha256": digest, "digital_source_type": COMPOSITE if composite else GENERATED}
    for key, true in added.items():
        if key in record and record[key] != true:
            raise RecordError(f"the record says {key}={shown(record[key])} but it is {shown(true)}; leave {key} out of it.")
    pairs = {"Size": f"{image.width}x{image.height}", **(infotext or {}), "Version": "tp2lib"}
    texts = {"parameters": to_infotext(recipe, **pairs), "tp2": dump_json({**record, **added})}
    _write_png(image, path, texts, composite, digest)
    return digest


def read_record(path: str | os.PathLike[str] | bytes, *, intact: bool = True) -> dict[str, Any]:
    """Return the ``tp2`` record of a picture: what :func:`save_picture` was given, and what it added.

    The record is a claim, not a proof: nothing in it is loaded, and its recipe is only checked.

    Parameters
    ----------
    path : path or bytes
        A PNG.
    intact : bool, default True
        Refuse a picture whose pixels are not those that were recorded.

    Raises
    ------
    RecordError
        No such file, damaged, no record, one that is malformed, newer or too large, altered pixels.
    """
    image = _opened(path)
    record = _record(image)
    if record is None:
        try:
            told = " It holds these: " + " ".join(str(read_texts(carried_texts(image))).splitlines())
        except RecordError:
            told = ""
        raise RecordError(
            f"{_named(path)} carries no tp2 record; it was not made by tp2lib, or something stripped it. read_recipe, or `tp2 read`, finds other tools' settings.{told}"
        )
    if intact and record["pixels_sha256"] != pixels_sha256(image):
        raise RecordError(
            f"{_named(path)} was altered after it was made: its pixels are not those of its record. Use the original, or read it with intact=False."
        )
    return record


def read_recipe(path: str | os.PathLike[str] | bytes, *, trusted: bool = False) -> Reading:
    """Return the recipe in a picture (PNG, JPEG, WebP), from our record or from what another tool wrote, and where each setting comes from.

    Parameters
    ----------
    path : path or bytes
        The picture.
    trusted : bool, default False
        Without it, a `model` that is not one of ours becomes ``"auto"`` and a `source` becomes
        ``"sha256:…"`` (the prepared photo's pixels, as the ledger files them), so that running the
        recipe opens nothing that a stranger chose. With it, our own record's recipe is returned as recorded.

    Returns
    -------
    Reading
        Its `recipe`; and what was found, assumed and ignored.

    Raises
    ------
    RecordError
        No such file, damaged, no recipe in it, or one that cannot be.
    """
    image = _opened(path)
    record = _record(image)
    if record is None:
        try:
            return read_texts(carried_texts(image))
        except RecordError as error:
            raise RecordError(f"{_named(path)}: {error}") from None
    recipe, assumed = Recipe.from_dict(record["recipe"]), {}
    altered = record["pixels_sha256"] != pixels_sha256(image)
    notes = ("The picture was altered after it was made; the settings are those of its making.",) if altered else ()
    if not trusted:
        if recipe.model not in KNOWN_MODELS:
            assumed["model"] = "auto"
        if recipe.source is not None:
            known = record.get("source")
            digest = known.get("pixels_sha256") if isinstance(known, dict) else None
            assumed["source"] = f"sha256:{digest if is_sha256(digest) else 'unknown'}"
        if recipe.mask not in (None, *KNOWN_MASKS):
            assumed["mask"] = "auto"
    ignored = {name: str(getattr(recipe, name)) for name in assumed}
    silent = () if recipe.mask else ("grow", "feather")  # they say something of a mask alone
    found = {name: value for name, value in recipe.to_dict().items() if name not in (*assumed, *silent) and value is not None}
    return Reading(recipe=recipe.vary(**assumed), tool="tp2lib", found=found, assumed=assumed, ignored=ignored, notes=notes)


def export_picture(path: str | os.PathLike[str], to: str | os.PathLike[str], *, quality: int = 95) -> Path:
    """Write a copy for publication as PNG, JPEG or WebP (by its suffix) that keeps its mark of origin.

    The copy carries the XMP mark and the WebUI's parameters (EXIF UserComment in JPEG and WebP). A
    PNG copy keeps the record too. Folders are left out: of the source photo, its mask and the model, the names stay.

    Raises
    ------
    RecordError
        The picture bears no mark of origin that could be kept.
    OutputError
        An unknown suffix, a bad quality, or a file that cannot be written.
    """
    kind = _SUFFIXES.get(Path(to).suffix.lower())
    if kind is None:
        hint = did_you_mean(Path(to).suffix.lower(), _SUFFIXES)
        raise OutputError(f"{shown(str(to))} must end in one of {', '.join(_SUFFIXES)}. Rename the copy.{hint}")
    if not isinstance(quality, int) or isinstance(quality, bool) or not 1 <= quality <= 100:
        raise OutputError(f"quality is {shown(quality)}; it must be a whole number from 1 to 100. 95 is usual.")
    image = _opened(path)
    mark = digital_source_type(image)
    if mark not in (GENERATED, COMPOSITE):
        raise RecordError(f"{_named(path)} has DigitalSourceType {shown(mark)}; only {GENERATED} or {COMPOSITE} can be kept. Export the PNG that tp2lib wrote.")
    record, text = _record(image), image.info.get("parameters")
    text = text if isinstance(text, str) else user_comment(image)
    if text is not None:
        prompts, mark_of_settings, settings = text.rpartition("\nSteps: ")
        settings = _MODEL.sub(lambda found: f'"{known_as(found[1])}"' if found[1] else known_as(found[0]), settings)
        text = prompts + mark_of_settings + settings
    if image.mode != "RGB":
        raise RecordError(f"{_named(path)} is {image.mode}; tp2lib's pictures are RGB. Export the PNG it wrote.")
    if kind == "PNG":
        texts = {} if text is None else {"parameters": text}
        if record is not None:
            texts["tp2"] = dump_json(published(record))
        return _write_png(image, to, texts, mark == COMPOSITE, pixels_sha256(image))
    options: dict[str, Any] = {"quality": quality, "xmp": xmp_packet(mark == COMPOSITE)}
    if text is not None:
        options["exif"] = exif_with_user_comment(text)
    options |= {"subsampling": 0} if kind == "JPEG" else {"method": 4}

    def check(written: Path) -> None:
        copy = _opened(written)
        wanted = {"mark of origin": mark, "settings": text and text.strip(PADDING), "size": image.size}
        there = digital_source_type(copy), user_comment(copy), copy.size
        if lost := [part for part, kept in zip(wanted, there, strict=True) if kept != wanted[part]]:
            raise OutputError(f"{shown(str(to))} did not keep its {' and '.join(lost)}. Export it as PNG instead.")

    return write_atomically(to, lambda file: bare(image).save(file, kind, **options), check)


def _write_png(image: Image.Image, path: str | os.PathLike[str], texts: Mapping[str, str], composite: bool, digest: str) -> Path:
    chunks = PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)  # Latin-1 where it fits, else UTF-8: the WebUI's own habit
    chunks.add_itxt("XML:com.adobe.xmp", xmp_packet(composite).decode())

    def check(written: Path) -> None:
        copy = _opened(written)
        if pixels_sha256(copy) != digest or any(copy.info.get(key) != text for key, text in texts.items()):
            raise OutputError(f"{shown(str(path))} differs from what was written; the disk may be failing.")

    return write_atomically(path, lambda file: bare(image).save(file, "PNG", pnginfo=chunks), check)


def published(record: dict[str, Any]) -> dict[str, Any]:
    """Cut the paths in a record to the file's name, and return it: a home folder is nobody's business."""
    for part, keys in (("recipe", ("source", "mask", "model")), ("source", ("path",)), ("effective", ("model", "vae"))):
        holder = known if isinstance(known := record.get(part), dict) else {}
        for key in keys:
            if isinstance(holder.get(key), str):
                holder[key] = known_as(holder[key]) if key in ("model", "vae") else PureWindowsPath(holder[key]).name or key
    return record


def known_as(model: str) -> str:
    """Return what is published of a model's name: of a path its last part, any other name as it is."""
    return model if _MODEL_NAME.fullmatch(model) else PureWindowsPath(model).name or "model"


def _opened(path: str | os.PathLike[str] | bytes) -> Image.Image:
    try:
        return open_image(path)[0]
    except SourceError as error:
        raise RecordError(str(error)) from error


def _named(path: str | os.PathLike[str] | bytes) -> str:
    return shown(os.fspath(path), 200) if isinstance(path, (str, os.PathLike)) else "the uploaded file"


def _record(image: Image.Image) -> dict[str, Any] | None:
    """Return the checked ``tp2`` record of an open image, or None if it has none."""
    text = image.info.get("tp2")
    return None if text is None else load_record(text)
