"""Check the answers to the exercises of notebooks 04 to 06; their texts are in ``exercises.toml``."""

from __future__ import annotations

import itertools
import math
import os
import random
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from tp2lib import paths
from tp2lib.course.answers import NotReady, Wrong, as_number, as_picture, as_reason, as_whole, differing, listed, one_of
from tp2lib.engine.planfile import read_plan
from tp2lib.errors import RecipeError, counted, shown
from tp2lib.evaluation.experiments import BACKPACK, EXPERIMENTS
from tp2lib.metadata.pixels import open_image
from tp2lib.metadata.record import COMPOSITE, GENERATED, digital_source_type
from tp2lib.metrics.measures import MEASURES, colour_difference, perceptual_distance, take
from tp2lib.recipe import Recipe
from tp2lib.storage.pictures import read_recipe, read_record

CANDIDATES = (0.52, 0.41, 0.58, 0.44, 0.47)
NINTHS = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")
_ALIASES = {"center": "centre", "middle": "centre", "upper": "top", "lower": "bottom"}
_AS_GOOD = 0.9  # of the largest change: an eye reads a map no finer
_LEAST_PIXELS = 1000  # a side, as marketplaces ask
_LETTERS = ("A", "B", "C")
_MOST_PICTURES = 48
_FEWEST_SEEDS = 3
_LONGEST = 20_000  # characters of a plan that are read


def ninths(picture: Any, reference: Any) -> dict[str, float]:
    """Return the mean colour difference (ΔE00) of two pictures in each ninth of the frame."""
    change = colour_difference(as_picture(picture), as_picture(reference))
    rows = [part for row in np.array_split(change, 3) for part in np.array_split(row, 3, axis=1)]
    return {name: float(part.mean()) for name, part in zip(NINTHS, rows, strict=True)}


def judge_4_1(answer: Any, run: Any, photo: Any) -> str:
    """Measure the ninths of the learner's own run."""
    if isinstance(answer, str):
        words = dict.fromkeys(_ALIASES.get(word, word) for word in re.findall(r"[^\s_-]+", answer.casefold()))  # the middle centre is the centre
        answer = " ".join(word for word in words if len(words) != 2 or word != "centre")  # the bottom centre is the bottom
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
    ran = {one: _steps_run(20, one) for one in twins}
    told = " and ".join(f"{count} steps at {one}" for one, count in ran.items())
    if len(set(ran.values())) > 1:
        raise Wrong(f"the two strengths run {told}, so they give two pictures.")
    if (why := as_whole(steps_run, "steps_run")) not in ran.values():
        raise Wrong(f"these two are one picture, but not because {why} steps run.")
    return f"the two strengths run {told}, from the same noise: one picture."


def judge_4_3(answer: Any) -> str:
    """Try the strength, and the one that is 0.001 lower."""
    number = as_number(answer, "smallest", 0, 1)
    here, below = (_steps_run(12, round(number - less, 3)) for less in (0, 0.001))
    at = f"{round(number, 3):.3f}"
    if here == 0:
        rounded = abs(number - round(number, 3)) > 1e-9
        raise Wrong(f"to three decimals it is {at}, and then 0 steps run." if rounded else f"at {at}, 0 steps run.")
    if below > 0:
        raise Wrong(f"at {at} {here} steps run, but 0.001 lower there still run {below}: it is not the smallest.")
    return f"at {at} one step runs, 0.001 lower none."


def judge_4_4(answer: Any) -> str:
    """Read both off the recipe in constant mode."""
    asked, share = answer
    asked = as_whole(asked, "asked", 1)
    known = EXPERIMENTS["i2i_run08_strength060"].recipe.vary(steps=24, strength=0.4, strength_mode="constant")
    if asked != known.nominal_steps:
        raise Wrong(f"of {asked} steps asked for, {int(asked * 0.4)} run at strength 0.4; exactly 24 should, with the fewest.")
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


def prepare_5_1(model: Any, ledger: Any) -> tuple[Path, ...]:
    """Make the two pictures, `this.png` and `that.png` in the ledger's folder."""
    from tp2lib.engine.generate import generate

    base = EXPERIMENTS["smoke"].recipe.vary(steps=6)
    recipes = zip((base, base.vary(seed=base.seed + 1, guidance=9.0, negative_prompt="blurry")), ("this.png", "that.png"), strict=True)
    return tuple(ledger.publish(generate(recipe, model, ledger=ledger), name) for recipe, name in recipes)


