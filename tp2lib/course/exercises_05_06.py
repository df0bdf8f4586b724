"""Check the answers to the exercises of notebooks 05 and 06; their texts are in ``exercises.toml``."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from tp2lib.course.question import Wrong, as_number, as_whole, differing, listed, one_of
from tp2lib.errors import RecipeError, shown
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.recipe import Recipe

__all__ = ["interactions"]

_FILES = ("this.png", "that.png")
LEAST_PIXELS = 1000  # a side, as marketplaces ask


def prepare_5_1(model: Any, ledger: Any) -> tuple[Path, ...]:
    """Make the two pictures, `this.png` and `that.png` in the ledger's folder."""
    from tp2lib.engine.generate import generate

    base = EXPERIMENTS["smoke"].recipe.vary(steps=6)
    recipes = (base, base.vary(seed=base.seed + 1, guidance=9.0, negative_prompt="blurry"))
    return tuple(ledger.publish(generate(recipe, model, ledger=ledger), name) for recipe, name in zip(recipes, _FILES, strict=True))


def judge_5_1(answer: Any, pair: Any) -> str:
    """Compare with the recipes in the two files."""
    from tp2lib.storage.pictures import read_recipe

    one, other = (read_recipe(path).recipe for path in pair)
    names = [one_of(_underscored(name), list(one.to_dict()), "a setting") for name in listed(answer, "the names of the settings in which they differ")]
    differ = differing(one, other)
    if same := [name for name in names if name not in differ]:
        raise Wrong(f"{' and '.join(same)} is the same in both: {', '.join(shown(getattr(one, n)) for n in same)}.")
    if missed := len(set(differ) - set(names)):
        so_far = f"right so far: {', '.join(dict.fromkeys(names))}" if names else "no setting is named"
        raise Wrong(f"{so_far}; {missed} more {'differs' if missed == 1 else 'differ'}.")
    return f"{', '.join(differ)} differ: with three at once, the pair proves nothing."


def judge_5_2(answer: Any, model: Any) -> str:
    """Count the keys that the nine recipes come down to."""
    count = as_whole(answer, "pictures", 1)
    keys = [_key(recipe, model) for recipe in positions()]
    if count != len(set(keys)):
        way = "some of them come down to the same settings" if count > len(set(keys)) else "too many count as one"
        raise Wrong(f"{count} of 9 positions, you say: {way}.")
    return f"nine positions, {count} pictures."


def judge_5_3(answer: Any) -> str:
    """Look at the file: its size, its mark, its settings."""
    from tp2lib.metadata.pixels import open_image
    from tp2lib.metadata.record import COMPOSITE, GENERATED, digital_source_type
    from tp2lib.storage.pictures import read_recipe

    answer = getattr(answer, "path", answer)  # an Export has one
    if not isinstance(answer, (str, os.PathLike)):
        raise Wrong(f"{shown(answer)} is no path; give the path of the exported file.")
    image, _ = open_image(Path(answer))
    size = f"{image.width}×{image.height}"
    if image.width != image.height or image.width < LEAST_PIXELS:
        raise Wrong(f"it has {size} pixels; it must be a square of {LEAST_PIXELS} or more.")
    if digital_source_type(image) not in (GENERATED, COMPOSITE):
        raise Wrong(f"it is {size}, but has no mark of origin: the file does not say that it was generated.")
    recipe = read_recipe(Path(answer)).recipe
    return f"{size} pixels, marked as generated, and made with {shown(recipe.prompt, 40)}."


def positions() -> list[Recipe]:
    """Return the nine recipes of 5.2: three guidances, three negative prompts."""
    base = EXPERIMENTS["smoke"].recipe
    pairs = itertools.product((0, 1, 7.5), ("", "blurry", "dark"))
    return [base.vary(guidance=guidance, negative_prompt=words) for guidance, words in pairs]


def _key(recipe: Recipe, model: Any) -> str:
    from tp2lib.engine.plan import make_plan

    return make_plan(recipe, model).key


def _underscored(name: Any) -> Any:
    return name.strip().replace(" ", "_") if isinstance(name, str) else name


LETTERS = ("A", "B", "C")
_MOST_PICTURES = 48
_FEWEST_SEEDS = 3
_LONGEST = 20_000  # characters of a plan that are read


def prepare_6_1(model: Any, ledger: Any) -> dict[str, list[Path]]:
    """Make the reports: for each letter, two pictures in the ledger's folder."""
    from tp2lib.engine.generate import generate

    base = EXPERIMENTS["smoke"].recipe.vary(steps=6)
    fake = LETTERS[int(model.weights_sha256[:8], 16) % 3]  # another one on another model
    reports = {}
    for at, letter in enumerate(LETTERS):
        recipes = [base.vary(seed=100 + at), base.vary(seed=100 + at, guidance=12.0)]
        runs = [generate(recipe, model, ledger=ledger) for recipe in recipes]
        if letter == fake:
            other = generate(base.vary(seed=200), model, ledger=ledger)
            runs[1] = replace(runs[1], image=other.image)
        folder = Path(ledger.outputs)
        reports[letter] = [run.save(folder / f"report_{letter}_{n}.png") for n, run in enumerate(runs, 1)]
    return reports


