"""The proof of control on made-up cells: what passes, what is accused, what is called dead and why."""

from __future__ import annotations

import pytest

from tp2lib.engine.control import TOUCHES, dead_pairs, prove
from tp2lib.errors import ControlError


def effective(**changes):
    settings = {
        "prompt": "an apple", "tokens": 2, "tokens_cut": 0, "guidance": 7.5, "guidance_active": True,
        "negative_prompt": "", "steps": 30, "nominal_steps": 30, "timesteps": [1], "model_calls": 30,
        "noise_sha256": "n1", "seed": 1, "threads": 2, "rungs": [],
    }  # fmt: skip
    return {**settings, **changes}


def cells(*pairs):
    return [({"seed": 1, **place}, effective(**changes)) for place, changes in pairs]


STEPS = cells(({"steps": 15}, {"steps": 15, "model_calls": 15}), ({"steps": 30}, {}))


def with_other(**changes):
    """The same two cells, where the second has something else besides."""
    return [STEPS[0], (STEPS[1][0], STEPS[1][1] | changes)]


def test_a_controlled_sweep_says_what_varies_along_each_axis():
    assert prove(STEPS, ["steps"]) == {"steps": ["model_calls", "steps"], "seed": []}


@pytest.mark.parametrize(("name", "value"), [("threads", 1), ("scheduler_hash", "leaked"), ("rungs", ["VAE tiling"]), ("decoder_dtype", "float32")])
def test_anything_else_that_varies_is_accused_by_name(name, value):
    with pytest.raises(ControlError, match=f"differ in steps only, something else varies too: {name} is"):
        prove(with_other(**{name: value}), ["steps"])


def test_pairs_that_do_not_share_their_noise_are_accused():
    with pytest.raises(ControlError, match="must start from the same noise"):
        prove(with_other(noise_sha256="n2"), ["steps"])


def test_freeing_caches_is_no_treatment():
    prove(with_other(rungs=["free caches"]), ["steps"])


def test_a_second_axis_must_not_hide_behind_the_first():
    """Steps may move the timesteps; guidance may not, not even in a sweep over both."""
    grid = cells(
        ({"steps": 15, "guidance": 1}, {"steps": 15, "guidance": None}),
        ({"steps": 15, "guidance": 4}, {"steps": 15, "guidance": 4, "timesteps": [2]}),
        ({"steps": 30, "guidance": 1}, {"guidance": None}),
        ({"steps": 30, "guidance": 4}, {"guidance": 4, "timesteps": [2]}),
    )
    with pytest.raises(ControlError, match="differ in guidance only.*timesteps"):
        prove(grid, ["steps", "guidance"])


def test_a_dead_axis_touches_nothing():
    same = cells(({"strength": 0.61}, {}), ({"strength": 0.64}, {}))
    assert prove(same, ["strength"]) == {"strength": [], "seed": []}
    assert dead_pairs(same, ["strength"], lambda i: "p") == ["strength 0.61, 0.64 (the whole axis): the same picture, since each runs 30 of 30 steps"]


@pytest.mark.parametrize(
    ("axis", "values", "changes", "cause"),
    [
        ("guidance", (0, 1), [{"guidance": None}] * 2, "guidance of 1 and less is switched off"),
        ("negative_prompt", ("", "x"), [{"guidance_active": False}] * 2, "without guidance the negative prompt is not used"),
        ("width", (None, 256), [{}, {}], "come down to the same setting"),
        ("prompt", ("a", "b"), [{"prompt": "a", "tokens_cut": 3}, {"prompt": "b", "tokens_cut": 4}], "beyond the 75 tokens"),
        ("steps", (15, 30), [{"steps": 15}, {"steps": 30}], "steps made no difference: no reason is known"),
    ],
)
def test_equal_pictures_are_reported_with_their_cause(axis, values, changes, cause):
    pair = cells(*(({axis: value}, change) for value, change in zip(values, changes, strict=True)))
    (note,) = dead_pairs(pair, [axis], lambda i: "the same pixels")
    assert cause in note and axis in note


def test_different_or_missing_pictures_are_not_reported():
    assert dead_pairs(STEPS, ["steps"], lambda i: f"pixels {i}") == []
    assert dead_pairs(STEPS, ["steps"], lambda i: None) == []


def test_every_axis_says_what_it_touches():
    assert {"steps", "guidance", "scheduler", "strength", "prompt", "negative_prompt", "seed"} <= TOUCHES.keys()
