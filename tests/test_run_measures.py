"""Measures of runs: grades are kept, taken again for the same pixels only, never on trust; costs are medians, and none is from a record that cannot be."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from filled import apple, fill, made

from tp2lib.engine.generate import generate
from tp2lib.engine.runs import Run
from tp2lib.errors import RecipeError, RecordError
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.evaluation.run_measures import Evidence, costs, energy_kwh, known_proof, prove_all
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger

NAMES = ("t2i_run01_baseline", "t2i_run05_guid12", "i2i_run09_strength085")


@pytest.fixture
def replays(monkeypatch):
    """Stands for the fresh process; it notes what it was asked for."""
    asked, grades = [], iter(["identical", "within 1 level", "different", "close"])

    def replay_all(paths, *, model, vae):
        runs = [Run.from_picture(path) for path in paths]
        asked.append([run.key for run in runs])
        return [SimpleNamespace(grade=next(grades), psnr_db=None, max_difference=0, suspects={"torch": (1, 2)}, original=run) for run in runs]

    monkeypatch.setattr(importlib.import_module("tp2lib.engine.replay"), "replay_all", replay_all)
    return asked


def test_grades_become_points_and_are_kept(tmp_path, replays):
    runs = list(fill(tmp_path, NAMES).values())
    proofs = prove_all(runs, tmp_path)
    assert [(proof.points, proof.suspects) for proof in proofs] == [(points, ("torch",)) for points in (2, 1, 0)]
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
    for odd, suspects in ((7, ()), ({"a": 1}, ()), (["a" * 200, 7, None, *("b" * 30)], ("a" * 80, *("b" * 17)))):
        Evidence(tmp_path).note("replayed", run, grade="close", psnr_db=10**400, suspects=odd)
        proof = known_proof(run, Evidence(tmp_path))
        assert (proof.points, proof.suspects) == (1, suspects)


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
    run = generate(Recipe(prompt="a red apple", steps=2, width=64, height=64), model, ledger=Ledger(tmp_path))
    assert prove_all([run], tmp_path)[0].grade == "identical"
    foreign = replace(run, effective={**run.effective, "model": "evil/model"})
    with pytest.raises(RecordError, match="does not decide what is loaded"):
        prove_all([replace(foreign, path=foreign.save(tmp_path / "foreign.png"))], tmp_path, again=True)
    assert prove_all([replace(foreign, path=tmp_path / "foreign.png")], tmp_path, again=True, model="vitrine")[0].grade == "identical"


# -- what pictures cost ------------------------------------------------------------------------------


def timed(number, steps, denoise, total, **known):
    run = made(EXPERIMENTS["smoke"], number, steps=steps, **known)
    return replace(run, timings={"denoise": denoise, "total": total})


def test_medians_by_kind_the_commonest_first():
    runs = [timed(n, 10, seconds, seconds + 1) for n, seconds in enumerate((1.0, 2.0, 9.0))]
    runs.append(timed(7, 10, 5.0, 6.0, width=512, height=512))
    small, large = costs(runs)
    assert (small.size, small.step_s, small.image_s, len(small.runs)) == ("96 × 96", 0.2, 3.0, 3)
    assert small.per_hour == 1200 and large.size == "512 × 512" and small.runs == tuple(run.key for run in runs[:3])


def test_another_engine_is_another_kind():
    eager, fast = costs([*(timed(n, 10, 2.0, 3.0) for n in (0, 1)), timed(2, 10, 1.0, 2.0, fast="openvino")])
    assert (eager.device, eager.step_s, fast.device, fast.step_s) == ("cpu", 0.2, "cpu, openvino", 0.1)


def test_a_step_is_no_call_of_the_model():
    (heun,) = costs([timed(0, 15, 3.0, 4.0, model_calls=29)])
    assert heun.step_s == pytest.approx(0.2)


@pytest.mark.parametrize("steps", [0, None, "30", -1, 10**400, float("nan")])
def test_a_record_that_cannot_be_is_left_out(steps):
    assert costs([timed(0, steps, 1.0, 2.0)]) == [] == costs([timed(0, 10, 1.0, 10**400)])
    assert costs([replace(odd := timed(0, 10, 1.0, 2.0), effective=odd.effective | {"threads": [2]})]) == []
    assert costs([replace(timed(0, 10, 1.0, 2.0), timings={})]) == [] == costs([])


def test_energy_is_power_times_time():
    (cost,) = costs([timed(0, 10, 3.0, 3.6)])
    assert energy_kwh(cost, watts=100, pictures=1000) == pytest.approx(0.1)  # 3600 s at 100 W
    with pytest.raises(RecipeError, match="watts is 0"):
        energy_kwh(cost, watts=0)
