"""A report as one HTML file that holds its own pictures: for a browser, a printer, and a screen reader.

Everything that is filled in is escaped by jinja2; there is no script in the page, and its policy forbids any. The
pictures are the ledger's own files, mark of origin and recipe included, so one saved from the page can be replayed.
"""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from tp2lib.errors import OutputError, RecordError, shown
from tp2lib.report.document import Block, Cell, Document, Gap, Picture, Table, Text
from tp2lib.storage.pictures import export_picture

__all__ = ["to_html"]

_TEMPLATE = Path(__file__).with_name("report.html.j2")


def to_html(document: Document) -> str:
    """Write a report as one HTML file.

    Raises
    ------
    OutputError
        A picture of the report cannot be read any more.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    sections = [
        {"id": f"s{number}", "title": document.word(one.title), "level": one.level, "groups": _groups(document, one.blocks)}
        for number, one in enumerate(document.sections)
    ]
    return template.render(language=document.language, sections=sections, word=document.word)


def _groups(document: Document, blocks: Any) -> list[dict[str, Any]]:
    """Put pictures that follow each other into one row; everything else stands for itself."""
    groups: list[dict[str, Any]] = []
    for block in blocks:
        one = _block(document, block)
        if one["kind"] == "picture" and groups and groups[-1]["kind"] == "pictures":
            groups[-1]["pictures"].append(one)
        else:
            groups.append({"kind": "pictures", "pictures": [one]} if one["kind"] == "picture" else one)
    return groups


def _block(document: Document, block: Block) -> dict[str, Any]:
    if isinstance(block, Text):
        parts = [_part(part) for part in block.parts(document.word(block.key))]
        runs = [key for cell in block.filled.values() if cell.trace for key in cell.trace.runs]
        return {"kind": "text", "style": block.style, "parts": parts, "runs": list(dict.fromkeys(runs))}
    if isinstance(block, Table):
        return _table(document, block)
    if isinstance(block, Picture):
        return {"kind": "picture", "source": _data(block), "alt": block.alt, "caption": block.caption.text, "run": block.run}
    return _gap(document, block)


def _part(part: str | Cell) -> dict[str, str]:
    if isinstance(part, str):
        return {"text": part, "trace": ""}
    return {"text": part.text, "trace": _trace(part)}


def _table(document: Document, block: Table) -> dict[str, Any]:
    rows = []
    for row in block.rows:
        cells = [
            {
                "text": document.word(cell.text) if cell.kind == "label" else cell.text,
                "trace": _trace(cell),
                "number": cell.kind == "number",
            }
            for cell in row
        ]
        run = next((cell.trace.runs[0] for cell in row if cell.trace and cell.trace.runs), "")
        rows.append({"cells": cells, "run": run})
    traced = any(row["run"] for row in rows)
    numbers = [all(row["cells"][at]["number"] for row in rows) for at in range(len(block.heads))] if rows else []
    for row in rows:
        for cell, aligned in zip(row["cells"], numbers, strict=True):
            cell["number"] = aligned
    heads = [{"text": document.word(head), "number": at < len(numbers) and numbers[at]} for at, head in enumerate(block.heads)]
    return {"kind": "table", "heads": heads, "rows": rows, "traced": traced, "list": "key" in block.heads}


def _gap(document: Document, block: Gap) -> dict[str, Any]:
    before, _, after = document.word("gap").partition("{notebook}")
    said = before.replace("{what}", document.word(block.what))
    return {"kind": "gap", "before": said, "notebook": f"notebooks/{block.notebook}.ipynb", "after": after}


def _trace(cell: Cell) -> str:
    """Say where a figure is from, for the pointer that rests on it."""
    if cell.trace is None:
        return ""
    where = ", ".join(key[:8] for key in cell.trace.runs) or cell.trace.file
    return f"{cell.trace.what} · {where}"


def _data(picture: Picture) -> str:
    """Return a picture's file as a data URI, with folders of this machine left out of its record."""
    try:
        if picture.photo:
            data = picture.path.read_bytes()
        else:
            with tempfile.TemporaryDirectory(prefix="tp2-report-") as folder:
                data = export_picture(picture.path, Path(folder) / "picture.png").read_bytes()
    except (OSError, RecordError) as error:
        raise OutputError(f"the picture {shown(picture.path.name)} cannot be read ({error}). Run its notebook again.") from error
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
