"""A learner's progress, kept on this computer: one JSON line for each event in ``outputs/progress.jsonl``.

``outputs/README.md`` describes the events. Nothing is sent anywhere; the report and the instructor's view read
the file where it lies, and since it may come from anybody, every line is checked when it is read.
"""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tp2lib import paths
from tp2lib.errors import OutputError, RecordError, shown, without_folders
from tp2lib.storage.files import Journal

FILE = "progress.jsonl"
EVENTS = ("opened", "predicted", "measured", "check", "hint", "solution", "answer")
STATES = ("right", "right after the solution", "saved", "solution seen", "wrong", "not attempted")
"""What may be known of a question, from best to least."""

_PAUSE_S = 600.0  # a longer gap between two events counts as this much: a break
_MAX_BYTES = 20_000_000  # a normal file has a few thousand lines
_NOTEBOOK = re.compile(r"\d\d")
_QUESTION = re.compile(r"\d\.\d{1,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookProgress:
    """What was done in one notebook."""

    notebook: str  # its number, such as "03"
    questions: dict[str, str]  # such as "3.2", to one of STATES; questions never touched are missing
    hints: int  # different ones that were read
    predictions: int  # questions with a prediction of the learner's own, made before the measurement
    minutes: float  # between its events; of each pause, at most ten

    @property
    def done(self) -> int:
        """Questions answered right or saved, be it after the solution."""
        return sum(state in STATES[:3] for state in self.questions.values())


def note(event: str, notebook: str, *, outputs: str | os.PathLike[str] | None = None, **facts: Any) -> str:
    """Add one event, with facts that JSON can hold, and return why it could not be kept; a full disk must not stop a lesson."""
    if event not in EVENTS or not _NOTEBOOK.fullmatch(notebook):
        raise RecordError(f"the event {shown(event)} of notebook {shown(notebook)} is none of {', '.join(EVENTS)}.")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    facts |= {"found": without_folders(facts["found"])} if "found" in facts else {}
    try:
        _journal(outputs).append({"event": event, "notebook": notebook, "at": now, **facts})
    except (OutputError, RecordError) as error:
        return str(error)
    return ""


def read_events(outputs: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Return the events in a folder's ``progress.jsonl``, oldest first; none where there is no such file.

    Each has ``event``, ``notebook``, ``at`` (ISO 8601, with its time zone) and ``seconds`` (the same since 1970),
    beside its own facts. Lines that are not of this form are left out.

    Raises
    ------
    RecordError
        The file is too large.
    OutputError
        It is there, and cannot be read.
    """
    journal = _journal(outputs)
    try:
        size = journal.path.stat().st_size
    except OSError:
        return []
    if size > _MAX_BYTES:
        raise RecordError(f"{shown(str(journal.path), 200)} has {size} bytes; at most {_MAX_BYTES} are read. Move it out of the outputs folder.")
    return [known for event in journal.read()[1] if (known := _checked(event)) is not None]


def summary(outputs: str | os.PathLike[str] | None = None) -> list[NotebookProgress]:
    """Sum up the events of a folder, notebook by notebook, in their order."""
    events = read_events(outputs)
    numbers = sorted({event["notebook"] for event in events})
    return [_summed(number, [event for event in events if event["notebook"] == number]) for number in numbers]


def open_answers(outputs: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """List the last answer to each open question: ``notebook``, ``question``, ``title``, ``text``, ``at``."""
    last = {event["question"]: event for event in read_events(outputs) if event["event"] == "answer"}
    names = ("notebook", "question", "title", "text", "at")
    return [{name: last[question].get(name, "") for name in names} for question in sorted(last)]


def _journal(outputs: str | os.PathLike[str] | None) -> Journal:
    return Journal(Path(outputs or paths.OUTPUTS) / FILE)


def _checked(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return an event with its time in seconds, or None where a fact that is relied on is not of its kind."""
    kind, notebook, question = event.get("event"), event.get("notebook"), event.get("question")
    try:
        seconds = datetime.fromisoformat(event.get("at", "")).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    sound = kind in EVENTS and isinstance(notebook, str) and _NOTEBOOK.fullmatch(notebook) is not None
    if kind in ("check", "hint", "solution", "answer"):
        sound = sound and isinstance(question, str) and _QUESTION.fullmatch(question) is not None
    if kind == "hint":
        sound = sound and isinstance(event.get("number"), int)
    if kind in ("predicted", "measured"):
        sound = sound and isinstance(question, str) and 0 < len(question) <= 500
    if kind == "answer":
        sound = sound and isinstance(event.get("text"), str)
    return {**event, "seconds": seconds} if sound else None


def _summed(notebook: str, events: list[dict[str, Any]]) -> NotebookProgress:
    questions: dict[str, str] = {}
    own: set[str] = set()
    measured: set[str] = set()
    for event in events:
        if event["event"] in ("check", "solution", "answer"):
            questions[event["question"]] = _after(questions.get(event["question"]), event)
        elif event["event"] == "measured":
            measured.add(event["question"])
        elif event["event"] == "predicted" and event.get("own") is True and event["question"] not in measured:
            own.add(event["question"])
    hints = {(event["question"], event.get("number")) for event in events if event["event"] == "hint"}
    times = sorted(event["seconds"] for event in events)
    gaps = [min(later - earlier, _PAUSE_S) for earlier, later in itertools.pairwise(times)]
    return NotebookProgress(notebook=notebook, questions=questions, hints=len(hints), predictions=len(own), minutes=sum(gaps) / 60)


def _after(state: str | None, event: dict[str, Any]) -> str:
    """Return what is known of a question after one more event; what was reached once stays."""
    seen = state in ("solution seen", "right after the solution")
    if event["event"] == "solution":
        new = "solution seen"
    elif event["event"] == "answer":
        new = "right after the solution" if seen else "saved"
    elif event.get("outcome") == "right":
        new = "right after the solution" if seen else "right"
    else:
        new = "wrong" if event.get("outcome") == "wrong" else "not attempted"
    return min(state or "not attempted", new, key=STATES.index)
