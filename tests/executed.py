"""Execution of notebooks as nbmake does it, and a look for what no cell fails on."""

from __future__ import annotations

import re

from nbformat import NotebookNode
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


class CommittedRun(NotebookRun):
    """A notebook as committed: nothing hidden went wrong, and every check says that its stub is one."""

    def execute(self) -> NotebookResult:
        result = super().execute()
        if result.error is not None:
            return result
        said = replies(result.nb)
        wrong = [*hidden_errors(result.nb), *(line for line in said if "not attempted" not in line)]
        if len(said) != len(asked := questions(self.filename.name[:2])):
            wrong.append(f"{len(asked)} exercises, and {len(said)} replies of their checks")
        return NotebookResult(result.nb, NotebookError(wrong[0], "\n".join(wrong), -1)) if wrong else result
