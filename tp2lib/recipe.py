"""The recipe: one immutable, checked set of everything that decides what a picture looks like."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tp2lib.errors import RecipeError, did_you_mean, shown
from tp2lib.settings import SCHEDULER_NAMES, SCHEDULES, Kind, Setting, check_schedule, schedule_name, spelled_as_in_0_1, split_scheduler

STRENGTH_MODES = ("diffusers", "constant")
KNOWN_MASKS = ("auto", "alpha", "found")  # names of masks that are not files
TRAINING_STEPS = 1000  # noise levels Stable Diffusion was trained on: a schedule has no more


def drawn(seed: Any) -> Any:
    """Return a random seed for -1, as other tools do, and any other value unchanged."""
    return secrets.randbelow(2**32) if type(seed) is int and seed == -1 else seed


def _f(kind: Kind, default: Any, label: str, help: str, **limits: Any) -> Any:
    required = default is dataclasses.MISSING
    known = Setting(kind=kind, label=label, help=help, required=required, default=None if required else default, **limits)
    return field(default=default, metadata={"setting": known})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One immutable set of settings; equal recipes ask for the same picture.

    Without `strength` and `source` it asks for a picture from text, with both for a picture from a
    photo; with a `mask` too, for new surroundings of what the mask keeps (`strength` is then 1 by
    default). Every value is checked when the recipe is made, and brought to one spelling (scheduler
    names, line ends, whole numbers given for `guidance` or `strength`); a seed of -1 is drawn then.

    Raises
    ------
    RecipeError
        A value is of the wrong type, out of range, or at odds with another one.

    Examples
    --------
    >>> apple = Recipe(prompt="a red apple on a white table", steps=20)
    >>> apple.vary(guidance=4).guidance
    4.0
    """

    prompt: str = _f("text", dataclasses.MISSING, "prompt", "what the picture shows", max=2000)
    negative_prompt: str = _f("text", "", "negative prompt", "what to steer away from; works only with guidance above 1", max=2000)
    seed: int = _f("whole", 42, "seed", "which noise the picture grows from; -1 draws one", min=0, max=2**64 - 1, step=1)
    steps: int = _f("whole", 30, "steps", "denoising steps; more take longer", min=1, max=150, step=1)
    guidance: float = _f("real", 7.5, "guidance", "how strongly the picture follows the prompt; 1 and less switch it off", min=0, max=30, step=0.5)
    scheduler: str = _f("choice", "EulerA", "scheduler", "how the noise is taken away", choices=SCHEDULER_NAMES)
    schedule: str = _f("choice", "default", "schedule", "which noise levels the steps visit", choices=SCHEDULES)
    strength: float | None = _f(
        "real", None, "strength", "how far to leave the source photo: low keeps it, 1 forgets it",
        min=0.01, max=1, step=0.01, over=0,
    )  # fmt: skip
    strength_mode: str = _f(
        "choice", "diffusers", "strength mode",
        "diffusers runs int(steps x strength) steps, constant always runs all of them", choices=STRENGTH_MODES,
    )  # fmt: skip
    width: int | None = _f("whole", None, "width", "pixels; None is the model's own size", min=64, max=1024, step=8)
    height: int | None = _f("whole", None, "height", "pixels; None is the model's own size", min=64, max=1024, step=8)
    model: str = _f("text", "auto", "model", "auto, vitrine, sd15, a folder, a .safetensors file or a hub id", max=500, blank=False)
    source: str | None = _f("text", None, "source", "the path of the source photo", max=4096, blank=False)
    mask: str | None = _f(
        "text", None, "mask", "what of the source photo is kept as it is: auto, alpha, found, or the path of a picture that is white there",
        max=4096, blank=False,
    )  # fmt: skip
    grow: int = _f("whole", 0, "grow", "pixels of the photo by which the mask grows; below 0 it shrinks", min=-64, max=64, step=1)
    feather: int = _f("whole", 2, "feather", "pixels of the photo over which the kept edge fades, outside the mask", min=0, max=64, step=1)

    def __post_init__(self) -> None:
        scheduler, named = split_scheduler(self.scheduler)
        given = {"scheduler": scheduler, "schedule": _schedule(self.schedule, named), "seed": drawn(self.seed)}
        for name, known in _SETTINGS.items():
            object.__setattr__(self, name, known.check(name, given.get(name, getattr(self, name))))
        check_schedule(self.scheduler, self.schedule)
        self._check_mask()
        self._check_strength()

    def _check_mask(self) -> None:
        if self.mask is not None:
            if self.source is None:
                raise RecipeError(f"mask is {shown(self.mask)} but there is no source to keep something of. Give source='photo.jpg' as well.")
            if self.strength is None:
                object.__setattr__(self, "strength", 1.0)
            return
        for name in ("grow", "feather"):
            if getattr(self, name) != _SETTINGS[name].default:
                raise RecipeError(f"{name} is {getattr(self, name)} but there is no mask. Give mask='auto' as well, or leave {name} out.")

    def _check_strength(self) -> None:
        if self.strength is None and self.source is None:
            return
        if self.source is None:
            raise RecipeError(
                f"strength is {self.strength} but there is no source; image to image needs both. Give source='photo.jpg' as well, or leave strength out."
            )
        if self.strength is None:
            raise RecipeError(
                f"source is {shown(self.source)} but strength is None; image to image needs both. Give strength=0.6 as well, or leave source out."
            )
        if self.strength_mode == "diffusers" and self.effective_steps < 1:
            raise RecipeError(
                f"strength is {self.strength} with {self.steps} steps, which runs int({self.steps} x {self.strength}) "
                f"= 0 steps; at least one must run. Use strength >= {_smallest_strength(self.steps, 1)}, more steps, "
                "or strength_mode='constant'."
            )
        if self.strength_mode == "constant" and int(TRAINING_STEPS * self.strength) < self.steps:
            smallest = _smallest_strength(TRAINING_STEPS, self.steps)
            raise RecipeError(
                f"strength is {self.strength} with {self.steps} constant steps, which needs a schedule of more "
                f"than the {TRAINING_STEPS} noise levels that the model knows. "
                f"Use strength >= {smallest}, fewer steps, or strength_mode='diffusers'."
            )

    @property
    def effective_steps(self) -> int:
        """Steps that really run: ``int(steps * strength)`` as diffusers counts them, else `steps`."""
        if self.strength is None or self.strength_mode == "constant":
            return self.steps
        return min(int(self.steps * self.strength), self.steps)  # 50 * 0.58 is 28.999…: 28 steps run

    @property
    def nominal_steps(self) -> int:
        """Steps to ask diffusers for (``num_inference_steps``) so that `effective_steps` run.

        For constant steps it is the smallest n with ``int(n * strength) == steps`` in floating
        point, which is ``ceil(steps / strength)`` but for rounding.
        """
        if self.strength is None or self.strength_mode == "diffusers":
            return self.steps
        nominal = math.floor(self.steps / self.strength) - 1
        while int(nominal * self.strength) < self.steps:
            nominal += 1
        return nominal

    @property
    def hash(self) -> str:
        """16 hex digits that depend on every setting and on nothing else (SHA-256, canonical JSON)."""
        text = json.dumps(spelled_as_in_0_1(self.to_dict()), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def vary(self, **changes: Any) -> Recipe:
        """Return a copy with some settings changed, checked like a new recipe; raise RecipeError if a name is no setting, or a value is not allowed."""
        _refuse_unknown(changes)
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return every setting under its name, as values that JSON can hold."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, values: object) -> Recipe:
        """Make a recipe from a dictionary such as :meth:`to_dict` returns; missing keys take their default.

        RecipeError is raised for what is no dictionary, an unknown key, no prompt, or a value that is not allowed.
        """
        if not isinstance(values, Mapping):
            raise RecipeError(f"a recipe is {shown(values)}; it must be a dictionary like {{'prompt': …}}.")
        _refuse_unknown(values)
        if "prompt" not in values:
            raise RecipeError("the recipe has no prompt; it is the one setting without a default. Add 'prompt'.")
        return cls(**values)


_SETTINGS: dict[str, Setting] = {f.name: f.metadata["setting"] for f in dataclasses.fields(Recipe)}


def setting(name: str) -> Setting:
    """Return range, step, label, help and default of one field of :class:`Recipe`.

    Raises
    ------
    RecipeError
        The recipe has no such field.
    """
    _refuse_unknown([name])
    return _SETTINGS[name]


def _refuse_unknown(names: Any) -> None:
    for name in names:
        if not isinstance(name, str) or name not in _SETTINGS:
            hint = did_you_mean(name, _SETTINGS)
            raise RecipeError(f"a recipe has no setting {shown(name)}; it has {', '.join(_SETTINGS)}.{hint}")


def _schedule(given: Any, named: str | None) -> Any:
    """Bring a schedule into line with the one that the scheduler's name ends in."""
    schedule = schedule_name(given)
    if named is not None and schedule not in ("default", named):
        raise RecipeError(f"schedule is {shown(given)}, and the scheduler's name says {named}. Leave one of them out.")
    return named or schedule


def _smallest_strength(schedule: int, wanted: int) -> float:
    """Smallest strength of three decimals for which ``int(schedule * strength) >= wanted``."""
    thousandths = math.ceil(1000 * wanted / schedule)
    while int(schedule * (thousandths / 1000)) < wanted:
        thousandths += 1
    return thousandths / 1000
