"""Predictions of a learner: saved before the measurement, and compared with it afterwards.

Only the last answer *before* the first measurement counts; what is changed afterwards is kept, and called late.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tp2lib.course.progress import note, read_events
from tp2lib.course.replies import Reply
from tp2lib.errors import RecordError, did_you_mean, shown

__all__ = ["Judged", "Prediction", "Predictions", "judged", "score"]

Answer = str | int | float


class Predictions:
    """The predictions of one notebook; opening it notes when the notebook was begun.

    Parameters
    ----------
    notebook : str
        Its number, such as ``"03"``.
    outputs : path, optional
        Where they are kept; by default ``outputs/``.
    """

    def __init__(self, notebook: str, outputs: str | os.PathLike[str] | None = None) -> None:
        self.notebook, self.outputs = notebook, outputs
        note("opened", notebook, outputs=outputs)

    def ask(
        self,
        question: str,
        choices: Sequence[Answer] | None = None,
        *,
        between: tuple[float, float] | None = None,
        unit: str = "",
    ) -> Prediction:
        """Ask for a prediction; see :class:`Prediction`."""
        return Prediction(self, question, choices=choices, between=between, unit=unit)


class Prediction:
    """One question to be answered before the computer does; as the last line of a cell it shows its widget.

    Parameters
    ----------
    book : Predictions
    question : str
        In words; it is the prediction's name in the record.
    choices : sequence of str or numbers, optional
        The possible answers.
    between : (lowest, highest), optional
        For a number instead.
    unit : str
        Stands behind the answers, such as ``"steps"``.

    Raises
    ------
    RecordError
        Neither or both of `choices` and `between` are given, or they leave no choice.
    """

    def __init__(
        self,
        book: Predictions,
        question: str,
        *,
        choices: Sequence[Answer] | None = None,
        between: tuple[float, float] | None = None,
        unit: str = "",
    ) -> None:
        if (choices is None) == (between is None) or (choices is not None and len(set(choices)) < 2):
            raise RecordError(f"the question {shown(question)} must have two choices at least, or between=(low, high).")
        self.book, self.question, self.unit = book, question, unit
        self.choices = None if choices is None else list(choices)
        self.between = between
        self.answer: Answer | None = None
        self.own = False
        self._box: Any = None

    def commit(self, answer: Answer, own: bool = True) -> Reply:
        """Write an answer down: the plain twin of the widget's button.

        Parameters
        ----------
        answer : str or number
        own : bool, default True
            False for an example, which stands in where the learner gave none: it never replaces an answer of
            their own, and it does not count.

        Raises
        ------
        RecordError
            It is none of the choices, or no number of the range.
        """
        answer = self._checked(answer)
        if not own and self.own:
            return Reply(kind="expected", about=self.question, text=f"{self._said()}. It is written down.")
        self.answer, self.own = answer, own
        late = own and self._measured_before()
        facts = {"answer": answer, "own": own, "choices": self.choices and len(self.choices)}
        lost = note("predicted", self.book.notebook, outputs=self.book.outputs, question=self.question, **facts)
        text = f"{self._said()}. " + (f"It could not be kept: {lost}" if lost else "It is written down.")
        if not own:
            text = f"{self._said()} is an example. Your own answer replaces it, and counts."
        if late:
            text += " But it was measured before: only a prediction made before the measurement counts."
        return Reply(kind="expected", about=self.question, text=text)

    def compare(self, measured: Any) -> Reply:
        """Put what was measured beside what was expected, and write it down.

        Parameters
        ----------
        measured : str or number
            Whatever came out; it need not be one of the choices.
        """
        measured = measured if isinstance(measured, str) else _plain(measured)
        facts = {"question": self.question, "measured": measured}
        note("measured", self.book.notebook, outputs=self.book.outputs, **facts)
        came = f"measured {self._worded(measured)}"
        if self.answer is None:
            return Reply(kind="compared", about=self.question, text=f"{came}. You made no prediction, so there is nothing to compare.")
        expected, how = self._said() if self.own else f"{self._said()} (an example, not yours)", self._how(measured)
        table = {"expected": expected, "measured": self._worded(measured), "result": how}
        return Reply(kind="compared", about=self.question, text=f"expected {expected}, {came}: {how}.", table=table)

    @property
    def widget(self) -> Any:
        """The form: the answers, and a button that writes one down."""
        if self._box is None:
            from tp2lib.course.asking import PredictionBox

            self._box = PredictionBox(self)
        return self._box.widget

    @property
    def box(self) -> Any:
        """The widget's parts: `entry`, `button`, `status`."""
        return self.widget and self._box

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def _checked(self, answer: Any) -> Answer:
        if self.choices is not None:
            plain = answer if isinstance(answer, str) else _plain(answer)
            if isinstance(answer, (str, numbers.Real)) and not isinstance(answer, bool) and plain in self.choices:
                return self.choices[self.choices.index(plain)]
            known = [str(choice) for choice in self.choices]
            hint = did_you_mean(answer, known) or " Take one of these."
            raise RecordError(f"the expectation is {shown(answer)}; it must be one of {', '.join(known)}.{hint}")
        low, high = self.between or (-math.inf, math.inf)
        number = _plain(answer)
        if not isinstance(number, (int, float)) or not low <= number <= high:
            raise RecordError(f"the expectation is {shown(answer)}; it must be a number from {low:g} to {high:g}.")
        return number

    def _measured_before(self) -> bool:
        events = read_events(self.book.outputs)
        mine = (event for event in events if event["notebook"] == self.book.notebook)
        return any(event["event"] == "measured" and event["question"] == self.question for event in mine)

    def _worded(self, value: Any) -> str:
        words = f"{value:.3g}" if isinstance(value, float) else str(value)
        return f"{words} {self.unit}".strip() if isinstance(value, (int, float)) else words

    def _said(self) -> str:
        return self._worded(self.answer)

    def _how(self, measured: Any) -> str:
        if self.choices is not None:
            return "as expected" if score(self.answer, measured, True) else "not as expected"
        near = score(self.answer, measured, False)
        if near >= 0.95:
            return "as expected"
        return f"a factor of {1 / near:.2g} between them" if near else "not comparable"


