"""The keys of earlier runs, from the ledger, and which of them are favourites."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tp2lib.errors import RecordError
from tp2lib.metadata.record import dump_json, load_json
from tp2lib.storage.files import write_atomically
from tp2lib.storage.ledger import Ledger

_MOST = 10_000  # favourites
_KEY_DIGITS = frozenset("0123456789abcdef")


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

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __contains__(self, key: object) -> bool:
        return key in self._read()

    def __len__(self) -> int:
        return len(self._read())

    def toggle(self, key: str) -> bool:
        """Add a key, or take it away, and return whether it is in now."""
        keys = self._read()
        liked = key not in keys
        keys = [*keys, key] if liked else [one for one in keys if one != key]
        text = dump_json({"favourites": keys[-_MOST:]})

        def check(written: Any) -> None:
            if written.read_text(encoding="utf-8") != text:
                raise RecordError(f"{self.path.name} read back otherwise than written; the disk may be failing.")

        write_atomically(self.path, lambda file: file.write(text.encode()), check)
        return liked

    def _read(self) -> list[str]:
        try:
            kept = load_json(self.path.read_bytes()).get("favourites")
        except (OSError, RecordError, json.JSONDecodeError):
            return []
        keys = kept if isinstance(kept, list) else []
        return [key for key in keys if isinstance(key, str) and 8 <= len(key) <= 64 and _KEY_DIGITS >= {*key}]
