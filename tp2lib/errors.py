"""The errors that tp2lib raises, and helpers for their messages.

A message says what was wrong, the value, what is allowed, and what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import PurePath


class TP2Error(Exception):
    """The base of every error raised on purpose by tp2lib."""


class RecipeError(TP2Error, ValueError):
    """A setting is missing, of the wrong type, out of range, or contradicts another."""


class SourceError(TP2Error, ValueError):
    """A source photo is missing, damaged, too large, or of a kind that is not accepted."""


class RecordError(TP2Error, ValueError):
    """A record (picture metadata, ledger line) cannot be read, trusted or written."""


class Quarantined(RecordError):
    """A run was started twice and took its process down both times; it is not tried again."""


class ControlError(TP2Error, RuntimeError):
    """A sweep would vary something other than its declared axes."""


class Cancelled(TP2Error, RuntimeError):
    """The work was stopped on request; nothing half-done was kept."""


class OutputError(TP2Error, OSError):
    """A file or folder cannot be written."""


class ModelError(TP2Error, RuntimeError):
    """A model cannot be loaded or run."""


class ModelNotFound(ModelError, FileNotFoundError):
    """No model has this name, or its files are not where they should be."""


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, such as "1 word" and "2 words"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def shown(value: object, limit: int = 80) -> str:
    """Return a value as it should appear in a message: its repr on one line of printable text, cut to `limit` characters."""
    if isinstance(value, PurePath):
        value = str(value)
    if isinstance(value, (str, bytes)):
        value = value[: limit + 1]  # the repr of a megabyte is not needed to show 80 characters
    try:
        text = repr(value)
    except Exception:  # e.g. an int of 5000 digits, a class with a broken __repr__
        text = f"<{type(value).__name__}>"
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)  # a memory address means nothing to a reader
    text = " ".join(text.encode("utf-8", "backslashreplace").decode("utf-8").split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


# all of an absolute path but its last part; in quotes its folders may have blanks
_PATH = re.compile(
    r"""(?<=(['"]))(?:~?/|[A-Za-z]:[\\/]|\\\\)(?:(?:(?!\1).)*[\\/])?|(?<![\w.:/<~-])(?:~?/(?=[^\s'"/]+/)|[A-Za-z]:[\\/]|\\\\)(?:[^\s'"]*[\\/])?"""
)


def without_folders(text: str) -> str:
    """Cut absolute paths in a message to the file's name: an outputs folder is handed in, and a path can name its owner."""
    return _PATH.sub("", text)


def nearest_name(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that comes nearest to one, upper and lower case being equal; None where none is near."""
    if not isinstance(name, str) or not 0 < len(name) <= 100:
        return None
    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'steps'?"`` for a near miss, else an empty string; the space lets it follow a sentence directly."""
    near = nearest_name(name, known)
    return f" Did you mean {near!r}?" if near else ""
