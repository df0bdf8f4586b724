"""Claims held against files: the report's own contradictions are found, a swapped prompt too, and a true claim passes."""

from __future__ import annotations

import re
from dataclasses import replace

from tp2lib.evaluation.experiments import BACKPACK, CASES, EXPERIMENTS, PEN, WALLET, check_cases

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


def test_the_reports_sums_are_right():
    assert all(sum(case.scores.values()) == case.total for case in CASES.values())


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
