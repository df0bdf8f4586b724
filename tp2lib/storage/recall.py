"""Settings out of a picture that somebody dropped: ours, or one of the WebUI's kin; and runs out of the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field

from tp2lib.errors import RecordError, SourceError
from tp2lib.metadata.infotext import from_infotext
from tp2lib.metadata.pixels import open_image, pixels_sha256
from tp2lib.metadata.provenance import user_comment
from tp2lib.recipe import Recipe
from tp2lib.storage.pictures import read_recipe, read_record

__all__ = ["Recalled", "recall_picture"]

MAX_NOTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """Settings that were read from a picture.

    Attributes
    ----------
    recipe : Recipe
        Names no model but ours, and no photo but one that is kept by its hash.
    origin : str
        ``"tp2"``, or ``"A1111"`` for a picture of the WebUI's kin.
    notes : tuple of str
        What had to be assumed, or is to be known; one sentence each.
    """

    recipe: Recipe
    origin: str
    notes: tuple[str, ...] = field(default=())


def recall_picture(data: bytes) -> Recalled:
    """Read the settings in a picture, as a hostile file.

    Parameters
    ----------
    data : bytes
        A PNG, JPEG or WebP.

    Raises
    ------
    RecordError
        It is no whole picture, or carries no settings that can be.
    """
    try:
        image, _ = open_image(data)
    except SourceError as error:
        raise RecordError(str(error)) from error
    if image.info.get("tp2") is not None:
        record, notes = read_record(data, intact=False), []
        if record["pixels_sha256"] != pixels_sha256(image):
            notes.append("The picture was altered after it was made; the settings are those of its making.")
        return Recalled(recipe=read_recipe(data), origin="tp2", notes=tuple(notes))
    text = image.info.get("parameters")
    text = text if isinstance(text, str) else user_comment(image)
    if text is None:
        raise RecordError("the picture carries no settings: neither a tp2 record nor the WebUI's parameters. Drop another one.")
    recipe, extra = from_infotext(text)
    ignored = [str(name) for name in extra if name not in ("notes", "Version", "Model hash")]
    notes = [*extra["notes"], *([f"Not used here: {', '.join(ignored)[:200]}."] if ignored else [])]
    return Recalled(recipe=recipe, origin="tp2" if extra.get("Version") == "tp2lib" else "A1111", notes=tuple(notes[:MAX_NOTES]))
