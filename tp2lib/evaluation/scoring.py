"""Blind scoring: pictures in random order, without their settings, some of them twice, until the log is locked.

What the rater sees is the picture, its prompt (adherence needs it) and, for image to image, the photo of the
product. The settings are shown after locking, when points can no longer be changed.
"""

from __future__ import annotations

import math
import os
import random
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from tp2lib.engine.runs import Run
from tp2lib.errors import RecordError, shown
from tp2lib.evaluation.ratings import FOLDER, Item, Ratings, digest, from_events, rater_name
from tp2lib.evaluation.rubric import JUDGED, check_scores
from tp2lib.metadata.pixels import open_image, pixels_sha256
from tp2lib.recipe import setting
from tp2lib.storage.files import Journal
from tp2lib.storage.ledger import Ledger

_GAP = 2  # other pictures between a picture and its repeat, at least, where there are enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """One picture after locking: its run and its points."""

    run: Run
    scores: dict[str, int]  # where it was first shown


class BlindScoring:
    """A rater's session over some runs; it continues where it was stopped.

    Parameters
    ----------
    runs : sequence of Run
        With pictures; one picture once, whatever its runs are called.
    rater : str
        Who scores; the log is ``outputs/scores/<rater>.jsonl``.
    outputs : path
        The folder of the ledger.
    repeats : int, optional
        How many pictures are shown a second time, which is not said; by default one in four.
    seed : int, optional
        Of the order; by default drawn, and written into the log.

    Raises
    ------
    RecordError
        No pictures or more than a log can hold, a name that cannot be, or a log of this rater over other pictures.
    RecipeError
        A seed that cannot be.

    Examples
    --------
    >>> session = BlindScoring(runs, "alice", outputs=OUTPUTS)
    >>> session.score("01", "realism", 2)
    """

    def __init__(self, runs: Sequence[Run], rater: str, *, outputs: str | os.PathLike[str], repeats: int | None = None, seed: int | None = None) -> None:
        self.rater = rater_name(rater)
        self._runs = {pixels_sha256(run.image): run for run in runs if run.outcome == "ok" and run.image is not None}
        if not self._runs:
            raise RecordError("there are no pictures to score; give finished runs. Run the experiments first.")
        self._ledger = Ledger(outputs)
        self.path = Path(outputs) / FOLDER / f"{self.rater}.jsonl"
        self._journal = Journal(self.path)
        self._events: list[dict[str, Any]] = []
        if not self._read():
            seed = secrets.randbelow(2**32) if seed is None else setting("seed").check("seed", seed)
            items = _order(self._runs, seed, repeats)
            opened = {"event": "opened", "rater": self.rater, "seed": seed, "items": [asdict(item) for item in items]}
            from_events([opened], str(self.path))  # a log that could not be read again is not begun
            self._append(opened)
        here = {item.pixels_sha256 for item in self.items}
        if here != set(self._runs):
            raise RecordError(
                f"{self.rater} has scored {len(here)} other pictures in {shown(str(self.path), 200)}; a session keeps its "
                "pictures. Give the same runs, or another rater's name."
            )

    @property
    def ratings(self) -> Ratings:
        """What the log holds now; another process may have added to it."""
        self._read()
        return from_events(self._events, str(self.path))

    @property
    def items(self) -> tuple[Item, ...]:
        """The places of the session, in the order in which they are shown."""
        return self.ratings.items

    @property
    def locked(self) -> bool:
        """Whether points can no longer be given."""
        return self.ratings.locked

    def image(self, code: str) -> Image.Image:
        """The picture at a place."""
        return self._run(code).picture

    def prompt(self, code: str) -> str:
        """The prompt that the picture at a place was made with: what adherence is judged against."""
        return self._run(code).recipe.prompt

    def photo(self, code: str) -> Image.Image | None:
        """The prepared photo of the product, if the picture was made from one and it is kept."""
        run = self._run(code)
        kept = self._ledger.find_source(run.effective.get("source_sha256")) if run.composite else None
        return None if kept is None else open_image(kept)[0].convert("RGB")

    def score(self, code: str, criterion: str, points: int) -> None:
        """Give points: they are on the disk when this returns. Given again before the lock, the last ones count.

        RecordError is raised if the log is locked, there is no such place, or the points cannot be.
        """
        check_scores({criterion: points})
        if self.locked:
            raise RecordError(f"the scores of {self.rater} are locked and cannot be changed. Use another rater's name to start again.")
        self._run(code)
        self._append({"event": "scored", "item": code, "criterion": criterion, "points": points})

    def lock(self) -> str:
        """End the session, and return the digest of its log; raise RecordError if points are missing, or it is locked already."""
        ratings = self.ratings
        if ratings.locked:
            raise RecordError(f"the scores of {self.rater} are locked already. session.reveal() shows the settings.")
        if missing := ratings.missing():
            code, criterion = missing[0]
            raise RecordError(f"{len(missing)} points are missing, first {criterion} of picture {code}. Give them, then lock.")
        sealed = digest(self._events)
        self._append({"event": "locked", "digest": sealed})
        return sealed

    def reveal(self) -> list[Revealed]:
        """Return what the pictures were, in the order of the runs given; raise RecordError if the log is not locked, or was altered since."""
        ratings = self.ratings
        if not ratings.locked:
            left = len(ratings.missing())
            raise RecordError(f"the scores of {self.rater} are not locked; {left} points are missing. Lock them first.")
        if ratings.altered:
            raise RecordError(f"the log {shown(str(self.path), 200)} was edited after locking. Score again under another name.")
        return [Revealed(run=run, scores=ratings.of(pixels, by="pixels_sha256")) for pixels, run in self._runs.items()]

    def progress(self) -> tuple[int, int]:
        """Points given, and points to give."""
        ratings = self.ratings
        whole = len(ratings.items) * len(JUDGED)
        return whole - len(ratings.missing()), whole

    def _run(self, code: str) -> Run:
        places = {item.code: item.pixels_sha256 for item in self.items}
        if code not in places:
            raise RecordError(f"there is no picture {shown(code)}; there are {', '.join(places)}.")
        return self._runs[places[code]]

    def _read(self) -> bool:
        replaced, events = self._journal.read()
        self._events = [] if replaced else self._events
        self._events += events
        return bool(self._events)

    def _append(self, event: dict[str, Any]) -> None:
        self._journal.append({**event, "at": datetime.now(UTC).isoformat(timespec="milliseconds")})
        self._read()


def _order(runs: dict[str, Run], seed: int, repeats: int | None) -> list[Item]:
    """Shuffle the pictures; some of the first half come again in the second, well apart."""
    draw = random.Random(seed)
    wanted = math.ceil(len(runs) / 4) if repeats is None else repeats
    if type(wanted) is not int or wanted < 0:
        raise RecordError(f"repeats is {shown(repeats)}; it must be a whole number, 0 or more. Leave it out for one in four.")
    order = draw.sample(list(runs), len(runs))
    early = order[: max(1, len(order) // 2)] if len(order) > 1 else []
    for pixels in draw.sample(early, min(wanted, len(early))):
        earliest = min(max(order.index(pixels) + 1 + _GAP, len(runs) // 2), len(order))
        order.insert(draw.randint(earliest, len(order)), pixels)
    firsts: dict[str, str] = {}
    items = []
    for number, pixels in enumerate(order, start=1):
        code, run = f"{number:02d}", runs[pixels]
        items.append(Item(code=code, key=run.key, pixels_sha256=pixels, recipe=run.recipe.hash, repeat_of=firsts.get(pixels)))
        firsts.setdefault(pixels, code)
    return items
