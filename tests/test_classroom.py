"""The instructor's view: thirty folders, some of them broken or forged, in one table that always comes."""

from __future__ import annotations

import importlib
import shutil
from dataclasses import replace

import pytest
from filled import fill, made, prove, scored

from tp2lib.cli.main import main
from tp2lib.course.progress import note
from tp2lib.errors import ModelError, OutputError
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.evaluation.reflection import answer
from tp2lib.report.classroom import learners, make_class, outliers, replay_sample, write_class

NAMES = ("baseline", "t2i_run01_baseline", "t2i_run05_guid12", "i2i_run09_strength085")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """Six learners: two sound ones, one who swapped, one whose picture does not replay, one forger, one broken folder."""
    root = tmp_path_factory.mktemp("class")
    for number, name in enumerate(("ann", "ben")):
        runs = fill(root / name, NAMES)
        prove(root / name, runs)
        scored(root / name, runs, name, lambda key, criterion, number=number: (int(key, 16) + number * (criterion == "realism")) % 3, seed=number)
        answer("risks", "The pen.", root / name)
    fill(root / "cid" / "outputs", ["t2i_run01_baseline"], t2i_run01_baseline=made(EXPERIMENTS["t2i_run05_guid12"], 4))
    runs = fill(root / "dan", NAMES[:1])
    prove(root / "dan", runs, baseline="different")
    fill(root / "eve", NAMES[:1])
    made(EXPERIMENTS["baseline"], 0, image=made(EXPERIMENTS["baseline"], 7).image).save(root / "eve" / "baseline.png")
    (root / "fred <b>").mkdir()
    (root / "fred <b>" / "baseline.png").write_bytes(b"\x89PNG")
    (root / "fred <b>" / "ledger.jsonl").write_text("not json\n[1]\n")
    (root / "fred <b>" / "scores").mkdir()
    (root / "fred <b>" / "scores" / "x.jsonl").write_text('{"event": "opened", "items": "all"}\n')
    return root


def test_every_folder_becomes_a_line(room):
    found = {one.name: one for one in learners(room)}
    assert list(found) == ["ann", "ben", "cid", "dan", "eve", "fred <b>"]
    assert [one.pictures for one in found.values()] == [4, 4, 1, 1, 1, 0]
    assert (found["ann"].answers, found["ann"].proofs, found["ann"].not_replayed) == (1, 4, ())
    assert found["cid"].swapped == ("t2i_run01_baseline",)  # a clone around the outputs folder is fine
    assert found["dan"].not_replayed == ("baseline",)
    assert found["eve"].untraced == ("baseline",)
    assert any(file == "baseline.png" for file, _ in found["fred <b>"].remarks)


@pytest.mark.parametrize(("handed_in", "outputs"), [("", ""), ("outputs", "outputs"), ("tp2-main/outputs", "tp2-main/outputs"), ("a/b/outputs", "")])
def test_an_outputs_folder_is_found_where_a_zip_puts_it_and_what_is_not_read_is_a_remark(tmp_path, handed_in, outputs):
    fill(tmp_path / "ada" / handed_in, NAMES[:1])
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "bob.zip").write_bytes(b"PK")
    (tmp_path / "ada.zip").write_bytes(b"PK")  # unpacked, and left there
    ada, bob = learners(tmp_path)
    assert (ada.name, ada.outputs, bob.name, bob.remarks) == ("ada", tmp_path / "ada" / outputs, "bob", (("bob.zip", "packed"),))
    assert ada.pictures == (handed_in != "a/b/outputs") == (not ada.remarks)
    page = make_class(tmp_path).render("markdown")
    assert "bob: bob.zip: this is still packed" in page and ("ada: ledger.jsonl: there is no such file" in page) == bool(ada.remarks)


def test_the_columns_that_marks_are_given_for_are_told_apart(tmp_path):
    fill(tmp_path / "ada", NAMES[:1])
    for event, question in (("check", "3.1"), ("solution", "4.3"), ("check", "4.3")):
        note(event, "03", outputs=tmp_path / "ada", question=question, outcome="right")
    for notebook in ("02", "03", "04"):
        for event in ({"event": "predicted", "own": True, "answer": 1}, {"event": "measured", "measured": 1}):
            note(notebook=notebook, outputs=tmp_path / "ada", question="How many?", **event)
    for language, told in (
        ("en", ["3, of them 2 in 03 and 04", "2/24 (1 after the solution)"]),
        ("fr", ["3, dont 2 en 03 et 04", "2/24 (dont 1 après la solution)"]),
    ):
        assert lines(make_class(tmp_path, language))["ada"][2:4] == told


