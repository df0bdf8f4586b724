"""Check what kind of thing a learner's answer is, and reply to it, as plain text and as a box.

The checks take ordinary values (numbers, names, recipes, runs, pictures), and never run text as code.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from tp2lib.errors import counted, did_you_mean, shown
from tp2lib.metadata.pixels import open_image
from tp2lib.plots.display import macros
from tp2lib.recipe import Recipe

_HTML = macros(Path(__file__).with_name("reply.html.j2"))
KINDS = tuple(_HTML.LOOKS)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Reply:
    """What is said to a learner; as the last line of a cell it shows itself."""

    kind: str  # one of KINDS
    about: str  # what it speaks of, such as "3.2"
    text: str  # plain; it may quote what a learner typed
    code: str = ""  # lines of code to go with it, shown as they are
    table: Mapping[str, str] = field(default_factory=dict)  # heads and the words below them: the box shows this table instead of the text

    @property
    def head(self) -> str:
        """What it speaks of, and its kind in words."""
        return f"{self.about} {'expected and measured' if self.kind == 'compared' else self.kind}"

    def __repr__(self) -> str:
        code = "".join(f"\n    {line}" for line in self.code.splitlines())
        return f"{self.head}: {self.text}{code}"

    def _repr_html_(self) -> str:
        return str(_HTML.box(self))


class Wrong(Exception):
    """An answer is wrong; the message says what is wrong, and what was found."""

    kind = "wrong"


class NotReady(Wrong):
    """What an answer is compared with is not there; the message says what makes it."""

    kind = "not attempted"


def kind_of(value: Any) -> str:
    """Name the kind of a value, in words."""
    names = {str: "text", int: "a number", float: "a number", bool: "True or False", Recipe: "a recipe"}
    return names.get(type(value), f"of type {type(value).__name__}")


def as_number(value: Any, what: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a real number from `low` to `high`, of any type (numpy's too)."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        hint = "; take the quotes off" if isinstance(value, str) else ""
        if isinstance(value, tuple) and [*map(type, value)] == [int, int]:
            hint = f"; in Python the decimal sign is a point: {value[0]}.{value[1]}"
        raise Wrong(f"{what} is {shown(value)}, {kind_of(value)}, not a number{hint}.")
    number = float(value)
    if not low <= number <= high:  # NaN is neither
        limits = f"from {low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
        raise Wrong(f"{what} is {shown(value)}; it can only be {limits}.")
    return number


def as_whole(value: Any, what: str, low: float = 0) -> int:
    """Return a whole number; 60.0 is one too."""
    number = as_number(value, what, low)
    if not number.is_integer():
        raise Wrong(f"{what} is {shown(value)}, not a whole number.")
    return int(number)


def as_recipe(value: Any) -> Recipe:
    if isinstance(value, Recipe):
        return value
    hint = " A run has it in run.recipe." if isinstance(getattr(value, "recipe", None), Recipe) else ""
    raise Wrong(f"{shown(value)} is {kind_of(value)}, not a Recipe.{hint}")


def as_picture(value: Any) -> Image.Image:
    """Return the RGB picture of a PIL image, a run, or a path."""
    if isinstance(value, (str, os.PathLike)):
        return open_image(Path(value))[0].convert("RGB")
    picture = getattr(value, "image", value)
    if isinstance(picture, Image.Image):
        return picture.convert("RGB")
    hint = " The picture is in .images[0] of what pipe returns." if hasattr(value, "images") else ""
    raise Wrong(f"{shown(value)} is {kind_of(value)}, not a picture.{hint}")


def as_reason(value: Any) -> str:
    """Return a reason of at least four words."""
    words = value.split() if isinstance(value, str) else []
    if len(words) < 4:
        raise Wrong(f"the reason is {shown(value)}, of {counted(len(words), 'word')}; defend it in a sentence.")
    return " ".join(words)


def one_of(value: Any, known: Any, what: str) -> Any:
    """Return the one of `known` that is meant; upper and lower case are one."""
    for one in known:
        if value == one or (isinstance(value, str) and value.strip().casefold() == str(one).casefold()):
            return one
    names = ", ".join(map(str, known))
    raise Wrong(f"{what} is {shown(value)}; it must be one of {names}.{did_you_mean(value, map(str, known))}")


def listed(value: Any, what: str) -> list[Any]:
    """Return the members of a tuple, list or set."""
    if isinstance(value, (tuple, list, set, frozenset)):
        return list(value)
    raise Wrong(f"{shown(value)} is {kind_of(value)}; give {what}, in brackets.")


def differing(one: Recipe, other: Recipe, besides: Sequence[str] = ()) -> list[str]:
    """Name the settings in which two recipes differ, besides some."""
    ours, theirs = one.to_dict(), other.to_dict()
    return [name for name in ours if name not in besides and ours[name] != theirs[name]]
