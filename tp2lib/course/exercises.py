"""The questions of the course: ``from tp2lib.course import q3_2``, then ``q3_2.check(answer)``.

``.hint()`` gives three hints, each telling more, and ``.solution()`` one way with its reason. Their words are in
``exercises.toml``, the judgement of each answer is in ``exercises_01_03`` and ``exercises_04_06``.
"""

from __future__ import annotations

import importlib
import inspect
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tp2lib.course.answers import Reply, Wrong, kind_of
from tp2lib.course.progress import FILE, STATES, note, summary
from tp2lib.errors import TP2Error, counted, shown

_LONGEST = 4000  # characters kept of an open answer


@dataclass(kw_only=True, repr=False, eq=False)
class Question:
    """One question: `check` an answer, ask for a `hint` (three, each telling more), or see the `solution`."""

    number: str  # such as "3.2"
    title: str
    minutes: int
    difficulty: str
    wants: str  # what kind of answer is asked for, in words
    hints: Sequence[str]
    answer: str  # code that takes the place of the stub
    why: str  # the explanation that comes with it
    parts: Sequence[str] = ()  # the names of the answer's parts, where it has several
    judge: Callable[..., str]  # gets the answer and what the notebook has; says what a right one shows, raises Wrong for another
    prepare: Callable[[Any, Any], Any] | None = None  # makes what the question needs, such as pictures, from a model and a ledger
    _given: int = field(default=0, init=False)  # hints, in this process

    @property
    def needs(self) -> tuple[str, ...]:
        """What `check` gets beside the answer, in order: what the learner's own notebook has."""
        return tuple(inspect.signature(self.judge).parameters)[1:]

    @property
    def name(self) -> str:
        """Its name in code, such as ``"q3_2"``."""
        return f"q{self.number.replace('.', '_')}"

    @property
    def notebook(self) -> str:
        """The number of its notebook, such as ``"03"``."""
        return f"{int(self.number.partition('.')[0]):02d}"

    def check(self, answer: Any = None, /, *given: Any) -> Reply:
        """Say whether an answer is right, wrong (and what was found), or not attempted."""
        kind, text = self._outcome(answer, given)
        lost = self._note("check", outcome=kind, found=text[:500])
        return self._reply(kind, text + (f" (Not recorded: {lost})" if lost else ""))

    def hint(self, number: int | None = None) -> Reply:
        """Give the next hint, or the first, second or third."""
        wanted = self._given + 1 if number is None else number
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
            return self._reply("hint", f"{shown(number)} is not a hint number; use 1, 2 or 3.")
        at = min(wanted, len(self.hints))
        self._given = max(self._given, at)
        self._note("hint", number=at)
        end = f" That was the last; {self.name}.solution() shows one way." if wanted > at else ""
        return self._reply("hint", f"({at} of {len(self.hints)}) {self.hints[at - 1]}{end}")

    def solution(self) -> Reply:
        """Show one way, and why it is right. That it was seen is remembered."""
        self._note("solution")
        return self._reply("solution", self.why, self.answer)

    def _note(self, event: str, **facts: Any) -> str:
        return note(event, self.notebook, question=self.number, **facts)

    def _reply(self, kind: str, text: str, code: str = "") -> Reply:
        return Reply(kind=kind, about=self.number, text=text, code=code)

    def _outcome(self, answer: Any, given: tuple[Any, ...]) -> tuple[str, str]:
        several = isinstance(answer, (tuple, list)) and len(answer) == len(self.parts) > 0
        missing = [part for part, value in zip(self.parts, answer, strict=True) if _blank(value)] if several else []
        if _blank(answer) or missing:
            what = f"{', '.join(missing)} still to be given; " if 0 < len(missing) < len(self.parts) else ""
            return "not attempted", f"{what}the answer is {self.wants}."
        if len(given) != len(self.needs) or any(one is None for one in given):
            call = ", ".join(("answer", *self.needs))
            return "not attempted", f"the check needs more: {self.name}.check({call}). Run the cells above first."
        try:
            if self.parts and not several:
                raise Wrong(f"{shown(answer)} is not {self.wants}: ({', '.join(self.parts)}).")
            return "right", self.judge(answer, *given)
        except Wrong as error:
            return error.kind, str(error)
        except TP2Error as error:
            return "wrong", f"that is not possible: {error}"
        except Exception as error:  # a learner's object may raise any error
            return "wrong", f"{shown(answer)} cannot be looked at as {self.wants} ({type(error).__name__})."

    def __repr__(self) -> str:
        return f"{self.number} {self.title}: {self.name}.check(answer), .hint(), .solution()"