def _plain(value: Any) -> Any:
    """Return a number as Python's own, whoever made it; anything else as words."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    return shown(value)


def score(answer: Any, measured: Any, chosen: bool) -> float:
    """Return how near an expectation came, 0 to 1.

    A choice is 1 if it is what was measured, else 0. A number is the smaller of the two divided by the larger: 0.5
    for half or twice of what was measured.
    """
    if chosen:
        return float(answer == measured)
    if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (answer, measured)):
        return 0.0
    try:
        small, large = sorted((float(answer), float(measured)))  # a file's integer may have a thousand digits
    except OverflowError:
        return 0.0
    if small == large:
        return 1.0
    return small / large if small > 0 and math.isfinite(large) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One prediction that counts, beside what was measured.

    Attributes
    ----------
    notebook, question : str
    answer, measured : str or number
    score : float
        0 to 1; see :func:`score`.
    chance : float or None
        What a blind pick among the choices scores on average; None for numbers.
    """

    notebook: str
    question: str
    answer: Any
    measured: Any
    score: float
    chance: float | None


def judged(outputs: str | os.PathLike[str] | None = None) -> list[Judged]:
    """List the learner's own predictions that were made before their measurement, in the order of measuring."""
    last: dict[tuple[str, str], dict[str, Any]] = {}
    found: dict[tuple[str, str], Judged | None] = {}
    for event in read_events(outputs):
        key = (event["notebook"], str(event.get("question")))
        if event["event"] == "predicted" and event.get("own") is True:
            last[key] = event
        elif event["event"] == "measured" and key not in found:
            found[key] = _judge(last[key], event) if key in last else None
    return [one for one in found.values() if one is not None]


def _judge(event: dict[str, Any], measured: dict[str, Any]) -> Judged:
    count = event.get("choices", 0)
    chosen = isinstance(count, int) and count > 1
    expected, came = event.get("answer"), measured.get("measured")
    return Judged(
        notebook=event["notebook"], question=event["question"], answer=expected, measured=came,
        score=score(expected, came, chosen), chance=1 / count if chosen else None,
    )  # fmt: skip
