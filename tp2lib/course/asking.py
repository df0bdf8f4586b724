"""The form of a prediction: its answers, a button, and a line that shows what was saved."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import RecordError, TP2Error, shown

__all__ = ["PredictionBox"]

_LONGEST = 40  # characters that are read of what somebody types for a number


class PredictionBox:
    """A form for one :class:`~tp2lib.course.predictions.Prediction`; no answer is selected when it appears.

    Attributes
    ----------
    entry : RadioButtons or Text
    button : Button
    status : HTML
    widget : VBox
    """

    def __init__(self, prediction: Any) -> None:
        self.prediction = prediction
        unit = f" {prediction.unit}" if prediction.unit else ""
        if prediction.choices is not None:
            options = [(f"{choice}{unit if not isinstance(choice, str) else ''}", choice) for choice in prediction.choices]
            look = {"layout": {"width": "max-content"}}
            self.entry: Any = widgets.RadioButtons(options=options, value=None, tooltip=prediction.question, **look)
        else:
            low, high = prediction.between
            hint = f"{low:g} to {high:g}{unit}"
            self.entry = widgets.Text(placeholder=hint, tooltip=prediction.question, continuous_update=False)
        self.button = widgets.Button(description="Write it down", tooltip="save this prediction before the measurement")
        self.button.on_click(lambda button: self.save())
        self.status = widgets.HTML(_line("What do you expect?"))
        question = widgets.HTML(f"<b>{html.escape(prediction.question)}</b>")
        self.widget = widgets.VBox([question, self.entry, widgets.HBox([self.button, self.status])])

    def save(self) -> None:
        """Write the answer down, as the button does; what is wrong with it becomes one sentence."""
        try:
            said = self.prediction.commit(self._value()).text
        except TP2Error as error:
            self.status.value = _line(f"✗ {error}", "alert")
        else:
            self.status.value = _line(said)

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


def _line(words: str, role: str = "status") -> str:
    return f'<div role="{role}" aria-live="polite">{html.escape(words)}</div>'
