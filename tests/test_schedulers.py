"""Schedulers: the timesteps of Stable Diffusion 1.5, the price in model calls, and nothing leaking between runs."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path

import diffusers
import pytest
import torch

from tp2lib import settings
from tp2lib.engine.schedulers import SD15_BASE, make_scheduler, noise_levels, scheduler_hash, set_timesteps
from tp2lib.errors import RecipeError
from tp2lib.recipe import SCHEDULER_NAMES
from tp2lib.settings import SCHEDULER_FACTS, SCHEDULES, SCHEDULES_OF


def calls(name, steps):
    """The model calls that so many steps cost."""
    if steps == 1:
        return 1
    return 2 * steps - 1 if name in ("Heun", "KDPM2", "KDPM2A") else steps + (name == "PNDM")


def test_the_table_has_known_facts_only_and_no_alias_twice():
    head = (Path(settings.__file__).parent / "schedulers.toml").read_text(encoding="utf-8").partition("\n[")[0]
    assert {fact for facts in SCHEDULER_FACTS.values() for fact in facts} == set(re.findall(r"^# ([a-z_]+)  *[a-z]", head, re.MULTILINE))
    said = [alias for facts in SCHEDULER_FACTS.values() for alias in (*facts.get("aliases", ()), *facts.get("nearest_of", ()))]
    assert len(said) == len({*said}) and not {*said} & {name.casefold() for name in SCHEDULER_NAMES}


@pytest.mark.parametrize("name", SCHEDULER_NAMES)
def test_model_calls_are_those_of_the_schedule(name):
    most = SCHEDULER_FACTS[name].get("max_steps", 150)
    scheduler = make_scheduler(name)
    for steps in (1, 2, 3, 20, 50, 150):
        if steps <= most:
            set_timesteps(name, scheduler, steps)
            assert calls(name, steps) == len(scheduler.timesteps), steps


# Measured with the hub's file of Stable Diffusion 1.5 and diffusers 0.42.1: what its users see.
@pytest.mark.parametrize(
    ("names", "timesteps"),
    [
        (("EulerA", "Euler", "LMS"), [999, 749.25, 499.5, 249.75, 0]),
        (("DPM++ 2M", "DPM++ 2M SDE", "UniPC", "DEIS", "DPM++ 2S"), [999, 799, 599, 400, 200]),
        (("DDIM", "DDPM"), [801, 601, 401, 201, 1]),
        (("PNDM",), [801, 601, 601, 401, 201, 1]),
        (("LCM",), [999, 799, 599, 399, 199]),
    ],
)
def test_timesteps_are_those_of_stable_diffusion_1_5(names, timesteps):
    for name in names:
        scheduler = make_scheduler(name)
        scheduler.set_timesteps(5)
        assert [float(t) for t in scheduler.timesteps] == pytest.approx(timesteps), name


@pytest.mark.parametrize("name", SCHEDULER_NAMES)
def test_stochastic_means_that_the_generator_matters(name):
    ends = []
    for seed in (1, 2):
        scheduler = make_scheduler(name)
        scheduler.set_timesteps(4)
        latents = torch.ones(1, 4, 8, 8) * scheduler.init_noise_sigma
        takes = "generator" in inspect.signature(scheduler.step).parameters
        extra = {"generator": torch.Generator().manual_seed(seed)} if takes else {}
        for t in scheduler.timesteps:
            scaled = scheduler.scale_model_input(latents, t)
            latents = scheduler.step(scaled * 0.1, t, latents, **extra, return_dict=False)[0]
        ends.append(latents)
    assert torch.equal(*ends) is not SCHEDULER_FACTS[name].get("stochastic", False)


def test_nothing_leaks_from_one_scheduler_to_the_next():
    before, alone = dict(SD15_BASE), scheduler_hash(make_scheduler("Euler"))
    for name in SCHEDULER_NAMES:
        make_scheduler(name).set_timesteps(5)
    assert scheduler_hash(make_scheduler("Euler")) == alone
    assert dict(SD15_BASE) == before
    # what happens without the frozen base
    leaky = make_scheduler("DPM++ 2M", schedule="karras").config
    assert diffusers.EulerDiscreteScheduler.from_config(leaky).config.use_karras_sigmas is True


@pytest.mark.parametrize("name", SCHEDULER_NAMES)
def test_two_schedulers_share_nothing_and_are_as_diffusers_builds_them(name):
    used, facts = make_scheduler(name), SCHEDULER_FACTS[name]
    used.set_timesteps(7)
    used.alphas_cumprod.zero_()
    used.register_to_config(beta_end=0.5)
    new, theirs = make_scheduler(name), getattr(diffusers, facts["class_name"]).from_config(dict(SD15_BASE), **facts.get("overrides", {}))
    assert new.config == theirs.config and new.num_inference_steps == theirs.num_inference_steps
    assert torch.equal(new.alphas_cumprod, theirs.alphas_cumprod) and levels(new) == levels(theirs)


def test_hashes_tell_all_schedulers_apart():
    assert len({scheduler_hash(make_scheduler(name)) for name in SCHEDULER_NAMES}) == len(SCHEDULER_NAMES)


def test_a_schedule_longer_than_the_scheduler_allows_is_refused_in_words():
    with pytest.raises(RecipeError, match="steps is 51 with the LCM scheduler.*at most 50"):
        set_timesteps("LCM", make_scheduler("LCM"), 51)


# -- schedules ------------------------------------------------------------------------------------------

OPTIONS = {  # what diffusers calls them
    "default": {}, "karras": {"use_karras_sigmas": True}, "exponential": {"use_exponential_sigmas": True}, "beta": {"use_beta_sigmas": True},
    "trailing": {"timestep_spacing": "trailing"},
}  # fmt: skip
PAIRS = [(name, schedule) for name in SCHEDULER_NAMES for schedule in SCHEDULES]


@cache
def levels_of(cls, *options):
    return levels(cls.from_config(dict(SD15_BASE), **dict(options)))


def levels(scheduler, steps=7):
    scheduler.set_timesteps(steps)
    return [*scheduler.timesteps.tolist(), *getattr(scheduler, "sigmas", scheduler.timesteps).tolist()]


@pytest.mark.parametrize(("name", "schedule"), PAIRS)
def test_the_pairs_that_exist_are_those_of_diffusers(name, schedule):
    cls = getattr(diffusers, SCHEDULER_FACTS[name]["class_name"])
    takes = {*OPTIONS[schedule]} <= {*inspect.signature(cls.__init__).parameters}
    moves = takes and (schedule == "default" or levels_of(cls, *OPTIONS[schedule].items()) != levels_of(cls))
    assert (schedule in SCHEDULES_OF[name]) == bool(takes and moves)
    if not moves:
        with pytest.raises(RecipeError, match=f"schedule is '{schedule}' with the {re.escape(name)} scheduler"):
            make_scheduler(name, schedule=schedule)
        return
    assert levels(make_scheduler(name, schedule=schedule)) == levels_of(cls, *(SCHEDULER_FACTS[name].get("overrides", {}) | OPTIONS[schedule]).items())


@pytest.mark.parametrize(("name", "schedule"), [(name, schedule) for name, schedule in PAIRS if schedule in SCHEDULES_OF[name]])
def test_every_pair_costs_the_calls_that_were_announced_and_keeps_its_config(name, schedule):
    scheduler = make_scheduler(name, schedule=schedule)
    before = scheduler_hash(scheduler)
    set_timesteps(name, scheduler, 20)
    assert len(scheduler.timesteps) == calls(name, 20) and scheduler_hash(scheduler) == before
    assert (sigmas := noise_levels(scheduler.timesteps.tolist(), SD15_BASE))[0] > sigmas[-1]


def test_a_models_own_file_does_not_decide_over_a_schedule_that_was_asked_for():
    saved = {**SD15_BASE, "use_karras_sigmas": True, "timestep_spacing": "leading"}
    assert levels(make_scheduler("Euler", saved, "exponential")) == levels(make_scheduler("Euler", {**SD15_BASE, "timestep_spacing": "leading"}, "exponential"))
    assert levels(make_scheduler("Euler", saved, "trailing")) == levels(make_scheduler("Euler", schedule="trailing"))


# DPM++ 2M Karras of version 0.1, measured with diffusers 0.42.1
def test_timesteps_of_karras_are_those_that_version_0_1_had():
    scheduler = make_scheduler("DPM++ 2M", schedule="karras")
    scheduler.set_timesteps(5)
    assert scheduler.timesteps.tolist() == [999, 786, 427, 59, 0]


NOISIER = {**SD15_BASE, "beta_end": 0.02}


@pytest.mark.parametrize("base", [SD15_BASE, NOISIER], ids=["sd15", "noisier"])
def test_noise_levels_are_the_sigmas_of_the_family_that_has_them(base):
    for schedule in SCHEDULES:
        scheduler = make_scheduler("Euler", base, schedule)
        scheduler.set_timesteps(9)
        assert noise_levels(scheduler.timesteps.tolist(), base) == pytest.approx(scheduler.sigmas[:-1].tolist(), rel=0.02)


def test_noise_levels_are_the_models_own():
    assert noise_levels([999], NOISIER)[0] > 2 * noise_levels([999], SD15_BASE)[0]
