"""Schedulers by their usual names: a new one for each run, from a configuration that never changes.

Swapping schedulers with ``X.from_config(pipe.scheduler.config)`` leaks settings from one to the next: PNDM, then
DPM++ 2M Karras, then Euler gives a *Karras* Euler, while PNDM, then Euler does not. Some classes even rewrite their own
configuration while they run. So one run has one new scheduler, from the model's base: a copy of one that never runs.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import diffusers
import numpy as np
from diffusers import SchedulerMixin

from tp2lib.errors import RecipeError
from tp2lib.settings import SCHEDULER_FACTS, check_schedule

SD15_BASE: Mapping[str, Any] = MappingProxyType(
    {
        "_class_name": "PNDMScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "clip_sample": False,
        "num_train_timesteps": 1000,
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
        "steps_offset": 1,
        "trained_betas": None,
    }
)
"""Stable Diffusion 1.5's own scheduler file. It names no ``timestep_spacing``: a file that does (diffusers adds it when
it saves a pipeline) moves the timesteps of every other scheduler derived from it."""

_SIGMAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    **{option.split("_")[1]: {**dict.fromkeys(_SIGMAS, False), option: True} for option in _SIGMAS},
    "trailing": {**dict.fromkeys(_SIGMAS, False), "timestep_spacing": "trailing"},
}


def make_scheduler(name: str, base_config: Mapping[str, Any] = SD15_BASE, schedule: str = "default") -> SchedulerMixin:
    """Build a new scheduler, which shares nothing with any other, from a model's ``scheduler_config.json``.

    The schedule says which noise levels it visits; "default" leaves that to the class and the configuration. RecipeError is raised if diffusers has no such
    pair.
    """
    check_schedule(name, schedule)
    return copy.deepcopy(_built(name, json.dumps(dict(base_config)), schedule))


@cache
def _built(name: str, base_config: str, schedule: str) -> SchedulerMixin:
    """Build the scheduler that is copied: KDPM2 takes half a second."""
    facts = SCHEDULER_FACTS[name]
    cls = getattr(diffusers, facts["class_name"])
    taken = inspect.signature(cls.__init__).parameters
    chosen = {option: value for option, value in _OPTIONS.get(schedule, {}).items() if option in taken}
    return cls.from_config(json.loads(base_config), **{**facts.get("overrides", {}), **chosen})


def noise_levels(timesteps: Sequence[float], base_config: Mapping[str, Any]) -> list[float]:
    """Return σ at each timestep of a model: the standard deviation of the noise beside a picture of scale 1.

    σ = √((1 − ᾱ) / ᾱ) (Karras et al. 2022, table 1, variance preserving), linear in log σ between the model's timesteps.
    """
    alphas = make_scheduler("DDIM", base_config).alphas_cumprod.double().numpy()
    logs = np.log((1 - alphas) / alphas) / 2
    return [float(level) for level in np.exp(np.interp(timesteps, np.arange(len(logs)), logs))]


def scheduler_hash(scheduler: SchedulerMixin) -> str:
    """Hash a scheduler's class and settings: 16 hex digits, the same wherever the settings are the same."""
    config = {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
    text = json.dumps([type(scheduler).__name__, config], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def set_timesteps(name: str, scheduler: SchedulerMixin, steps: int) -> None:
    """Lay out the schedule for `steps` nominal steps; raise RecipeError if this scheduler cannot make that many."""
    limit = SCHEDULER_FACTS[name].get("max_steps")
    if limit is not None and steps > limit:
        raise RecipeError(
            f"steps is {steps} with the {name} scheduler, which was made for at most {limit}. Lower steps "
            "(constant-steps mode raises them by 1/strength), or choose another scheduler."
        )
    scheduler.set_timesteps(steps)
