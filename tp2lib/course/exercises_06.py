"""The questions of notebook 06: a forged report, a study of two axes, its interaction, and what you stand for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from tp2lib.course.question import OpenQuestion, Question, Wrong, as_number, one_of
from tp2lib.errors import RecipeError, shown
from tp2lib.evaluation.experiments import EXPERIMENTS

__all__ = ["QUESTIONS", "interactions"]

LETTERS = ("A", "B", "C")
_MOST_PICTURES = 48
_FEWEST_SEEDS = 3
_LONGEST = 20_000  # characters of a plan that are read


class Fake(Question):
    """One of three reports shows a picture that its settings did not make."""

    number, title, minutes, difficulty = "6.1", "Catch the fake", 10, "medium"
    wants = "a letter"
    needs = ("reports", "ledger")
    hints = (
        "All six files carry a recipe, and all recipes look sound. What is a proof, where papers are none?",
        "`replay_all(paths)` renders several pictures again in one fresh process, and grades each.",
        "Replay all six. One of them comes out *different*, with nothing about this computer to blame.",
    )
    answer = (
        "from tp2lib.engine.replay import replay_all\n"
        "\n"
        "grades = iter(replay_all([path for paths in reports.values() for path in paths]))\n"
        "found = {letter: [next(grades).grade for _ in paths] for letter, paths in reports.items()}\n"
        'fake = next(letter for letter, grades in found.items() if "different" in grades)'
    )
    why = "Settings can be written into any file, and the forged picture's are flawless. Only making it again tells."

    def prepare(self, model: Any, ledger: Any) -> dict[str, list[Path]]:
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

    def judge(self, answer: Any, reports: Mapping[str, Any], ledger: Any) -> str:
        """Compare the pictures of the report that was named with what the ledger knows was made."""
        letter = one_of(answer, list(reports), "fake")
        if all(_genuine(path, ledger) for path in reports[letter]):
            raise Wrong(f"both pictures of {letter} are what their settings make: a replay calls them identical.")
        return f"in {letter}, one picture is not what its settings make."


class Plan(Question):
    """A study of two axes and several seeds, written down before it is run."""

    number, title, minutes, difficulty = "6.2", "Plan a study", 15, "hard"
    wants = "the text of a plan.toml, in triple quotes, or its path"
    hints = (
        "A plan has `seeds`, a table `[recipe]` with what stays the same, and a table `[axes]` with what varies.",
        "Two axes of two values each, and three seeds or more: with one value there is no difference, with one seed no luck.",
        '`seeds = [1, 2, 3]`, `[recipe]` with `prompt = "…"` and `steps = 8`, `[axes]` with `guidance = [4.0, 12.0]` and a second line of that kind.',
    )
    answer = (
        'my_plan = """\n'
        "seeds = [1, 2, 3]\n"
        "\n"
        "[recipe]\n"
        'prompt = "a photo of a red apple on a white table"\n'
        'scheduler = "DDIM"\n'
        "\n"
        "[axes]\n"
        "steps = [4, 8]\n"
        "guidance = [2.0, 10.0]\n"
        '"""'
    )
    why = "Two values on each of two axes, the same three seeds in every cell: twelve pictures, all pairs, one interaction."

    def judge(self, answer: Any) -> str:
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


class Interaction(Question):
    """Whether one setting changes what another one does."""

    number, title, minutes, difficulty = "6.3", "Read off the interaction", 12, "hard"
    wants = "the sweep, the name of a measure, and the interaction in its units"
    parts = ("study", "measure_name", "interaction")
    hints = (
        "Run the plan: `sweep(plan.recipe, model, seeds=plan.seeds, ledger=ledger, **plan.axes)`, plan being what was read.",
        "The effect of the second axis is *last value minus first*. Take it at the last value of the first axis, and at the first.",
        "The interaction is the one effect minus the other, for each seed; give the mean over the seeds.",
    )
    answer = (
        "from statistics import fmean\n"
        "from tp2lib.course import read_plan_text\n"
        "\n"
        "plan = read_plan_text(my_plan)\n"
        "study = sweep(plan.recipe, model, seeds=plan.seeds, ledger=ledger, **plan.axes)\n"
        "(a, first), (b, second) = study.axes.items()\n"
        'measure_name = "contrast"\n'
        "\n"
        "def value(x, y, seed):\n"
        "    return measure(study.at(**{a: x, b: y, 'seed': seed})[0].run.image).contrast\n"
        "\n"
        "def effect(x, seed):\n"
        "    return value(x, second[-1], seed) - value(x, second[0], seed)\n"
        "\n"
        "interaction = fmean(effect(first[-1], seed) - effect(first[0], seed) for seed in study.seeds)"
    )
    why = (
        "If the two settings act independently, the effect of one is the same at each value of the other, and the difference "
        "of the differences is 0 but for the seeds' spread. Compare it with that spread before you call it an effect."
    )

    def judge(self, answer: Any) -> str:
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


class Stand(OpenQuestion):
    """The sentence of the report that one would no longer sign."""

    number, title, minutes, difficulty = "6.4", "What you would no longer sign", 10, "medium"
    wants = "a few sentences of your own"
    least = 20
    hints = (
        "The verdicts of notebooks 03 and 04 name sentences of the report, and how many seeds bear them out.",
        "Choose one that your measurements contradict or are split on. What was measured, over how many seeds?",
        "Say what you would write instead, and what could still prove *you* wrong.",
    )
    answer = (
        'my_answer = """I would not sign that fifty steps with Euler A sharpen the picture of thirty. Of three seeds not all\n'
        "were sharper here, and the distance between the two was like another draw. I would write that the change is real\n"
        'but has no direction; ten seeds more, or another model, could show that I am wrong."""'
    )
    why = "A retraction names the sentence, the numbers against it, what is put in its place, and what would overturn it again."


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
        raise Wrong(f"it has {len(answer)} characters; an honest plan has a few hundred.")
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


QUESTIONS = (Fake(), Plan(), Interaction(), Stand())
