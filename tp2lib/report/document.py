"""A report as a tree of blocks, in which every figure says where it is from.

Words come from a table of sentences; what is filled into them is a `Cell`, and a cell has a `Trace`: the runs, or the
file, that its value is read from. So a report can be audited: a figure without a trace, or with one that does
not lead to its value, is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Block", "Cell", "Document", "Gap", "Picture", "Section", "Table", "Text", "Trace", "audit", "cells"]

_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where a value is from.

    Attributes
    ----------
    what : str
        The name of the fact, such as ``"sharpness"``; see `tp2lib.report.facts.FACTS`.
    runs : tuple of str
        Keys of the runs that it is read from or measured on.
    file : str
        The file of the outputs folder that it is read from, where it is no run.
    """

    what: str
    runs: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A value in words; `kind` is "number", "text" (anybody's words) or "label" (ours)."""

    text: str
    trace: Trace | None = None
    kind: str = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A sentence of the table, filled in; `style` is "plain", "note" or "warning"."""

    key: str
    filled: Mapping[str, Cell] = field(default_factory=dict)
    style: str = "plain"

    def parts(self, sentence: str) -> list[str | Cell]:
        """Cut the sentence at its places, and put the cells there."""
        pieces = _PLACE.split(sentence)
        return [self.filled[piece] if number % 2 else piece for number, piece in enumerate(pieces) if piece]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells under heads; a head is the key of a word, or the word itself."""

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a run, or the photo that a run started from."""

    run: str
    path: Path
    caption: Cell
    alt: str
    photo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What is missing, and the notebook that makes it."""

    what: str
    notebook: str


Block = Text | Table | Picture | Gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A headline and its blocks; `title` is the key of a word."""

    title: str
    blocks: Sequence[Block]
    level: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole report.

    Attributes
    ----------
    language : str
    words : mapping of str to str
        The sentences and headlines of that language.
    sections : sequence of Section
    """

    language: str
    words: Mapping[str, str] = field(repr=False)
    sections: Sequence[Section] = field(repr=False)

    def word(self, key: str) -> str:
        """Return a word or sentence of the table; a key that is none stands for itself."""
        return self.words.get(key, key)

    @property
    def gaps(self) -> list[Gap]:
        """What is missing."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Gap)]

    @property
    def pictures(self) -> list[Picture]:
        """The pictures, in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]

    @property
    def runs(self) -> list[str]:
        """Keys of all runs that a figure or picture names, in order, each once."""
        named = [picture.run for picture in self.pictures]
        named += [key for cell in cells(self) if cell.trace for key in cell.trace.runs]
        return list(dict.fromkeys(named))


def cells(document: Document) -> Iterator[Cell]:
    """Yield every cell of a report, in order."""
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Text):
                yield from block.filled.values()
            elif isinstance(block, Table):
                for row in block.rows:
                    yield from row
            elif isinstance(block, Picture):
                yield block.caption


def audit(document: Document, value: Callable[[Trace], str | None], known: Callable[[str], bool]) -> list[str]:
    """Check that every figure leads to its source, and comes out the same there.

    Parameters
    ----------
    document : Document
    value : callable
        Reads a trace's value anew, in the report's own words; None where it leads nowhere.
    known : callable
        Whether a run of this key is in the ledger, with its picture.

    Returns
    -------
    list of str
        One sentence for each figure that fails; none for a sound report.
    """
    found = []
    for cell in cells(document):
        if cell.trace is None:
            if cell.kind != "label" and re.search(r"\d", cell.text):
                found.append(f"“{cell.text}” is traced to no run and no file")
            continue
        again = value(cell.trace)
        if again != cell.text:
            found.append(f"“{cell.text}” should be “{again}”, by {cell.trace.what} of {', '.join(cell.trace.runs) or cell.trace.file}")
    for key in document.runs:
        if not known(key):
            found.append(f"run {key} is not in the ledger, or its picture is gone")
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Text) and block.key not in document.words:
                found.append(f"“{block.key}” is no sentence of the table")
    return found
