"""Write the report from records: the sections of the original report, each number with its source.

What is missing is shown as a gap that names the notebook which makes it.
``templates/report.j2`` says what stands where; :func:`write_report` writes it as Markdown and as one HTML file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tp2lib.engine.runs import Run
from tp2lib.errors import RecordError
from tp2lib.evaluation.experiments import CASES, EXPERIMENTS, choose_experiments
from tp2lib.evaluation.languages import words
from tp2lib.evaluation.ratings import FOLDER
from tp2lib.evaluation.rubric import CRITERIA, JUDGED
from tp2lib.plots.labels import unplanned, varying
from tp2lib.report.facts import CORRELATED, FACTS, filed, written
from tp2lib.report.gather import NOTEBOOK_OF, Material
from tp2lib.report.pages import NOTHING, Cell, Page, Picture, Trace


class Report(Page):
    """The report of an outputs folder, in one language."""

    def __init__(self, material: Material, language: str) -> None:
        super().__init__("report.j2", language, CASES=CASES, CRITERIA=CRITERIA, JUDGED=JUDGED, CORRELATED=CORRELATED, FOLDER=FOLDER)
        self.material = material
        self.filed = filed(material, language, self.words)  # once: it takes seconds

    def made(self, part: str) -> dict[str, Run]:
        """Return the runs of a part of the report whose pictures are there, by name."""
        return {one.name: self.material.named[one.name] for one in choose_experiments([part]) if one.name in self.material.named}

    def missing(self, part: str) -> list[tuple[str, str]]:
        """List the pictures of a part that are missing: file and notebook."""
        return [(one.file, NOTEBOOK_OF[part]) for one in choose_experiments([part]) if one.name not in self.material.named]

    def fact(self, what: str, *runs: Run) -> Cell:
        """Return a fact of a run, with its trace."""
        trace = Trace(what=what, runs=tuple(run.key for run in runs))
        text = written(self.material, what, runs, self.language)
        return Cell(text=text, trace=trace, kind="text" if FACTS[what][0] == "text" else "number")

    def facts(self, run: Run, *names: str, **renamed: str) -> dict[str, Cell]:
        """Return facts of a run for the places of a sentence: under their names, or as place=name."""
        return {place: self.fact(what, run) for place, what in (dict(zip(names, names, strict=True)) | renamed).items()}

    def of(self, file: str, what: str) -> Cell:
        """Return a fact that lies in a file, with its trace; a dash where it is not there."""
        return self.filed.get((file, what)) or self.label(NOTHING)

    def parts(self, file: str, prefix: str, names: Sequence[str]) -> list[Cell]:
        """Return facts of a file that begin with the same words."""
        return [self.of(file, f"{prefix} {name}") for name in names]

    def rows(self, file: str, prefix: str, names: Sequence[str]) -> list[list[Cell]]:
        """Return a row of facts for each of ``prefix 0``, ``prefix 1``, … that a file holds."""
        rows: list[list[Cell]] = []
        while (file, f"{prefix} {len(rows)} {names[0]}") in self.filed:
            rows.append(self.parts(file, f"{prefix} {len(rows)}", names))
        return rows

    def filled(self, file: str, prefix: str, *names: str, **renamed: str) -> dict[str, Cell]:
        """Return facts of a file for the places of a sentence: under their names, or as place=name."""
        places = dict(zip(names, names, strict=True)) | renamed
        return {place: self.of(file, f"{prefix} {what}".strip()) for place, what in places.items()}

    def settings(self, run: Run, names: Sequence[str]) -> list[list[Cell]]:
        """Return a run's settings, one a row."""
        return [[self.label(name), self.fact(name, run)] for name in names]

    def picture(self, run: Run, name: str) -> Picture:
        """Place a run's picture; its alternative text is what was asked for, not what a machine would see in it."""
        asked = ", ".join(f"{self.word(what)} {self.fact(what, run).text}" for what in ("prompt", "scheduler", "schedule", "steps", "guidance", "seed"))
        named = self.material.outputs / f"{self.material.names.get(run.key, '')}.png"  # the name for people, if there is one
        path = named if named.is_file() else self.material.ledger.picture(run.key)
        return Picture(run=run.key, path=path, caption=self.fact("name", run), alt=f"{name}: {asked}")

    def photo(self, run: Run) -> list[Picture]:
        """Place the photo that a run started from, if it is kept."""
        kept = self.material.ledger.find_source(run.effective.get("source_sha256"))
        if kept is None:
            return []
        return [Picture(run=run.key, path=kept, caption=self.fact("photo", run), alt=self.word("prepared photo"), photo=True)]

    def unread(self) -> bool:
        """Whether no picture was searched for text."""
        return all("text" in self.material.inspection(run).unchecked for run in self.material.named.values())

    def listed(self) -> list[list[Cell]]:
        """Return a row for each run that was named so far."""
        runs = [run for key in self.runs if (run := self.material.runs.get(key)) is not None]
        return [[self.label(run.key[:8]), *self.facts(run, "name", "key", "recipe", "model").values()] for run in runs]

    def same(self, runs: Mapping[str, Run], *names: str) -> bool:
        """Whether facts are the same in all runs."""
        return all(len({self.fact(name, run).text for run in runs.values()}) == 1 for name in names)

    def uncontrolled(self, name: str, first: str) -> list[str]:
        """List what a run differs in from the first one, besides the settings of its experiment: settings, conditions, and the noise."""
        run, one = self.material.named[name], self.material.named[first]
        wanted, base = (EXPERIMENTS[which].recipe.to_dict() for which in (name, first))
        also = [self.word(setting) for setting in varying([one, run]) if wanted.get(setting) == base.get(setting)]
        noises = {str(each.effective.get("noise_sha256")) for each in (one, run)}
        return also + unplanned([one, run], self.word) + ([self.word("noise")] if len(noises) > 1 else [])

    def audit(self, material: Material | None = None) -> list[str]:
        """List the figures of the last rendering whose source is missing or has another value; `material` is read again."""
        material = material or self.material
        filed_anew = self.filed if material is self.material else filed(material, self.language, self.words)
        found = []
        for cell in self.cells:
            if (trace := cell.trace) is None:
                if cell.kind in ("number", "text") and re.search(r"\d", cell.text):
                    found.append(f"“{cell.text}” is traced to no run and no file")
                continue
            again, runs = None, [material.runs[key] for key in trace.runs if key in material.runs]
            if (kept := filed_anew.get((trace.file, trace.what))) is not None:
                again = kept.text
            elif trace.runs and len(runs) == len(trace.runs):
                again = written(material, trace.what, runs, self.language)
            if again != cell.text:
                found.append(f"“{cell.text}” should be “{again}”, by {trace.what} of {', '.join(trace.runs) or trace.file}")
        return found + [f"run {key} is not in the ledger, or its picture is gone" for key in self.runs if not material.known(key)]


