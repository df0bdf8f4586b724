"""The texts that a picture carries, wherever a tool puts them, and the one reader that takes them."""

from __future__ import annotations

import html
import re

from PIL import Image

from tp2lib.errors import RecordError
from tp2lib.metadata.infotext import from_infotext
from tp2lib.metadata.provenance import exif_tags, user_comment
from tp2lib.metadata.readings import Reading
from tp2lib.metadata.tools import TOOLS

__all__ = ["MAX_TEXT", "carried_texts", "read_texts"]

MAX_TEXT = 2**21  # characters: ComfyUI's graphs are the largest honest ones, of some 100,000
_MAKE, _MODEL, _DESCRIPTION = 0x010F, 0x0110, 0x010E
_PREFIX = re.compile(r"(prompt|workflow):(?=\s*\{)", re.IGNORECASE)
_XMP_COMMENT = re.compile(r"<exif:UserComment>.{0,400}?<rdf:li[^>]{0,200}>([^<]{0,200000})</rdf:li>", re.DOTALL)


def carried_texts(image: Image.Image) -> dict[str, str]:
    """Return the texts of an open image by their PNG keywords; those in EXIF and XMP under the keyword that PNG would have.

    ``parameters`` also from EXIF's UserComment, ``prompt`` and ``workflow`` also from its Make, Model or ImageDescription (ComfyUI's WebP), ``draw things``
    from XMP.
    """
    texts = {str(key): text for key, text in image.info.items() if isinstance(text, str)}
    if (comment := user_comment(image)) is not None:
        texts.setdefault("parameters", comment)
    tags = exif_tags(image)
    for tag in (_MODEL, _MAKE, _DESCRIPTION):
        if isinstance(text := tags.get(tag), str) and (found := _PREFIX.match(text)):
            texts.setdefault(found[1].lower(), text[found.end() :].strip("\0"))
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or ""
    packet = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
    if found := _XMP_COMMENT.search(packet[:MAX_TEXT]):  # searched, not parsed: a hostile packet has nothing to expand
        texts["draw things"] = html.unescape(found[1])
    return texts


def read_texts(texts: dict[str, str]) -> Reading:
    """Read the settings in a picture's texts, whichever tool wrote them; raise RecordError if none did, or it is too large, damaged, or no possible prompt."""
    for keywords, read in TOOLS.values():
        there = {keyword: texts[keyword] for keyword in keywords if keyword in texts}
        if long := [keyword for keyword, text in there.items() if len(text) > MAX_TEXT]:
            raise RecordError(f"the text {long[0]!r} has {len(there[long[0]])} characters; at most {MAX_TEXT} are read. No tool writes so much.")
        if there and (reading := read(there)) is not None:
            return reading
    if text := texts.get("parameters", "").strip():
        if text.startswith("{") and text.endswith("}"):
            raise RecordError(f"its parameters are JSON that no tool known here writes; known are {', '.join(TOOLS)}. Type the settings yourself.")
        return from_infotext(text)
    raise RecordError(f"it carries no recipe: neither a tp2 record nor the settings of {', '.join(['A1111', *TOOLS])}. Take the file as its tool wrote it.")