def judge_5_1(answer: Any, pair: Any) -> str:
    """Compare with the recipes in the two files."""
    one, other = (read_recipe(path).recipe for path in pair)
    named = listed(answer, "the names of the settings in which they differ")
    underscored = [name.strip().replace(" ", "_") if isinstance(name, str) else name for name in named]
    names = [one_of(name, list(one.to_dict()), "a setting") for name in underscored]
    differ = differing(one, other)
    if same := [name for name in names if name not in differ]:
        raise Wrong(f"{' and '.join(same)} is the same in both: {', '.join(shown(getattr(one, n)) for n in same)}.")
    if missed := len(set(differ) - set(names)):
        so_far = f"right so far: {', '.join(dict.fromkeys(names))}" if names else "no setting is named"
        raise Wrong(f"{so_far}; {missed} more {'differs' if missed == 1 else 'differ'}.")
    return f"{', '.join(differ)} differ: with three at once, the pair proves nothing."


def judge_5_2(answer: Any, model: Any) -> str:
    """Count the keys that the nine recipes come down to."""
    from tp2lib.engine.plan import make_plan

    count = as_whole(answer, "pictures", 1)
    keys = {make_plan(recipe, model).key for recipe in positions()}
    if count != len(keys):
        way = "too many: some places have the same effective settings" if count > len(keys) else "too few: some places that you count as one differ"
        raise Wrong(f"{counted(count, 'picture')} for 9 places is {way}.")
    return f"nine places, {count} pictures."


def judge_5_3(answer: Any) -> str:
    """Look at the file: its kind, its size, its mark, its settings."""
    answer = getattr(answer, "path", answer)  # an Export has one
    if not isinstance(answer, (str, os.PathLike)):
        raise Wrong(f"{shown(answer)} is not a path; give the path of the exported file.")
    path = inside if os.path.isfile(inside := paths.OUTPUTS / answer) else answer  # the tool shows a path within the outputs folder
    image, _ = open_image(path)
    found = f"{image.width}×{image.height} pixels, as {image.format}"
    if image.width != image.height or image.width < _LEAST_PIXELS or image.format != "WEBP":
        raise Wrong(f"it has {found}; it must be a square of {_LEAST_PIXELS} or more, as WebP.")
    if digital_source_type(image) not in (GENERATED, COMPOSITE):
        raise Wrong(f"it has {found}, but no mark of origin: the file does not say that it was generated.")
    if (prompt := read_recipe(path).recipe.prompt) != BACKPACK:
        raise Wrong(f"it was made with {shown(prompt, 40)}; export the backpack of section 1.")
    return f"{found}, marked as generated, and made with {shown(prompt, 40)}."


def positions() -> list[Recipe]:
    """Return the nine recipes of 5.2: three guidances, three negative prompts."""
    base = EXPERIMENTS["smoke"].recipe
    return [base.vary(guidance=guidance, negative_prompt=words) for guidance in (0, 1, 7.5) for words in ("", "blurry", "dark")]


def prepare_6_1(model: Any, ledger: Any) -> dict[str, list[Path]]:
    """Make the reports: for each letter, two pictures in the ledger's folder."""
    from tp2lib.engine.generate import generate

    base = EXPERIMENTS["smoke"].recipe.vary(steps=6)
    runs = {}
    for at, letter in enumerate(_LETTERS):
        runs[letter] = [generate(base.vary(seed=100 + at, guidance=guidance), model, ledger=ledger) for guidance in (base.guidance, 12.0)]
    fake = random.Random(repr(ledger.events()[0])).choice(_LETTERS)  # another one for another learner, the same one next time
    runs[fake][1] = replace(runs[fake][1], image=generate(base.vary(seed=200), model, ledger=ledger).image)
    return {letter: [run.save(Path(ledger.outputs) / f"report_{letter}_{n}.png") for n, run in enumerate(pair, 1)] for letter, pair in runs.items()}


def judge_6_1(answer: Any, reports: Mapping[str, Any], ledger: Any) -> str:
    """Compare the pictures of the report that was named with what the ledger knows was made."""
    letter = one_of(answer, list(reports), "fake")
    for record in map(read_record, reports[letter]):
        if (made := ledger.lookup(record["key"])) is None:
            raise NotReady(f"in {letter}, the picture of run {record['key'][:8]} is gone from the ledger. Run `reports = q6_1.prepare(model, ledger)` again.")
        if made["pixels_sha256"] != record["pixels_sha256"]:
            return f"in {letter}, one picture is not what its settings make."
    raise Wrong(f"both pictures of {letter} are what their settings make: a replay calls them identical.")