def make_report(outputs: str | os.PathLike[str], language: str = "en") -> Report:
    """Make the report of an outputs folder.

    Raises
    ------
    OutputError
        There is no such folder.
    RecordError
        No such language.
    """
    report = Report(Material(outputs), language)
    report.render("markdown", Path(outputs))
    return report


def write_report(outputs: str | os.PathLike[str], language: str = "en", *, to: str | os.PathLike[str] | None = None) -> tuple[Path, Path]:
    """Write the report as Markdown and as one HTML file that holds its pictures, and return both paths.

    Parameters
    ----------
    outputs : path
        The folder of the ledger.
    language : {"en", "fr"}
    to : path, optional
        The folder to write to; by default `outputs`, where the Markdown finds its pictures.

    Raises
    ------
    OutputError
        There is no such folder, or it cannot be written.
    RecordError
        No such language, or a number without a source, which is a bug in this package.
    """
    report = make_report(outputs, language)
    if wrong := report.audit():
        raise RecordError(f"{len(wrong)} figures of the report cannot be traced: {'; '.join(wrong[:3])}. Report this.")
    return report.write(Path(to or outputs), words(language)["file"])


def audit_report(report: Report, outputs: str | os.PathLike[str]) -> list[str]:
    """Read everything again, and list the figures of a report whose source is missing or has another value."""
    return report.audit(Material(outputs))
