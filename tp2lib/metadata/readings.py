"""What a file from another tool says about its settings: which were found, which were assumed, what was not understood.

A reader (`infotext`, `tools`) takes a text apart and calls `settle`, which checks every value like one that was typed, and never
puts a default in a setting's place without naming it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tp2lib.errors import RecipeError, RecordError, shown
from tp2lib.recipe import Recipe, drawn, setting
from tp2lib.settings import check_schedule, nearest_scheduler, schedule_name, split_scheduler

KNOWN_MODELS = ("auto", "vitrine", "sd15")  # names a foreign text may ask for: each is a pinned model
_NUMBERS = ("seed", "steps", "guidance", "width", "height")
_ASSUMED = ("negative_prompt", *_NUMBERS, "scheduler", "schedule", "model")
_MAX_IGNORED, _MAX_TEXT = 60, 20_000  # entries, and characters of each
_NUMBER = re.compile(r"-?[0-9]{1,25}(\.[0-9]{1,25})?(e-?[0-9]{1,3})?", re.IGNORECASE)
_SYNTAX = re.compile(
    r"<[a-z]{2,12}:[^<>\n]{1,200}>|__[\w/*-]{1,60}__|\{[^{}\n]{0,200}\|[^{}\n]{0,200}\}|\bBREAK\b|(?<!\\)\([^()\n]{1,200}\)|(?<!\\)\[[^\[\]\n]{1,200}\]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Settings that were read from a file or a text; printed, it says where each comes from."""

    recipe: Recipe  # names no model but ours, and no photo but one that is kept by its hash
    tool: str  # what wrote it: "tp2lib", "A1111", "ComfyUI" and so on
    found: Mapping[str, Any] = field(repr=False)  # settings that the file gives, by name
    assumed: Mapping[str, Any]  # settings that it does not give, or not as they can be here, and the value put in
    ignored: Mapping[str, str]  # what else it holds, under its own names, as text
    notes: tuple[str, ...] = ()  # other remarks, one sentence each

    @property
    def lines(self) -> tuple[str, ...]:
        """Found, assumed and ignored, a sentence each, and the notes."""
        ignored = [f"{name}: {text}" if len(text) <= 60 else f"{name}: {text[:59]}…" for name, text in self.ignored.items()]
        more = f" and {len(ignored) - 12} more" if len(ignored) > 12 else ""
        return (
            f"Found: {_listed(self.found)}.",
            f"Assumed, because the file does not say it: {_listed(self.assumed)}." if self.assumed else "Assumed: nothing.",
            f"Ignored: {'; '.join(' '.join(one.split()) for one in ignored[:12])}{more}." if ignored else "Ignored: nothing.",
            *self.notes,
        )

    def __str__(self) -> str:
        return "\n".join((f"Settings written by {self.tool}.", *self.lines))


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(name if name == "prompt" else f"{name} {shown(value, 60)}" for name, value in values.items())


def foreign_syntax(*texts: str) -> str:
    """Say which parts of some prompts are another tool's syntax (weights in brackets, BREAK, LoRA tags, wildcards, choices), read here as plain words."""
    parts = list(dict.fromkeys(found[0] for text in texts for found in _SYNTAX.finditer(text)))
    if not parts:
        return ""
    more = f" and {len(parts) - 8} more" if len(parts) > 8 else ""
    words = ", ".join(part if len(part) <= 40 else part[:39] + "…" for part in parts[:8])
    return f"Another tool's syntax, read here as plain words: {words}{more}."


