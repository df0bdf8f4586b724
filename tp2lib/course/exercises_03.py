"""The questions of notebook 03: what is confounded, when it is enough, what is fair, and what fails."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from tp2lib.course.question import Question, Wrong, as_number, as_reason, as_recipe, as_whole, differing, one_of
from tp2lib.engine.runs import Run
from tp2lib.errors import shown
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.recipe import Recipe

__all__ = ["QUESTIONS"]

_DAMAGES = ("saturation", "contrast", "clipped_highlights", "clipped_shadows")


class Confounded(Question):
    """The one comparison of six in which more than one setting differs."""

    number, title, minutes, difficulty = "3.1", "Find the confounded pair", 5, "easy"
    wants = "a letter"
    needs = ("plans",)
    hints = (
        "Print a pair: what differs between its two recipes?",
        "Section 1 has a cell that lists what changes between two recipes; use its line for each pair.",
        "A name may be spelled in two ways and mean one thing. A setting that is not printed may differ too.",
    )
    answer = 'confounded = "D"'
    why = "In D the seed changes along with guidance: whatever you see may be the seed's doing."

    def judge(self, answer: Any, plans: Mapping[str, Any]) -> str:
        """Count the settings that differ in the pair that was named."""
        letter = one_of(answer, list(plans), "confounded")
        differ = differing(*plans[letter])
        if len(differ) < 2:
            raise Wrong(f"the recipes of {letter} differ in {' and '.join(differ) or 'nothing'} alone, so they compare.")
        return f"the recipes of {letter} differ in {' and '.join(differ)}."


class Enough(Question):
    """Steps from which on a change no longer matters, for a limit that somebody defends."""

    number, title, minutes, difficulty = "3.2", "How many steps are enough?", 8, "medium"
    wants = "a limit in ΔE, a number of steps, and why"
    parts = ("my_limit", "my_steps", "because")
    needs = ("points",)
    hints = (
        "The curve's dotted line is at 1 ΔE, just noticeable side by side. A shop's customer sees one picture only.",
        "`points` has the numbers of the curve: `point.x` is steps, `point.y` the change, `point.group` the scheduler.",
        "Take the median of `point.y` over the seeds for each `point.x`, and go from 30 downwards as long as it stays below your limit.",
    )
    answer = (
        'late = {x: median(p.y for p in points if p.group == "DDIM" and p.x == x) for x in (10, 15, 30)}\n'
        "my_limit = max(1.0, 1.05 * late[30])\n"
        "my_steps = min(x for x in late if all(late[y] < my_limit for y in late if y >= x))\n"
        'because = "below this limit nobody sees the change without both pictures side by side"'
    )
    why = "There is no right limit, only one that is stated, defended and then kept to: the curve says how many steps it takes to stay below it."

    def judge(self, answer: Any, points: Any) -> str:
        """Hold limit and steps against the learner's own curve."""
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


class Fair(Question):
    """Two schedulers made equal by model calls."""

    number, title, minutes, difficulty = "3.3", "A fair race", 6, "medium"
    wants = "a Recipe"
    needs = ("model",)
    hints = (
        '`resolve(recipe, model)["model_calls"]` tells the calls without making a picture.',
        "Half the steps are a good first try; then look at the number.",
        "No number of steps hits it exactly: being off by one call is as near as it gets.",
    )
    answer = 'fair = baseline.vary(scheduler="Heun", steps=15)'
    why = "Heun looks ahead at every step but the last: 15 steps make 29 calls, where DDIM makes 30 with 30 steps."

    def judge(self, answer: Any, model: Any) -> str:
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


class Unheard(Question):
    """A negative prompt that takes no part."""

    number, title, minutes, difficulty = "3.4", "A prompt that is not heard", 6, "hard"
    wants = "a Recipe"
    needs = ("model",)
    hints = (
        "What does the network's second call at each step carry?",
        "`resolve(…)` has an entry `negative_used`.",
        "In which column of section 4 is there no second call?",
    )
    answer = 'unheard = baseline.vary(negative_prompt="blurry", guidance=1)'
    why = "Guidance compares the prompt with the negative prompt. At 1 it is off, and nothing is left to carry the latter."

    def judge(self, answer: Any, model: Any) -> str:
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


class Broken(Question):
    """Guidance made to fail, and a negative prompt that takes some of the damage back."""

    number, title, minutes, difficulty = "3.5", "Break it, then mend it", 12, "hard"
    wants = f"three runs, and the measure that shows the damage ({', '.join(_DAMAGES)})"
    parts = ("usual", "broken", "mended", "damage")
    hints = (
        "Guidance may be raised up to 30; `measure(run.image)` says what that does to the tone.",
        "First find a guidance and a measure with `broken` above `usual` by more than a hundredth. Then name, in a negative prompt, what you see too much of.",
        "Make `mended` from the recipe of `broken` with `.vary(negative_prompt=…)` and nothing else; try several prompts "
        "in a loop, and keep the one whose measure is nearest to that of `usual`.",
    )
    answer = (
        "usual, broken = (generate(baseline.vary(steps=10, guidance=g), model, ledger=ledger) for g in (7.5, 30))\n"
        'words = ["oversaturated colours", "dark, harsh contrast", "blurry", "red, green, blue", baseline.prompt]\n'
        "tried = [generate(broken.recipe.vary(negative_prompt=one), model, ledger=ledger) for one in words]\n"
        "\n"
        "def tone(run, name):\n"
        "    return getattr(measure(run.image), name)\n"
        "\n"
        "def left(run, name):  # 1 is all of the damage, 0 none\n"
        "    return abs(tone(run, name) - tone(usual, name)) / (tone(broken, name) - tone(usual, name))\n"
        "\n"
        'names = ("saturation", "contrast", "clipped_highlights", "clipped_shadows")\n'
        "risen = [name for name in names if tone(broken, name) > 1.01 * tone(usual, name) + 0.0001]\n"
        "mended, damage = min(((run, name) for run in tried for name in risen), key=lambda pair: left(*pair))"
    )
    why = (
        "High guidance multiplies the difference between prompt and negative prompt, tone included. A negative prompt moves "
        "what is subtracted: naming what there is too much of takes part of it back. It is a bandage; lower guidance is the cure."
    )

    def judge(self, answer: Any) -> str:
        """Look at what differs between the runs, then at the measure."""
        from tp2lib.metrics.measures import in_words, take

        *runs, damage = answer
        for part, run in zip(self.parts[:3], runs, strict=True):
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


QUESTIONS = (Confounded(), Enough(), Fair(), Unheard(), Broken())
