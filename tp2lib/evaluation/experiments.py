"""The report's experiments, ``experiments.toml``: what was run, with which settings, under which file name.

The report's model, ``runwayml/stable-diffusion-v1-5`` at 512 x 512, is whatever `load` was given here,
at its own size. Everything else is the report's, but for what it does not tell:

- the prompt of ``smoke.png``, and its steps;
- the prompt of the three pictures made from the photo. It describes them as a red apple that changes, so
  they name the apple; `PEN` is the prompt that its evaluation gives for one of them.

It tells the prompt of its baseline twice, differently: ``baseline.png`` has the one of its evaluation (a
backpack), ``t2i_run01_baseline.png`` the one of its table (a wallet). So its three judged cases are claims
about a picture, which :func:`check_cases` compares with the record in the picture's file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tp2lib.errors import RecipeError, did_you_mean, shown
from tp2lib.evaluation.languages import translations
from tp2lib.metadata.source import Source, prepare_source
from tp2lib.paths import INPUTS
from tp2lib.recipe import Recipe

if TYPE_CHECKING:
    from tp2lib.engine.runs import Run
    from tp2lib.models.loading import Model
    from tp2lib.storage.ledger import Ledger

_REPORT = tomllib.loads(Path(__file__).with_name("experiments.toml").read_text(encoding="utf-8"))
APPLE, BACKPACK, WALLET, PEN = (_REPORT["prompts"][name] for name in ("apple", "backpack", "wallet", "pen"))
PARTS = ("smoke", "baseline", "text2img", "img2img")
"""The parts of the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One picture of the report.

    Attributes
    ----------
    name : str
        As in the report, such as ``"t2i_run02_steps15"``.
    part : str
        One of `PARTS`.
    recipe : Recipe
    about : str
        What it is for, in a few words.
    """

    name: str
    part: str
    recipe: Recipe
    about: str

    @property
    def file(self) -> str:
        """The name of its picture."""
        return f"{self.name}.png"


def _experiment(name: str, *, part: str, about: str, prompt: str, **settings: Any) -> Experiment:
    recipe = Recipe(prompt=_REPORT["prompts"][prompt], **(_REPORT["settings"] | settings))
    return Experiment(name=name, part=part, recipe=recipe, about=about)


EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType({name: _experiment(name, **one) for name, one in _REPORT["experiments"].items()})
"""Every experiment under its name, in the report's order."""


def choose_experiments(names: Iterable[str] = ()) -> list[Experiment]:
    """Return the experiments of these names or parts, in the report's order; all of them for no name.

    Parameters
    ----------
    names : iterable of str
        Such as ``["baseline", "img2img"]``; a file's name will do.

    Raises
    ------
    RecipeError
        A name that is neither.
    """
    wanted = [name.removesuffix(".png") if isinstance(name, str) else name for name in names]
    for name in wanted:
        if name not in (*PARTS, *EXPERIMENTS):
            hint = did_you_mean(name, (*PARTS, *EXPERIMENTS))
            raise RecipeError(f"there is no experiment {shown(name)}; there are {', '.join(EXPERIMENTS)}, and the parts {', '.join(PARTS)}.{hint}")
    return [one for one in EXPERIMENTS.values() if not wanted or one.name in wanted or one.part in wanted]


def prepare_photo(recipe: Recipe, model: Model, *, inputs: Path = INPUTS) -> Source | None:
    """Prepare the photo that a recipe starts from, at the size it is run at; None for text to image.

    Parameters
    ----------
    recipe : Recipe
    model : Model
        Its native size is the size of recipes that name none.
    inputs : Path
        The folder of the photo. What is recorded is the path in the recipe, which names no folder
        of this machine.

    Raises
    ------
    SourceError
        The photo is missing or cannot be used.
    """
    if recipe.source is None:
        return None
    width, height = (side or model.native_size for side in (recipe.width, recipe.height))
    return replace(prepare_source(inputs / Path(recipe.source).name, width, height), path=recipe.source)


def run_experiment(experiment: Experiment, model: Model, ledger: Ledger, *, inputs: Path = INPUTS, **how: Any) -> Run:
    """Run an experiment, or find it in the ledger, and publish its picture under its name.

    Parameters
    ----------
    experiment : Experiment
    model : Model
    ledger : Ledger
        Where the picture goes: to ``outputs/<experiment.file>``.
    inputs : Path
        The folder of ``product.jpg``.
    **how
        As for `generate`: `on_step`, `should_stop`.

    Returns
    -------
    Run
        Published only if its `outcome` is "ok".
    """
    from tp2lib.engine.generate import generate

    source = prepare_photo(experiment.recipe, model, inputs=inputs)
    run = generate(experiment.recipe, model, source=source, ledger=ledger, **how)
    if run.outcome == "ok":
        ledger.publish(run, experiment.file)
    return run


# -- the three cases that the report judges -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A claim about a picture."""

    name: str  # of the picture, such as "t2i_run01_baseline"
    about: Mapping[str, str]  # a short description, by language
    settings: dict[str, Any]  # claimed, with the prompt
    scores: dict[str, int]  # points by criterion
    total: int  # the sum that is claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A difference between a claim and a picture's record."""

    case: str
    what: str  # a setting, "total" or "reproducibility"
    claimed: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.case}: {self.what} is claimed to be {self.claimed!r}, and is {self.found!r}"


_TOLD = ("scheduler", "seed", "steps", "guidance", "strength")  # by the report, besides the prompt

CASES: Mapping[str, Case] = MappingProxyType(
    {
        name: Case(
            name=name,
            about=translations("cases", name),
            settings={"prompt": _REPORT["prompts"][one["prompt"]], **{setting: getattr(EXPERIMENTS[name].recipe, setting) for setting in _TOLD}},
            scores=one["scores"],
            total=one["total"],
        )
        for name, one in _REPORT["cases"].items()
    }
)
"""The cases that the report judges, with its prompts, points and sums."""


def check_cases(recipes: Mapping[str, Recipe], points: Mapping[str, int] | None = None) -> list[Contradiction]:
    """Compare the report's three cases with the recipes of the pictures that are there, their own sums, and the points of replays.

    Parameters
    ----------
    recipes : mapping of str to Recipe
        By the picture's name: what its file says, as :func:`read_recipe` gives it back.
    points : mapping of str to int, optional
        By the picture's name: for reproducibility, as its replay gave them.
    """
    found = []
    for name, case in CASES.items():
        if name in recipes:
            made, claimed = recipes[name].to_dict(), case.scores["reproducibility"]
            sides = {setting: (said, made[setting]) for setting, said in case.settings.items()}
            sides["total"] = (case.total, sum(case.scores.values()))
            sides["reproducibility"] = (claimed, (points or {}).get(name, claimed))
            found += [Contradiction(case=name, what=what, claimed=said, found=there) for what, (said, there) in sides.items() if said != there]
    return found
