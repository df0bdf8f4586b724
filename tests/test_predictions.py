"""tp2lib.course.predictions, and the calibration in findings: written down before, compared after, and what counts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from plotted import words

from tp2lib.course.findings import make_calibration, read_calibration
from tp2lib.course.predictions import Judged, Predictions, judged, score
from tp2lib.course.progress import FILE, summary
from tp2lib.errors import RecordError


@pytest.fixture
def book(tmp_path):
    return Predictions("03", tmp_path)


@pytest.fixture
def steps(book):
    return book.ask("How many steps?", [10, 15, 30], unit="steps")


@pytest.fixture
def seconds(book):
    return book.ask("How long?", between=(0, 60), unit="s")


# -- the record ---------------------------------------------------------------------------------------


def test_expectation_and_measurement_stand_side_by_side(steps, tmp_path):
    assert "15 steps" in steps.commit(15).text
    assert steps.compare(30).text == "expected 15 steps, measured 30 steps: not as expected."
    assert steps.compare(15).text.endswith("as expected.")
    kinds = [json.loads(line)["event"] for line in (tmp_path / FILE).read_text().splitlines()]
    assert kinds == ["opened", "predicted", "measured", "measured"]


def test_an_answer_is_taken_up_after_a_restart_unless_it_came_too_late(steps, tmp_path):
    steps.commit(10, own=False)
    steps.commit(15)
    steps.compare(30)
    steps.commit(30)
    again = Predictions("03", tmp_path).ask("How many steps?", [10, 15, 30], unit="steps")
    assert again.commit(10, own=False).text == "15 steps. It is written down."
    assert "expected 15 steps, measured 30" in again.compare(30).text and [one.answer for one in judged(tmp_path)] == [15]
    assert again.box.entry.value == 15 and "15 steps. It is written down" in again.box.status.value
    assert Predictions("03", tmp_path).ask("How many steps?", [1, 2]).answer is None  # 15 is none of these choices
    assert Predictions("04", tmp_path).ask("How many steps?", [10, 15]).answer is None


def test_numbers_are_compared_by_a_factor(seconds):
    seconds.commit(2)
    assert seconds.compare(4.123).text == "expected 2 s, measured 4.12 s: a factor of 2.1 between them."
    assert seconds.compare(2.05).text.endswith("as expected.")


def test_without_an_expectation_the_measurement_stands_alone(steps):
    assert "You made no prediction" in steps.compare(30).text


@pytest.mark.parametrize("answer", [20, "15", "", None, True, [15], {}, "x" * 9999])
def test_what_is_no_choice_is_refused_with_the_choices(steps, answer):
    with pytest.raises(RecordError, match="must be one of 10, 15, 30"):
        steps.commit(answer)
    assert steps.answer is None


@pytest.mark.parametrize("answer", [-1, 61, float("nan"), float("inf"), 10**400, "2", None, True, [2]])
def test_what_is_no_number_of_the_range_is_refused(seconds, answer):
    with pytest.raises(RecordError, match="must be a number from 0 to 60"):
        seconds.commit(answer)


def test_numpy_numbers_are_numbers(seconds, steps):
    seconds.commit(np.float32(2.5))
    assert type(seconds.answer) is float and "as expected" in seconds.compare(np.float64(2.5)).text
    steps.commit(np.int64(15))
    assert type(steps.answer) is int
    assert "measured 1000" in seconds.compare(10**400).text


def test_a_question_must_leave_a_choice(book):
    for how in ({}, {"choices": [1]}, {"choices": [1, 2], "between": (0, 1)}):
        with pytest.raises(RecordError, match="two choices at least"):
            book.ask("What?", **how)


# -- what counts --------------------------------------------------------------------------------------


def test_an_example_never_replaces_an_answer_and_does_not_count(steps, tmp_path):
    assert "an example" in steps.commit(10, own=False).text
    assert "(an example, not yours)" in steps.compare(10).text
    assert judged(tmp_path) == [] and summary(tmp_path)[0].predictions == 0


def test_the_learners_own_answer_stays(steps, tmp_path):
    steps.commit(30)
    assert "30 steps" in steps.commit(10, own=False).text and steps.answer == 30
    steps.compare(30)
    (one,) = judged(tmp_path)
    assert (one.answer, one.measured, one.score, one.chance) == (30, 30, 1.0, pytest.approx(1 / 3))


def test_the_last_answer_before_the_first_measurement_counts(book, steps, tmp_path):
    steps.commit(10)
    steps.commit(15)
    steps.compare(30)
    again = book.ask("How many steps?", [10, 15, 30], unit="steps")
    assert "measured before" in again.commit(30).text
    assert again.compare(30).text.startswith("expected 15 steps, measured 30") and steps.commit(10).text.endswith("counts.") and steps.answer == 15
    (one,) = judged(tmp_path)
    assert (one.answer, one.score) == (15, 0.0)


def test_an_older_form_knows_what_a_newer_one_has_measured(book, steps):
    book.ask("How many steps?", [10, 15, 30], unit="steps").compare(30)
    assert "measured before" in steps.commit(30).text


def test_who_looked_first_predicts_no_more(steps, tmp_path):
    steps.compare(30)
    steps.commit(30)
    assert "does not count" in steps.compare(30).text and judged(tmp_path) == []
    assert "does not count" in Predictions("03", tmp_path).ask("How many steps?", [10, 15, 30]).compare(30).text  # nor after a restart


@pytest.mark.parametrize(
    ("answer", "measured", "chosen", "wanted"),
    [
        ("a", "a", True, 1), ("a", "b", True, 0), (2, 4, False, 0.5), (4, 2, False, 0.5), (0, 0, False, 1),
        (0, 1, False, 0), (-1, 1, False, 0), ("a", 1, False, 0), (None, 1, False, 0), (10**400, 1, False, 0),
        (float("inf"), 1, False, 0), (True, 1, False, 0),
    ],
)  # fmt: skip
def test_scores(answer, measured, chosen, wanted):
    assert score(answer, measured, chosen) == wanted


def test_forged_predictions_do_no_harm(tmp_path):
    line = {"notebook": "03", "at": "2026-11-25T10:00:00+00:00", "question": "q", "own": True}
    odd = [{"answer": [1], "choices": "many"}, {"answer": {"x": 1}, "choices": -5}, {"choices": 10**30}]
    for at, more in enumerate(odd):
        for event in ({**line, "event": "predicted", **more}, {**line, "event": "measured", "measured": [1]}):
            with (tmp_path / FILE).open("a") as file:
                file.write(json.dumps({**event, "question": f"q{at}"}) + "\n")
    assert len(judged(tmp_path)) == 3 and read_calibration(tmp_path).change is None


# -- the widget ---------------------------------------------------------------------------------------


def test_the_widget_starts_with_no_answer_and_does_what_a_call_does(steps, tmp_path):
    box = steps.box
    assert box.entry.value is None and [label for label, _ in box.entry.options] == ["10 steps", "15 steps", "30 steps"]
    box.button.click()
    assert "nothing is chosen yet" in box.status.value and steps.answer is None
    box.entry.value = 15
    box.button.click()
    assert (steps.answer, steps.own) == (15, True) and "written down" in box.status.value
    assert "application/vnd.jupyter.widget-view+json" in steps._repr_mimebundle_()
    assert summary(tmp_path)[0].predictions == 1


def test_what_a_browser_sends_is_checked(seconds):
    box = seconds.box
    for sent, said in (("", "nothing is chosen"), ("<b>", "&lt;b&gt;"), ("9" * 5000, "from 0 to 60"), ("-3", "from 0 to 60")):
        box.entry.set_state({"value": sent})
        box.button.click()
        assert 'role="alert"' in box.status.value and said in box.status.value and "<b>" not in box.status.value
    box.entry.set_state({"value": "2,5"})
    box.button.click()
    assert seconds.answer == 2.5


def test_a_question_is_escaped(book):
    box = book.ask("<script>alert(1)</script>", ["a", "b"]).widget
    assert "<script" not in box.children[0].value


# -- calibration ------------------------------------------------------------------------------------------


def learn(tmp_path, scores):
    for at, hit in enumerate(scores):
        one = Predictions(f"0{1 + at // 3}", tmp_path).ask(f"question {at}", ["a", "b"])
        one.commit("a")
        one.compare("a" if hit else "b")
    return read_calibration(tmp_path)


def test_few_predictions_make_no_comparison(tmp_path):
    found = learn(tmp_path, [1, 0, 1])
    assert found.change is None and "3 predictions" in found.said()


def test_improvement_is_told_from_luck(tmp_path):
    found = learn(tmp_path, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    low, high = found.interval
    assert found.change == 1 and 0 < low < high and found.said().endswith("better.")
    (tmp_path / "other").mkdir()
    unsure = learn(tmp_path / "other", [1, 0, 0, 1, 0, 1, 0, 1])
    low, high = unsure.interval
    assert low < 0 < high and "not separable from luck" in unsure.said()


@pytest.mark.parametrize("count", [4, 5, 8, 9, 12])
def test_coin_flips_are_rarely_an_improvement(count, tmp_path, monkeypatch):
    draw, wrong, rounds = np.random.default_rng(count), 0, 400
    for _ in range(rounds):
        flips = [Judged(notebook="01", question="q", answer=0, measured=0, score=float(hit), chance=0.5) for hit in draw.integers(0, 2, count)]
        monkeypatch.setattr("tp2lib.course.findings.judged", lambda outputs, flips=flips: flips)
        low, high = read_calibration(tmp_path).interval or (-1, 1)
        wrong += low > 0 or high < 0
    assert wrong / rounds <= 0.08


def test_calibration_is_drawn_and_told(tmp_path):
    found = learn(tmp_path, [0, 1, 0, 1, 1, 1])
    assert found.table().loc["01"].tolist() == [3, pytest.approx(1 / 3), 0.5] and found.table().loc["02"].tolist() == [3, 1.0, 0.5]
    written = words(make_calibration(found))
    assert found.said()[:40] in written and "how near" in written
    make_calibration(read_calibration(tmp_path / "nothing"))