def settle(tool: str, prompt: Any, negative: Any, given: Mapping[str, Any], rest: Mapping[str, Any], notes: tuple[str, ...] = ()) -> Reading:
    """Check what a reader found, assume the rest, and say which is which; raise RecordError for no prompt, or one that no recipe can have.

    `given` has numbers or text under `seed`, `steps`, `guidance`, `width`, `height`, `strength`, `model`, and the names of `sampler` and `schedule`; None
    counts as not given. `rest` is what else the file holds.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if not isinstance(prompt, str):
        held = ", ".join(map(str, {**given, **rest}))
        raise RecordError(f"the {tool} settings hold no prompt; they hold {shown(held, 200) if held else 'nothing'}. Type the prompt yourself.")
    found: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative or ""}
    instead: dict[str, Any] = {}  # used where the file's value is not allowed
    ignored = {str(name): _as_text(value) for name, value in list(rest.items())[:_MAX_IGNORED]}
    if len(rest) > _MAX_IGNORED:
        ignored["more"] = f"{len(rest) - _MAX_IGNORED} further entries"
    told = list(notes)
    for name in [name for name in _NUMBERS if name in given]:
        try:
            found[name] = _number(name, given[name])
        except RecipeError as error:
            ignored[name] = _as_text(given[name])
            told.append(str(error))
    if found.get("seed") == -1:
        ignored["seed"], instead["seed"] = str(found.pop("seed")), drawn(-1)
        told.append(f"The file's seed is -1, which stands for any: {instead['seed']} was drawn.")
    if ("width" in found) != ("height" in found):  # a width without a height is no size
        ignored.update({name: str(found.pop(name)) for name in ("width", "height") if name in found})
    if "sampler" in given:
        _sampler(given["sampler"], given.get("schedule"), found, instead, ignored, told)
    elif "schedule" in given:
        ignored["schedule"] = _as_text(given["schedule"])
    if given.get("model") in KNOWN_MODELS:
        found["model"] = given["model"]
    elif "model" in given:
        ignored["model"] = _as_text(given["model"])
        told.append(f"Model {shown(given['model'])} is not loaded: a file does not decide which model is loaded.")
    if "strength" in given:
        ignored["strength"] = _as_text(given["strength"])
        told.append("Made from a photo that the file does not hold: use recipe.vary(strength=…, source=…).")
    if syntax := foreign_syntax(prompt, str(negative or "")):
        told.append(syntax)
    try:
        recipe = Recipe(**found, **instead)
    except RecipeError as error:
        raise RecordError(f"the {tool} settings ask for what tp2lib does not do: {error}") from None
    assumed = {name: getattr(recipe, name) for name in _ASSUMED if name not in found}
    return Reading(recipe=recipe, tool=tool, found={name: getattr(recipe, name) for name in found}, assumed=assumed, ignored=ignored, notes=tuple(told))


def _number(name: str, value: Any) -> int | float:
    """Read a number, in text or as JSON has it, that the setting can be; -1 as a seed stands for itself."""
    known = setting(name)
    number = value
    if isinstance(value, str) and len(value) <= 60 and _NUMBER.fullmatch(value.strip()):
        number = int(value) if known.kind == "whole" and "." not in value and "e" not in value.lower() else float(value)
    if isinstance(number, float) and known.kind == "whole" and number.is_integer():
        number = int(number)
    return -1 if name == "seed" and type(number) is int and number == -1 else known.check(name, number)


def _sampler(sampler: Any, schedule: Any, found: dict[str, Any], instead: dict[str, Any], ignored: dict[str, str], told: list[str]) -> None:
    """Find the scheduler and the schedule that another tool's names stand for, or what comes nearest."""
    try:
        name, ending = found["scheduler"], _ = split_scheduler(sampler)
    except RecipeError:
        near = nearest_scheduler(sampler)
        name, ending = near or (setting("scheduler").default, None)
        ignored["sampler"], instead["scheduler"] = _as_text(sampler), name
        told.append(
            f"There is no sampler {shown(sampler)} here; {'the nearest is' if near else 'it is not near any of ours, and so it is'} {name}, which makes another picture."
        )
    wanted = ending or (None if schedule is None else schedule_name(schedule))
    if wanted is None:
        return
    try:
        check_schedule(name, setting("schedule").check("schedule", wanted))
        found["schedule"] = wanted
    except RecipeError as error:
        ignored["schedule"], instead["schedule"] = _as_text(wanted if schedule is None else schedule), "default"
        told.append(str(error))


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value[:_MAX_TEXT]
    try:
        return json.dumps(value, ensure_ascii=False, default=str)[:_MAX_TEXT]
    except (ValueError, RecursionError):
        return shown(value)


def json_object(tool: str, text: str) -> dict[str, Any]:
    """Return the object in a foreign JSON text; raise RecordError if it is none, is nested too deeply, or holds a number of thousands of digits."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"the {tool} settings are not JSON ({shown(error)}); the file was damaged. Take it as its tool wrote it.") from None
    if not isinstance(content, dict):
        raise RecordError(f"the {tool} settings are {shown(content)}; they must be a JSON object. Take the file as its tool wrote it.")
    return content


def taken_apart(tool: str, parser: str, parameters: Mapping[str, Any]) -> Any:
    """Return what a parser of sd-parsers finds in a picture's texts: a ``PromptInfo`` with at least one sampler, values unchecked; else raise RecordError."""
    from sd_parsers import parsers

    try:
        info = getattr(parsers, parser)().parse(dict(parameters))
        if not info.samplers:
            raise ValueError("no sampler is in it")
    except Exception as error:  # untrusted content can raise any error
        raise RecordError(f"the {tool} settings cannot be read ({shown(error)}). Type the settings yourself, or take the file as its tool wrote it.") from None
    return info


def settle_parsed(tool: str, sampler: Any, more: Mapping[str, Any], rest: Mapping[str, Any], notes: tuple[str, ...] = ()) -> Reading:
    """Settle one sampler of what `taken_apart` found; `more` wins over what the sampler says, `rest` is ignored."""
    left = {**sampler.parameters, **rest}
    names = {"seed": ("seed", "noise_seed"), "steps": ("steps",), "guidance": ("cfg_scale",), "schedule": ("scheduler",)}
    given = {name: next((left.pop(key) for key in keys if key in left), None) for name, keys in names.items()}
    model = getattr(sampler.model, "name", None)
    given |= {"sampler": sampler.name, "model": model if isinstance(model, str) else None, **more}
    words = ([one.value for one in part if isinstance(one.value, str)] for part in (sampler.prompts, sampler.negative_prompts))
    prompt, negative = (", ".join(dict.fromkeys(part)) if part else None for part in words)
    return settle(tool, prompt, negative, given, left, notes)