def lines(page):
    """The rows of a page's tables, by their first cell."""
    rows = [line.strip("| ").split(" | ") for line in page.render("markdown").splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in rows}


def test_agreement_is_over_the_same_pixels_where_there_are_some(room):
    page = make_class(room)
    assert "with the same pixels" in page.render("markdown")
    rows = lines(page)
    assert rows["artifacts"][0] == "1.00" and rows["visual realism"][0] != "1.00" and rows["artifacts"][2] == "4"


def test_other_machines_are_compared_by_recipe(tmp_path):
    for number, name in enumerate(("ann", "ben")):
        runs = fill(tmp_path / name, NAMES, **{one: made(EXPERIMENTS[one], at + 20 * number) for at, one in enumerate(NAMES)})
        scored(tmp_path / name, runs, name, lambda key, criterion: 1)
    page = make_class(tmp_path)
    assert "paired by recipe" in page.render("markdown") and lines(page)["artifacts"][2] == "4"


def test_learners_who_all_are_called_me_are_different_raters(tmp_path):
    for number, name in enumerate(("one", "two", "three")):
        scored(tmp_path / name, fill(tmp_path / name, NAMES), "me", lambda key, criterion, number=number: (int(key, 16) + number) % 3, seed=number)
    found = learners(tmp_path)
    assert [one.locked for one in found] == [["me"]] * 3 and len({rating.rater for one in found for rating in one.ratings}) == 3
    assert lines(make_class(tmp_path))["artifacts"][3] == "3" and "Fewer than two" not in make_class(tmp_path).render("markdown")


@pytest.mark.parametrize("name", ["final", "me (1)", "jane"])
def test_the_only_log_of_a_folder_is_its_learners_under_any_file_name(tmp_path, name):
    scored(tmp_path / "ada", fill(tmp_path / "ada", NAMES), "me", lambda key, criterion: 1)
    (tmp_path / "ada" / "scores" / "me.jsonl").rename(tmp_path / "ada" / "scores" / f"{name}.jsonl")
    (ada,) = learners(tmp_path)
    assert (ada.judged, ada.locked) == (4, [name])


def test_a_classmates_log_gives_no_points_in_this_learners_name(tmp_path):
    for number, name in enumerate(("Ann Dupont", "ben")):
        scored(tmp_path / name, fill(tmp_path / name, NAMES), name.split()[0].lower(), lambda key, criterion, number=number: 2 * number, seed=number)
    shutil.copy(tmp_path / "ben" / "scores" / "ben.jsonl", tmp_path / "Ann Dupont" / "scores")
    runs = fill(tmp_path / "zoe", NAMES)
    scored(tmp_path / "zoe", runs, "me", lambda key, criterion: 1, seed=5)
    scored(tmp_path / "zoe", runs, "ann", lambda key, criterion: 1, seed=6)  # Ann scored on Zoe's computer
    ann, ben, zoe = learners(tmp_path)
    assert (ann.judged, ben.judged, zoe.judged) == (0, 8, 4)
    assert (ann.locked, ben.locked, zoe.locked) == (["ann"], ["ben"], ["me"])


def test_a_log_that_lies_in_two_folders_is_counted_once(tmp_path):
    scored(tmp_path / "1", fill(tmp_path / "1", NAMES), "alice", lambda key, criterion: 1)
    fill(tmp_path / "2", NAMES)
    (tmp_path / "2" / "scores").mkdir()
    shutil.copy(tmp_path / "1" / "scores" / "alice.jsonl", tmp_path / "2" / "scores")
    assert [one.locked for one in learners(tmp_path)] == [["alice"], []] and "Fewer than two" in make_class(tmp_path).render("markdown")


def test_a_second_download_of_a_classmates_log_counts_no_second_time(tmp_path):
    for number, name in enumerate(("ann", "ben")):
        scored(tmp_path / name, fill(tmp_path / name, NAMES), "me", lambda key, criterion, number=number: 2 * number, seed=number)
    shutil.copy(tmp_path / "ben" / "scores" / "me.jsonl", tmp_path / "ann" / "scores" / "me (1).jsonl")
    ann, ben = learners(tmp_path)
    assert (ann.locked, ann.judged, ben.judged) == (["me"], 0, 8) and lines(make_class(tmp_path))["artifacts"][3] == "2"


