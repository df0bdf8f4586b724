"""The closing questions: asked in two languages, kept word by word, and a damaged file counts as none."""

from __future__ import annotations

import pytest

from tp2lib.errors import OutputError, RecordError
from tp2lib.evaluation.languages import LANGUAGES, words
from tp2lib.evaluation.panels import ReflectionPanel
from tp2lib.evaluation.reflection import ASKED, FILE, answer, answers


def test_the_reports_six_topics_are_asked_in_both_languages():
    assert list(ASKED) == ["quality", "latency", "reproducibility", "risks", "negative", "disclosure"]
    for code in LANGUAGES:
        assert list(words(code)["reflection"]) == list(ASKED)
        assert all(one["title"] and one["question"].endswith("?") for one in words(code)["reflection"].values())


def test_an_answer_is_kept_and_replaced(tmp_path):
    assert answers(tmp_path) == {}
    answer("risks", "  The pen.  ", tmp_path)
    answer("latency", "Four seconds.\nNo more.", tmp_path)
    answer("risks", "<b>The</b> pen", tmp_path)
    assert answers(tmp_path) == {"latency": "Four seconds.\nNo more.", "risks": "<b>The</b> pen"}
    answer("risks", " \n", tmp_path)
    assert answers(tmp_path) == {"latency": "Four seconds.\nNo more."}


@pytest.mark.parametrize(("name", "text"), [("risk", "yes"), ("risks", None), ("risks", "x" * 4001)])
def test_what_is_no_answer_is_refused(name, text, tmp_path):
    with pytest.raises(RecordError):
        answer(name, text, tmp_path)
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"risks": 7, "beauty": "x"}', '{"risks": "  "}', "x" * 600_000])
def test_a_file_of_somebody_elses_making_counts_as_none(text, tmp_path):
    (tmp_path / FILE).write_text(text)
    assert answers(tmp_path) == {}


def test_the_form_saves_what_is_not_blank_and_shows_it_again(tmp_path):
    form = ReflectionPanel(tmp_path)
    assert form.save() == []
    form.boxes["negative"].set_state({"value": "Nothing, with guidance off."})
    form.button.click()
    assert answers(tmp_path) == {"negative": "Nothing, with guidance off."} and "1 of 6" in form.status.value
    french = ReflectionPanel(tmp_path, "fr")
    assert french.boxes["negative"].value == "Nothing, with guidance off." and french.button.description == words("fr")["panels"]["save"]
    french.button.click()
    assert "1 sur 6" in french.status.value


def test_an_answer_that_is_too_long_keeps_no_other_from_being_saved(tmp_path):
    form = ReflectionPanel(tmp_path)
    first, *_, last = form.boxes
    form.boxes[first].set_state({"value": "x" * 4001})
    form.boxes[last].set_state({"value": "It says that a model made it."})
    form.button.click()
    assert answers(tmp_path) == {last: "It says that a model made it."} and "at most 4000 are kept" in form.status.value


def test_an_answer_that_is_emptied_in_the_form_is_gone(tmp_path):
    answer("negative", "Nothing.", tmp_path)
    answer("risks", "The pen.", tmp_path)
    form = ReflectionPanel(tmp_path)
    form.boxes["negative"].set_state({"value": " "})
    form.button.click()
    assert answers(tmp_path) == {"risks": "The pen."} and "1 of 6" in form.status.value


def test_a_form_replaces_only_the_answers_that_were_changed_in_it(tmp_path):
    first, second = ReflectionPanel(tmp_path), ReflectionPanel(tmp_path)
    second.boxes["risks"].value = "The pen."
    second.save()
    assert first.save() == ["risks"] and answers(tmp_path) == {"risks": "The pen."} and "1 of 6" in first.status.value


def test_the_form_says_what_went_wrong(tmp_path):
    form = ReflectionPanel(tmp_path)
    form.boxes["risks"].value = "<script>" + "x" * 4001
    form.button.click()
    assert "✗" in form.status.value and "4009 characters" in form.status.value and "<script>" not in form.status.value
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        answer("risks", "yes", tmp_path / "file")
