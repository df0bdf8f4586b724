"""The score panel: keys, buttons and calls do the same, and nothing that a rater must not know is in it."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import replace

import pytest
from filled import fill, made

from tp2lib.errors import OutputError
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.evaluation.languages import words
from tp2lib.evaluation.panels import ScorePanel
from tp2lib.evaluation.rubric import JUDGED
from tp2lib.evaluation.scoring import BlindScoring

NAMES = ("t2i_run01_baseline", "t2i_run05_guid12", "i2i_run09_strength085")


@pytest.fixture
def session(tmp_path):
    return BlindScoring(list(fill(tmp_path, NAMES).values()), "alice", outputs=tmp_path, seed=1)


@pytest.fixture
def panel(session):
    return ScorePanel(session)


def test_keys_score_in_order_and_go_to_the_next_picture(panel, session):
    assert panel.at == ("01", "adherence")
    for typed in ("2", "21", "210", "2101"):
        panel.keys.set_state({"value": typed})  # as the browser sends it
    assert session.ratings.scores == {"01": dict(zip(JUDGED, (2, 1, 0, 1), strict=True))} and panel.at == ("02", "adherence")
    assert "Picture 2 of 4" in panel.status.value and panel.bar.value == 4


def test_keys_typed_faster_than_the_kernel_answers_count_once_each(panel, session):
    panel.keys.set_state({"value": "1"})
    panel.keys.set_state({"value": "1202"})  # the browser keeps back what is typed while a message is under way
    panel.keys.set_state({"value": "120"})  # deleted: no key
    assert panel.keys.value == "120"  # nothing is written into the box
    assert session.ratings.scores == {"01": dict(zip(JUDGED, (1, 2, 0, 2), strict=True))}


@pytest.mark.parametrize(("before", "after"), [("12", "0"), ("12", "102"), ("12", "012"), ("120", "12"), ("120", "10"), ("120", "")])
def test_a_key_counts_wherever_it_is_typed_and_a_deleted_one_does_not(panel, session, before, after):
    panel.keys.set_state({"value": before})
    panel.keys.set_state({"value": after})
    assert session.ratings.scores == {"01": dict(zip(JUDGED[:3], (1, 2, 0), strict=True))}


def test_buttons_do_what_keys_do(panel, session):
    panel.buttons["usability"].set_state({"index": 0})
    assert session.ratings.scores == {"01": {"usability": 0}} and panel.at == ("01", "adherence")
    panel.press(2)
    assert panel.buttons["adherence"].value == 2 and panel.at == ("01", "realism")


def test_a_button_whose_point_was_not_saved_goes_back(panel, session, monkeypatch):
    panel.buttons["realism"].set_state({"index": 1})

    def full(event):
        raise OutputError("no space left")

    monkeypatch.setattr(session, "_append", full)
    panel.buttons["realism"].set_state({"index": 2})
    assert panel.buttons["realism"].value == 1 and session.ratings.scores["01"]["realism"] == 1 and "no space left" in panel.status.value


def test_one_goes_back_and_scores_again(panel, session):
    panel.type("22b0")
    assert session.ratings.scores["01"] == {"adherence": 2, "realism": 0}
    panel.back_button.click()
    assert panel.at == ("01", "realism")


def test_other_keys_do_nothing(panel, session):
    panel.type("x3é \n<")
    assert session.ratings.scores == {} and panel.at == ("01", "adherence")


def test_it_is_locked_by_its_button_only_when_all_is_given(panel, session):
    assert panel.lock_button.disabled
    panel.lock_button.click()
    assert "✗" in panel.status.value and not session.locked
    while panel.at:
        panel.type("1")
    assert not panel.lock_button.disabled and panel.bar.value == panel.bar.max == 16
    panel.press(2)
    assert "All points are given" in panel.status.value
    panel.lock_button.click()
    assert session.locked and "Locked" in panel.status.value and panel.keys.disabled
    assert all(row.disabled for row in panel.buttons.values())


def test_a_panel_opens_where_the_session_was_left(panel, session, tmp_path):
    panel.type("2222" + "1")
    again = ScorePanel(session, "fr")
    assert again.at == ("02", "realism") and again.buttons["adherence"].value == 1
    assert "réalisme visuel" in again.status.value


def test_points_can_be_changed_after_a_restart_until_they_are_locked(panel, session):
    panel.type("1" * 16)
    again = ScorePanel(session)
    again.buttons["realism"].set_state({"index": 2})
    assert session.ratings.scores["04"]["realism"] == again.buttons["realism"].value == 2 and again.picture.value == panel.picture.value != ""


def test_a_french_panel_speaks_french(session):
    panel, shown = ScorePanel(session, "fr"), []
    for after in (lambda: panel.type("2"), panel.back, lambda: panel.type("2" * 16), panel.lock_button.click, lambda: panel.press(2)):
        shown += [panel.status.value, panel.words.value, panel.picture.value, panel.keys.placeholder]
        shown += [text for one in (panel.bar, panel.keys, panel.back_button, panel.lock_button) for text in (one.description, one.tooltip or "")]
        after()
    said = html.unescape(" ".join([*shown, panel.status.value])).replace("\xa0", " ")
    for language, wanted in (("fr", True), ("en", False)):
        told = {key for key, sentence in words(language)["panels"].items() if max(re.split(r"{\w+}", sentence.replace("\xa0", " ")), key=len) in said}
        assert {"all given", "to lock", "asked now", "picture", "prompt", "levels", "back", "what lock does"} <= told or not wanted
        assert wanted or not told - {"prompt", "keys", "given"}


def test_nothing_shows_the_settings(panel, session):
    while panel.at:
        shown = f"{panel.picture.value} {panel.words.value} {panel.status.value}"
        shown = re.sub(r"base64,[^\"]*", "", shown)
        assert not re.search(r"guidance|steps|EulerA|strength|run0\d|seed|[0-9a-f]{16}", shown)
        panel.type("1")


def test_the_picture_that_is_sent_carries_no_recipe(panel):
    sent = base64.b64decode(re.search(r"base64,([^\"]+)", panel.picture.value)[1])
    assert b"guidance" not in sent and b"tp2" not in sent and b"parameters" not in sent


def test_a_hostile_prompt_is_only_words(tmp_path):
    recipe = EXPERIMENTS["baseline"].recipe.vary(prompt='<img src=x onerror="alert(1)">')
    run = replace(made(EXPERIMENTS["baseline"], 0), recipe=recipe)
    panel = ScorePanel(BlindScoring([run], "eve", outputs=tmp_path))
    assert "<img src=x" not in panel.words.value and recipe.prompt in html.unescape(panel.words.value)


def test_each_row_is_labelled_and_says_what_the_points_mean(panel):
    for name, row in panel.buttons.items():
        assert row.description and len(row.tooltips) == 3 and all(len(words) > 15 for words in row.tooltips), name
    assert panel.keys.tooltip and 'role="status"' in panel.status.value and "alt=" in panel.picture.value
