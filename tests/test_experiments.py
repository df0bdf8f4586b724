"""The experiments: the report's pictures as data, run and published; its cases held against files, where a swapped prompt is found."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace

import pytest
from PIL import Image

from tp2lib.errors import RecipeError, SourceError
from tp2lib.evaluation.experiments import BACKPACK, CASES, EXPERIMENTS, PARTS, PEN, check_cases, choose_experiments, prepare_photo, run_experiment
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import read_recipe, read_record

# The tables of the report: name, scheduler, steps, guidance, strength. The seed is 42 everywhere.
TABLE = """
t2i_run01_baseline     EulerA  30   7.5  -
t2i_run02_steps15      EulerA  15   7.5  -
t2i_run03_steps50      EulerA  50   7.5  -
t2i_run04_guid4        EulerA  30   4.0  -
t2i_run05_guid12       EulerA  30  12.0  -
t2i_run06_ddim         DDIM    30   7.5  -
i2i_run07_strength035  EulerA  30   7.5  0.35
i2i_run08_strength060  EulerA  30   7.5  0.60
i2i_run09_strength085  EulerA  30   7.5  0.85
baseline               EulerA  30   7.5  -
"""
WALLET = (
    "high-quality professional product photo of a vintage leather wallet, on a rustic wooden table, soft natural light, shallow depth of field, neutral colors"
)


@pytest.fixture
def inputs(tmp_path):
    """A folder with a photo of the right name."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    Image.linear_gradient("L").convert("RGB").resize((300, 200)).save(folder / "product.jpg")
    return folder


def small(name, **changes):
    """The experiment, as small as it can be run."""
    one = EXPERIMENTS[name]
    return replace(one, recipe=one.recipe.vary(**{"steps": 3, "width": 64, "height": 64, **changes}))


@pytest.mark.parametrize("line", TABLE.split("\n")[1:-1])
def test_the_settings_are_the_reports(line):
    name, scheduler, steps, guidance, strength = line.split()
    recipe = EXPERIMENTS[name].recipe
    assert (recipe.scheduler, recipe.steps, recipe.guidance) == (scheduler, int(steps), float(guidance))
    assert recipe.strength == (None if strength == "-" else float(strength))
    assert (recipe.seed, recipe.negative_prompt, recipe.model) == (42, "", "auto")


def test_the_prompts_are_the_reports():
    assert {one.recipe.prompt for one in choose_experiments(["text2img"])} == {WALLET}
    assert EXPERIMENTS["baseline"].recipe.prompt == (
        "ultra-realistic product photo of a backpack on a white background, studio lighting, soft shadow, very sharp"
    )
    photos = choose_experiments(["img2img"])
    assert {one.recipe.source for one in photos} == {"inputs/product.jpg"}
    assert all("red apple" in one.recipe.prompt for one in photos)
    assert PEN == "A sleek black pen on a minimalist white desk, soft natural lighting"


def test_the_six_runs_change_one_setting_each():
    first, *others = [one.recipe.to_dict() for one in choose_experiments(["text2img"])]
    assert [[name for name in first if first[name] != other[name]] for other in others] == [
        ["steps"], ["steps"], ["guidance"], ["guidance"], ["scheduler"],
    ]  # fmt: skip


def test_the_files_bear_the_reports_names():
    assert [one.file for one in EXPERIMENTS.values()] == [
        "smoke.png", "baseline.png", "t2i_run01_baseline.png", "t2i_run02_steps15.png", "t2i_run03_steps50.png",
        "t2i_run04_guid4.png", "t2i_run05_guid12.png", "t2i_run06_ddim.png", "i2i_run07_strength035.png",
        "i2i_run08_strength060.png", "i2i_run09_strength085.png",
    ]  # fmt: skip
    assert tuple(dict.fromkeys(one.part for one in EXPERIMENTS.values())) == PARTS


def test_experiments_are_chosen_by_name_file_or_part():
    assert len(choose_experiments()) == 11
    chosen = choose_experiments(["img2img", "baseline.png", "baseline"])
    assert [one.name for one in chosen][:2] == ["baseline", "i2i_run07_strength035"] and len(chosen) == 4
    with pytest.raises(RecipeError, match="no experiment 'basline'.*Did you mean 'baseline'"):
        choose_experiments(["basline"])
    with pytest.raises(RecipeError, match="no experiment 7"):
        choose_experiments([7])


