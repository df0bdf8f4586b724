"""tp2lib.course.progress: what is kept of a lesson, what is made of it, and what a forged file can do."""

from __future__ import annotations

import json

import pytest

from tp2lib import paths
from tp2lib.course.progress import FILE, STATES, note, open_answers, read_events, summary
from tp2lib.errors import RecordError


def write(folder, *events, start=0):
    """Write events that are a minute apart; `minutes` says otherwise."""
    lines, minute = [], start
    for event in events:
        minute += event.pop("minutes", 1)
        lines.append(json.dumps({"notebook": "03", "at": f"2026-11-25T{minute // 60:02d}:{minute % 60:02d}:00+00:00", **event}))
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
    return folder


def check(outcome, question="3.1", **more):
    return {"event": "check", "question": question, "outcome": outcome, **more}


def test_nothing_done_is_nothing_known(tmp_path):
    assert read_events(tmp_path) == summary(tmp_path) == open_answers(tmp_path) == []


def test_what_is_noted_is_read_back(tmp_path):
    assert note("check", "03", outputs=tmp_path, question="3.1", outcome="right", found="so, not '/home/alice/outputs/a b.png'") == ""
    (event,) = read_events(tmp_path)
    assert event.items() >= {"event": "check", "notebook": "03", "question": "3.1", "outcome": "right", "found": "so, not 'a b.png'"}.items()
    assert len((tmp_path / FILE).read_text().splitlines()) == 1


def test_the_default_folder_is_outputs(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "mine")
    note("opened", "01")
    assert summary()[0].notebook == "01" and (tmp_path / "mine" / FILE).is_file()


def test_a_disk_that_cannot_be_written_stops_no_lesson(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "cannot be written" in note("opened", "01", outputs=tmp_path / "file")
    assert "kept as JSON" in note("opened", "01", outputs=tmp_path, odd=float("nan"))


def test_other_events_are_refused():
    with pytest.raises(RecordError, match="'gave up'"):
        note("gave up", "01")
    with pytest.raises(RecordError, match="'1'"):
        note("opened", "1")


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([check("not attempted")], "not attempted"),
        ([check("wrong"), check("not attempted")], "wrong"),
        ([check("wrong"), check("right")], "right"),
        ([check("right"), check("wrong")], "right"),
        ([check("wrong"), {"event": "solution", "question": "3.1"}], "solution seen"),
        ([{"event": "solution", "question": "3.1"}, check("right")], "right after the solution"),
        ([{"event": "solution", "question": "3.1"}, check("wrong")], "solution seen"),
        ([check("right"), {"event": "solution", "question": "3.1"}], "right"),
        ([{"event": "answer", "question": "3.1", "text": "so"}], "saved"),
        ([{"event": "solution", "question": "3.1"}, {"event": "answer", "question": "3.1", "text": "so"}], STATES[1]),
    ],
)
def test_the_best_that_was_reached_counts_and_a_solution_is_remembered(tmp_path, events, state):
    (found,) = summary(write(tmp_path, *events))
    assert found.questions == {"3.1": state} and state in STATES
    assert found.done == (state in ("right", "right after the solution", "saved"))


def test_minutes_leave_pauses_out_and_hints_count_once(tmp_path):
    hint = {"event": "hint", "question": "3.1", "number": 1}
    (found,) = summary(write(tmp_path, {"event": "opened"}, {**hint, "minutes": 4}, {**hint, "minutes": 55}, {**hint, "number": 2}))
    assert found.minutes == 4 + 10 + 1 and found.hints == 2


def test_a_prediction_counts_only_before_its_measurement(tmp_path):
    mine = {"event": "predicted", "own": True}
    events = [{**mine, "question": "a"}, {"event": "measured", "question": "a"}, {**mine, "question": "a"}]
    (found,) = summary(write(tmp_path, *events, {"event": "measured", "question": "b"}, {**mine, "question": "b"}))
    assert found.predictions == 1


def test_notebooks_are_told_apart(tmp_path):
    write(tmp_path, check("right"), check("wrong", "1.2", notebook="01"))
    assert [(one.notebook, one.questions) for one in summary(tmp_path)] == [("01", {"1.2": "wrong"}), ("03", {"3.1": "right"})]


def test_the_last_open_answer_counts(tmp_path):
    for text in ("first", "second"):
        note("answer", "06", outputs=tmp_path, question="6.4", title="What", text=text)
    (found,) = open_answers(tmp_path)
    assert found.items() >= {"question": "6.4", "title": "What", "text": "second", "notebook": "06"}.items()


HOSTILE = [
    "no json", "[]", "{}", '{"event": "check"}', '{"event": "check", "notebook": "03", "at": "yesterday", "question": "3.1"}',
    '{"event": "check", "notebook": 3, "at": "2026-11-25T10:00:00", "question": "3.1"}',
    '{"event": "check", "notebook": "03", "at": 5, "question": "3.1"}',
    '{"event": "check", "notebook": "03", "at": "2026-11-25T10:00:00", "question": "<script>"}',
    '{"event": "answer", "notebook": "03", "at": "2026-11-25T10:00:00", "question": "3.1", "text": 7}',
    '{"event": "predicted", "notebook": "03", "at": "2026-11-25T10:00:00", "question": []}',
    '{"event": "hint", "notebook": "03", "at": "2026-11-25T10:00:00", "question": "3.1", "number": []}',
    '{"event": "rm", "notebook": "03", "at": "2026-11-25T10:00:00"}', "[" * 100_000, "\x00",
]  # fmt: skip


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_forged_line_is_left_out(tmp_path, line):
    write(tmp_path, check("right"))
    with (tmp_path / FILE).open("a") as file:
        file.write(f"{line}\n")
    write(tmp_path, check("right", "3.2"), start=5)
    (found,) = summary(tmp_path)
    assert found.questions == {"3.1": "right", "3.2": "right"}


def test_a_file_that_nobody_wrote_by_hand_is_refused(tmp_path):
    with (tmp_path / FILE).open("wb") as file:
        file.truncate(30_000_000)
    with pytest.raises(RecordError, match="30000000 bytes"):
        read_events(tmp_path)
