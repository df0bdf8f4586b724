"""The hand that writes a report's blocks: facts of runs and of files, sentences, pictures and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tp2lib.engine.runs import Run
from tp2lib.plots.labels import label
from tp2lib.report.document import Cell, Picture, Table, Text
from tp2lib.report.facts import fact
from tp2lib.report.filed import NOTHING, Filed
from tp2lib.report.gather import Material

__all__ = ["Writer"]


@dataclass(frozen=True, slots=True, kw_only=False)
class Writer:
    """Writes in one language, from one outputs folder."""

    material: Material
    language: str
    filed: Filed

    def run(self, name: str) -> Run | None:
        """Return the run of an experiment, if its picture is there."""
        return self.material.named.get(name)

    def name(self, name: str) -> Cell:
        """Return an experiment's name as a label."""
        return Cell(text=name, kind="label")

    def fact(self, what: str, *runs: Run) -> Cell:
        """Return a fact of a run, with its trace."""
        return fact(self.material, what, *runs, language=self.language)

    def of(self, file: str, what: str) -> Cell:
        """Return a fact that lies in a file, with its trace; a dash where it is not there."""
        return self.filed.get((file, what)) or Cell(text=NOTHING, kind="label")

    def has(self, file: str, what: str) -> bool:
        """Whether a file holds a fact."""
        return (file, what) in self.filed

    def text(self, key: str, run: Run, *, style: str = "plain", **places: str) -> Text:
        """Fill a sentence with facts of a run: place=name of the fact."""
        return Text(key=key, filled={place: self.fact(what, run) for place, what in places.items()}, style=style)

    def rows(self, file: str, prefix: str, names: Sequence[str]) -> list[list[Cell]]:
        """Return a row of facts for each of ``prefix 0``, ``prefix 1``, … that a file holds."""
        rows: list[list[Cell]] = []
        while self.has(file, f"{prefix} {len(rows)} {names[0]}"):
            rows.append([self.of(file, f"{prefix} {len(rows)} {name}") for name in names])
        return rows

    def settings(self, run: Run, names: Sequence[str]) -> Table:
        """Return a table of a run's settings, one a line."""
        rows = [[Cell(text=name, kind="label"), self.fact(name, run)] for name in names]
        return Table(heads=("setting", "value"), rows=rows)

    def picture(self, run: Run, name: str) -> Picture:
        """Place a run's picture; its alternative text is what was asked for, not what a machine would see in it."""
        asked = ", ".join(label(run, axis)[0] for axis in ("prompt", "scheduler", "steps", "guidance", "seed"))
        return Picture(run=run.key, path=self._path(run), caption=self.fact("name", run), alt=f"{name}: {asked}")

    def photo(self, run: Run) -> list[Picture]:
        """Place the photo that a run started from, if it is kept."""
        kept = self.material.ledger.find_source(run.effective.get("source_sha256"))
        if kept is None:
            return []
        caption = self.fact("photo", run)
        return [Picture(run=run.key, path=kept, caption=caption, alt="The source photo, as it was prepared.", photo=True)]

    def _path(self, run: Run) -> Path:
        """Prefer the picture's name for people, where there is one."""
        named = self.material.outputs / f"{self.material.names.get(run.key, '')}.png"
        return named if named.is_file() else self.material.ledger.picture(run.key)
