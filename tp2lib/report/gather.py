"""Collect what an outputs folder has for a report: pictures by name, scores, proofs, answers, and what is missing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from PIL import Image

from tp2lib.course.answers import differing
from tp2lib.course.predictions import Judged, judged
from tp2lib.course.progress import FILE, NotebookProgress, open_answers, summary
from tp2lib.engine.runs import Favourites, Run, earlier_keys, read_run
from tp2lib.errors import OutputError, TP2Error, shown, without_folders
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.evaluation.product import Fidelity, fidelity_to
from tp2lib.evaluation.ratings import Ratings, find_ratings, read_ratings
from tp2lib.evaluation.reflection import answers
from tp2lib.evaluation.risks import Inspection, inspect
from tp2lib.evaluation.run_measures import Evidence, Proof, known_proof
from tp2lib.metadata.pixels import open_image, pixels_sha256
from tp2lib.metadata.record import COMPOSITE, GENERATED, digital_source_type, load_record
from tp2lib.metrics.measures import take
from tp2lib.metrics.prompt_adherence import adherence
from tp2lib.storage.ledger import Ledger

NOTEBOOK_OF = {"smoke": "01_smoke", "baseline": "02_baseline", "text2img": "03_text2img", "img2img": "04_img2img"}
"""Which notebook makes the pictures of a part of the report."""


class Material:
    """An outputs folder, read once; what cannot be read is listed in `problems` (file; why, or its key in the file of words), and does not stop the report.

    `named` holds the report's pictures that are there and in the ledger, by experiment; `strangers` those under the
    report's names that the ledger does not know: they are left out.
    """

    def __init__(self, outputs: str | os.PathLike[str]) -> None:
        self.outputs = Path(outputs)
        if not self.outputs.is_dir():
            raise OutputError(f"there is no folder {shown(str(outputs), 200)}. Give the outputs folder, or make the pictures first.")
        self.ledger = Ledger(self.outputs)
        self.evidence = Evidence(self.outputs)
        self.problems: list[tuple[str, str]] = []
        self._found: dict[tuple[str, ...], Any] = {}
        self.named: dict[str, Run] = {}
        for name, experiment in EXPERIMENTS.items():
            path = self.outputs / experiment.file
            run = self._safely(path.name, lambda path=path: Run.from_picture(path), None) if path.is_file() else None
            if run is not None and self._marked(run):
                self.named[name] = run
        self.strangers = [name for name, run in self.named.items() if not self._in_ledger(run)]
        for name in self.strangers:
            del self.named[name]
            self.problems.append((EXPERIMENTS[name].file, "stranger"))
        self.names = {run.key: name for name, run in self.named.items()}
        self.ratings = self._ratings()
        self.answers = answers(self.outputs)  # to the closing questions
        found = self._safely(FILE, lambda: open_answers(self.outputs), [])
        self.open_answers = {str(one["question"]): (str(one["title"])[:200], str(one["text"])[:4000]) for one in found}  # number to title and text
        self.judged: list[Judged] = self._safely(FILE, lambda: judged(self.outputs), [])
        self.progress: list[NotebookProgress] = self._safely(FILE, lambda: summary(self.outputs), [])
        events = self._safely("ledger.jsonl", self.ledger.events, [])
        self.failures = [event for event in events if event.get("event") in ("failed", "quarantined")][-20:]

    @cached_property
    def favourites(self) -> list[Run]:
        """Favourites of the mini-product, the latest first."""
        keys = list(Favourites(self.ledger))[::-1][:50]
        return [run for key in keys if (run := read_run(self.ledger, key)) is not None and self._marked(run)]

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Every run that the report may name, by key."""
        return {run.key: run for run in (*self.favourites, *self.named.values())}

    @cached_property
    def proofs(self) -> dict[str, Proof]:
        """The grades of the report's pictures that were replayed."""
        return {name: proof for name, run in self.named.items() if (proof := self.proof(run)) is not None}

    def known(self, key: str) -> bool:
        """Whether the ledger has a finished run of this key, with the pixels that are shown here."""
        return key in self.runs and self._in_ledger(self.runs[key])

    def once(self, *place: str, find: Callable[[], Any]) -> Any:
        """Return what was found out under these names before, so that nothing is measured twice; else find it out."""
        if place not in self._found:
            self._found[place] = find()
        return self._found[place]

    def photo(self, run: Run) -> Image.Image | None:
        """The prepared photo that a run started from, if it is kept."""
        kept = self.ledger.find_source(run.effective.get("source_sha256"))
        return None if kept is None else open_image(kept)[0].convert("RGB")

    def proof(self, run: Run) -> Proof | None:
        """The grade of the picture's replay, if there is one."""
        return known_proof(run, self.evidence)

    def measured(self, name: str, run: Run) -> float:
        return self.once("measured", name, run.key, find=lambda: take(name, run.picture))

    def fidelity(self, run: Run) -> Fidelity | None:
        """How a run's product changed from its photo."""
        return self.once("fidelity", run.key, find=lambda: None if (photo := self.photo(run)) is None else fidelity_to(run.picture, photo))

    def inspection(self, run: Run) -> Inspection:
        """The result of the publication check; texts are not read now, which would take seconds."""
        return self.once("inspection", run.key, find=lambda: inspect(run, outputs=self.outputs, read=False))

    def seen(self, run: Run) -> float | None:
        """What the model's judge sees of the prompt in a picture, 0 to 1; None where there is no judge."""

        def find() -> float | None:
            with contextlib.suppress(TP2Error):
                if found := adherence(run.picture, run.recipe.prompt, str(run.effective.get("model"))):
                    return found.score
            return None

        return self.once("seen", run.key, find=find)

    def swapped(self, name: str) -> list[str]:
        """List the settings in which a picture is not the experiment that its file name says."""
        free = ("model", "source", "width", "height")  # an alias, a path, and the model's own size
        return differing(EXPERIMENTS[name].recipe, self.named[name].recipe, besides=free)

    def _marked(self, run: Run) -> bool:
        """Whether a run's file has its mark of origin: without it, the report must hold no copy."""
        path = Path(run.path or "")
        marked = digital_source_type(open_image(path)[0]) in (GENERATED, COMPOSITE)
        self.problems += [] if marked else [(path.name, "unmarked")]
        return marked

    def _in_ledger(self, run: Run) -> bool:
        try:
            event = self.ledger.lookup(run.key)
        except TP2Error:
            return False
        return event is not None and pixels_sha256(run.picture) == event["pixels_sha256"]

    def _ratings(self) -> list[Ratings]:
        read = {path: self._safely(f"scores/{path.name}", lambda path=path: read_ratings(path), None) for path in find_ratings(self.outputs)[:100]}
        found: dict[str, Ratings] = {}
        for path, one in sorted(((path, one) for path, one in read.items() if one), key=lambda log: log[0].stem != log[1].rater):  # a copy has another name
            if found.setdefault(one.session, one) is not one:
                self.problems.append((f"scores/{path.name}", "second log"))
        return sorted(found.values(), key=attrgetter("rater"))

    def _safely(self, name: str, read: Any, otherwise: Any) -> Any:
        """Read a part; a file from elsewhere can fail in unexpected ways."""
        try:
            return read()
        except TP2Error as error:
            self.problems.append((name, without_folders(str(error))))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
            self.problems.append((name, f"{type(error).__name__}: {shown(without_folders(str(error)))}"))
        return otherwise


def kept_runs(ledger: Ledger, most: int = 300) -> list[Run]:
    """Return the latest finished runs of a ledger, at most so many, without decoding their pictures."""
    found = []
    for key in earlier_keys(ledger)[:most]:
        with (
            contextlib.suppress(OSError, ValueError, SyntaxError, TypeError, Image.DecompressionBombError, TP2Error),
            Image.open(path := ledger.picture(key), formats=("PNG",)) as image,
        ):
            record = load_record(image.info.get("tp2", ""))
            found.append(replace(Run.from_record(record, path, image), image=None))
    return found
