"""The report's three judged cases as data, and a check of claims about a picture against its record.

The report judges its baseline for showing a backpack, while its own table made that file with the prompt of a wallet.
A claim names a file, a prompt and settings; the file's record shows whether they are right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tp2lib.errors import RecordError
from tp2lib.evaluation.experiments import BACKPACK, EXPERIMENTS, PEN
from tp2lib.evaluation.languages import translations
from tp2lib.evaluation.rubric import CRITERIA, check_scores
from tp2lib.evaluation.rubric import total as sum_up
from tp2lib.recipe import Recipe

__all__ = ["CASES", "Case", "Contradiction", "check_case", "check_cases", "claim"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A claim about a picture.

    Attributes
    ----------
    name : str
        The picture's name, such as ``"t2i_run01_baseline"``.
    about : mapping of str to str
        A short description, by language.
    settings : dict
        The claimed settings, with the prompt.
    scores : dict
        Points by criterion.
    total : int
        The sum that is claimed.
    """

    name: str
    about: Mapping[str, str] = field(default_factory=dict)
    settings: dict[str, Any]
    scores: dict[str, int]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A difference between a claim and a picture's record.

    `what` is a setting, ``"total"`` or ``"reproducibility"``; `claimed` and `found` are the two sides.
    """

    case: str
    what: str
    claimed: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.case}: {self.what} is claimed to be {self.claimed!r}, and is {self.found!r}"


def claim(name: str, recipe: Recipe, scores: Mapping[str, int], total: int | None = None) -> Case:
    """Claim what a picture was made with, and what it scores; the sum is added up where none is given.

    Raises
    ------
    RecordError
        A criterion that there is not, or points other than 0, 1 and 2.
    """
    checked = check_scores(scores, tuple(CRITERIA))
    return Case(name=name, settings=recipe.to_dict(), scores=checked, total=sum(checked.values()) if total is None else total)


def check_case(case: Case, recipe: Recipe, points: int | None = None) -> list[Contradiction]:
    """Compare a claim with the recipe in the picture's file, its own sum, and the measured reproducibility.

    Parameters
    ----------
    case : Case
    recipe : Recipe
        What the file says, as :func:`read_recipe` gives it back.
    points : int, optional
        Points for reproducibility that a replay gave.

    Returns
    -------
    list of Contradiction
        None, where all holds.

    Raises
    ------
    RecordError
        The claim names a setting that no recipe has.
    """
    made = recipe.to_dict()
    if unknown := [name for name in case.settings if name not in made]:
        raise RecordError(f"the claim about {case.name} names {', '.join(unknown)}; a recipe has {', '.join(made)}.")
    found = [
        Contradiction(case=case.name, what=name, claimed=said, found=made[name])
        for name, said in case.settings.items()
        if name not in ("source", "model") and said != made[name]  # a path and a model's alias may be spelt in many ways
    ]
    added = sum_up(case.scores)
    if added is not None and added != case.total:
        found.append(Contradiction(case=case.name, what="total", claimed=case.total, found=added))
    claimed = case.scores.get("reproducibility")
    if None not in (points, claimed) and claimed != points:
        found.append(Contradiction(case=case.name, what="reproducibility", claimed=claimed, found=points))
    return found


def check_cases(recipes: Mapping[str, Recipe], points: Mapping[str, int] | None = None) -> list[Contradiction]:
    """Check the report's three cases against the recipes of the pictures that are there, by name."""
    measured = points or {}
    there = [case for case in CASES.values() if case.name in recipes]
    return [one for case in there for one in check_case(case, recipes[case.name], measured.get(case.name))]


def _case(name: str, prompt: str, scores: tuple[int, int, int, int, int], total: int) -> Case:
    made = EXPERIMENTS[name].recipe
    told = ("scheduler", "seed", "steps", "guidance", "strength")
    return Case(
        name=name,
        about=translations("cases", name),
        settings={"prompt": prompt, **{setting: getattr(made, setting) for setting in told}},
        scores=dict(zip(CRITERIA, scores, strict=True)),
        total=total,
    )


CASES: Mapping[str, Case] = MappingProxyType(
    {
        case.name: case
        for case in (
            _case("t2i_run01_baseline", BACKPACK, (2, 2, 2, 2, 2), 10),
            _case("t2i_run05_guid12", BACKPACK, (2, 1, 1, 1, 2), 7),
            _case("i2i_run09_strength085", PEN, (2, 1, 1, 0, 2), 6),
        )
    }
)  # fmt: skip
"""The cases that the report judges, with its prompts, points and sums."""
