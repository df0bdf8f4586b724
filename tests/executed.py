"""Execution of notebooks as nbmake does it, and a look for what no cell fails on."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from nbformat import NotebookNode, from_dict, read, write
from nbformat.v4 import new_code_cell
from nbmake.nb_result import NotebookError, NotebookResult
from nbmake.nb_run import NotebookRun

from tp2lib.course.exercises import questions


def hidden_errors(book: NotebookNode) -> list[str]:
    """Errors inside widgets' outputs and states, tracebacks of threads, warnings."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    states = book.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    words = []
    for widget in states.values():
        outputs += widget["state"].get("outputs", ())
        words += [value for value in widget["state"].values() if isinstance(value, str)]
    found = [output["ename"] for output in outputs if output["output_type"] == "error"]
    words += [output["text"] for output in outputs if output["output_type"] == "stream"]
    return found + [text for text in words if re.search(r"Traceback \(most recent call last\)|Warning: |✗", text)]


def replies(book: NotebookNode) -> list[str]:
    """What the checks of the exercises said."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    texts = [output.data.get("text/plain", "") for output in outputs if output.output_type == "execute_result"]
    return [text for text in texts if re.match(r"\d\.\d+ (not attempted|right|wrong|saved):", text)]


def with_solutions(book: NotebookNode) -> NotebookNode:
    """A copy with, after its last cell, every question's solution and check: one run shows both what a stub and what a solution is told."""
    copy = from_dict(book)
    for question in asked(book):
        check = next(cell.source for cell in book.cells if cell.source.startswith(f"{question.name}.check("))
        copy.cells += [new_code_cell(question.answer), new_code_cell(check)]
    return copy


def asked(book: NotebookNode) -> list:
    """The questions whose stubs a notebook has."""
    return [questions()[tag] for cell in book.cells for tag in cell.metadata.get("tags", ()) if tag in questions()]


class CommittedRun(NotebookRun):
    """A notebook as committed, then its solutions: nothing hidden goes wrong, every stub is told that it is one, every solution that it is right.

    The executed copy, without the solutions, stays beside ``TP2_OUTPUTS``: ``tp2 pages`` is tested on it.
    """

    def execute(self) -> NotebookResult:
        book = read(self.filename, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            plain, self.filename = self.filename, Path(folder) / self.filename.name
            write(with_solutions(book), self.filename)
            result = super().execute()
        if result.error is not None:
            return result
        said, count = replies(result.nb), len(asked(book))
        wrong = hidden_errors(result.nb)
        wrong += [line for line in said[:count] if "not attempted" not in line]
        wrong += [line for line in said[count:] if not re.match(r"\d\.\d+ (right|saved):", line)]
        if (known := len(questions(plain.name[:2]))) != count or len(said) != 2 * count:
            wrong.append(f"{known} exercises, {count} stubs, and {len(said)} replies of their checks")
        if outputs := os.environ.get("TP2_OUTPUTS"):
            result.nb.cells = result.nb.cells[: len(book.cells)]
            write(result.nb, Path(outputs).parent / plain.name)
        return NotebookResult(result.nb, NotebookError(wrong[0], "\n".join(wrong), -1)) if wrong else result
