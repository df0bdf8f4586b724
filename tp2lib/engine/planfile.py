"""Read a sweep's plan: the TOML file that ``tp2 sweep`` takes.

::

    seeds = [42, 43]              # the same in every cell

    [recipe]                      # what stays the same
    prompt = "a red apple on a white table"
    guidance = 7.5

    [axes]                        # one or two settings, and nothing else, vary
    steps = [15, 30, 50]
    scheduler = ["EulerA", "DDIM"]
"""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tp2lib.errors import RecipeError, did_you_mean, shown
from tp2lib.recipe import KNOWN_MASKS, Recipe

_KEYS = ("recipe", "axes", "seeds")
_LIMIT = 1_000_000  # bytes; a normal plan has a few hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """What `sweep` needs: a recipe, the axes with their values, and the seeds (None for the recipe's own)."""

    recipe: Recipe
    axes: dict[str, Any]
    seeds: list[int] | None = None


def read_plan(path: str | os.PathLike[str]) -> PlanFile:
    """Read a sweep's plan. Its source photo and mask are looked for beside it, unless their paths are absolute; the axes are checked by `sweep`."""
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device would never end
            raise ValueError("it is not a file")
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            raise ValueError(f"it has more than {_LIMIT} bytes")
        content = tomllib.loads(data.decode("utf-8").replace("\r\n", "\n"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(f"the plan {shown(str(path))} cannot be read: {reason}. `tp2 sweep --help` shows one.") from None
    names = {field.name for field in fields(Recipe)}
    for key in content:
        if key not in _KEYS:
            hint = did_you_mean(key, _KEYS) if key not in names else " Put that setting under [recipe], or [axes]."
            raise RecipeError(f"the plan has {shown(key)}; it may have {', '.join(_KEYS)}.{hint}")
    for key in ("recipe", "axes"):
        if not isinstance(content.get(key), dict):
            found = shown(content[key]) if key in content else "missing"
            raise RecipeError(f"the plan's {key} is {found}; it must be a table. Start it with [{key}].")
    for name in content["axes"]:
        if name not in names - {"model", "source"}:
            hint = did_you_mean(name, names) if name not in names else " It goes under [recipe]."
            raise RecipeError(f"{shown(name)} cannot be an axis of the plan; an axis is a setting such as steps.{hint}")
    first = {name: values[0] for name, values in content["axes"].items() if isinstance(values, list) and values}
    given = first | content["recipe"]  # a prompt, or the strength that a photo needs, may stand among the axes alone
    for name, no_files in (("source", ()), ("mask", KNOWN_MASKS)):
        if isinstance(there := given.get(name), str) and there.strip() and there not in no_files and not there.startswith("sha256:"):
            given[name] = os.path.normpath(path.parent / there)
    return PlanFile(recipe=Recipe.from_dict(given), axes=content["axes"], seeds=content.get("seeds"))
