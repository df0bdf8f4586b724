"""Check the answers to the exercises of notebooks 01 to 03; their texts are in ``exercises.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from tp2lib.course.answers import NotReady, Wrong, as_number, as_picture, as_reason, as_recipe, as_whole, differing, listed, one_of
from tp2lib.engine.runs import Run
from tp2lib.errors import counted, shown
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.metrics.measures import in_words, take
from tp2lib.recipe import Recipe
from tp2lib.storage.pictures import read_recipe

_TOLERANCE = 0.25  # of the estimated seconds
_MOST_CALLS = 200  # a check makes a picture only if it is no larger a job than this
_DAMAGES = ("saturation", "contrast", "clipped_highlights", "clipped_shadows")


def judge_1_1(answer: Any, run: Any) -> str:
    """Compare with the stages of the learner's own run."""
    seconds = as_number(answer, "seconds_for_60", 0)
    steps, total, denoise = run.effective["steps"], run.timings["total"], run.timings["denoise"]
    estimate = total - denoise + denoise * 60 / steps
    if abs(seconds - estimate) <= _TOLERANCE * estimate:
        return f"the stages give {estimate:.1f} s, and your answer is {seconds:.1f} s."
    way = "too long" if seconds > estimate else "too short"
    raise Wrong(f"{seconds:.1f} s is {way}: it is {seconds / total:.1f} times the {total:.1f} s that {steps} steps took in all.")


def judge_1_2(answer: Any) -> str:
    """Look at the settings, not at how they were written."""
    recipe, smoke = as_recipe(answer), EXPERIMENTS["smoke"].recipe
    if missing := {"green", "mug"} - set(re.findall(r"\w+", recipe.prompt.lower())):
        raise Wrong(f"the prompt is {shown(recipe.prompt)}; {' and '.join(sorted(missing))} is not in it.")
    if "apple" in recipe.prompt.lower():
        raise Wrong(f"the prompt is {shown(recipe.prompt)}; the green mug takes the place of the apple.")
    wrong = [f"{name} is {shown(getattr(recipe, name))}" for name, to in (("steps", 10), ("seed", 7)) if getattr(recipe, name) != to]
    others = differing(recipe, smoke, besides=("prompt", "steps", "seed"))
    wrong += [f"{name} is {shown(getattr(recipe, name))} and was {shown(getattr(smoke, name))}" for name in others]
    if wrong:
        raise Wrong(f"{'; '.join(wrong)}. Set steps and seed as asked, and leave the rest as in smoke.")
    return f"against smoke it changes {', '.join(differing(recipe, smoke))}, and no more."


def judge_1_3(answer: Any, model: Any) -> str:
    """Ask the model which words it never saw."""
    from tp2lib.models.loading import unknown_words

    if not isinstance(answer, str):
        raise Wrong(f"{shown(answer)} is not text; put the prompt in quotes.")
    if (count := len(answer.split())) < 6:
        raise Wrong(f"it has {counted(count, 'word')}; it must have six or more.")
    if model.words is None:
        return "of this model no list of words is known, so any six will do."
    unknown = unknown_words(model, answer)
    if len(unknown) != 2:
        names = f": {', '.join(unknown)}" if unknown else ""
        raise Wrong(f"the model does not know {counted(len(unknown), 'word')} of the prompt{names}; it must be exactly two.")
    return f"{' and '.join(unknown)} mean nothing to it."


def same_picture(one: Recipe, other: Recipe, model: Any, ledger: Any) -> tuple[bool, list[str]]:
    """Say whether two recipes give the same pixels, and which effective settings differ.

    Equal effective settings are one picture, and nothing is made; else both are made and compared, if they are no large job.
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
    recipe, mystery = as_recipe(answer), Path(ledger.outputs) / "mystery.png"
    if not mystery.is_file():
        raise NotReady("there is no mystery.png yet. Run the cell with `q2_1.prepare(model, ledger)` first.")
    secret = read_recipe(mystery).recipe
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
        return "the same pixels as the first picture."
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


def judge_3_1(answer: Any, plans: Mapping[str, Any]) -> str:
    """Count the settings that differ in the pair that was named."""
    letter = one_of(answer, list(plans), "confounded")
    differ = differing(*plans[letter])
    if len(differ) < 2:
        raise Wrong(f"the recipes of {letter} differ in {' and '.join(differ) or 'nothing'} only, so the comparison is fair.")
    return f"the recipes of {letter} differ in {' and '.join(differ)}."


def judge_3_2(answer: Any, points: Any) -> str:
    """Compare limit and steps with the learner's own curve."""
    limit, steps, because = answer
    limit = as_number(limit, "my_limit", 0, 100)
    mine = [point for point in points if point.group == "DDIM"]
    curve = {x: median(p.y for p in mine if p.x == x) for x in sorted({int(p.x) for p in mine})}
    steps = one_of(as_whole(steps, "my_steps"), list(curve), "my_steps")
    told = ", ".join(f"{x} steps {y:.1f} ΔE" for x, y in curve.items())
    late = [x for x in curve if all(curve[y] < limit for y in curve if y >= x)]
    if limit > max(1.0, 1.1 * max(curve.values())):
        raise Wrong(f"the changes are {told}: a limit of {limit:.4g} lets every one pass, so it is none.")
    if not late:
        raise Wrong(f"the changes are {told}: none stays below {limit:.4g} ΔE up to the end, so no steps are enough.")
    if steps != min(late):
        way = "some later change is not below it" if steps < min(late) else "fewer steps are below it already"
        raise Wrong(f"the changes are {told}: with a limit of {limit:.4g} ΔE and {steps} steps, {way}.")
    as_reason(because)
    return f"the changes are {told}: from {steps} steps on they stay below {limit:.4g} ΔE."


