"""The questions of notebook 01: seconds, a recipe, and words that a model never saw."""

from __future__ import annotations

import re
from typing import Any

from tp2lib.course.question import Question, Wrong, as_number, as_recipe, differing
from tp2lib.errors import shown
from tp2lib.evaluation.experiments import EXPERIMENTS

__all__ = ["QUESTIONS"]

_TOLERANCE = 0.25


class Seconds(Question):
    """How long 60 steps take, from the stages of a run with fewer."""

    number, title, minutes, difficulty = "1.1", "Estimate before you wait", 4, "easy"
    wants = "a number of seconds"
    needs = ("run",)
    hints = (
        "Which stages depend on the number of steps, and which do not?",
        "`run.timings` holds the seconds of each stage of the picture with 20 steps.",
        "One of the stages, `denoise`, is paid once for each step; the others are paid once for each picture.",
    )
    answer = 'once = run.timings["total"] - run.timings["denoise"]\nseconds_for_60 = once + run.timings["denoise"] * 60 / run.effective["steps"]'
    why = "Reading the prompt and decoding are paid once; denoising is paid for each step, so 60 steps cost 60/20 of it."

    def judge(self, answer: Any, run: Any) -> str:
        """Compare with the stages of the learner's own run."""
        seconds = as_number(answer, "seconds_for_60", 0)
        steps, total, denoise = run.effective["steps"], run.timings["total"], run.timings["denoise"]
        estimate = total - denoise + denoise * 60 / steps
        if abs(seconds - estimate) <= _TOLERANCE * estimate:
            return f"the stages give {estimate:.1f} s, and you say {seconds:.1f} s."
        way = "too long" if seconds > estimate else "too short"
        times = seconds / total
        raise Wrong(f"{seconds:.1f} s is {way}: it is {times:.1f} times the {total:.1f} s that {steps} steps took in all.")


class OwnRecipe(Question):
    """A variation of a known recipe."""

    number, title, minutes, difficulty = "1.2", "A recipe of your own", 5, "easy"
    wants = "a Recipe"
    hints = (
        "A recipe is made with `Recipe(prompt=…, …)`, or as a variation of another one.",
        "`smoke.vary(…)` copies a recipe and changes the settings that you name.",
        "What has to change: `prompt`, `steps` and `seed`. All else may stay.",
    )
    answer = 'my_recipe = smoke.vary(prompt="professional product photo of a green mug on a white background", steps=10, seed=7)'
    why = "A variation names what changes, and everything else is the same by construction."

    def judge(self, answer: Any) -> str:
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


class Unknown(Question):
    """Exactly two words that mean nothing to the model."""

    number, title, minutes, difficulty = "1.3", "At the edge of its world", 4, "medium"
    wants = "a prompt of six words or more"
    needs = ("model",)
    hints = (
        "Try a few prompts with `unknown_words(model, …)`.",
        "Names of products, colours and photo words are known; which kinds of things surely are not?",
        "Take a prompt that is known through and through, and exchange two words, one at a time.",
    )
    answer = 'my_prompt = "a photo of a red unicorn on a white dragon"'
    why = "The model was trained on photos of products: mythical animals were not among them. It would still draw something."

    def judge(self, answer: Any, model: Any) -> str:
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


QUESTIONS = (Seconds(), OwnRecipe(), Unknown())
