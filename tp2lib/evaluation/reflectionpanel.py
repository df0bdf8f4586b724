"""The closing questions as a form: a text box each, and one button that keeps them for the report."""

from __future__ import annotations

import html
import os
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import TP2Error
from tp2lib.evaluation.reflection import ASKED, answer, answers

__all__ = ["ReflectionPanel"]


class ReflectionPanel:
    """Shows the questions with what was answered before.

    Parameters
    ----------
    outputs : path
        Where the answers are kept.
    language : {"en", "fr"}

    Attributes
    ----------
    boxes : dict of str to Textarea
        One a question.
    """

    def __init__(self, outputs: str | os.PathLike[str], language: str = "en") -> None:
        self.outputs = outputs
        kept = answers(outputs)
        self.boxes = {
            name: widgets.Textarea(
                value=kept.get(name, ""), rows=4, layout={"width": "44em", "max_width": "100%"},
                tooltip=asked.title[language], continuous_update=False,
            )
            for name, asked in ASKED.items()
        }  # fmt: skip
        self.button = widgets.Button(description="Save answers", button_style="primary", tooltip="keep them for the report")
        self.status = widgets.HTML()
        self.button.on_click(lambda button: self._guarded())
        rows: list[Any] = []
        for name, asked in ASKED.items():
            rows += [widgets.HTML(f"<b>{html.escape(asked.title[language])}</b><br>{html.escape(asked.question[language])}"), self.boxes[name]]
        self.widget = widgets.VBox([*rows, self.button, self.status])

    def save(self) -> list[str]:
        """Keep every answer that is not blank, as the button does, and return which ones.

        Raises
        ------
        RecordError
            An answer is too long.
        OutputError
            They cannot be written.
        """
        given = [name for name, box in self.boxes.items() if box.value.strip()]
        for name in given:
            answer(name, self.boxes[name].value, self.outputs)
        self._say(f"{len(given)} of {len(ASKED)} answers are kept.")
        return given

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def _guarded(self) -> None:
        try:
            self.save()
        except TP2Error as error:  # an error in a callback would be seen by nobody
            self._say(str(error), error=True)

    def _say(self, words: str, error: bool = False) -> None:
        sign, role = ("✗ ", "alert") if error else ("", "status")
        self.status.value = f'<div role="{role}" aria-live="polite">{sign}{html.escape(words)}</div>'
