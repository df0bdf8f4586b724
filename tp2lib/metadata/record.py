"""The metadata of our pictures: a versioned JSON record, IPTC's "made by a model" in XMP, the WebUI's text in EXIF.

The record is written strictly and read as untrusted text. Google Merchant Center asks for the mark in XMP on every generated product
image, and the EU AI Act (art. 50) for a machine-readable one; WebUI readers look for their text in JPEG and WebP.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import Image

from tp2lib.errors import RecipeError, RecordError, shown
from tp2lib.recipe import Recipe
from tp2lib.settings import renamed_since_0_1

RECORD_VERSION = 1
MAX_RECORD = 512 * 1024  # characters of JSON: Pillow reads text chunks up to 1 MB
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(value: object) -> bool:
    """Return whether `value` is 64 lower-case hex digits."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def dump_json(record: Mapping[str, Any]) -> str:
    """Return `record` as one line of ASCII JSON; raise RecordError for what JSON cannot hold (NaN and arrays included), or more than `MAX_RECORD`."""
    if not isinstance(record, Mapping):
        raise RecordError(f"the record is {shown(record)}; it must be a dictionary. Wrap it in one.")
    try:
        text = json.dumps(dict(record), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError(f"the record cannot be kept as JSON ({error}). Use plain numbers (no NaN), text, lists and dictionaries.") from error
    if len(text) > MAX_RECORD:
        raise RecordError(f"the record has {len(text)} characters; at most {MAX_RECORD} are kept. Shorten it.")
    return text


def load_json(text: str | bytes) -> dict[str, Any]:
    """Return the dictionary in a text of strict JSON; raise RecordError for anything else, NaN, 1e999 and too much depth or length included."""
    if not isinstance(text, (str, bytes)) or len(text) > MAX_RECORD:
        raise RecordError(f"the record is {shown(text, 40)}; it must be text of at most {MAX_RECORD} characters. Use the original file.")
    try:
        record = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"the record is not JSON ({shown(error)}). It was damaged or forged; use the original file.") from None
    if not isinstance(record, dict):
        raise RecordError(f"the record is {shown(record)}; it must be a dictionary. tp2lib did not write it.")
    return record


def load_record(text: str | bytes) -> dict[str, Any]:
    """Return a picture's record in today's names; raise RecordError if version, pixel hash or recipe is not as it must be."""
    record = load_json(text)
    version = record.get("tp2")
    if type(version) is not int or version != RECORD_VERSION:
        raise RecordError(
            f"the record's version is {shown(version)}; this tp2lib reads version {RECORD_VERSION}. If the version is higher, update tp2lib; otherwise use the original file."
        )
    if not is_sha256(record.get("pixels_sha256")):
        raise RecordError(
            f"the record's pixels_sha256 is {shown(record.get('pixels_sha256'))}; it must be 64 hex digits. It was damaged or forged; use the original file."
        )
    for part in ("recipe", "effective"):
        if isinstance(record.get(part), dict):
            record[part] = renamed_since_0_1(record[part])
    try:
        Recipe.from_dict(record.get("recipe"))
    except RecipeError as error:
        raise RecordError(f"the recipe in the record is not valid: {error}") from None
    return record


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text} is too large for a number")
    return number


PADDING = "\ufeff\0"  # a byte order mark and zeros, which tools put around a UserComment
_TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = _TERMS + "trainedAlgorithmicMedia"
COMPOSITE = _TERMS + "compositeWithTrainedAlgorithmicMedia"  # image to image: a photo went in

_MAX_XMP, _MAX_COMMENT = 64 * 1024, 2**21  # characters, bytes
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_TYPE = re.compile(r"DigitalSourceType\s{0,8}(?:=\s{0,8}[\"']|>\s{0,80})(http[^\"'<>\s]{1,200})")


def xmp_packet(composite: bool) -> bytes:
    """Return the XMP packet that says a model made the picture, from a photo if `composite`."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="tp2lib"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' Iptc4xmpExt:DigitalSourceType="{COMPOSITE if composite else GENERATED}"/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def digital_source_type(image: Image.Image) -> str | None:
    """Return the IPTC DigitalSourceType address in an open image's XMP, or None; searched, not parsed, so that an untrusted packet cannot expand entities."""
    found = _TYPE.search(xmp_of(image)[:_MAX_XMP])
    return found[1] if found else None


def xmp_of(image: Image.Image) -> str:
    """Return the XMP packet of an open image as text; empty where there is none."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or ""
    return packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)


def exif_with_user_comment(text: str) -> bytes:
    """Return EXIF whose UserComment is `text`, in the UTF-16 form that the WebUI writes and reads.

    Packed by hand, for Pillow would give the tag type 1 (byte) where the standard says 7 (undefined).
    """
    comment = b"UNICODE\0" + text.encode("utf-16-be")
    header = b"Exif\0\0" + struct.pack(">2sHI", b"MM", 42, 8)  # big-endian, first directory at byte 8
    first = struct.pack(">HHHIII", 1, _EXIF_IFD, 4, 1, 26, 0)  # one entry: the EXIF directory is at byte 26
    return header + first + struct.pack(">HHHIII", 1, _USER_COMMENT, 7, len(comment), 44, 0) + comment


def user_comment(image: Image.Image) -> str | None:
    """Return the UserComment of an open image's EXIF, or None when there is none that can be read.

    UTF-16 is read in both byte orders, for Windows' tools write the other one, and of two that can be read the one with more of ASCII wins: texts of
    settings are full of commas, colons and blanks, which the wrong order turns into signs of other scripts.
    """
    raw = exif_tags(image, _EXIF_IFD).get(_USER_COMMENT)
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, bytes) or len(raw) <= 8:
        return None
    kind, text = raw[:8], raw[8 : 8 + _MAX_COMMENT]
    read = []
    for encoding in ("utf-16-be", "utf-16-le") if kind == b"UNICODE\0" else ("utf-8",) if kind in (b"ASCII\0\0\0", bytes(8)) else ():
        with contextlib.suppress(UnicodeDecodeError):
            read.append(text.decode(encoding).strip(PADDING))
    return max(read, key=lambda one: sum(character.isascii() for character in one[:4000]), default=None)


def exif_tags(image: Image.Image, folder: int | None = None) -> dict[int, object]:
    """Return the EXIF tags of an open image, of one of its folders if given; none where they cannot be read."""
    try:
        exif = image.getexif()
        return dict(exif if folder is None else exif.get_ifd(folder))
    except Exception:  # Pillow's EXIF reader raises many kinds on damaged data
        return {}
