"""The measured criterion: grades are kept, taken again for the same pixels only, and never taken on trust."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from filled import apple, fill

from tp2lib.evaluation.reproducibility import Evidence, known_proof, prove_all

NAMES = ("t2i_run01_baseline", "t2i_run05_guid12", "i2i_run09_strength085")


@pytest.fixture
def replays(monkeypatch):
    """Stands for the fresh process; it notes what it was asked for."""
    asked, grades = [], iter(["identical", "within 1 level", "different", "close"])

    def replay_all(runs):
        asked.append([run.key for run in runs])
        return [SimpleNamespace(grade=next(grades), psnr_db=None, max_difference=0, suspects={"torch": (1, 2)}) for _ in runs]

    monkeypatch.setattr(importlib.import_module("tp2lib.engine.replay"), "replay_all", replay_all)
    return asked


def test_grades_become_points_and_are_kept(tmp_path, replays):
    runs = list(fill(tmp_path, NAMES).values())
    proofs = prove_all(runs, tmp_path)
    assert [proof.points for proof in proofs] == [2, 1, 0]
    assert prove_all(runs, tmp_path) == proofs and len(replays) == 1  # nothing is replayed twice
    assert prove_all(runs[:1], tmp_path, again=True)[0].points == 1 and len(replays) == 2


def test_a_grade_belongs_to_pixels_not_to_a_name(tmp_path, replays):
    run = fill(tmp_path, NAMES[:1])[NAMES[0]]
    prove_all([run], tmp_path)
    assert known_proof(replace(run, image=apple(5)), Evidence(tmp_path)) is None
    assert known_proof(run, Evidence(tmp_path)).grade == "identical"


def test_the_file_is_replayed_not_the_picture_in_memory(tmp_path, replays):
    run = fill(tmp_path, NAMES[:1])[NAMES[0]]
    prove_all([replace(run, recipe=run.recipe.vary(seed=7))], tmp_path)
    assert replays == [[run.key]]


def test_what_else_a_line_says_does_no_harm(tmp_path):
    run = fill(tmp_path, NAMES[:1])[NAMES[0]]
    Evidence(tmp_path).note("replayed", run, grade="close", psnr_db=10**400, suspects=7)
    assert known_proof(run, Evidence(tmp_path)).points == 1


@pytest.mark.parametrize("line", ['{"grade": "perfect"}', '{"grade": 7}', '{"grade": null}', "not json"])
def test_a_forged_line_gives_no_points(line, tmp_path):
    run = fill(tmp_path, NAMES[:1])[NAMES[0]]
    Evidence(tmp_path).note("replayed", run, grade="different", psnr_db=None, suspects=[])
    path = tmp_path / "evidence.jsonl"
    event = json.loads(path.read_text())
    path.write_text(json.dumps({**event, **json.loads(line)}) if line.startswith("{") else line)
    path.write_text(path.read_text() + "\n")
    assert known_proof(run, Evidence(tmp_path)) is None


def test_a_real_picture_is_proved(model, tmp_path, in_this_process):
    from tp2lib.engine.generate import generate
    from tp2lib.recipe import Recipe
    from tp2lib.storage.ledger import Ledger

    run = generate(Recipe(prompt="a red apple", steps=2, width=64, height=64), model, ledger=Ledger(tmp_path))
    assert prove_all([run], tmp_path)[0].grade == "identical"
