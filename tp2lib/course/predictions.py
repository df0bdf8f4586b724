"""Predictions of a learner: saved before the measurement, and compared with it afterwards.

Only the last answer *before* the first measurement counts; what is changed afterwards is kept, and called late.
"""

from __future__ import annotations

import html
import math
import numbers
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tp2lib.course.answers import Reply
from tp2lib.course.progress import note, read_events
from tp2lib.errors import RecordError, TP2Error, did_you_mean, shown
from tp2lib.plots.display import status_html

Answer = str | int | float

_LONGEST = 40  # characters that are read of what somebody types for a number


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

    def ask(self, question: str, choices: Sequence[Answer] | None = None, *, between: tuple[float, float] | None = None, unit: str = "") -> Prediction:
        """Ask for a prediction; as the last line of a cell it shows its form.

        The question, in words, is the prediction's name in the record. `choices` are the possible answers; `between`, for a number instead, is the lowest and
        the highest; `unit` stands behind the answers, such as ``"steps"``. RecordError is raised if neither or both of `choices` and `between` are given, or
        they leave no choice.
        """
        if (choices is None) == (between is None) or (choices is not None and len(set(choices)) < 2):
            raise RecordError(f"the question {shown(question)} must have two choices at least, or between=(low, high).")
        known = None if choices is None else list(choices)
        return Prediction(book=self, question=question, choices=known, between=between or (-math.inf, math.inf), unit=unit)


@dataclass(kw_only=True, eq=False)
class Prediction:
    """One question to be answered before the computer does, as :meth:`Predictions.ask` makes it."""

    book: Predictions
    question: str
    choices: list[Answer] | None
    between: tuple[float, float]
    unit: str
    answer: Answer | None = None
    own: bool = False  # whether the answer is the learner's, and no example
    late: bool = False  # whether the answer came after the measurement

    def __post_init__(self) -> None:
        """Take up the learner's own answer from before a restart of the kernel: the one that counts, else the last."""
        measured = False
        for event in self._events():
            if event["event"] == "measured":
                if self.own:
                    return
                measured = True
            if event["event"] == "predicted" and event.get("own") is True:
                with suppress(RecordError):  # the question had other choices then
                    self.answer, self.own, self.late = self._checked(event.get("answer")), True, measured

    def commit(self, answer: Answer, own: bool = True) -> Reply:
        """Write an answer down: the plain twin of the widget's button; raise RecordError if it is none of the choices, or no number of the range.

        With `own` False it is an example, which stands in where the learner gave none: it never replaces an answer of their own, and it does not count.
        """
        answer = self._checked(answer)
        if not own and self.own:
            return self._reply("expected", self.kept())
        late = own and any(event["event"] == "measured" for event in self._events())
        lost = self._note("predicted", answer=answer, own=own, choices=self.choices and len(self.choices))
        if self.late or not (late and self.own):  # an answer that counts stays
            self.answer, self.own, self.late = answer, own, late
        said = self._worded(answer)
        text = f"{said}. " + (f"It could not be kept: {lost}" if lost else "It is written down.")
        if not own:
            text = f"{said} is an example. Your own answer replaces it, and counts."
        if late:
            text += " But it was measured before: only a prediction made before the measurement counts."
        return self._reply("expected", text)

    def kept(self) -> str:
        """Say which answer of the learner's own is written down, or ask for one."""
        return f"{self._worded(self.answer)}. It is written down." if self.own else "What do you expect?"

    def compare(self, measured: Any) -> Reply:
        """Put what was measured, text or a number, beside what was expected, and write it down; it need not be one of the choices."""
        measured = measured if isinstance(measured, str) else _plain(measured)
        self._note("measured", measured=measured)
        came = self._worded(measured)
        if self.answer is None:
            return self._reply("compared", f"measured {came}. You made no prediction, so there is nothing to compare.")
        remark = " (an example, not yours)" if not self.own else " (given after the measurement, so it does not count)" if self.late else ""
        expected, how = self._worded(self.answer) + remark, self._how(measured)
        table = {"expected": expected, "measured": came, "result": how}
        return self._reply("compared", f"expected {expected}, measured {came}: {how}.", table)

    @cached_property
    def box(self) -> PredictionBox:
        """The form: `widget`, and its parts `entry`, `button` and `status`."""
        return PredictionBox(self)

    @property
    def widget(self) -> Any:
        """The form: the answers, and a button that writes one down."""
        return self.box.widget

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def _note(self, event: str, **facts: Any) -> str:
        return note(event, self.book.notebook, outputs=self.book.outputs, question=self.question, **facts)

    def _reply(self, kind: str, text: str, table: dict[str, str] | None = None) -> Reply:
        return Reply(kind=kind, about=self.question, text=text, table=table or {})

    def _checked(self, answer: Any) -> Answer:
        plain = answer if isinstance(answer, str) else _plain(answer)
        if self.choices is not None:
            if isinstance(answer, (str, numbers.Real)) and not isinstance(answer, bool) and plain in self.choices:
                return self.choices[self.choices.index(plain)]
            known = [str(choice) for choice in self.choices]
            hint = did_you_mean(answer, known) or " Take one of these."
            raise RecordError(f"the expectation is {shown(answer)}; it must be one of {', '.join(known)}.{hint}")
        low, high = self.between
        if not isinstance(plain, (int, float)) or not low <= plain <= high:
            raise RecordError(f"the expectation is {shown(answer)}; it must be a number from {low:g} to {high:g}.")
        return plain

    def _events(self) -> list[dict[str, Any]]:
        """What the learner's record has of this question, oldest first."""
        return [event for event in read_events(self.book.outputs) if (event["notebook"], event.get("question")) == (self.book.notebook, self.question)]

    def _worded(self, value: Any) -> str:
        words = f"{value:.3g}" if isinstance(value, float) else str(value)
        return f"{words} {self.unit}".strip() if isinstance(value, (int, float)) else words

    def _how(self, measured: Any) -> str:
        near = score(self.answer, measured, self.choices is not None)
        if near >= 0.95:
            return "as expected"
        if self.choices is not None:
            return "not as expected"
        return f"a factor of {1 / near:.2g} between them" if near else "not comparable"