def judge_6_2(answer: Any) -> str:
    """Read the plan as `tp2 sweep` would, and look at its shape."""
    from tp2lib.engine.axes import axis_values, check_axes

    plan = read_plan_text(answer)
    axes = check_axes(plan.axes)
    if len(axes) != 2:
        raise Wrong(f"it has the axis {', '.join(axes)} alone; an interaction takes two.")
    if short := [name for name, values in axes.items() if len(values) < 2]:
        raise Wrong(f"{' and '.join(short)} has one value, so nothing can be compared along it.")
    seeds = axis_values("seeds", plan.seeds or [plan.recipe.seed])
    if len(seeds) < _FEWEST_SEEDS:
        raise Wrong(f"it has {counted(len(seeds), 'seed')}; take {_FEWEST_SEEDS} or more, to tell an effect from luck.")
    count = len(seeds) * math.prod(map(len, axes.values()))
    if count > _MOST_PICTURES:
        raise Wrong(f"it asks for {count} pictures; keep it to {_MOST_PICTURES}, so that it ends today.")
    for place in itertools.product(*axes.values(), seeds):
        plan.recipe.vary(**dict(zip((*axes, "seed"), place, strict=True)))  # raises a RecipeError if a recipe cannot have it
    shape = " × ".join(f"{name} {shown(list(values))}" for name, values in axes.items())
    return f"{shape}, {len(seeds)} seeds: {count} pictures in all."


def judge_6_3(answer: Any) -> str:
    """Work the interaction out from the learner's own sweep."""
    study, name, told = answer
    axes, seeds = getattr(study, "axes", None), getattr(study, "seeds", None)
    if not isinstance(axes, dict) or not isinstance(seeds, tuple):
        raise Wrong(f"study is {shown(study)}; it must be what sweep(…) returns.")
    if len(axes) != 2 or min(map(len, axes.values())) < 2:
        raise Wrong(f"study has the axes {axes}; an interaction takes two, with two values each at least.")
    name = one_of(name, MEASURES[:6], "measure_name")
    number, each = as_number(told, "interaction"), interactions(study, name)
    low, high = min(each), max(each)
    slack, middles = 0.02 * max(map(abs, each)) + 1e-9, (fmean(each), median(each))
    if any(abs(number - middle) <= slack for middle in middles):
        sure = "every seed agrees on its sign" if low > 0 or high < 0 else "the seeds do not agree on its sign"
        return f"{number:.4g} in {name}, over {len(each)} seeds with a spread of {high - low:.2g}: {sure}."
    if any(abs(number + middle) <= slack for middle in middles):
        raise Wrong(f"{number:.4g} has the right size and the wrong sign: take last value minus first, on both axes.")
    at = _corners(study, name).mean(-1)
    if any(abs(number - effect) <= slack for effect in (*(at[1] - at[0]), *(at[:, 1] - at[:, 0]))):
        raise Wrong(f"{number:.4g} is the effect at one value of the other axis: the interaction is the difference of two.")
    raise Wrong(f"{number:.4g} is not the mean over the seeds; one by one they give {low:.3g} to {high:.3g} in {name}.")


def interactions(study: Any, name: str) -> list[float]:
    """Return, for each seed, the difference of the differences between the last and first values of two axes."""
    return np.diff(np.diff(_corners(study, name), axis=1), axis=0)[0, 0].tolist()


def _corners(study: Any, name: str) -> np.ndarray:
    """Return a measure at the first and last values of both axes, for each seed; shape (2, 2, seeds)."""
    (first, a), (second, b) = study.axes.items()
    places = itertools.product((a[0], a[-1]), (b[0], b[-1]), study.seeds)
    taken = [_measured(study, name, {first: x, second: y, "seed": seed}) for x, y, seed in places]
    return np.reshape(taken, (2, 2, -1))


def read_plan_text(answer: Any) -> Any:
    """Read a plan from its text, or from its path, with the library's own parser."""
    if isinstance(answer, Path) or (isinstance(answer, str) and "\n" not in answer and answer.endswith(".toml")):
        return read_plan(answer)
    if not isinstance(answer, str):
        raise Wrong(f"{shown(answer)} is not text; write the plan between triple quotes.")
    if len(answer) > _LONGEST:
        raise Wrong(f"it has {len(answer)} characters; a plan has a few hundred.")
    with tempfile.TemporaryDirectory(prefix="tp2-plan-") as folder:
        path = Path(folder) / "plan.toml"
        path.write_text(answer, encoding="utf-8")
        try:
            return read_plan(path)
        except RecipeError as error:
            raise Wrong(str(error).replace(shown(str(path)), "plan.toml")) from None


def _measured(study: Any, name: str, place: Mapping[str, Any]) -> float:
    (cell,) = study.at(**place)
    if cell.run is None or cell.run.image is None:
        raise Wrong(f"the sweep has no picture at {place}; run it again.")
    return take(name, cell.run.image)
