"""Prove that an experiment is controlled: the declared settings vary, and nothing else does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tp2lib.engine.fallbacks import treatments
from tp2lib.errors import ControlError, shown

_SCHEDULE = ("steps", "nominal_steps", "strength", "timesteps", "model_calls")
_NEGATIVE = ("negative_prompt", "negative_used", "negative_tokens", "negative_tokens_cut", "negative_text_cut")

TOUCHES: Mapping[str, frozenset[str]] = {
    "prompt": frozenset({"prompt", "tokens", "tokens_cut", "text_cut"}),
    "negative_prompt": frozenset(_NEGATIVE),
    "steps": frozenset(_SCHEDULE),
    "guidance": frozenset({"guidance", "guidance_active", *_NEGATIVE}),  # at 1 and below, the negative prompt goes too
    "scheduler": frozenset({"scheduler", "scheduler_class", "scheduler_hash", "stochastic", "timesteps", "model_calls"}),
    "schedule": frozenset({"schedule", "scheduler_hash", "timesteps", "model_calls"}),
    "strength": frozenset(_SCHEDULE),
    "strength_mode": frozenset(_SCHEDULE),
    "width": frozenset({"width", "noise_sha256", "source_sha256"}),
    "height": frozenset({"height", "noise_sha256", "source_sha256"}),
    "seed": frozenset({"seed", "noise_sha256"}),
    "grow": frozenset({"mask_sha256", "kept_share"}),
    "feather": frozenset({"feather"}),
}
"""For each axis, the effective settings that it may change. Anything else that changes along it is a confounder."""

Cell = tuple[Mapping[str, Any], Mapping[str, Any]]  # the cell's place (axis: value, seed included), what was effective


def prove(cells: Sequence[Cell], axes: Iterable[str]) -> dict[str, list[str]]:
    """Prove that the declared axes, and only they, vary, and that paired cells share their noise; else raise ControlError.

    One factor at a time: cells that differ in a single axis (the seed counts as one) may differ in what that axis touches, and in nothing else. Every two cells
    are linked by such steps. Returned are, for each axis, the effective settings that vary along it: none where it is dead.
    """
    proof = {}
    for axis in dict.fromkeys((*axes, "seed")):
        found: dict[str, set[str]] = defaultdict(set)
        for line in _lines(cells, axis):
            for name in _varying(line):
                found[name].update(shown(effective.get(name)) for _, effective in line)
        strange = {name: values for name, values in found.items() if name not in TOUCHES[axis]}
        if strange:
            raise ControlError(_accuse(axis, strange))
        proof[axis] = sorted(found)
    return proof


def _accuse(axis: str, strange: Mapping[str, set[str]]) -> str:
    what = "; ".join(f"{name} is {' or '.join(sorted(values)[:3])}" for name, values in sorted(strange.items()))
    if "noise_sha256" in strange:
        what += ". Cells that are compared must start from the same noise"
    return (
        f"the sweep is not controlled: between cells that differ in {axis} only, something else varies too: {what}. "
        "In a plan, give that setting a value in the recipe, or vary another one; if pictures were made, find what changed between the runs "
        "(threads, memory, model), and sweep again in a fresh process."
    )


def _lines(cells: Sequence[Cell], axis: str) -> list[list[Cell]]:
    """Group the cells that differ in nothing but their value on one axis."""
    lines: dict[tuple, list[Cell]] = defaultdict(list)
    for place, effective in cells:
        lines[tuple((name, value) for name, value in place.items() if name != axis)].append((place, effective))
    return list(lines.values())


def _varying(line: Sequence[Cell]) -> set[str]:
    settings = [{**effective, "rungs": treatments(effective.get("rungs", ()))} for _, effective in line]
    names = set().union(*settings)
    return {name for name in names if any(one.get(name) != settings[0].get(name) for one in settings)}


def dead_pairs(cells: Sequence[Cell], axes: Iterable[str], identity: Callable[[int], str | None]) -> list[str]:
    """Find values of an axis that make no difference, and say why: a sentence for each group of equal values, each once.

    `identity` gives, for a cell's number, what must be equal for two pictures to count as the same (a key, or a hash of pixels), or None where there is no
    picture.
    """
    found: dict[str, None] = {}
    number = {id(effective): i for i, (_, effective) in enumerate(cells)}
    for axis in axes:
        for line in _lines(cells, axis):
            alike: dict[str, list[Cell]] = defaultdict(list)
            for cell in line:
                if (name := identity(number[id(cell[1])])) is not None:
                    alike[name].append(cell)
            for group in alike.values():
                if len(group) > 1:
                    values = ", ".join(shown(place[axis]) for place, _ in group)
                    whole = " (the whole axis)" if len(group) == len(line) else ""
                    found[f"{axis} {values}{whole}: the same picture, since {_cause(axis, group)}"] = None
    return list(found)


def _cause(axis: str, group: Sequence[Cell]) -> str:
    varying, effective = _varying(group), group[0][1]
    if not varying:
        if axis == "guidance":
            return "guidance of 1 and less is switched off"
        if axis in ("strength", "strength_mode"):
            return f"each runs {effective['steps']} of {effective['nominal_steps']} steps"
        if axis == "negative_prompt" and not effective["guidance_active"]:
            return "without guidance the negative prompt is not used"
        return "they come down to the same setting"
    if axis in ("prompt", "negative_prompt") and varying <= TOUCHES[axis]:
        cut = "tokens_cut" if axis == "prompt" else "negative_tokens_cut"
        if any(one[cut] for _, one in group):
            return "they differ only in words beyond the 75 tokens that the model reads"
    return f"{', '.join(sorted(varying))} made no difference: no reason is known, so check the axis"
