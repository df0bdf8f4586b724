"""A report as Markdown: plain enough for any reader, with nobody's words taken for markup."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

from tp2lib.report.document import Block, Cell, Document, Gap, Picture, Table, Text

__all__ = ["to_markdown"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!$])")
_LIST = re.compile(r"^(\d*)([-+.)])(?=\s|$)")  # at the start of a line these would begin a list


def to_markdown(document: Document, folder: Path) -> str:
    """Write a report as Markdown that lies in a folder; pictures are linked relative to it."""
    lines: list[str] = []
    for section in document.sections:
        lines += [f"{'#' * section.level} {document.word(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(document, block, folder), ""]
    return "\n".join(lines).rstrip() + "\n"


def escape(text: str) -> str:
    """Return anybody's words so that they stand for themselves, on one line."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return _LIST.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", plain))


def _block(document: Document, block: Block, folder: Path) -> list[str]:
    if isinstance(block, Text):
        return [_text(document, block)]
    if isinstance(block, Table):
        return _table(document, block)
    if isinstance(block, Picture):
        where = Path(os.path.relpath(block.path, folder)).as_posix()
        return [f"![{escape(block.alt)}](<{where}>)", "", f"*{escape(block.caption.text)}*{_ids([block.run])}"]
    return [_gap(document, block)]


def _text(document: Document, block: Text) -> str:
    parts = block.parts(document.word(block.key))
    said = "".join(escape(part.text) if isinstance(part, Cell) else part for part in parts)
    runs = [key for cell in block.filled.values() if cell.trace for key in cell.trace.runs]
    said += _ids(list(dict.fromkeys(runs)))
    return {"warning": f"> ⚠ **{said}**", "note": f"> {said}", "question": f"**{said}**", "quote": f"> {said}"}.get(block.style, said)


def _table(document: Document, block: Table) -> list[str]:
    traced = ["" if "key" in block.heads else _run_of(row) for row in block.rows]  # the list of runs names them itself
    heads = [*map(document.word, block.heads), *([document.word("run")] if any(traced) else [])]
    lines = [f"| {' | '.join(map(escape, heads))} |", f"|{' --- |' * len(heads)}"]
    for row, run in zip(block.rows, traced, strict=True):
        words = [escape(document.word(cell.text) if cell.kind == "label" else cell.text) for cell in row]
        words += [f"`{run[:8]}`" if run else ""] if any(traced) else []
        lines.append(f"| {' | '.join(words)} |")
    return lines


def _run_of(row: tuple[Cell, ...] | list[Cell]) -> str:
    """Return the run that a row is about: the first one named."""
    return next((cell.trace.runs[0] for cell in row if cell.trace and cell.trace.runs), "")


def _ids(runs: list[str]) -> str:
    return f" ({', '.join(f'`{key[:8]}`' for key in runs)})" if runs else ""


def _gap(document: Document, block: Gap) -> str:
    said = document.word("gap").format(what=escape(document.word(block.what)), notebook=f"`notebooks/{block.notebook}.ipynb`")
    return f"> ⚠ **{said}**"
