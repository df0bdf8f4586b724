"""The settings of a recipe: their ranges, labels and checks, and the names of schedulers and schedules, here and in other tools."""

from __future__ import annotations

import math
import numbers
import operator
import os
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tp2lib.errors import RecipeError, did_you_mean, nearest_name, shown

Kind = Literal["text", "whole", "real", "choice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a slider shows of one field of a recipe, and what the recipe accepts for it.

    `min`, `max` and `step` are numbers in the field's unit; for text, `max` is the number of
    characters. A real number can lie between two steps; where `over` is given, it must be above `over` and can be below `min`.
    """

    kind: Kind
    label: str
    help: str
    min: float = -math.inf
    max: float = math.inf
    step: float = 1
    choices: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    blank: bool = True
    over: float | None = None

    def check(self, name: str, value: object) -> Any:
        """Return `value` in its one spelling, as the field `name` keeps it; raise RecipeError for a wrong type, or a value out of range."""
        if value is None and self.default is None and not self.required:
            return None
        return getattr(self, f"_{self.kind}")(name, value)

    def _whole(self, name: str, value: Any) -> int:
        try:
            number = operator.index(value)  # NumPy's integers pass; floats and strings do not
            inside = self.min <= number <= self.max and number % self.step == 0
        except TypeError:
            inside = False
        if not inside or isinstance(value, bool):
            kind = "a whole number" if self.step == 1 else f"a multiple of {self.step}"
            raise self._wrong(name, value, f"{kind} from {self.min} to {self.max}")
        return number

    def _real(self, name: str, value: object) -> float:
        try:
            number = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
        except (OverflowError, ValueError):
            number = math.nan
        low_enough = number > self.over if self.over is not None else number >= self.min
        if not (low_enough and number <= self.max):  # NaN fails both
            low = f"from {self.min}" if self.over is None else f"above {self.over}, up"
            raise self._wrong(name, value, f"a number {low} to {self.max}")
        return number + 0.0  # -0.0 and 0.0 are one setting

    def _text(self, name: str, value: object) -> str:
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(value, str):
            raise self._wrong(name, value, "text", "Put it in quotes.")
        text = str(value).replace("\r\n", "\n").replace("\r", "\n")
        if not self.blank and not text.strip():
            raise self._wrong(name, value, "text that is not blank", f"Give {self.help}.")
        if len(text) > self.max:
            raise self._wrong(name, value, f"at most {self.max} characters long, and it has {len(text)}", "Shorten it.")
        for character in text:
            if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
                rule = f"text without U+{ord(character):04X}, a character that files cannot keep"
                raise self._wrong(name, value, rule, "Remove that character.")
        return text

    def _choice(self, name: str, value: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            advice = did_you_mean(value, self.choices).strip() or "Choose one of these."
            raise self._wrong(name, value, f"one of {', '.join(map(repr, self.choices))}", advice)
        return str(value)

    def _wrong(self, name: str, value: object, rule: str, advice: str = "") -> RecipeError:
        rule += "" if self.required or self.default is not None else ", or None"
        return RecipeError(f"{name} is {shown(value)}; it must be {rule}. {advice or self._advice(value)}")

    def _advice(self, value: Any) -> str:
        try:
            if self.kind == "whole":
                digits = isinstance(value, str) and value.strip().lstrip("+-").isdecimal()
                number = int(value) if digits or isinstance(value, int) else round(float(value))
                return f"The nearest is {min(max((number + (self.step - 1) // 2) // self.step * self.step, self.min), self.max)}."
            if math.isfinite(nearest := min(max(float(value), self.min), self.max)):
                return f"The nearest is {nearest:.10g}."
        except (TypeError, ValueError, OverflowError):
            pass
        return "Leave it out if unsure." if self.default is None else f"Use {self.default}, the default."


SCHEDULES = ("default", "karras", "exponential", "beta", "trailing")
SCHEDULER_FACTS: Mapping[str, Mapping[str, Any]] = tomllib.loads(Path(__file__).with_name("schedulers.toml").read_text(encoding="utf-8"))
"""What is known of each scheduler; ``schedulers.toml`` says what the facts mean."""
SCHEDULER_NAMES = tuple(SCHEDULER_FACTS)
SCHEDULES_OF = {name: tuple(facts.get("schedules", SCHEDULES)) for name, facts in SCHEDULER_FACTS.items()}

_SCHEDULE_ALIASES = {"normal": "default", "uniform": "default", "sgmuniform": "trailing", "simple": "trailing"}
_ENDINGS = {"": None, **{name: name for name in SCHEDULES[1:]}, "sgmuniform": "trailing", "simple": "trailing", "k": "karras"}


def _compact(text: str) -> str:
    text = "".join(c for c in text.casefold().replace("++", "pp") if c.isalnum()).removesuffix("gpu")
    for suffix in ("scheduler", "discrete", "multistep"):  # diffusers' class names are accepted too
        text = text.removesuffix(suffix)
    return text


def _named_by(fact: str) -> dict[str, str]:
    return {alias: name for name, facts in SCHEDULER_FACTS.items() for alias in facts.get(fact, ())}


_BY_COMPACT = {_compact(name): name for name in SCHEDULER_NAMES} | _named_by("aliases")


def _found(name: object, known: Mapping[str, str]) -> tuple[str, str | None] | None:
    compact = _compact(name) if isinstance(name, str) and len(name) <= 100 else ""
    for text in (compact, compact.removeprefix("k")):
        for ending, schedule in _ENDINGS.items():
            if text.endswith(ending) and text.removesuffix(ending) in known:
                return known[text.removesuffix(ending)], schedule
    return None


def split_scheduler(name: object) -> tuple[str, str | None]:
    """Return the one spelling of a scheduler's name, and the schedule that ends it: ``"LMS Karras"`` is LMS on karras."""
    if (found := _found(name, _BY_COMPACT)) is not None:
        return found
    near = nearest_scheduler(name)
    hint = f" Did you mean {near[0]!r}?" if near else " Choose one of these names."
    raise RecipeError(f"scheduler is {shown(name)}; it must be one of {', '.join(SCHEDULER_NAMES)}.{hint}")


def nearest_scheduler(name: object) -> tuple[str, str | None] | None:
    """Return the scheduler that comes nearest to one that is not offered, if any does, and the schedule that ends its name."""
    if (found := _found(name, _named_by("nearest_of"))) is not None:
        return found
    near = nearest_name(name, SCHEDULER_NAMES)
    return (near, None) if near else None


def check_schedule(scheduler: str, schedule: str) -> None:
    """Raise RecipeError for a pair that diffusers does not have; it names what there is instead."""
    if schedule not in SCHEDULES_OF[scheduler]:
        others = [name for name in SCHEDULER_NAMES if schedule in SCHEDULES_OF[name]]
        raise RecipeError(
            f"schedule is {schedule!r} with the {scheduler} scheduler, which has {', '.join(SCHEDULES_OF[scheduler])}. "
            f"Choose one of these, or a scheduler that has it: {', '.join(others)}."
        )


def scheduler_name(name: object) -> str:
    """Return the one spelling of a scheduler's name: ``"euler a"`` becomes ``"EulerA"``; raise RecipeError if it names a schedule too."""
    scheduler, schedule = split_scheduler(name)
    if schedule is not None:
        raise RecipeError(f"scheduler is {shown(name)}, which names two settings. Use scheduler={scheduler!r} and schedule={schedule!r}.")
    return scheduler


def schedule_name(name: Any) -> Any:
    """Return the one spelling of a schedule's name: ``"SGM Uniform"`` becomes ``"trailing"``; any other value is returned unchanged."""
    known = {**{schedule: schedule for schedule in SCHEDULES}, **_SCHEDULE_ALIASES}
    return known.get(_compact(name), name) if isinstance(name, str) and len(name) <= 100 else name


# Version 0.1 had no setting for the schedule, and two scheduler names that are not the usual ones.
_NAMES_OF_0_1 = {("DPM++ 2M", "karras"): "DPM++ 2M Karras", ("DPM++ 2M SDE", "default"): "DPM++ SDE"}


def spelled_as_in_0_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in the spelling that hashes are made of, so that those of version 0.1 still name the same pictures."""
    values = dict(values)
    if values.get("mask", "none yet") is None:  # version 0.1 had no masks either
        values = {name: value for name, value in values.items() if name not in ("mask", "grow", "feather")}
    pair = values["scheduler"], values.pop("schedule", "default")
    values["scheduler"] = _NAMES_OF_0_1.get(pair, pair[0])
    return values if pair in _NAMES_OF_0_1 or pair[1] == "default" else {**values, "schedule": pair[1]}


def renamed_since_0_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as today's names have them; those that name a schedule are today's already."""
    if "schedule" in values or not isinstance(name := values.get("scheduler"), str):
        return dict(values)
    scheduler, schedule = {old: new for new, old in _NAMES_OF_0_1.items()}.get(name, (name, "default"))
    return {**values, "scheduler": scheduler, "schedule": schedule}
