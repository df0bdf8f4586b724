"""A run: an executed recipe, and how it was executed; the runs that a ledger keeps, and which of them are favourites."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from tp2lib.errors import OutputError, RecordError, shown
from tp2lib.metadata.pixels import open_image
from tp2lib.metadata.readings import foreign_syntax
from tp2lib.metadata.record import GENERATED
from tp2lib.recipe import Recipe
from tp2lib.storage.files import Journal, read_json, write_json
from tp2lib.storage.ledger import KEY, Ledger
from tp2lib.storage.pictures import read_record, save_picture

MAX_WIDTH = 64  # pictures that go through a model together, at most
_MOST_FAVOURITES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """An executed recipe.

    Attributes
    ----------
    recipe : Recipe
        What was asked for.
    effective : dict
        What really decided the pixels, read back from the run.
    timings : dict
        Seconds for each stage, and in total.
    environment : dict
        Versions, processor, threads.
    source : dict or None
        The photo it started from: path, hashes, what was done to it, and its mark of origin where a model made it.
    outcome : {"ok", "nan", "black", "flagged"}
        Whether there is a picture, or what happened instead.
    key : str
        Hash of the effective settings: the name of the picture in the ledger.
    path : Path or None
        Where the picture is kept, if there is a ledger.
    image : PIL.Image.Image or None
        The picture; None where the outcome is "nan" or "flagged".
    reused : bool
        Whether it was found in the ledger instead of being made again.
    """

    recipe: Recipe
    effective: dict[str, Any] = field(repr=False)
    timings: dict[str, float] = field(repr=False)
    environment: dict[str, Any] = field(repr=False)
    source: dict[str, Any] | None = field(default=None, repr=False)
    outcome: str
    key: str
    path: Path | None = None
    image: Image.Image | None = field(default=None, repr=False)
    reused: bool = False

    @property
    def picture(self) -> Image.Image:
        """The image of a run that has one; OutputError is raised if the run ended without."""
        if self.image is None:
            raise OutputError(f"the run ended as {self.outcome!r}, so there is no picture. Change its recipe.")
        return self.image

    @property
    def requested(self) -> dict[str, Any]:
        """The recipe's settings, as asked for."""
        return self.recipe.to_dict()

    @property
    def composite(self) -> bool:
        """Whether a photo went in: a picture that a model made of words alone is none."""
        return self.source is not None and self.source.get("digital_source_type") != GENERATED

    def record(self) -> dict[str, Any]:
        """What is written into the picture's file, beside the recipe."""
        syntax = foreign_syntax(self.recipe.prompt, self.recipe.negative_prompt)
        return {
            "key": self.key,
            "outcome": self.outcome,
            "effective": self.effective,
            "timings": {stage: round(seconds, 4) for stage, seconds in self.timings.items()},
            "environment": self.environment,
            "source": self.source,
            **({"foreign_syntax": syntax} if syntax else {}),
        }

    def infotext(self) -> dict[str, Any]:
        """More for the text that other tools read: the model, by name and hash."""
        return {"Model": self.effective["model"], "Model hash": self.effective["weights_sha256"][:10]}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture as PNG, with its recipe, its record and its mark of origin; raise OutputError if there is none, or it cannot be written."""
        if self.outcome != "ok":
            raise OutputError(f"the run ended as {self.outcome!r}, so there is no picture to save. Change its recipe.")
        save_picture(self.picture, path, self.record(), self.recipe, composite=self.composite, infotext=self.infotext())
        return Path(path)

    @classmethod
    def from_picture(cls, path: str | os.PathLike[str]) -> Run:
        """Read a run back from a picture that was saved with it; raise RecordError if it carries no record, or not a whole one."""
        return cls.from_record(read_record(path), path, open_image(path)[0].convert("RGB"))

    @classmethod
    def from_record(cls, record: Mapping[str, Any], path: str | os.PathLike[str], image: Image.Image) -> Run:
        """Make a run of a picture's record, once it has been read and checked."""
        if isinstance(copy := record.get("export"), dict):
            raise RecordError(f"{shown(str(path), 200)} is an enlarged copy of the picture of run {shown(copy.get('key'))}. Use the original.")
        parts: dict[str, Any] = {name: record.get(name) for name in ("effective", "timings", "environment")}
        if not all(isinstance(part, dict) for part in parts.values()) or not isinstance(record.get("key"), str):
            raise RecordError(f"the record in {shown(str(path), 200)} says nothing of how the picture was made; tp2lib did not write it.")
        return cls(
            recipe=Recipe.from_dict(record["recipe"]),
            **parts,
            source=source if isinstance(source := record.get("source"), dict) else None,
            outcome="ok",
            key=record["key"],
            path=Path(path),
            image=image,
            reused=True,
        )


def read_run(ledger: Ledger, key: str) -> Run | None:
    """Return a kept run, or None where its picture is missing, damaged, or has no record of how it was made."""
    try:
        event = ledger.lookup(key)
        return None if event is None else Run.from_picture(event["path"])
    except (RecordError, ValueError, TypeError):
        return None


def earlier_keys(ledger: Ledger) -> list[str]:
    """List the keys of the runs that are done, the latest first, each once; their pictures are not looked at."""
    last: dict[str, str] = {}
    for event in ledger.events():
        kind = event.get("event")
        if kind in ("done", "failed", "quarantined"):
            last.pop(event["key"], None)  # so that it moves to the end
            last[event["key"]] = kind
    return [key for key in reversed(last) if last[key] == "done"]


class Favourites:
    """A set of keys, kept in ``favourites.json`` in the ledger's outputs folder; a file that cannot be read counts as none."""

    def __init__(self, ledger: Ledger) -> None:
        self.path = ledger.outputs / "favourites.json"
        self._journal = Journal(self.path)  # for its lock, which every process takes

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def toggle(self, key: str) -> bool:
        """Add a key, or take it away, and return whether it is in now."""
        with self._journal.locked():
            keys = self._read()
            liked = key not in keys
            keys = [*keys, key] if liked else [one for one in keys if one != key]
            write_json(self.path, {"favourites": keys[-_MOST_FAVOURITES:]})
        return liked

    def _read(self) -> list[str]:
        kept = read_json(self.path).get("favourites")
        keys = kept if isinstance(kept, list) else []
        return [key for key in keys if isinstance(key, str) and KEY.fullmatch(key)]
