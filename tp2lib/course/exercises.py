"""The questions of the course: ``from tp2lib.course import q3_2``, then ``q3_2.check(answer)``.

``.hint()`` gives three hints, each telling more, and ``.solution()`` one way with its reason.
"""

from __future__ import annotations

import importlib
import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tp2lib.course.progress import FILE, STATES, summary
from tp2lib.course.question import OpenQuestion, Question
from tp2lib.course.replies import Reply
from tp2lib.errors import counted

__all__ = ["NOTEBOOKS", "progress_line", "questions"]

NOTEBOOKS = ("01", "02", "03", "04", "05", "06")


@cache
def questions(notebook: str | None = None) -> Mapping[str, Question]:
    """Return the questions of one notebook, or of all, by name and in their order."""
    words = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    found = [_question(number, known) for number, known in words.items() if notebook in (None, f"0{number[0]}")]
    return MappingProxyType({question.name: question for question in found})


def _question(number: str, words: dict[str, Any]) -> Question:
    """Put a question's words together with the functions `judge_N_N` and `prepare_N_N` of its module."""
    first = (int(number[0]) - 1) // 2 * 2 + 1
    module, name = importlib.import_module(f"tp2lib.course.exercises_{first:02d}_{first + 1:02d}"), number.replace(".", "_")
    if "least_words" in words:
        return OpenQuestion(number=number, **words)
    return Question(number=number, judge=getattr(module, f"judge_{name}"), prepare=getattr(module, f"prepare_{name}", None), **words)


def progress_line(notebook: str, outputs: str | os.PathLike[str] | None = None) -> Reply:
    """Say in a line what was done in a notebook: exercises, hints, predictions, minutes."""
    count = len(questions(notebook))
    mine = next((one for one in summary(outputs) if one.notebook == notebook), None)
    if mine is None:
        return Reply(kind="progress", about=notebook, text=f"0 of {count} exercises done.")
    shown = sum(state == STATES[1] for state in mine.questions.values())
    after = f" ({shown} after the solution)" if shown else ""
    hints, predictions, minutes = counted(mine.hints, "hint"), counted(mine.predictions, "prediction"), counted(round(mine.minutes), "minute")
    done = f"{mine.done} of {count} exercises done{after}, {hints} read, {predictions} of your own, {minutes}"
    return Reply(kind="progress", about=notebook, text=f"{done}. Kept in {FILE} of the outputs folder, and nowhere else.")


def __getattr__(name: str) -> Any:
    if name.startswith("q") and name in (known := questions()):
        return known[name]
    raise AttributeError(f"module {__name__!r} has no question {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *questions()})
