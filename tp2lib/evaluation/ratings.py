"""Read and check a rater's log: the pictures shown, the points given, and whether it was locked.

A log is lines of JSON: ``opened`` (the order of the pictures), ``scored`` (one point given), ``locked`` (the digest
of all that stands before). Lines after the lock have no effect. The digest shows accidental edits. It is not a
signature: whoever can write the file can also write a new digest.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tp2lib.errors import OutputError, RecordError, did_you_mean, shown
from tp2lib.evaluation.rubric import JUDGED, check_scores
from tp2lib.metadata.record import dump_json, is_sha256
from tp2lib.storage.files import Journal

FOLDER = "scores"
"""The folder of the logs, in ``outputs/``."""

_RATER = re.compile(r"\w[\w.-]{0,39}")
_KEY = re.compile(r"[0-9a-f]{8,64}")
_CODE = re.compile(r"\d{1,4}")
_TOLD_APART = ("pixels_sha256", "recipe", "key")
_MAX_BYTES = 4_000_000
_MAX_ITEMS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One place in the order in which pictures are shown."""

    code: str  # its number, such as "07": the rater sees nothing else
    key: str  # of the run, in the ledger
    pixels_sha256: str  # which picture it is, on any machine
    recipe: str  # hash of the recipe that was asked for
    repeat_of: str | None = None  # the code under which the same picture was shown before


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """A rater's log, read and checked.

    Attributes
    ----------
    rater : str
    items : tuple of Item
        In the order shown; hidden repeats included.
    scores : dict
        Item's code to criterion to points; the last ones given before the lock.
    session : str
        SHA-256 of the line that opened it: the same for copies of one log alone.
    locked, altered, renamed : bool
        Whether it was locked, whether it is not what was locked then, and whether `rater` is its file's name; see :func:`read_ratings`.
    """

    rater: str
    items: tuple[Item, ...] = field(repr=False)
    scores: dict[str, dict[str, int]] = field(repr=False)
    session: str = field(default="", repr=False)
    locked: bool = False
    altered: bool = False
    renamed: bool = False

    @property
    def valid(self) -> bool:
        """Whether its points count: the log was locked, and not edited since."""
        return self.locked and not self.altered

    def points(self, criterion: str, *, by: str = "pixels_sha256") -> dict[str, int]:
        """Points of each picture where it was first shown; the hidden repeats do not count here.

        `by` says what tells pictures apart, "pixels_sha256", "recipe" or "key": classmates with other machines share the recipe, not the pixels.
        """
        if by not in _TOLD_APART:
            raise RecordError(f"by is {shown(by)}; it must be one of {', '.join(_TOLD_APART)}.{did_you_mean(by, _TOLD_APART)}")
        found: dict[str, int] = {}
        for item in self.items:
            if item.repeat_of is None and criterion in self.scores.get(item.code, {}):
                found.setdefault(getattr(item, by), self.scores[item.code][criterion])
        return found

    def of(self, picture: str, *, by: str = "key") -> dict[str, int]:
        """Points by criterion of one picture, where it was first shown."""
        return {name: found[picture] for name in JUDGED if picture in (found := self.points(name, by=by))}

    def counted(self, *, by: str = "key") -> dict[str, dict[str, int]]:
        """Points by picture and criterion, if they count."""
        found: dict[str, dict[str, int]] = {}
        for criterion in JUDGED if self.valid else ():
            for picture, points in self.points(criterion, by=by).items():
                found.setdefault(picture, {})[criterion] = points
        return found

    def whole(self, item: Item) -> list[int]:
        """Points of one place, in the order of JUDGED; none until all are given."""
        given = self.scores.get(item.code, {})
        return [given[name] for name in JUDGED] if len(given) == len(JUDGED) else []

    def repeats(self) -> list[tuple[list[int], list[int]]]:
        """Points of the hidden repeats, in the order of JUDGED: first and second time, where all were given."""
        firsts = {item.code: item for item in self.items}
        pairs = [(self.whole(firsts[item.repeat_of]), self.whole(item)) for item in self.items if item.repeat_of]
        return [(first, second) for first, second in pairs if first and second]

    def missing(self) -> list[tuple[str, str]]:
        """(code, criterion) of every point that was not given yet, in the order shown."""
        return [(item.code, name) for item in self.items for name in JUDGED if name not in self.scores.get(item.code, {})]


