"""Measure runs, where nobody needs to look: whether a picture comes out the same again, and the seconds that pictures take.

Reproducibility is the fifth criterion: each picture is rendered again from its file in a new process, and graded. What is found
out about a picture after it was made (grades of replays, texts read in it) takes seconds, so it is kept in
``outputs/evidence.jsonl``, a line each. A line counts for the picture whose pixels it names, and for no other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from tp2lib.engine.runs import Run
from tp2lib.errors import RecipeError, shown
from tp2lib.evaluation.rubric import POINTS
from tp2lib.metadata.pixels import pixels_sha256
from tp2lib.storage.files import Journal

KIND = "replayed"
_MOST_SUSPECTS = 20
MOST = 1e9  # seconds, or steps: a record that says more is from elsewhere


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
    suspects: tuple[str, ...] = ()  # what differed from when the picture was made, by name


def prove_all(
    runs: Sequence[Run], outputs: str | os.PathLike[str], *, again: bool = False, model: str | None = None, vae: str | os.PathLike[str] | None = None
) -> list[Proof]:
    """Replay pictures in one new process and save their grades; a picture that has a grade keeps it.

    Parameters
    ----------
    runs : sequence of Run
        With the path of their picture: it is read anew, for it is the file that must suffice.
    outputs : path
        The folder of the ledger; grades are kept there.
    again : bool, default False
        Replay those too that have a grade.
    model, vae : optional
        For all of them, as for :func:`replay`.

    Raises
    ------
    RecordError, SourceError, ModelError
        As for :func:`replay`.
    """
    from tp2lib.engine.replay import replay_all  # loads torch, which those who only read grades need not

    evidence = Evidence(outputs)
    todo = [run for run in runs if again or known_proof(run, evidence) is None]
    if todo:
        for verdict in replay_all([run.path or run for run in todo], model=model, vae=vae):
            facts = {"grade": verdict.grade, "psnr_db": verdict.psnr_db, "max_difference": verdict.max_difference}
            evidence.note(KIND, verdict.original, **facts, suspects=sorted(verdict.suspects))
    return [proof for run in runs if (proof := known_proof(run, evidence)) is not None]


def known_proof(run: Run, evidence: Evidence) -> Proof | None:
    """Return the last grade of a run's picture, or None if it was never replayed."""
    known = evidence.latest(KIND, run) or {}  # the line is untrusted
    grade, named = known.get("grade"), known.get("suspects")
    suspects = tuple(one[:80] for one in named[:_MOST_SUSPECTS] if isinstance(one, str)) if isinstance(named, list) else ()
    return Proof(grade=grade, points=POINTS[grade], suspects=suspects) if isinstance(grade, str) and grade in POINTS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What pictures of one kind took."""

    model: str
    device: str  # and the engine, where it is not torch's own: "cpu", "cpu, openvino"
    size: str  # such as "256 × 256"
    threads: int
    runs: tuple[str, ...]  # the keys of those that were counted
    step_s: float  # median seconds of a step, guidance included
    image_s: float  # median seconds of a whole picture

    @property
    def per_hour(self) -> float:
        """Pictures an hour, one after another."""
        return 3600 / self.image_s


def costs(runs: Iterable[Run]) -> list[Cost]:
    """Sum up what runs took, for each model, device and engine, size and number of threads; the kinds with most runs first."""
    kinds: dict[tuple[Any, ...], list[tuple[str, float, float]]] = {}
    for run in runs:
        known = run.effective
        steps, spent, whole = known.get("steps", 0), run.timings.get("denoise", 0.0), run.timings.get("total", 0.0)
        counts = all(isinstance(one, (int, float)) and 0 < one < MOST for one in (steps, spent, whole))
        if not counts or not isinstance(known.get("threads"), int | None):
            continue  # a record from elsewhere
        size = f"{known.get('width')} × {known.get('height')}"
        device = ", ".join(shown(known[name])[1:-1] for name in ("device", "fast") if known.get(name))
        kind = (shown(known.get("model"), 1000)[1:-1], device, size, known.get("threads"))
        kinds.setdefault(kind, []).append((run.key, spent / steps, whole))
    found = []
    for (model, device, size, threads), rows in sorted(kinds.items(), key=lambda item: -len(item[1])):
        keys, each, images = zip(*rows, strict=True)
        found.append(Cost(model=model, device=device, size=size, threads=threads, runs=keys, step_s=median(each), image_s=median(images)))
    return found


def energy_kwh(cost: Cost, watts: float, pictures: int = 1000) -> float:
    """Return the energy that pictures take, in kilowatt hours, at a power that you read off a meter.

    Raises
    ------
    RecipeError
        A power that cannot be.
    """
    if not isinstance(watts, (int, float)) or not 0 < watts < 100_000:
        raise RecipeError(f"watts is {shown(watts)}; it must be the power drawn while generating, such as 30 for a laptop.")
    return cost.image_s * pictures * watts / 3_600_000
