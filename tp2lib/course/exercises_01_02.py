"""Check the answers to the exercises of notebooks 01 and 02; their texts are in ``exercises.toml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tp2lib.course.question import Wrong, as_number, as_picture, as_recipe, differing, listed
from tp2lib.errors import shown
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.recipe import Recipe

__all__ = ["same_picture"]

_TOLERANCE = 0.25


def judge_1_1(answer: Any, run: Any) -> str:
    """Compare with the stages of the learner's own run."""
    seconds = as_number(answer, "seconds_for_60", 0)
    steps, total, denoise = run.effective["steps"], run.timings["total"], run.timings["denoise"]
    estimate = total - denoise + denoise * 60 / steps
    if abs(seconds - estimate) <= _TOLERANCE * estimate:
        return f"the stages give {estimate:.1f} s, and you say {seconds:.1f} s."
    way = "too long" if seconds > estimate else "too short"
    times = seconds / total
    raise Wrong(f"{seconds:.1f} s is {way}: it is {times:.1f} times the {total:.1f} s that {steps} steps took in all.")


def judge_1_2(answer: Any) -> str:
    """Look at the settings, not at how they were written."""
    recipe, smoke = as_recipe(answer), EXPERIMENTS["smoke"].recipe
    if missing := {"green", "mug"} - set(re.findall(r"\w+", recipe.prompt.lower())):
        raise Wrong(f"the prompt is {shown(recipe.prompt)}; {' and '.join(sorted(missing))} is not in it.")
    wrong = [f"{name} is {shown(getattr(recipe, name))}" for name, to in (("steps", 10), ("seed", 7))
             if getattr(recipe, name) != to]  # fmt: skip
    wrong += [
        f"{name} is {shown(getattr(recipe, name))} and was {shown(getattr(smoke, name))}"
        for name in differing(recipe, smoke)
        if name not in ("prompt", "steps", "seed")
    ]
    if wrong:
        raise Wrong(f"{'; '.join(wrong)}. Set steps and seed as asked, and leave the rest as in smoke.")
    return f"against smoke it changes {', '.join(differing(recipe, smoke))}, and no more."


def judge_1_3(answer: Any, model: Any) -> str:
    """Ask the model which words it never saw."""
    from tp2lib.models.loading import unknown_words

    if not isinstance(answer, str):
        raise Wrong(f"{shown(answer)} is no text; put the prompt in quotes.")
    if (count := len(answer.split())) < 6:
        raise Wrong(f"it has {count} words, and must have six or more.")
    if model.words is None:
        return "of this model no list of words is known, so any six will do."
    unknown = unknown_words(model, answer)
    if len(unknown) != 2:
        names = f": {', '.join(unknown)}" if unknown else ""
        raise Wrong(f"the model does not know {len(unknown)} of its words, not two{names}.")
    return f"{' and '.join(unknown)} mean nothing to it."


_MOST_CALLS = 200  # a check makes a picture only if it is no larger a job than this


def same_picture(one: Recipe, other: Recipe, model: Any, ledger: Any) -> tuple[bool, list[str]]:
    """Say whether two recipes give the same pixels, and which effective settings differ.

    Equal effective settings are one picture, and nothing is made; else both are made and compared.

    Raises
    ------
    Wrong
        They would take too long to make.
    """
    from tp2lib.engine.generate import generate
    from tp2lib.engine.plan import make_plan

    plans = [make_plan(recipe, model) for recipe in (one, other)]
    differ = [name for name, value in plans[0].effective.items() if plans[1].effective.get(name) != value]
    if plans[0].key == plans[1].key:
        return True, []
    calls = sum(plan.effective["model_calls"] for plan in plans)
    if calls > _MOST_CALLS:
        raise Wrong(f"it takes {calls} model calls to see; stay under {_MOST_CALLS}. What differs: {', '.join(differ)}.")
    first, second = (generate(recipe, model, ledger=ledger) for recipe in (one, other))
    return first.picture.tobytes() == second.picture.tobytes(), differ


def prepare_2_1(model: Any, ledger: Any) -> Path:
    """Make the mystery: `mystery.png` in the ledger's folder."""
    from tp2lib.engine.generate import generate

    base = EXPERIMENTS["baseline"].recipe
    number = int(base.hash, 16)
    secret = base.vary(steps=10, seed=number % 2**32, guidance=4 + number % 16 / 2)
    return ledger.publish(generate(secret, model, ledger=ledger), "mystery.png")


def judge_2_1(answer: Any, model: Any, ledger: Any) -> str:
    """Compare pixels: another recipe that gives the same picture is right too."""
    from tp2lib.storage.pictures import read_recipe

    recipe = as_recipe(answer)
    secret = read_recipe(Path(ledger.outputs) / "mystery.png").recipe
    same, differ = same_picture(recipe, secret, model, ledger)
    if not same:
        names = [name for name in differing(recipe, secret) if name in differ] or differ
        raise Wrong(f"it gives other pixels. Not as in the file: {', '.join(names)}.")
    return "the same in every pixel."


def judge_2_2(answer: Any, trap: Any) -> str:
    """Compare pixels with the first picture of the trap."""
    if answer is trap[0]:
        raise Wrong("it is the first picture of the trap itself; draw it anew with `pipe`.")
    mended, (first, second) = as_picture(answer), (as_picture(one) for one in trap)
    if mended.size != first.size:
        sizes = [f"{one.width}×{one.height}" for one in (mended, first)]
        raise Wrong(f"it is {sizes[0]} pixels and the first picture {sizes[1]}; leave the size alone.")
    if mended.tobytes() == first.tobytes():
        return "a fresh generator, the same picture."
    if mended.tobytes() == second.tobytes():
        raise Wrong("it is the second picture of the trap: that generator had been used before.")
    raise Wrong("it has other pixels than both pictures of the trap. Seed, steps, guidance and prompt must be theirs.")


def judge_2_3(answer: Any, model: Any, ledger: Any) -> str:
    """Compare what they come down to, and only then the pixels."""
    pair = listed(answer, "two recipes")
    if len(pair) != 2:
        raise Wrong(f"these are {len(pair)}, not two recipes.")
    one, other = map(as_recipe, pair)
    if one == other:
        raise Wrong("these are one recipe, not two: no setting differs.")
    same, differ = same_picture(one, other, model, ledger)
    if not same:
        raise Wrong(f"they give different pixels: in effect, {', '.join(differ)} differ.")
    return f"the recipes differ in {', '.join(differing(one, other))}, and the pictures in nothing."