def test_a_name_of_two_words_is_known_in_a_folders_name(tmp_path):
    for number, (name, rater) in enumerate((("Dupont Jean-Luc TP2", "jean-luc"), ("ann", "ann"))):
        scored(tmp_path / name, fill(tmp_path / name, NAMES), rater, lambda key, criterion, number=number: 2 * number, seed=number)
    shutil.copy(tmp_path / "Dupont Jean-Luc TP2" / "scores" / "jean-luc.jsonl", tmp_path / "ann" / "scores")
    assert [one.locked for one in learners(tmp_path)] == [["jean-luc"], ["ann"]]


def test_a_log_that_was_edited_or_shares_no_picture_is_a_remark(tmp_path):
    for number, name in enumerate(("ann", "ben", "cid")):
        scored(tmp_path / name, fill(tmp_path / name, NAMES), name, lambda key, criterion: 1, seed=number)
    names = [name for name in EXPERIMENTS if name not in NAMES][:4]
    others = fill(tmp_path / "dan", names, **{one: made(EXPERIMENTS[one], at + 20) for at, one in enumerate(names)})
    scored(tmp_path / "dan", others, "dan", lambda key, criterion: 1, seed=7)
    log = tmp_path / "cid" / "scores" / "cid.jsonl"
    log.write_text(log.read_text().replace('"points":1', '"points":2', 1))
    page = make_class(tmp_path).render("markdown")
    assert "cid: the log of cid was edited after it was locked" in page and "dan: dan scored no picture that anybody else scored" in page
    assert "ann scored no" not in page and lines(make_class(tmp_path))["artifacts"][2:4] == ["4", "2"]


def test_remarks_are_in_the_language_of_the_page_and_tell_no_folder(room, tmp_path):
    french = make_class(room, "fr").render("markdown")
    assert "le registre ne connaît aucun run" in french and str(room) not in french and "ledger knows no run" not in french


def test_impossible_seconds_do_not_stop_the_class(tmp_path):
    run = made(EXPERIMENTS["baseline"], 0)
    fill(tmp_path / "ann", NAMES[:1], baseline=replace(run, timings={"total": 10**400}))
    prove(tmp_path / "ann", {"baseline": run})
    assert lines(make_class(tmp_path))["ann"][0] == "1/11"


def test_what_is_to_be_looked_at_is_named_and_markup_is_not(room):
    markdown, page = (path.read_text() for path in write_class(room))
    for words in ("cid: t2i", "dan: baseline came out different", "eve: baseline shows a picture that the ledger does not know"):
        assert words in markdown
    assert "fred <b>" not in page and "fred &lt;b&gt;" in page
    assert "ann" in page and lines(make_class(room))["ann"][:2] == ["4/11", "4/4"]


def test_outliers_are_told_by_the_median():
    times = [3.0, 3.1, 2.9, 3.2, 3.0, 40.0, None]
    assert outliers(times) == [False] * 5 + [True, False]
    assert outliers([1.0, 50.0]) == [False, False] and outliers([]) == []
    assert outliers([2.0] * 5 + [2.5]) == [False] * 5 + [True]
    assert outliers([5.0, 5.0, 5.0, 5.1, 4.9]) == outliers([5.0] * 5) == [False] * 5


def test_a_sample_is_replayed_here_and_a_failure_is_a_line(room, monkeypatch):
    def replay(path, model=None):
        if "ben" in str(path):
            raise ModelError("no model here")
        return "identical"

    monkeypatch.setattr(importlib.import_module("tp2lib.engine.replay"), "replay", replay)
    found = replay_sample(room, ["baseline"])
    assert found["ann/baseline"] == "identical" and found["ben/baseline"] == "not replayed: no model here"
    assert ("replayed here", 2) in make_class(room, "fr", found).sections


def test_nothing_is_written_into_a_learners_folder(room):
    before = {path: path.stat().st_mtime_ns for path in room.rglob("*") if path.is_file() and path.parent != room}
    write_class(room, "fr")
    after = {path: path.stat().st_mtime_ns for path in room.rglob("*") if path.is_file() and path.parent != room}
    assert after == before


def test_an_empty_class_is_said(tmp_path, capsys):
    with pytest.raises(OutputError, match="no folders"):
        learners(tmp_path)
    assert main(["report", "--class", str(tmp_path / "nowhere")]) == 1


def test_the_command_writes_the_table(room, tmp_path, capsys):
    assert main(["report", "--class", str(room), "--lang", "fr", "--to", str(tmp_path)]) == 0
    assert "La classe" in (tmp_path / "class.md").read_text()