def rater_name(name: object) -> str:
    """Return a rater's name if it can be a file's: letters, digits, ``.``, ``-``, ``_``, 40 at most."""
    if not isinstance(name, str) or not _RATER.fullmatch(name):
        raise RecordError(f"the rater is {shown(name)}; use letters, digits, '.', '-' and '_', 40 at most, such as 'alice'.")
    return name


def find_ratings(outputs: str | os.PathLike[str]) -> list[Path]:
    """List the raters' logs of an outputs folder, by name."""
    return sorted(path for path in Path(outputs, FOLDER).glob("*.jsonl") if not path.name.startswith("."))  # macOS leaves "._bob.jsonl"


def read_ratings(path: str | os.PathLike[str]) -> Ratings:
    """Read a rater's log, which may be a classmate's.

    Two raters may be called "me": a log in a file of another name takes that name, unless the file of its rater's name holds the same session. An earlier
    session of the same person does so, too, who then counts as two.

    Raises
    ------
    RecordError
        No such file, too large, or not a log of scores.
    """
    path = Path(path)
    events = _events(path)
    found = from_events(events, str(path))
    namesake = path.with_name(f"{found.rater}.jsonl")
    renamed = path.stem != found.rater and not (namesake.is_file() and _events(namesake)[:1] == events[:1])
    return replace(found, rater=path.stem, renamed=True) if renamed else found


def _events(path: Path) -> list[dict[str, Any]]:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise RecordError(f"{shown(str(path), 200)} cannot be read ({error.strerror}). Give a rater's .jsonl file.") from error
    if size > _MAX_BYTES:
        raise RecordError(f"{shown(str(path), 200)} has {size} bytes; a log of scores has {_MAX_BYTES} at most. Give a rater's .jsonl file.")
    try:
        return Journal(path).read()[1]
    except OutputError as error:
        raise RecordError(str(error)) from error


def from_events(events: Sequence[Mapping[str, Any]], name: str) -> Ratings:
    """Make the ratings of a log's events, oldest first, once each is one that can be."""
    if not events or events[0].get("event") != "opened":
        raise RecordError(f"{shown(name, 200)} is not a log of scores: its first line does not open a session. Give a rater's .jsonl file.")
    items = _items(events[0].get("items"), name)
    codes = {item.code for item in items}
    scores: dict[str, dict[str, int]] = {}
    locked = altered = False
    for number, event in enumerate(events[1:], start=1):
        item, criterion = event.get("item"), event.get("criterion")
        if event.get("event") == "locked":
            locked, altered = True, event.get("digest") != digest(events[:number])
            break
        if event.get("event") == "scored" and isinstance(item, str) and item in codes:
            given = check_scores({criterion if isinstance(criterion, str) else shown(criterion): event.get("points")})
            scores.setdefault(item, {}).update(given)
    return Ratings(rater=rater_name(events[0].get("rater")), items=items, scores=scores, session=digest(events[:1]), locked=locked, altered=altered)


def digest(events: Sequence[Mapping[str, Any]]) -> str:
    """Hash a log's events, each together with all before it (SHA-256, 64 hex digits)."""
    chain = ""
    for event in events:
        chain = hashlib.sha256(f"{chain}{dump_json(event)}".encode()).hexdigest()
    return chain


def _items(given: object, name: str) -> tuple[Item, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= _MAX_ITEMS:
        raise RecordError(f"{shown(name, 200)} lists {shown(given, 40)}; a session has 1 to {_MAX_ITEMS} pictures.")
    items: list[Item] = []
    for one in given:
        known = {item.code for item in items}
        sound = isinstance(one, dict) and all(isinstance(one.get(part), str) for part in ("code", "key", "recipe"))
        sound = sound and bool(_CODE.fullmatch(one["code"])) and one["code"] not in known and one.get("repeat_of") in (None, *known)
        if not sound or not is_sha256(one.get("pixels_sha256")) or not all(_KEY.fullmatch(one[part]) for part in ("key", "recipe")):
            raise RecordError(f"{shown(name, 200)} holds {shown(one)} for a picture; it was damaged or forged.")
        items.append(Item(**{part.name: one.get(part.name) for part in fields(Item)}))
    return tuple(items)