class PredictionBox:
    """The form of a prediction: its answers (none is selected until one was given), a button, and a line that shows what was saved."""

    def __init__(self, prediction: Prediction) -> None:
        import ipywidgets as widgets  # the report reads predictions, and shows no form

        self.prediction = prediction
        unit = f" {prediction.unit}" if prediction.unit else ""
        known = prediction.answer if prediction.own else None
        if prediction.choices is not None:
            options = [(f"{choice}{unit if not isinstance(choice, str) else ''}", choice) for choice in prediction.choices]
            self.entry: Any = widgets.RadioButtons(options=options, value=known, tooltip=prediction.question, layout={"width": "max-content"})
        else:
            low, high = prediction.between
            hint, typed = f"{low:g} to {high:g}{unit}", "" if known is None else str(known)
            self.entry = widgets.Text(typed, placeholder=hint, tooltip=prediction.question, continuous_update=False)
        self.button = widgets.Button(description="Write it down", tooltip="save this prediction before the measurement")
        self.button.on_click(lambda button: self.save())
        self.status = widgets.HTML(status_html(prediction.kept()))
        question = widgets.HTML(f"<b>{html.escape(prediction.question)}</b>")
        self.widget = widgets.VBox([question, self.entry, widgets.HBox([self.button, self.status])])

    def save(self) -> None:
        """Write the answer down, as the button does; what is wrong with it becomes one sentence."""
        try:
            self.status.value = status_html(self.prediction.commit(self._value()).text)
        except TP2Error as error:
            self.status.value = status_html(str(error), error=True)

    def _value(self) -> Any:
        value = self.entry.value
        if value is None or value == "":
            raise RecordError("nothing is chosen yet. Choose an answer, then press the button.")
        if self.prediction.choices is not None:
            return value
        try:
            number = float(value[:_LONGEST].replace(",", "."))
        except ValueError:
            raise RecordError(f"{shown(value, _LONGEST)} is not a number. Type digits, such as 2.5.") from None
        return int(number) if number.is_integer() else number


def _plain(value: Any) -> Any:
    """Return a number of any type as Python's own; anything else as text."""
    with suppress(OverflowError):  # an integer of 400 digits
        if isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value):
            return int(value) if isinstance(value, numbers.Integral) else float(value)
    return shown(value)


def score(answer: Any, measured: Any, chosen: bool) -> float:
    """Return how near an expectation came, 0 to 1: a choice is right or not; of two numbers, the smaller divided by the larger."""
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
    """One prediction that counts, beside what was measured."""

    notebook: str
    question: str
    answer: Any
    measured: Any
    score: float  # 0 to 1
    chance: float | None  # what a blind pick among the choices scores on average; None for numbers


def judged(outputs: str | os.PathLike[str] | None = None) -> list[Judged]:
    """List the learner's own predictions that were made before their measurement, in the order of measuring."""
    last: dict[tuple[str, str], dict[str, Any]] = {}
    found: dict[tuple[str, str], Judged | None] = {}
    for event in read_events(outputs):
        key = (event["notebook"], str(event.get("question")))
        if event["event"] == "predicted" and event.get("own") is True:
            last[key] = event
        elif event["event"] == "measured" and key not in found:
            found[key] = _judge(last[key], event.get("measured")) if key in last else None
    return [one for one in found.values() if one is not None]


def _judge(event: dict[str, Any], measured: Any) -> Judged:
    count, answer = event.get("choices", 0), event.get("answer")
    chosen = isinstance(count, int) and count > 1
    near, chance = score(answer, measured, chosen), 1 / count if chosen else None
    return Judged(notebook=event["notebook"], question=event["question"], answer=answer, measured=measured, score=near, chance=chance)
