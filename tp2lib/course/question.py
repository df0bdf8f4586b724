"""The questions of the course: their outcomes, hints and solutions, and checks of what an answer is.

A check gets ordinary values (numbers, names, recipes, runs, sweeps, pictures, the text of a plan) and looks at
the property that was asked for. It never runs text as code.
"""

from __future__ import annotations

import inspect
import math
import numbers
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from tp2lib.course.progress import note
from tp2lib.course.replies import Reply
from tp2lib.errors import TP2Error, counted, did_you_mean, shown
from tp2lib.metadata.pixels import open_image
from tp2lib.recipe import Recipe

__all__ = [
    "OpenQuestion",
    "Question",
    "Wrong",
    "as_number",
    "as_picture",
    "as_reason",
    "as_recipe",
    "as_whole",
    "differing",
    "listed",
    "one_of",
]

DIFFICULTIES = ("easy", "medium", "hard")
_LONGEST = 4000  # characters kept of an open answer


class Wrong(Exception):
    """An answer is wrong; the message says what is wrong, and what was found."""


@dataclass(kw_only=True, repr=False, eq=False)
class Question:
    """One question: `check` an answer, ask for a `hint` (three, each telling more), or see the `solution`.

    Attributes
    ----------
    number, title, minutes, difficulty
        As they head the exercise.
    wants : str
        What kind of answer is asked for, in words.
    hints : sequence of three str
    answer : str
        Code that takes the place of the stub.
    why : str
        The explanation that comes with it.
    parts : sequence of str
        The names of the answer's parts, where it has several.
    judge : callable
        Gets the answer and what the learner's notebook has, and returns what is to be said of a right answer;
        raises :class:`Wrong` for another.
    prepare : callable or None
        Makes what the question needs, such as pictures, from a model and a ledger.
    """

    number: str
    title: str
    minutes: int
    difficulty: str
    wants: str
    hints: Sequence[str]
    answer: str
    why: str
    parts: Sequence[str] = ()
    judge: Callable[..., str]
    prepare: Callable[[Any, Any], Any] | None = None
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
        lost = note("check", self.notebook, question=self.number, outcome=kind, found=text[:500])
        return self._reply(kind, text + (f" (Not recorded: {lost})" if lost else ""))

    def hint(self, number: int | None = None) -> Reply:
        """Give the next hint, or the first, second or third."""
        wanted = self._given + 1 if number is None else number
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
            return self._reply("hint", f"{shown(number)} is no hint; there are 1, 2 and 3.")
        at = min(wanted, len(self.hints))
        self._given = max(self._given, at)
        note("hint", self.notebook, question=self.number, number=at)
        end = f" That was the last; {self.name}.solution() shows one way." if wanted > at else ""
        return self._reply("hint", f"({at} of {len(self.hints)}) {self.hints[at - 1]}{end}")

    def solution(self) -> Reply:
        """Show one way, and why it is right. That it was seen is remembered."""
        note("solution", self.notebook, question=self.number)
        return self._reply("solution", self.why, self.answer)

    def _reply(self, kind: str, text: str, code: str = "") -> Reply:
        return Reply(kind=kind, about=self.number, text=text, code=code)

    def _outcome(self, answer: Any, given: tuple[Any, ...]) -> tuple[str, str]:
        if missing := _missing(answer, self.parts):
            what = f"{', '.join(missing)} still to be given; " if self.parts and len(missing) < len(self.parts) else ""
            return "not attempted", f"{what}the answer is {self.wants}."
        if len(given) != len(self.needs) or any(one is None for one in given):
            call = ", ".join(("answer", *self.needs))
            return "not attempted", f"the check needs more: {self.name}.check({call}). Run the cells above first."
        try:
            return "right", self.judge(_parted(answer, self), *given)
        except Wrong as error:
            return "wrong", str(error)
        except TP2Error as error:
            return "wrong", f"that cannot be: {error}"
        except Exception as error:  # whatever a learner's object does when it is looked at
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
            raise Wrong(f"{shown(answer)} is {_kind(answer)}; the answer is {self.wants}.")
        words = answer.split()
        if len(words) < self.least_words:
            raise Wrong(f"it has {counted(len(words), 'word')}, too few to say why; write {self.least_words} or more.")
        if len({word.casefold() for word in words}) < self.least_words / 2:
            raise Wrong(f"it has {len(words)} words, and nearly all are the same; write a reason of your own.")
        if " ".join(words).casefold() in " ".join(" ".join((*self.hints, self.why)).casefold().split()):
            raise Wrong("that is a hint's own wording; write yours, with what you measured.")
        return " ".join(answer.split("\x00"))[:_LONGEST]

    def check(self, answer: Any = None, /, *given: Any) -> Reply:
        """Save an answer for the report; the last one counts."""
        kind, text = self._outcome(answer, given)
        if kind != "right":
            note("check", self.notebook, question=self.number, outcome=kind, found=text[:500])
            return self._reply(kind, text)
        lost = note("answer", self.notebook, question=self.number, title=self.title, text=text)
        if lost:
            return self._reply("wrong", f"it could not be kept: {lost}")
        return self._reply("saved", f"{len(text.split())} words, for the report. Check again to replace them.")


