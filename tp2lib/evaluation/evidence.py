"""What was found out about pictures after they were made: grades of replays, texts read in them.

One line each in ``outputs/evidence.jsonl``, for it takes seconds to find out and is told again and again. A line
counts for the picture whose pixels it names, and for no other.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tp2lib.engine.runs import Run
from tp2lib.metadata.pixels import pixels_sha256
from tp2lib.storage.journal import Journal

__all__ = ["Evidence"]


class Evidence:
    """The findings about the pictures of one outputs folder.

    Parameters
    ----------
    outputs : path
        The folder of the ledger.
    """

    def __init__(self, outputs: str | os.PathLike[str]) -> None:
        self._journal = Journal(Path(outputs) / "evidence.jsonl")
        self._found: dict[tuple[str, str, str], dict[str, Any]] = {}

    def note(self, kind: str, run: Run, **facts: Any) -> dict[str, Any]:
        """Keep a finding, on the disk when this returns.

        Parameters
        ----------
        kind : str
            Such as ``"replayed"``.
        run : Run
            With its picture.
        **facts
            What JSON can hold.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        event = {**facts, "event": kind, "key": run.key, "pixels_sha256": pixels_sha256(run.image), "at": now}
        self._journal.append(event)
        return event

    def latest(self, kind: str, run: Run) -> dict[str, Any] | None:
        """Return the last finding of a kind about a run's picture, or None."""
        replaced, events = self._journal.read()
        if replaced:
            self._found = {}
        for event in events:
            self._found[tuple(str(event.get(name)) for name in ("event", "key", "pixels_sha256"))] = event
        if run.image is None:
            return None
        return self._found.get((kind, run.key, pixels_sha256(run.image)))
