"""Check the answers to the exercises of notebooks 03 and 04; their texts are in ``exercises.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np

from tp2lib.course.question import Wrong, as_number, as_picture, as_reason, as_recipe, as_whole, differing, listed, one_of
from tp2lib.engine.runs import Run
from tp2lib.errors import RecipeError, shown
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.metrics.distances import colour_difference, perceptual_distance
from tp2lib.recipe import Recipe

__all__ = ["CANDIDATES", "NINTHS", "ninths"]

_DAMAGES = ("saturation", "contrast", "clipped_highlights", "clipped_shadows")


def judge_3_1(answer: Any, plans: Mapping[str, Any]) -> str:
    """Count the settings that differ in the pair that was named."""
    letter = one_of(answer, list(plans), "confounded")
    differ = differing(*plans[letter])
    if len(differ) < 2:
        raise Wrong(f"the recipes of {letter} differ in {' and '.join(differ) or 'nothing'} alone, so they compare.")
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
    if odd := [name for name in differing(recipe, baseline) if name not in ("scheduler", "steps")]:
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
    if recipe.prompt != baseline.prompt:
        raise Wrong(f"its prompt is {shown(recipe.prompt)}; leave the prompt as in baseline.")
    if resolve(recipe, model)["negative_used"]:
        raise Wrong(f"it is heard: with guidance {recipe.guidance:g} the negative prompt takes part.")
    return f"with guidance {recipe.guidance:g} it is not heard."


def judge_3_5(answer: Any) -> str:
    """Look at what differs between the runs, then at the measure."""
    from tp2lib.metrics.measures import in_words, take

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
        raise Wrong(f"{told}: mended takes back less than a quarter of the damage. Try other words.")
    return f"{told}: the negative prompt took back part of the damage."


CANDIDATES = (0.52, 0.41, 0.58, 0.44, 0.47)
NINTHS = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")
_ALIASES = {"center": "centre", "middle": "centre", "upper": "top", "lower": "bottom"}
_AS_GOOD = 0.9  # of the largest change: an eye reads a map no finer


def ninths(picture: Any, reference: Any) -> dict[str, float]:
    """Return the mean colour difference (ΔE00) of two pictures in each ninth of the frame."""
    change = colour_difference(as_picture(picture), as_picture(reference))
    rows = [part for row in np.array_split(change, 3) for part in np.array_split(row, 3, axis=1)]
    return {name: float(part.mean()) for name, part in zip(NINTHS, rows, strict=True)}


def judge_4_1(answer: Any, run: Any, photo: Any) -> str:
    """Measure the ninths of the learner's own run."""
    if isinstance(answer, str):
        words = answer.casefold().replace("-", " ").replace("_", " ").split()
        answer = " ".join(_ALIASES.get(word, word) for word in words)
    name, change = one_of(answer, NINTHS, "brightest"), ninths(run, photo)
    most = max(change.values())
    if change[name] < _AS_GOOD * most:
        brighter = sum(value > change[name] for value in change.values())
        raise Wrong(f"{name} has changed by {change[name]:.1f} ΔE; {brighter} of the nine changed more, up to {most:.1f}.")
    return f"{name} has changed most, by {change[name]:.1f} ΔE."


def judge_4_2(answer: Any) -> str:
    """Ask how many steps each strength comes down to."""
    given, steps_run = answer
    twins = [as_number(one, "a strength") for one in listed(given, "two strengths")]
    if len(set(twins)) != 2 or not set(twins) <= set(CANDIDATES):
        raise Wrong(f"{shown(given)} is not two of the five strengths {', '.join(map(str, sorted(CANDIDATES)))}.")
    recipe = EXPERIMENTS["i2i_run08_strength060"].recipe
    ran = {one: recipe.vary(steps=20, strength=one).effective_steps for one in twins}
    told = " and ".join(f"{count} steps at {one}" for one, count in ran.items())
    if len(set(ran.values())) > 1:
        raise Wrong(f"there run {told}, so they are two pictures.")
    if (why := as_whole(steps_run, "steps_run")) not in ran.values():
        raise Wrong(f"these two are one picture, but not because {why} steps run.")
    return f"there run {told}, from the same noise: one picture."


def judge_4_3(answer: Any) -> str:
    """Try the strength, and the one that is 0.001 lower."""
    number = as_number(answer, "smallest", 0, 1)
    here, below = (_steps_run(12, round(number - less, 3)) for less in (0, 0.001))
    at = f"{round(number, 3):.3f}"
    if abs(number - round(number, 3)) > 1e-9 and here == 0:
        raise Wrong(f"to three decimals it is {at}, and then 0 steps run.")
    if here == 0:
        raise Wrong(f"at {at}, 0 steps run.")
    if below > 0:
        raise Wrong(f"at {at} {here} steps run, but 0.001 lower there still run {below}: it is not the smallest.")
    return f"at {at} one step runs, 0.001 lower none."


def judge_4_4(answer: Any) -> str:
    """Read both off the recipe in constant mode."""
    asked, share = answer
    asked = as_whole(asked, "asked", 1)
    recipe = EXPERIMENTS["i2i_run08_strength060"].recipe
    known = recipe.vary(steps=24, strength=0.4, strength_mode="constant")
    if asked != known.nominal_steps:
        ran = int(asked * 0.4)
        raise Wrong(f"of {asked} steps asked for, {ran} run at strength 0.4; exactly 24 should, with the fewest.")
    share = as_number(share, "skipped", 0, 1)
    if abs(share - (1 - 24 / asked)) >= 0.01:
        raise Wrong(f"asked is right. But a share of {share:g} would be {share * asked:g} steps skipped, and 24 run.")
    return f"of {asked} steps asked for 24 run, and {share:.0%} are skipped."


def judge_4_5(answer: Any, fidelity_study: Any, photo: Any) -> str:
    """Compare limit and strength with the worst seed of each strength."""
    limit, chosen, because = answer
    limit = as_number(limit, "my_limit", 0, 100)
    strengths = sorted(fidelity_study.axes["strength"])
    chosen = one_of(as_number(chosen, "last_strength", 0, 1), [0, *strengths], "last_strength")
    worst = {one: max(product_distance(cell.run, photo) for cell in fidelity_study.at(strength=one)) for one in strengths}
    told = ", ".join(f"{one:g}: {away:.1f}" for one, away in worst.items())
    if limit >= max(worst.values()):
        raise Wrong(f"the worst seed is at {told} ΔE: a limit of {limit:.4g} lets all five through, so it is none.")
    within = [one for one in strengths if all(worst[low] <= limit for low in strengths if low <= one)]
    if chosen != max(within, default=0):
        way = "a lower one, or this one, is beyond it" if chosen > max(within, default=0) else "a higher one is within it"
        raise Wrong(f"the worst seed is at {told} ΔE: with a limit of {limit:.4g} and strength {chosen:g}, {way}.")
    as_reason(because)
    return f"the worst seed is at {told} ΔE: within {limit:.4g}, the last strength is {chosen:g}."


def product_distance(run: Any, photo: Any) -> float:
    """Return the distance of the middle of the frame, where the product is, to the photo's."""
    pair = [as_picture(run), as_picture(photo)]
    side = pair[1].width
    box = (side // 4, side // 4, side // 4 * 3, side // 4 * 3)
    return perceptual_distance(*(one.crop(box) for one in pair))


def _steps_run(steps: int, strength: float) -> int:
    try:
        return EXPERIMENTS["i2i_run08_strength060"].recipe.vary(steps=steps, strength=strength).effective_steps
    except RecipeError:
        return 0
