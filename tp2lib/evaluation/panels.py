"""The panels of notebook 06: blind scoring with the keys 0, 1 and 2, and the closing questions as a form.

Every handler calls one method that a program can call as well: `press`, `back`, `lock`, `save`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import RecordError, TP2Error
from tp2lib.evaluation.languages import words
from tp2lib.evaluation.reflection import answer, answers
from tp2lib.evaluation.rubric import CRITERIA, JUDGED, LEVELS
from tp2lib.evaluation.scoring import BlindScoring
from tp2lib.plots.display import image_html, macros, status_html

_HTML = macros(Path(__file__).with_name("panels.html.j2"))


class _Panel:
    """Shows its `widget`, and says in its `status` what happened, in its language."""

    widget: widgets.Box
    status: widgets.HTML
    _quiet = False

    def __init__(self, language: str) -> None:
        self.language, self._sentences = language, words(language)["panels"]

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def _guard(self, act: Any) -> None:
        """Do what a click asks for; an error in a callback would not be shown."""
        if self._quiet:
            return
        try:
            act()
        except TP2Error as error:
            self._say(str(error), error=True)

    def _say(self, words: str, error: bool = False) -> None:
        self.status.value = status_html(words, error)


class ScorePanel(_Panel):
    """Scores a session's pictures one by one; it opens at the first point that is missing.

    Parameters
    ----------
    session : BlindScoring
    language : {"en", "fr"}

    Attributes
    ----------
    at : tuple of str or None
        The code of the picture and the criterion that are asked for now; None when all points are given.
    buttons : dict of str to ToggleButtons
        One row a criterion.
    keys : Text
        Takes the keys 0, 1, 2, and b for one point back, with no need of a mouse.
    """

    def __init__(self, session: BlindScoring, language: str = "en") -> None:
        super().__init__(language)
        self.session, said = session, self._sentences
        self._showing: str | None = None
        self._taken = ""
        self.picture, self.words, self.status = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.bar = widgets.IntProgress(value=0, max=1, description=said["given"], layout={"width": "20em"})
        how = {"placeholder": said["which keys"], "tooltip": said["what keys do"]}
        self.keys = widgets.Text(description=said["keys"], continuous_update=True, layout={"width": "14em"}, **how)
        self.keys.observe(lambda change: self._guard(self._typed), "value")
        self.back_button = widgets.Button(description=said["back"], tooltip=said["what back does"])
        self.back_button.on_click(lambda button: self._guard(self.back))
        self.lock_button = widgets.Button(description=said["lock"], button_style="warning", tooltip=said["what lock does"])
        self.lock_button.on_click(lambda button: self._guard(self.lock))
        self.buttons = {name: self._row(name) for name in JUDGED}
        foot = widgets.HBox([self.keys, self.back_button, self.lock_button], layout={"flex_flow": "row wrap"})
        asked = widgets.VBox([self.words, *self.buttons.values(), foot, self.bar, self.status])
        self.widget = widgets.HBox([self.picture, asked], layout={"flex_flow": "row wrap", "align_items": "flex-start"})
        self._move(next(iter(session.ratings.missing()), None))

    def press(self, points: int) -> None:
        """Give points for what is asked now, and go on, as a key does; once all are given, nothing happens.

        RecordError is raised if the points cannot be, or the log is locked.
        """
        if self.at is None:
            self._say(self._sentences["all given"])
            return
        code, criterion = self.at
        self.session.score(code, criterion, points)
        self._move(self._after(code, criterion))

    def choose(self, criterion: str, points: int) -> None:
        """Give points for one criterion of the picture that is shown: as its buttons do."""
        if self._showing is not None:
            self.session.score(self._showing, criterion, points)
            self._move(self._after(self._showing, criterion))

    def back(self) -> None:
        """Ask for the point before the present one again."""
        places = [(item.code, name) for item in self.session.items for name in JUDGED]
        now = places.index(self.at) if self.at else len(places)
        self._move(places[max(now - 1, 0)])

    def lock(self) -> None:
        """Lock the points; they cannot be changed afterwards."""
        self.session.lock()
        self._move(None)
        self._say(self._sentences["locked now"])

    def type(self, text: str) -> None:
        """Take what was typed, a key at a time; other keys do nothing."""
        for key in text.casefold():
            if key == "b":
                self.back()
            elif key in "012":
                self.press(int(key))

    def _row(self, name: str) -> widgets.ToggleButtons:
        one = CRITERIA[name]
        tooltips = [f"{level}: {one.levels[self.language][level]}" for level in LEVELS]
        options, style = [(str(level), level) for level in LEVELS], {"description_width": "11em", "button_width": "3em"}
        row = widgets.ToggleButtons(options=options, value=None, description=one.label[self.language], tooltips=tooltips, style=style)
        row.observe(lambda change: self._guard(lambda: self._chosen(name, change)), "value")
        return row

    def _chosen(self, name: str, change: Any) -> None:
        try:
            self.choose(name, change["new"])
        except TP2Error:
            self._quiet = True
            self.buttons[name].value = change["old"]  # what was not saved is not shown
            self._quiet = False
            raise

    def _typed(self) -> None:
        """Take what is new in the box, which only the rater writes into: a box that was emptied here would swallow keys, or send them twice."""
        text, before, self._taken = self.keys.value, self._taken, self.keys.value
        start = len(os.path.commonprefix([text, before]))
        end = len(text) - len(os.path.commonprefix([text[start:][::-1], before[start:][::-1]]))
        self.type(text[start:end])

    def _after(self, code: str, criterion: str) -> tuple[str, str] | None:
        """The next missing point: of this picture first, then of the others in order."""
        missing = self.session.ratings.missing()
        own = [place for place in missing if place[0] == code]
        later = [place for place in missing if int(place[0]) > int(code)]
        return next(iter(own or later or missing), None)

    def _move(self, place: tuple[str, str] | None) -> None:
        """Ask for a point, or for the lock where there is none, and show what was given."""
        self.at = place
        ratings = self.session.ratings
        code = place[0] if place else self._showing or ratings.items[-1].code  # until the lock, the last picture's points can be changed
        if code != self._showing:
            self._show(code)
        given, whole = self.session.progress()
        self.bar.max, self.bar.value = whole, given
        self._quiet = True
        scores = ratings.scores.get(self._showing or "", {})
        for name, row in self.buttons.items():
            row.value, row.disabled = scores.get(name), ratings.locked
        self._quiet = False
        self.keys.disabled = self.back_button.disabled = ratings.locked
        self.lock_button.disabled = ratings.locked or place is not None
        if place is None:
            self._say(self._sentences["locked" if ratings.locked else "to lock"].format(given=given, whole=whole))
        else:
            one, codes = CRITERIA[place[1]], [item.code for item in ratings.items]
            place_of = {"number": codes.index(place[0]) + 1, "count": len(codes)}
            self._say(self._sentences["asked now"].format(**place_of, criterion=one.label[self.language], question=one.question[self.language]))

    def _show(self, code: str) -> None:
        self._showing = code
        said = self._sentences
        image, photo = self.session.image(code), self.session.photo(code)
        shown = image_html(image, alt=said["picture"].format(code=code), style="width:320px;max-width:100%")
        if photo is not None:
            shown = f"{shown}{_HTML.photo(image_html(photo, alt=said['photo'], style='width:160px'), said['as photographed'])}"
        self.picture.value = shown
        self.words.value = str(_HTML.asked(self.session.prompt(code), [CRITERIA[name] for name in JUDGED], self.language, said))


class ReflectionPanel(_Panel):
    """Shows the closing questions and the saved answers.

    Parameters
    ----------
    outputs : path
        Where the answers are saved.
    language : {"en", "fr"}

    Attributes
    ----------
    boxes : dict of str to Textarea
        One a question.
    """

    def __init__(self, outputs: str | os.PathLike[str], language: str = "en") -> None:
        super().__init__(language)
        self.outputs = outputs
        self._kept, layout = answers(outputs), {"width": "44em", "max_width": "100%"}  # kept: what this form has read or saved
        self.boxes: dict[str, widgets.Textarea] = {}
        rows: list[Any] = []
        for name, asked in words(language)["reflection"].items():
            self.boxes[name] = widgets.Textarea(value=self._kept.get(name, ""), rows=4, layout=layout, tooltip=asked["title"], continuous_update=False)
            rows += [widgets.HTML(str(_HTML.question(asked))), self.boxes[name]]
        self.button = widgets.Button(description=self._sentences["save"], button_style="primary", tooltip=self._sentences["what save does"])
        self.status = widgets.HTML()
        self.button.on_click(lambda button: self._guard(self.save))
        self.widget = widgets.VBox([*rows, self.button, self.status])

    def save(self) -> list[str]:
        """Keep the answers that were changed here, as the button does, and return which questions have one.

        RecordError is raised if an answer is too long, once the others are kept, and OutputError if they cannot be written.
        """
        refused = []
        for name, box in self.boxes.items():
            if box.value.strip() != self._kept.get(name, ""):
                try:
                    answer(name, box.value, self.outputs)
                    self._kept[name] = box.value.strip()
                except RecordError as error:  # the others are kept
                    refused.append(error)
        if refused:
            raise refused[0]
        given = list(answers(self.outputs))
        self._say(self._sentences["saved"].format(count=len(given), whole=len(self.boxes)))
        return given
