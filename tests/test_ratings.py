"""Raters' logs as foreign files: what counts, what is late, what was edited, and what is refused."""

from __future__ import annotations

import json

import pytest
from filled import fill, scored

from tp2lib.errors import RecordError
from tp2lib.evaluation.ratings import find_ratings, rater_name, read_ratings
from tp2lib.evaluation.rubric import JUDGED
from tp2lib.report.gather import Material

NAMES = ("smoke", "baseline", "t2i_run01_baseline", "t2i_run05_guid12")


@pytest.fixture
def session(tmp_path):
    return scored(tmp_path, fill(tmp_path, NAMES), "alice", lambda key, criterion: int(key, 16) % 3)


def lines(session):
    return session.path.read_text().splitlines()


def rewrite(session, change):
    """Edit the log by hand, as somebody with an editor would."""
    session.path.write_text("\n".join(change(lines(session))) + "\n")
    return read_ratings(session.path)


def test_a_locked_log_is_read_back_whole(session):
    known = read_ratings(session.path)
    assert (known.rater, known.locked, known.altered) == ("alice", True, False)
    assert known.scores == session.ratings.scores and known.missing() == []
    keys = {item.key for item in known.items}
    assert len(keys) == 4 and all(set(known.points(name, by="key")) == keys for name in JUDGED)
    ((first, second),) = known.repeats()
    assert first == second and len(first) == len(JUDGED)
    assert find_ratings(session.path.parent.parent) == [session.path]


def test_two_raters_who_are_called_me_have_the_names_of_their_files(tmp_path):
    here, there = (scored(tmp_path / name, fill(tmp_path / name, NAMES), "me", lambda key, criterion: 1, seed=seed) for seed, name in enumerate(("a", "b")))
    other = here.path.with_name("ann.jsonl")
    other.write_bytes(there.path.read_bytes())
    copy = here.path.with_name("me-2.jsonl")
    copy.write_bytes(here.path.read_bytes())
    assert [read_ratings(path).rater for path in (here.path, other, copy, there.path)] == ["me", "ann", "me", "me"]
    here.path.rename(here.path.with_name("ben.jsonl"))
    here.path.with_name("._ben.jsonl").write_bytes(b"\0\5\26\7")  # what macOS leaves in archives
    logs = [read_ratings(path) for path in find_ratings(tmp_path / "a")]
    assert [(log.rater, log.renamed) for log in logs] == [("ann", True), ("ben", True), ("me-2", True)]
    assert logs[1].session == logs[2].session != logs[0].session
    material = Material(tmp_path / "a")
    assert [log.rater for log in material.ratings] == ["ann", "ben"] and material.problems == [("scores/me-2.jsonl", "second log")]


def test_pictures_are_told_apart_by_what_a_log_has(session):
    with pytest.raises(RecordError, match=r"by is 'pixels'; it must be one of pixels_sha256, recipe, key"):
        session.ratings.points("realism", by="pixels")


def test_a_point_that_is_edited_after_the_lock_is_found(session):
    def better(rows):
        at = next(i for i, row in enumerate(rows) if '"points":0' in row)
        return [*rows[:at], rows[at].replace('"points":0', '"points":2'), *rows[at + 1 :]]

    assert rewrite(session, better).altered


@pytest.mark.parametrize("change", [lambda rows: [rows[0], *rows[2:]], lambda rows: [rows[0], rows[2], rows[1], *rows[3:]]])
def test_a_line_that_is_removed_or_moved_is_found(session, change):
    assert rewrite(session, change).altered
    assert rewrite(session, lambda rows: rows).altered  # it stays so


def test_what_comes_after_the_lock_does_not_count(session):
    before = read_ratings(session.path).scores
    late = json.dumps({"event": "scored", "item": "01", "criterion": "realism", "points": 2 - before["01"]["realism"]})
    after = rewrite(session, lambda rows: [*rows, late])
    assert after.scores == before and not after.altered


def test_the_last_point_before_the_lock_counts(tmp_path):
    runs = fill(tmp_path, NAMES)
    session = scored(tmp_path, runs, "bob", lambda key, criterion: 1, lock=False)
    session.score("01", "realism", 0)
    session.lock()
    known = read_ratings(session.path)
    assert known.scores["01"]["realism"] == 0


HOSTILE = {
    "empty": "",
    "another file": '{"event": "done", "key": "ab"}\n',
    "no pictures": '{"event": "opened", "rater": "eve", "items": []}\n',
    "a rater that is a path": '{"event": "opened", "rater": "../../eve", "items": [{"code": "01", "key": "abababab", '
    '"pixels_sha256": "' + "a" * 64 + '", "recipe": "abababab"}]}\n',
    "a picture that is none": '{"event": "opened", "rater": "eve", "items": [{"code": "01"}]}\n',
    "a repeat of nothing": '{"event": "opened", "rater": "eve", "items": [{"code": "01", "key": "abababab", "repeat_of": "07", '
    '"pixels_sha256": "' + "a" * 64 + '", "recipe": "abababab"}]}\n',
    "markup for a code": '{"event": "opened", "rater": "eve", "items": [{"code": "<b>", "key": "abababab", '
    '"pixels_sha256": "' + "a" * 64 + '", "recipe": "abababab"}]}\n',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_no_log_is_refused(text, tmp_path):
    path = tmp_path / "eve.jsonl"
    path.write_text(text)
    with pytest.raises(RecordError):
        read_ratings(path)


def test_impossible_points_in_a_log_are_refused(session):
    with pytest.raises(RecordError, match="must be 0, 1 or 2"):
        rewrite(session, lambda rows: [rows[0], rows[1].replace('"points":', '"points":9'), *rows[2:]])


@pytest.mark.parametrize("odd", [[], {}, None, 7])
def test_a_point_for_nothing_that_can_be_named_does_no_harm(session, odd):
    def with_odd(**changed):
        return lambda rows: [rows[0], json.dumps({"event": "scored", "item": "01", "criterion": "realism", "points": 2} | changed), *rows[1:]]

    assert rewrite(session, with_odd(item=odd)).altered
    with pytest.raises(RecordError, match="cannot be scored"):
        rewrite(session, with_odd(criterion=odd))


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "big.jsonl"
    with path.open("wb") as file:
        file.truncate(5_000_000)
    with pytest.raises(RecordError, match="5000000 bytes"):
        read_ratings(path)
    with pytest.raises(RecordError, match="cannot be read"):
        read_ratings(tmp_path / "nobody.jsonl")


@pytest.mark.parametrize("name", ["", "../eve", "a/b", "a" * 41, ".hidden", None, 7])
def test_a_rater_is_a_plain_name(name):
    with pytest.raises(RecordError, match="the rater is"):
        rater_name(name)
