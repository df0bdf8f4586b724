"""The marks that travel inside a picture: IPTC's "made by a model" in XMP, the WebUI's text in EXIF.

Google Merchant Center asks for the first on every generated product image, and the EU AI Act
(art. 50) for a machine-readable mark; WebUI readers look for the second in JPEG and WebP.
"""

from __future__ import annotations

import re
import struct

from PIL import Image

__all__ = ["COMPOSITE", "GENERATED", "digital_source_type", "exif_tags", "exif_with_user_comment", "user_comment", "xmp_packet"]

_TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = _TERMS + "trainedAlgorithmicMedia"
COMPOSITE = _TERMS + "compositeWithTrainedAlgorithmicMedia"  # image to image: a photo went in

MAX_XMP, _MAX_COMMENT = 64 * 1024, 2**21  # bytes
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_TYPE = re.compile(rb"DigitalSourceType\s{0,8}(?:=\s{0,8}[\"']|>\s{0,80})(http[^\"'<>\s]{1,200})")


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
    """Return the IPTC DigitalSourceType address in an open image's XMP, or None; searched as bytes, not parsed: a hostile packet has nothing to expand."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    packet = packet.encode("utf-8", "replace") if isinstance(packet, str) else packet
    found = _TYPE.search(packet[:MAX_XMP]) if isinstance(packet, bytes) else None
    return found[1].decode("ascii", "replace") if found else None


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

    UTF-16 is read in both byte orders, for Windows' tools write the other one, and the order that gives text wins: texts of
    settings are full of commas, colons and blanks, which the wrong order turns into signs of other scripts.
    """
    raw = exif_tags(image, _EXIF_IFD).get(_USER_COMMENT)
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, bytes) or len(raw) <= 8:
        return None
    kind, text = raw[:8], raw[8 : 8 + _MAX_COMMENT]
    if kind == b"UNICODE\0":
        orders = [text.decode(order, "replace") for order in ("utf-16-be", "utf-16-le")]
        best = max(orders, key=lambda one: sum(character.isascii() for character in one[:4000]) - 2 * one.count("\ufffd"))
        return None if "\ufffd" in best else best.strip("\ufeff\0")
    try:
        return text.decode("utf-8").strip("\0") if kind in (b"ASCII\0\0\0", bytes(8)) else None
    except UnicodeDecodeError:
        return None


def exif_tags(image: Image.Image, folder: int | None = None) -> dict[int, object]:
    """Return the EXIF tags of an open image, of one of its folders if given; none where they cannot be read."""
    try:
        exif = image.getexif()
        return dict(exif if folder is None else exif.get_ifd(folder))
    except Exception:  # Pillow's EXIF reader raises many kinds on damaged data
        return {}
