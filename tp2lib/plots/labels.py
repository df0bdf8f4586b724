"""Labels for settings on grids, curves and panels, taken from the effective settings.

A run is anything with `recipe`, `effective`, `timings`, `outcome` and `image`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PureWindowsPath
from typing import Any

from tp2lib.errors import RecipeError, counted, did_you_mean, shown
from tp2lib.recipe import Recipe

# The settings that may be an axis, in the order that captions name them.
AXES = (
    "model", "prompt", "negative_prompt", "source", "strength", "strength_mode", "scheduler", "schedule", "steps",
    "guidance", "seed", "width", "height", "mask", "grow", "feather",
)  # fmt: skip

OUTCOMES = {
    "nan": "not a number: the arithmetic overflowed",
    "black": "all black: nothing came out",
    "flagged": "withheld: flagged by the model's safety checker",
}

# Conditions that no recipe sets: where one differs between runs, the runs do not compare.
_CONDITIONS = ("weights_sha256", "device", "dtype", "threads", "batch_width", "attention", "rungs", "decoder_dtype")


def value(run: Any, axis: str) -> Any:
    """Return what was asked for; sizes and models that were left open are read from what ran."""
    if axis not in AXES:
        raise RecipeError(f"{shown(axis)} is not an axis; the axes are {', '.join(AXES)}.{did_you_mean(axis, AXES)}")
    asked = getattr(run.recipe, axis)
    if axis in ("width", "height", "model"):
        known = run.effective.get(axis, asked)
        return known if isinstance(known, (int, str)) else asked  # a record is untrusted
    return asked


def values(runs: Sequence[Any], axis: str) -> list[Any]:
    """List the different values of an axis: numbers in order, the rest as they first appear."""
    found = list(dict.fromkeys(value(run, axis) for run in runs))
    return sorted(found) if all(isinstance(one, (int, float)) for one in found) else found


def varying(runs: Sequence[Any]) -> list[str]:
    """List the settings in which the runs differ."""
    return [axis for axis in AXES if len(values(runs, axis)) > 1]


def conditions(runs: Sequence[Any]) -> dict[str, list[str]]:
    """Find the conditions of execution in which the runs differ: name to the words for each run, empty where a run has none recorded."""
    words = lambda known: " + ".join(map(str, known)) or "none" if isinstance(known, (list, tuple)) else str(known)[:24]
    found = {name: [words(run.effective[name]) if name in run.effective else "" for run in runs] for name in _CONDITIONS}
    named = {"rungs": "fallbacks"}  # what records call them
    return {named.get(name, name): each for name, each in found.items() if len({*each} - {""}) > 1}


def unplanned(runs: Sequence[Any], word: Callable[[str], str] = str) -> list[str]:
    """List the conditions of execution in which the runs differ, such as ``"threads 1, 2"``; `word` gives a language's word for each."""
    return [f"{word(name)} {', '.join(dict.fromkeys(filter(None, each)))}" for name, each in conditions(runs).items()]


def label(run: Any, axis: str) -> tuple[str, str]:
    """Return the words for one setting of a run, and what it came down to where that is not the same.

    Returns
    -------
    setting : str
        Such as ``"strength 0.35"``.
    effect : str
        Such as ``"10 of 30 steps run"``; empty where what was asked for is what ran.
    """
    words = _WORDS.get(axis, lambda asked: f"{axis.replace('_', ' ')} {asked}")(value(run, axis))
    return words, _effect(run.recipe, axis, run.effective)


def _effect(recipe: Recipe, axis: str, known: dict[str, Any]) -> str:
    if axis == "guidance" and known.get("guidance_active") is False:
        return "guidance off"
    if axis == "negative_prompt" and recipe.negative_prompt and known.get("negative_used") is False:
        return "not used: guidance off"
    if axis == "prompt" and known.get("tokens_cut"):
        return f"{known['tokens_cut']} tokens cut off"
    if axis == "strength" and known.get("nominal_steps", known.get("steps")) != known.get("steps"):
        return f"{known['steps']} of {known['nominal_steps']} steps run"
    if axis == "steps" and known.get("steps", recipe.steps) != recipe.steps:
        return f"{known['steps']} run"
    return ""


def fixed(runs: Sequence[Any], besides: Sequence[str] = ()) -> list[str]:
    """List, in words, the settings that are the same in all runs, but for those that say nothing.

    Parameters
    ----------
    runs : sequence of runs
        At least one.
    besides : sequence of str
        Axes to leave out.
    """
    first, changed = runs[0], {*varying(runs), *besides}
    silent = {axis for axis in ("negative_prompt", "source", "strength", "strength_mode") if not value(first, axis)}
    silent |= {"schedule"} if value(first, "schedule") == "default" else set()
    silent |= {"width", "height"} | ({"strength_mode"} if first.recipe.strength is None else set())
    silent |= {"mask", "grow", "feather"} if first.recipe.mask is None else set()
    words = []
    for axis in AXES:
        if axis not in changed | silent:
            effects = {label(run, axis)[1] for run in runs}
            words.append(_with_effect(label(first, axis)[0], effects.pop() if len(effects) == 1 else ""))
    if not changed & {"width", "height"} and value(first, "width"):
        words.append(f"{value(first, 'width')}×{value(first, 'height')} pixels")
    where = {(run.effective["device"], run.effective["dtype"]) for run in runs if "device" in run.effective}
    return words + ([" ".join(where.pop())] if len(where) == 1 else [])


def changes(runs: Sequence[Any]) -> list[str]:
    """Name the first run by all that varies, the others by what they change against it."""
    axes = varying(runs)
    names = [", ".join(_with_effect(*label(runs[0], axis)) for axis in axes)]
    for run in runs[1:]:
        changed = [_with_effect(*label(run, axis)) for axis in axes if value(run, axis) != value(runs[0], axis)]
        names.append(", ".join(changed) or "the same again")
    return names


def _with_effect(setting: str, effect: str) -> str:
    return f"{setting} ({effect})" if effect else setting


def problem(run: Any) -> str:
    """Say what happened instead of a picture; empty if there is one."""
    if run.outcome == "ok" and run.image is not None:
        return ""
    return OUTCOMES.get(run.outcome, str(run.outcome))


def _quoted(text: str) -> str:
    text = " ".join(text.split())
    return f"“{text if len(text) <= 160 else text[:159] + '…'}”"


def _short(name: str) -> str:
    """Shorten the name of a photo or mask that is known by its hash to the first digits."""
    return f"{name[:15]}…" if name.startswith("sha256:") else name


_WORDS: dict[str, Callable[[Any], str]] = {
    "prompt": _quoted,
    "negative_prompt": lambda text: f"negative prompt {_quoted(text)}" if text else "no negative prompt",
    "steps": lambda steps: counted(steps, "step"),
    "guidance": lambda guidance: f"guidance {guidance:g}",
    "strength": lambda strength: "no source" if strength is None else f"strength {strength:g}",
    "strength_mode": lambda mode: "constant steps" if mode == "constant" else "steps as in diffusers",
    "scheduler": str,
    "schedule": lambda name: "default schedule" if name == "default" else f"{name} schedule",
    # the file's name alone: a folder can name its owner
    "source": lambda path: "no source" if path is None else f"source {_short(PureWindowsPath(path).name)}",
    "mask": lambda path: "no mask" if path is None else f"mask {_short(PureWindowsPath(path).name)}",
}
