"""tp2lib.recipe: what a recipe accepts, says, keeps and counts."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import recipes

from tp2lib.errors import RecipeError
from tp2lib.recipe import Recipe, setting
from tp2lib.settings import SCHEDULER_NAMES, scheduler_name

APPLE = Recipe(prompt="a red apple")
HASH_OF_APPLE = "12461610c5cdb142"
PHOTO = APPLE.vary(strength=0.6, source="apple.jpg")
FIELDS = [field.name for field in dataclasses.fields(Recipe)]


def refusal(**values: object) -> str:
    """Return the message with which these settings are refused."""
    with pytest.raises(RecipeError) as caught:
        Recipe(**{"prompt": "x", **values})
    return str(caught.value)


# -- what it keeps ----------------------------------------------------------------------------------


@given(recipes())
def test_a_recipe_survives_dictionary_json_and_pickle(recipe: Recipe) -> None:
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe and again.hash == recipe.hash
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert list(recipe.to_dict()) == FIELDS


@given(recipes(), recipes())
def test_hashes_are_equal_exactly_when_recipes_are(one: Recipe, other: Recipe) -> None:
    assert re.fullmatch("[0-9a-f]{16}", one.hash)
    assert (one.hash == other.hash) == (one == other)


@pytest.mark.parametrize("changes", [
    {"prompt": "a green apple"}, {"negative_prompt": "blur"}, {"seed": 43}, {"steps": 31}, {"guidance": 7.6},
    {"scheduler": "DDIM"}, {"schedule": "trailing"}, {"strength": 0.61}, {"strength_mode": "constant"}, {"width": 256}, {"height": 256},
    {"model": "vitrine"}, {"source": "pear.jpg"}, {"mask": "auto"},
], ids=lambda changes: next(iter(changes)))  # fmt: skip
def test_every_setting_is_part_of_the_hash(changes: dict) -> None:
    varied = PHOTO.vary(**changes)
    assert varied.hash != PHOTO.hash and varied != PHOTO
    assert {name for name in FIELDS if getattr(varied, name) != getattr(PHOTO, name)} == set(changes)


def test_the_hash_is_the_same_in_another_process_and_forever() -> None:
    assert APPLE.hash == HASH_OF_APPLE  # a change here orphans every picture that was ever made
    program = "from tp2lib.recipe import Recipe; print(Recipe(prompt='a red apple').hash)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == HASH_OF_APPLE


def test_one_setting_has_one_spelling() -> None:
    assert APPLE.vary(guidance=7, scheduler="euler a") == APPLE.vary(guidance=7.0, scheduler="EulerA")
    assert APPLE.vary(guidance=-0.0).hash == APPLE.vary(guidance=0).hash
    assert APPLE.vary(prompt="a\r\nb\rc").prompt == "a\nb\nc"
    assert APPLE.vary(seed=np.int64(7), steps=np.uint8(9), guidance=np.float64(4)).hash == APPLE.vary(
        seed=7, steps=9, guidance=4).hash  # fmt: skip
    assert APPLE.vary(strength=0.6, source=Path("apple.jpg")) == PHOTO
    assert all(type(v) in (str, int, float, type(None)) for v in APPLE.vary(seed=np.int64(7)).to_dict().values())


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        APPLE.seed = 1
    with pytest.raises((AttributeError, TypeError)):  # slots: no new names either
        APPLE.sede = 1
    with pytest.raises(TypeError):
        Recipe("positional")


# -- what it refuses --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["seed", "steps", "guidance", "width", "height"])
def test_the_range_that_sliders_read_is_the_range_that_is_checked(name: str) -> None:
    known = setting(name)
    for inside in (known.min, known.max, known.min + known.step):
        assert getattr(APPLE.vary(**{name: inside}), name) == inside
    for outside in (known.min - known.step - (name == "seed"), known.max + known.step, math.nan, math.inf, -math.inf, True, "1", [1]):
        message = refusal(**{name: outside})
        assert name in message and str(known.min) in message and str(known.max) in message


@pytest.mark.parametrize("name", ["seed", "steps", "width", "height"])
def test_whole_numbers_are_not_taken_from_floats(name: str) -> None:
    assert "whole number" in refusal(**{name: 512.0}) or "multiple of 8" in refusal(**{name: 512.0})


def test_slider_metadata_says_everything_a_widget_needs() -> None:
    for name in FIELDS:
        known = setting(name)
        assert known.label and known.help and (name == "prompt") == known.required
        if known.kind in ("whole", "real"):
            assert known.min < known.max and known.step > 0
        if not known.required:
            assert known.default == getattr(APPLE, name)
    assert setting("scheduler").choices == SCHEDULER_NAMES
    assert setting("seed").max == 2**64 - 1  # what torch.Generator takes
    with pytest.raises(RecipeError, match="Did you mean 'guidance'"):
        setting("guidence")


@pytest.mark.parametrize(("values", "words"), [
    ({"steps": 0}, ["steps is 0", "1 to 150", "nearest is 1"]),
    ({"steps": "30"}, ["steps is '30'", "nearest is 30"]),
    ({"width": 100}, ["width is 100", "multiple of 8", "nearest is 96", "None"]),
    ({"guidance": 10**400}, ["guidance is 1000", "0 to 30"]),
    ({"seed": 10**5000}, ["seed is", "18446744073709551615"]),
    ({"seed": -2}, ["seed is -2", "nearest is 0"]),
    ({"seed": "12345678901234567891"}, ["nearest is 12345678901234567891."]),
    ({"seed": 2**64}, ["nearest is 18446744073709551615."]),
    ({"seed": math.nan}, ["Use 42"]),
    ({"seed": None}, ["seed is None", "Use 42"]),
    ({"scheduler": "Eulr"}, ["'Eulr'", "DPM++ 2M SDE", "Did you mean 'Euler'?"]),
    ({"scheduler": "DPM++ SDE"}, ["'DPM++ SDE'", "Did you mean 'DPM++ 2M SDE'?"]),
    ({"schedule": "karas"}, ["'karras'", "Did you mean 'karras'?"]),
    ({"schedule": "karras"}, ["schedule is 'karras' with the EulerA scheduler", "default, trailing", "DPM++ 2M"]),
    ({"schedule": "beta", "scheduler": "LMS Karras"}, ["schedule is 'beta'", "says karras"]),
    ({"strength_mode": "constnt"}, ["'diffusers', 'constant'", "Did you mean 'constant'?"]),
    ({"prompt": None}, ["prompt is None", "text"]),
    ({"prompt": "x" * 2001}, ["2000 characters", "2001", "Shorten"]),
    ({"prompt": "a\0b"}, ["U+0000"]),
    ({"negative_prompt": "\ud83d"}, ["U+D83D"]),
    ({"model": "  "}, ["model", "blank"]),
    ({"strength": 0.5}, ["strength is 0.5", "no source", "source='photo.jpg'"]),
    ({"source": "a.jpg"}, ["source is 'a.jpg'", "strength=0.6"]),
    ({"strength": 0, "source": "a.jpg"}, ["strength is 0", "above 0"]),
    ({"strength": 1.0001, "source": "a.jpg"}, ["strength is 1.0001", "to 1", "nearest is 1."]),
    ({"strength": True, "source": "a.jpg"}, ["strength is True"]),
])  # fmt: skip
def test_messages_teach(values: dict, words: list[str]) -> None:
    message = refusal(**values)
    assert [word for word in words if word not in message] == []
    assert len(message) < 400


def test_a_value_that_cannot_say_what_it_is_is_refused_like_any_other() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no words")

    assert "seed is" in refusal(seed=Mute())


@pytest.mark.parametrize("call", [
    lambda: APPLE.vary(stepz=3), lambda: Recipe.from_dict({"prompt": "x", "stepz": 3}),
])  # fmt: skip
def test_unknown_names_are_refused_with_a_suggestion(call) -> None:
    with pytest.raises(RecipeError, match="no setting 'stepz'.*Did you mean 'steps'"):
        call()


@pytest.mark.parametrize("values", [None, [], "prompt", 3, {}, {"seed": 1}, {"prompt": "x", 3: 4}])
def test_from_dict_takes_only_dictionaries_of_settings_with_a_prompt(values: object) -> None:
    with pytest.raises(RecipeError):
        Recipe.from_dict(values)


# -- schedulers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEDULER_NAMES)
def test_canonical_names_are_their_own_spelling_in_any_case(name: str) -> None:
    assert {scheduler_name(s) for s in (name, name.lower(), name.upper(), f" {name} ")} == {name}


@pytest.mark.parametrize(("typed", "name"), [
    ("euler a", "EulerA"), ("Euler a", "EulerA"), ("euler_ancestral", "EulerA"), ("k_euler_a", "EulerA"),
    ("EulerAncestralDiscreteScheduler", "EulerA"), ("EulerDiscreteScheduler", "Euler"), ("ddim", "DDIM"),
    ("DDIMScheduler", "DDIM"), ("dpmpp_2m", "DPM++ 2M"), ("k_dpmpp_2m", "DPM++ 2M"),
    ("DPMSolverMultistepScheduler", "DPM++ 2M"), ("dpmpp_2m_sde", "DPM++ 2M SDE"), ("dpmpp_2m_sde_gpu", "DPM++ 2M SDE"), ("PLMS", "PNDM"),
    ("UniPCMultistepScheduler", "UniPC"), ("DPM2 a", "KDPM2A"), ("KDPM2AncestralDiscreteScheduler", "KDPM2A"),
    ("LMSDiscreteScheduler", "LMS"), ("DEISMultistepScheduler", "DEIS"), ("dpm-solver++", "DPM++ 2M"),
    ("DPMSolverSinglestepScheduler", "DPM++ 2S"),
])  # fmt: skip
def test_the_names_people_type(typed: str, name: str) -> None:
    assert scheduler_name(typed) == name


# -- strength and steps -----------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "strength", "runs"), [
    # measured on diffusers 0.42.1: floating point decides, 50 * 0.58 is 28.999999999999996
    (50, 0.58, 28), (100, 0.29, 28), (100, 0.57, 56), (100, 0.58, 57), (30, 0.35, 10), (30, 0.6, 18), (30, 0.85, 25),
    (30, 1.0, 30),
])  # fmt: skip
def test_effective_steps_are_those_diffusers_runs(steps: int, strength: float, runs: int) -> None:
    recipe = PHOTO.vary(steps=steps, strength=strength)
    assert recipe.effective_steps == runs and recipe.nominal_steps == steps


def test_text_to_image_runs_all_its_steps() -> None:
    assert APPLE.effective_steps == APPLE.nominal_steps == 30


@given(st.integers(1, 150), st.floats(0, 1, exclude_min=True) | st.integers(1, 100).map(lambda n: n / 100))
def test_constant_mode_always_runs_every_step(steps: int, strength: float) -> None:
    try:
        recipe = PHOTO.vary(steps=steps, strength=strength, strength_mode="constant")
    except RecipeError:
        assert int(1000 * strength) < steps  # only where 1000 noise levels are too few
        return
    nominal = recipe.nominal_steps
    assert steps <= nominal <= 1000
    assert int(nominal * strength) == steps == recipe.effective_steps
    assert int((nominal - 1) * strength) < steps  # the smallest such schedule


@given(st.integers(1, 150), st.floats(1e-6, 0.2), st.sampled_from(["diffusers", "constant"]))
def test_the_smallest_strength_in_the_message_works_and_is_the_smallest(steps: int, strength: float, mode: str) -> None:
    try:
        PHOTO.vary(steps=steps, strength=strength, strength_mode=mode)
        assume(False)
    except RecipeError as error:
        smallest = float(re.search(r"strength >= ([0-9.]+[0-9])", str(error))[1])
    assert PHOTO.vary(steps=steps, strength=smallest, strength_mode=mode).effective_steps >= 1
    if smallest > 0.001:
        with pytest.raises(RecipeError):
            PHOTO.vary(steps=steps, strength=smallest - 0.001, strength_mode=mode)


# -- schedules, seeds, and version 0.1 -----------------------------------------------------------------


@pytest.mark.parametrize(("typed", "scheduler", "schedule"), [
    ("DPM++ 2M Karras", "DPM++ 2M", "karras"), ("LMS Karras", "LMS", "karras"), ("dpmpp_2m_sde_k", "DPM++ 2M SDE", "karras"),
    ("DPM++ 2M SDE Exponential", "DPM++ 2M SDE", "exponential"), ("DDIM Trailing", "DDIM", "trailing"), ("euler", "Euler", "default"),
])  # fmt: skip
def test_a_name_that_ends_in_a_schedule_is_two_settings(typed: str, scheduler: str, schedule: str) -> None:
    recipe = APPLE.vary(scheduler=typed)
    assert (recipe.scheduler, recipe.schedule) == (scheduler, schedule)
    if schedule != "default":
        with pytest.raises(RecipeError, match="names two settings"):
            scheduler_name(typed)


@pytest.mark.parametrize(
    ("typed", "schedule"), [("Karras", "karras"), ("SGM Uniform", "trailing"), ("simple", "trailing"), ("normal", "default"), ("Uniform", "default")]
)
def test_the_schedules_that_people_type(typed: str, schedule: str) -> None:
    assert APPLE.vary(scheduler="Euler", schedule=typed).schedule == schedule


def test_a_seed_of_minus_one_is_drawn_once_and_kept() -> None:
    drawn = {Recipe(prompt="x", seed=-1).seed for _ in range(5)}
    assert len(drawn) == 5 and all(0 <= seed < 2**32 for seed in drawn)
    assert APPLE.vary(seed=2**64 - 1).seed == 2**64 - 1


@pytest.mark.parametrize(("values", "known"), [  # hashes that version 0.1 gave
    ({}, HASH_OF_APPLE), ({"scheduler": "DPM++ 2M"}, "c0a619014f38f663"), ({"scheduler": "DPM++ 2M", "schedule": "karras"}, "f1f7bb6597b29a10"),
    ({"scheduler": "DPM++ 2M SDE"}, "fca53e04c0f02e60"),
])  # fmt: skip
def test_hashes_of_version_0_1_still_name_the_same_recipes(values: dict, known: str) -> None:
    assert APPLE.vary(**values).hash == known
