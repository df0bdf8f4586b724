"""Measure the fifth criterion: each picture is rendered again from its file in a new process, and graded.

What is found out about a picture after it was made (grades of replays, texts read in it) takes seconds, so it is kept in
``outputs/evidence.jsonl``, a line each. A line counts for the picture whose pixels it names, and for no other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tp2lib.engine.runs import Run
from tp2lib.evaluation.rubric import POINTS
from tp2lib.metadata.pixels import pixels_sha256
from tp2lib.storage.files import Journal

KIND = "replayed"


class Evidence:
    """The findings about the pictures of one outputs folder."""

    def __init__(self, outputs: str | os.PathLike[str]) -> None:
        self._journal = Journal(Path(outputs) / "evidence.jsonl")
        self._found: dict[tuple[str, str, str], dict[str, Any]] = {}

    def note(self, kind: str, run: Run, **facts: Any) -> None:
        """Keep a finding of facts that JSON can hold about a run's picture; it is on the disk when this returns."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._journal.append({**facts, "event": kind, "key": run.key, "pixels_sha256": pixels_sha256(run.picture), "at": now})

    def latest(self, kind: str, run: Run) -> dict[str, Any] | None:
        """Return the last finding of a kind about a run's picture, or None."""
        replaced, events = self._journal.read()
        if replaced:
            self._found = {}
        for event in events:
            self._found[str(event.get("event")), str(event.get("key")), str(event.get("pixels_sha256"))] = event
        if run.image is None:
            return None
        return self._found.get((kind, run.key, pixels_sha256(run.image)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The result of rendering a picture again."""

    grade: str  # one of `tp2lib.engine.replay.GRADES`
    points: int  # 0 to 2, as the rubric has it


def prove_all(runs: Sequence[Run], outputs: str | os.PathLike[str], *, again: bool = False) -> list[Proof]:
    """Replay pictures in one new process and save their grades; a picture that has a grade keeps it.

    Parameters
    ----------
    runs : sequence of Run
        With the path of their picture: it is read anew, for it is the file that must suffice.
    outputs : path
        The folder of the ledger; grades are kept there.
    again : bool, default False
        Replay those too that have a grade.

    Raises
    ------
    RecordError, SourceError, ModelError
        As for :func:`replay`.
    """
    from tp2lib.engine.replay import replay_all  # loads torch, which those who only read grades need not

    evidence = Evidence(outputs)
    todo = [run for run in runs if again or known_proof(run, evidence) is None]
    if todo:
        from_files = [Run.from_picture(run.path) if run.path else run for run in todo]
        for run, verdict in zip(from_files, replay_all(from_files), strict=True):
            facts = {"grade": verdict.grade, "psnr_db": verdict.psnr_db, "max_difference": verdict.max_difference}
            evidence.note(KIND, run, **facts, suspects=sorted(verdict.suspects))
    return [proof for run in runs if (proof := known_proof(run, evidence)) is not None]


def known_proof(run: Run, evidence: Evidence) -> Proof | None:
    """Return the last grade of a run's picture, or None if it was never replayed."""
    grade = (evidence.latest(KIND, run) or {}).get("grade")  # the line is untrusted
    return Proof(grade=grade, points=POINTS[grade]) if isinstance(grade, str) and grade in POINTS else None
