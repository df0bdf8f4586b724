"""The versioned JSON record that a picture of ours carries: written strictly, read as hostile text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tp2lib.errors import RecipeError, RecordError, shown
from tp2lib.names import renamed_since_0_1
from tp2lib.recipe import Recipe

__all__ = ["MAX_RECORD", "RECORD_VERSION", "dump_json", "is_sha256", "load_json", "load_record"]

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
    """Return the dictionary in a text of strict JSON; raise RecordError for anything else, NaN and absurd depth or length included."""
    if not isinstance(text, (str, bytes)) or len(text) > MAX_RECORD:
        raise RecordError(f"the record is not text of at most {MAX_RECORD} characters; tp2lib did not write it.")
    try:
        record = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"the record is not JSON ({shown(error)}); it was damaged or forged.") from None
    if not isinstance(record, dict):
        raise RecordError(f"the record is {shown(record)}; it must be a dictionary. tp2lib did not write it.")
    return record


def load_record(text: str | bytes) -> dict[str, Any]:
    """Return a picture's record in today's names; raise RecordError if version, pixel hash or recipe is not as it must be."""
    record = load_json(text)
    version = record.get("tp2")
    if type(version) is not int or version != RECORD_VERSION:
        raise RecordError(f"the record's version is {shown(version)}; tp2lib reads {RECORD_VERSION} here. Update it.")
    if not is_sha256(record.get("pixels_sha256")):
        raise RecordError(f"the record's pixels_sha256 is {shown(record.get('pixels_sha256'))}; it must be 64 hex digits. It was damaged or forged.")
    for part in ("recipe", "effective"):
        if isinstance(record.get(part), dict):
            record[part] = renamed_since_0_1(record[part])
    try:
        Recipe.from_dict(record.get("recipe"))
    except RecipeError as error:
        raise RecordError(f"the record holds a recipe that cannot be: {error}") from None
    return record


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