def judge_6_1(answer: Any, reports: Mapping[str, Any], ledger: Any) -> str:
    """Compare the pictures of the report that was named with what the ledger knows was made."""
    letter = one_of(answer, list(reports), "fake")
    if all(_genuine(path, ledger) for path in reports[letter]):
        raise Wrong(f"both pictures of {letter} are what their settings make: a replay calls them identical.")
    return f"in {letter}, one picture is not what its settings make."


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
        raise Wrong(f"it has {len(seeds)} seed{'s' * (len(seeds) != 1)}; take {_FEWEST_SEEDS} or more, to tell an effect "
                    "from luck.")  # fmt: skip
    for name, values in (*axes.items(), ("seed", seeds)):
        for value in values:
            _possible(plan.recipe, name, value)
    count = len(seeds) * len(axes[next(iter(axes))]) * len(axes[[*axes][1]])
    if count > _MOST_PICTURES:
        raise Wrong(f"it asks for {count} pictures; keep it to {_MOST_PICTURES}, so that it ends today.")
    shape = " × ".join(f"{name} {shown(list(values))}" for name, values in axes.items())
    return f"{shape}, {len(seeds)} seeds: {count} pictures in all."


def judge_6_3(answer: Any) -> str:
    """Work the interaction out from the learner's own sweep."""
    from tp2lib.metrics.measures import MEASURES

    study, name, told = answer
    axes, seeds = getattr(study, "axes", None), getattr(study, "seeds", None)
    if not isinstance(axes, dict) or not isinstance(seeds, tuple):
        raise Wrong(f"study is {shown(study)}; it must be what sweep(…) returns.")
    if len(axes) != 2 or min(map(len, axes.values())) < 2:
        raise Wrong(f"study has the axes {axes}; an interaction takes two, with two values each at least.")
    name = one_of(name, MEASURES[:6], "measure_name")
    number, each = as_number(told, "interaction"), interactions(study, name)
    spread = max(each) - min(each)
    slack = 0.02 * max(map(abs, each)) + 1e-9
    if any(abs(number - middle) <= slack for middle in (fmean(each), median(each))):
        sure = "every seed agrees on its sign" if min(each) > 0 or max(each) < 0 else "the seeds do not agree on its sign"
        return f"{number:.4g} in {name}, over {len(each)} seeds with a spread of {spread:.2g}: {sure}."
    if any(abs(number + middle) <= slack for middle in (fmean(each), median(each))):
        raise Wrong(f"{number:.4g} has the right size and the wrong sign: take last value minus first, on both axes.")
    if any(abs(number - effect) <= slack for effect in _effects(study, name)):
        raise Wrong(f"{number:.4g} is the effect at one value of the other axis: the interaction is the difference of two.")
    low, high = min(each), max(each)
    raise Wrong(f"{number:.4g} is not the mean over the seeds; one by one they give {low:.3g} to {high:.3g} in {name}.")


def interactions(study: Any, name: str) -> list[float]:
    """Return, for each seed, the difference of the differences between the last and first values of two axes."""
    (first, a), (second, b) = study.axes.items()
    found = []
    for seed in study.seeds:
        at = {(x, y): _measured(study, name, {first: x, second: y, "seed": seed}) for x in (a[0], a[-1]) for y in (b[0], b[-1])}
        found.append((at[a[-1], b[-1]] - at[a[-1], b[0]]) - (at[a[0], b[-1]] - at[a[0], b[0]]))
    return found


def read_plan_text(answer: Any) -> Any:
    """Read a plan from its text, or from its path, with the library's own parser."""
    from tp2lib.engine.planfile import read_plan

    if isinstance(answer, Path) or (isinstance(answer, str) and "\n" not in answer and answer.endswith(".toml")):
        return read_plan(answer)
    if not isinstance(answer, str):
        raise Wrong(f"{shown(answer)} is no text; write the plan between triple quotes.")
    if len(answer) > _LONGEST:
        raise Wrong(f"it has {len(answer)} characters; a plan has a few hundred.")
    with tempfile.TemporaryDirectory(prefix="tp2-plan-") as folder:
        path = Path(folder) / "plan.toml"
        path.write_text(answer, encoding="utf-8")
        try:
            return read_plan(path)
        except RecipeError as error:
            raise Wrong(str(error).replace(shown(str(path)), "plan.toml")) from None


def _possible(recipe: Any, name: str, value: Any) -> None:
    """Raise a RecipeError if a recipe cannot have this value."""
    recipe.vary(**{name: value})


def _effects(study: Any, name: str) -> list[float]:
    """Return the mean effect of each axis at the first and last value of the other one."""
    found = []
    (first, a), (second, b) = study.axes.items()
    for one, ones, other, others in ((first, a, second, b), (second, b, first, a)):
        for fixed in (others[0], others[-1]):
            sides = [fmean(_measured(study, name, {one: end, other: fixed, "seed": seed}) for seed in study.seeds) for end in (ones[0], ones[-1])]
            found.append(sides[1] - sides[0])
    return found


def _measured(study: Any, name: str, place: Mapping[str, Any]) -> float:
    from tp2lib.metrics.measures import take

    (cell,) = study.at(**place)
    if cell.run is None or cell.run.image is None:
        raise Wrong(f"the sweep has no picture at {place}; run it again.")
    return take(name, cell.run.image)


def _genuine(path: Any, ledger: Any) -> bool:
    """Return whether a file shows the pixels that its run was recorded with when it was made."""
    from tp2lib.storage.pictures import read_record

    record = read_record(path)
    done = ledger.lookup(record["key"])
    return done is not None and done["pixels_sha256"] == record["pixels_sha256"]