@dataclass(kw_only=True, repr=False, eq=False)
class OpenQuestion(Question):
    """A question without one right answer: what is written is saved, for the report."""

    least_words: int
    judge: Callable[..., str] = field(init=False)

    def __post_init__(self) -> None:
        self.judge = self._saved

    def _saved(self, answer: Any) -> str:
        """Return what is saved: enough words, and their writer's own."""
        if not isinstance(answer, str):
            raise Wrong(f"{shown(answer)} is {kind_of(answer)}; the answer is {self.wants}.")
        words = answer.split()
        if len(words) < self.least_words:
            raise Wrong(f"it has {counted(len(words), 'word')}, too few to say why; write {self.least_words} or more.")
        if len({word.casefold() for word in words}) < self.least_words / 2:
            raise Wrong(f"it has {len(words)} words, and nearly all are the same; write a reason of your own.")
        if " ".join(words).casefold() in " ".join(" ".join((*self.hints, self.why)).casefold().split()):
            raise Wrong("that is a hint's own wording; write yours, with what you measured.")
        if len(answer) > _LONGEST:
            raise Wrong(f"it has {len(answer)} characters; at most {_LONGEST} are kept. Shorten it.")
        return " ".join(answer.split("\x00"))

    def check(self, answer: Any = None, /, *given: Any) -> Reply:
        """Save an answer for the report; the last one counts."""
        kind, text = self._outcome(answer, given)
        if kind != "right":
            self._note("check", outcome=kind, found=text[:500])
            return self._reply(kind, text)
        if lost := self._note("answer", title=self.title, text=text):
            return self._reply("wrong", f"it could not be kept: {lost}")
        return self._reply("saved", f"{len(text.split())} words, for the report. Check again to replace them.")


def _blank(value: Any) -> bool:
    return value is None or value is ... or (isinstance(value, str) and not value.strip())


@cache
def questions(notebook: str | None = None) -> Mapping[str, Question]:
    """Return the questions of one notebook, or of all, by name and in their order."""
    words = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    found = [_question(number, known) for number, known in words.items() if notebook in (None, f"0{number[0]}")]
    return MappingProxyType({question.name: question for question in found})


def _question(number: str, words: dict[str, Any]) -> Question:
    """Put a question's words together with the functions `judge_N_N` and `prepare_N_N` of its module."""
    if "least_words" in words:
        return OpenQuestion(number=number, **words)
    module = importlib.import_module("tp2lib.course.exercises_01_03" if number < "4" else "tp2lib.course.exercises_04_06")
    name = number.replace(".", "_")
    return Question(number=number, judge=getattr(module, f"judge_{name}"), prepare=getattr(module, f"prepare_{name}", None), **words)


def progress_line(notebook: str, outputs: str | os.PathLike[str] | None = None) -> Reply:
    """Say in a line what was done in a notebook: exercises, hints, predictions, minutes."""
    count = len(questions(notebook))
    mine = next((one for one in summary(outputs) if one.notebook == notebook), None)
    if mine is None:
        return Reply(kind="progress", about=notebook, text=f"0 of {count} exercises done.")
    late = sum(state == STATES[1] for state in mine.questions.values())
    after = f" ({late} after the solution)" if late else ""
    hints, predictions, minutes = counted(mine.hints, "hint"), counted(mine.predictions, "prediction"), counted(round(mine.minutes), "minute")
    done = f"{mine.done} of {count} exercises done{after}, {hints} read, {predictions} of your own, {minutes}"
    return Reply(kind="progress", about=notebook, text=f"{done}. Kept in {FILE} of the outputs folder, and nowhere else.")


def __getattr__(name: str) -> Any:
    if name.startswith("q") and name in (known := questions()):
        return known[name]
    raise AttributeError(f"module {__name__!r} has no question {name!r}")