def judge_3_3(answer: Any, model: Any) -> str:
    """Count the calls, and look at what else was changed."""
    from tp2lib.engine.plan import resolve

    recipe, baseline = as_recipe(answer), EXPERIMENTS["t2i_run01_baseline"].recipe
    wanted = resolve(baseline.vary(scheduler="DDIM"), model)["model_calls"]
    if recipe.scheduler != "Heun":
        raise Wrong(f"its scheduler is {recipe.scheduler}, and Heun was asked for.")
    if odd := differing(recipe, baseline, besides=("scheduler", "steps")):
        raise Wrong(f"{', '.join(odd)} is not as in baseline, so the race is not fair.")
    calls = resolve(recipe, model)["model_calls"]
    if abs(calls - wanted) > 1:
        raise Wrong(f"{recipe.steps} steps of Heun make {calls} calls, and DDIM makes {wanted}.")
    return f"{recipe.steps} steps of Heun make {calls} calls, DDIM makes {wanted} with 30."


def judge_3_4(answer: Any, model: Any) -> str:
    """Ask whether the negative prompt takes part."""
    from tp2lib.engine.plan import resolve

    recipe, baseline = as_recipe(answer), EXPERIMENTS["t2i_run01_baseline"].recipe
    if not recipe.negative_prompt.strip():
        raise Wrong("it has no negative prompt, so there is nothing to be unheard.")
    if odd := differing(recipe, baseline, besides=("negative_prompt", "guidance")):
        raise Wrong(f"{', '.join(odd)} is not as in baseline, and can stay so.")
    if resolve(recipe, model)["negative_used"]:
        raise Wrong(f"it is heard: with guidance {recipe.guidance:g} the negative prompt takes part.")
    return f"with guidance {recipe.guidance:g} it is not heard."


def judge_3_5(answer: Any) -> str:
    """Look at what differs between the runs, then at the measure."""
    *runs, damage = answer
    for part, run in zip(("usual", "broken", "mended"), runs, strict=True):
        if isinstance(run, Recipe):
            raise Wrong(f"{part} is a Recipe, and no picture yet; generate({part}, model, ledger=ledger) gives the run.")
        if not isinstance(run, Run) or run.image is None:
            raise Wrong(f"{part} is {shown(run)}; it must be a run with a picture, as generate(…) returns it.")
    name = one_of(damage, _DAMAGES, "damage")
    usual, broken, mended = runs
    if (differ := differing(usual.recipe, broken.recipe)) != ["guidance"]:
        raise Wrong(f"usual and broken differ in {' and '.join(differ) or 'nothing'}; it must be guidance, and that alone.")
    if not usual.recipe.guidance <= 9 < broken.recipe.guidance:
        told = f"{usual.recipe.guidance:g} and {broken.recipe.guidance:g}"
        raise Wrong(f"usual and broken have guidance {told}; a usual one is 9 at most, and one that fails is higher.")
    if (differ := differing(broken.recipe, mended.recipe)) != ["negative_prompt"]:
        raise Wrong(f"broken and mended differ in {' and '.join(differ) or 'nothing'}; it must be negative_prompt alone.")
    was, high, now = (take(name, run.image) for run in runs)
    told = f"{in_words(name, was)}, then {in_words(name, high)}, then {in_words(name, now)}"
    if not high > 1.01 * was + 0.0001:  # the seed is the same, so even little is no accident
        raise Wrong(f"{told}: broken is not clearly above usual, so nothing is broken in that measure yet.")
    if not abs(now - was) <= 0.75 * (high - was):
        if now < was:
            raise Wrong(f"{told}: mended goes too far, below usual. Try other words.")
        raise Wrong(f"{told}: mended takes back less than a quarter of the damage. Try other words.")
    return f"{told}: the negative prompt took back part of the damage."