def _missing(answer: Any, parts: Sequence[str]) -> list[str]:
    """List the parts of an answer that are still a stub."""
    if not parts:
        return ["answer"] if _blank(answer) else []
    if _blank(answer):
        return list(parts)
    if isinstance(answer, (tuple, list)) and len(answer) == len(parts):
        return [part for part, value in zip(parts, answer, strict=True) if _blank(value)]
    return []


def _parted(answer: Any, question: Question) -> Any:
    """Return an answer, as a list where it has parts."""
    if not question.parts:
        return answer
    if not isinstance(answer, (tuple, list)) or len(answer) != len(question.parts):
        raise Wrong(f"{shown(answer)} is not {question.wants}: ({', '.join(question.parts)}).")
    return list(answer)


def _blank(value: Any) -> bool:
    return value is None or value is ... or (isinstance(value, str) and not value.strip())


def _kind(value: Any) -> str:
    names = {str: "text", int: "a number", float: "a number", bool: "True or False", Recipe: "a recipe"}
    return names.get(type(value), f"of type {type(value).__name__}")


def as_number(value: Any, what: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a real number, whoever made it.

    Raises
    ------
    Wrong
        It is no number, or not one from `low` to `high`.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        hint = "; take the quotes off" if isinstance(value, str) else ""
        raise Wrong(f"{what} is {shown(value)}, {_kind(value)}, not a number{hint}.")
    number = float(value)
    if not low <= number <= high:  # NaN is neither
        limits = f"from {low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
        raise Wrong(f"{what} is {shown(value)}; it can only be {limits}.")
    return number


def as_whole(value: Any, what: str, low: float = 0, high: float = math.inf) -> int:
    """Return a whole number; 60.0 is one too."""
    number = as_number(value, what, low, high)
    if not number.is_integer():
        raise Wrong(f"{what} is {shown(value)}, not a whole number.")
    return int(number)


def as_recipe(value: Any) -> Recipe:
    """Return a recipe."""
    if isinstance(value, Recipe):
        return value
    hint = " A run has it in run.recipe." if isinstance(getattr(value, "recipe", None), Recipe) else ""
    raise Wrong(f"{shown(value)} is {_kind(value)}, not a Recipe.{hint}")


def as_picture(value: Any) -> Image.Image:
    """Return the RGB picture of a PIL image, a run, or a path."""
    if isinstance(value, (str, os.PathLike)):
        return open_image(Path(value))[0].convert("RGB")
    picture = getattr(value, "image", value)
    if isinstance(picture, Image.Image):
        return picture.convert("RGB")
    hint = " The picture is in .images[0] of what pipe returns." if hasattr(value, "images") else ""
    raise Wrong(f"{shown(value)} is {_kind(value)}, not a picture.{hint}")


def as_reason(value: Any, least: int = 4) -> str:
    """Return a reason of at least `least` words."""
    words = value.split() if isinstance(value, str) else []
    if len(words) < least:
        raise Wrong(f"the reason is {shown(value)}, of {counted(len(words), 'word')}; defend it in a sentence.")
    return " ".join(words)


def one_of(value: Any, known: Any, what: str) -> Any:
    """Return the one of `known` that is meant; upper and lower case are one."""
    for one in known:
        if value == one or (isinstance(value, str) and value.strip().casefold() == str(one).casefold()):
            return one
    names = ", ".join(map(str, known))
    raise Wrong(f"{what} is {shown(value)}; it must be one of {names}.{did_you_mean(value, map(str, known))}")


def listed(value: Any, what: str) -> list[Any]:
    """Return the members of a tuple, list or set."""
    if isinstance(value, (tuple, list, set, frozenset)):
        return list(value)
    raise Wrong(f"{shown(value)} is {_kind(value)}; give {what}, in brackets.")


def differing(one: Recipe, other: Recipe) -> list[str]:
    """Name the settings in which two recipes differ."""
    ours, theirs = one.to_dict(), other.to_dict()
    return [name for name in ours if ours[name] != theirs[name]]