def test_a_run_is_published_under_its_name_and_found_again(model, tmp_path, inputs):
    ledger = Ledger(tmp_path / "outputs")
    one = small("t2i_run02_steps15")
    first, second = (run_experiment(one, model, ledger, inputs=inputs) for _ in range(2))
    assert (first.reused, second.reused) == (False, True)
    published = tmp_path / "outputs" / "t2i_run02_steps15.png"
    assert published.read_bytes() == first.path.read_bytes()
    assert read_recipe(published).recipe == one.recipe


def test_a_photo_is_prepared_kept_and_named_without_a_folder_of_this_machine(model, tmp_path, inputs):
    ledger = Ledger(tmp_path / "outputs")
    run = run_experiment(small("i2i_run08_strength060"), model, ledger, inputs=inputs)
    record = read_record(tmp_path / "outputs" / "i2i_run08_strength060.png")
    assert record["source"]["path"] == record["recipe"]["source"] == "inputs/product.jpg"
    assert str(tmp_path) not in str(record)
    assert ledger.find_source(run.effective["source_sha256"])
    assert run.effective["model_calls"] == 1  # int(3 x 0.6)


def test_the_photo_is_prepared_at_the_models_own_size(model, inputs):
    source = prepare_photo(EXPERIMENTS["i2i_run07_strength035"].recipe, model, inputs=inputs)
    assert source.image.size == (model.native_size, model.native_size)
    assert prepare_photo(EXPERIMENTS["smoke"].recipe, model, inputs=inputs) is None


def test_a_missing_photo_is_named(model, tmp_path):
    with pytest.raises(SourceError, match="product.jpg"):
        run_experiment(small("i2i_run07_strength035"), model, Ledger(tmp_path), inputs=tmp_path / "nowhere")


def test_a_run_without_a_picture_is_not_published(model, tmp_path, monkeypatch):
    engine = importlib.import_module("tp2lib.engine.generate")
    real = engine.generate
    monkeypatch.setattr(engine, "generate", lambda *args, **how: replace(real(*args, **how), outcome="black"))
    run = run_experiment(small("smoke"), model, Ledger(tmp_path))
    assert run.outcome == "black" and not (tmp_path / "smoke.png").exists()


# -- the three cases that the report judges ----------------------------------------------------------


RECIPES = {name: EXPERIMENTS[name].recipe for name in CASES}


def test_the_cases_are_the_reports_to_the_letter():
    assert {name: (tuple(case.scores.values()), case.total) for name, case in CASES.items()} == {
        "t2i_run01_baseline": ((2, 2, 2, 2, 2), 10),
        "t2i_run05_guid12": ((2, 1, 1, 1, 2), 7),
        "i2i_run09_strength085": ((2, 1, 1, 0, 2), 6),
    }
    assert [case.settings["prompt"] for case in CASES.values()] == [BACKPACK, BACKPACK, PEN]
    assert [case.settings["guidance"] for case in CASES.values()] == [7.5, 12.0, 7.5]
    assert all(case.settings["seed"] == 42 and case.settings["steps"] == 30 for case in CASES.values())


def test_the_baseline_was_judged_for_another_product_than_it_was_made_for():
    found = check_cases(RECIPES)
    assert [(one.case, one.what) for one in found] == [(name, "prompt") for name in CASES]
    assert (found[0].claimed, found[0].found) == (BACKPACK, WALLET)
    assert "backpack" in str(found[0]) and "wallet" in str(found[0])


def test_a_true_claim_passes_and_each_planted_error_is_found(monkeypatch):
    name = "t2i_run01_baseline"
    recipe, case = EXPERIMENTS[name].recipe, CASES[name]
    honest = replace(case, settings={setting: getattr(recipe, setting) for setting in case.settings})

    def found(made, points=2, claimed=honest):
        monkeypatch.setattr("tp2lib.evaluation.experiments.CASES", {name: claimed})
        return check_cases({name: made}, {name: points})

    assert found(recipe) == []
    for what, changed in {"prompt": BACKPACK, "seed": 43, "scheduler": "DDIM"}.items():
        assert [one.what for one in found(recipe.vary(**{what: changed}))] == [what]
    assert [one.what for one in found(recipe, claimed=replace(honest, total=9))] == ["total"]
    (one,) = found(recipe, points=0)
    assert (one.what, one.claimed, one.found) == ("reproducibility", 2, 0)


def test_only_cases_whose_picture_is_there_are_checked():
    assert check_cases({}) == []
    assert len(check_cases({"t2i_run05_guid12": RECIPES["t2i_run05_guid12"]})) == 1


def test_both_languages_name_every_case():
    assert all(set(case.about) == {"en", "fr"} and re.match(r"\w", case.about["fr"]) for case in CASES.values())
