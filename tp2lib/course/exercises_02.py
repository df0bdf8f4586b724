"""The questions of notebook 02: a picture made again, a trap mended, two recipes for one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tp2lib.course.question import Question, Wrong, as_picture, as_recipe, differing, listed
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.recipe import Recipe

__all__ = ["QUESTIONS", "same_picture"]

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
    return first.image.tobytes() == second.image.tobytes(), differ


class Mystery(Question):
    """The recipe that reproduces a given PNG."""

    number, title, minutes, difficulty = "2.1", "A picture without words", 6, "easy"
    wants = "a Recipe"
    needs = ("model", "ledger")
    hints = (
        "The file carries more than pixels.",
        "Section 6 has a function that gives a recipe back.",
        'Read the recipe from `OUTPUTS / "mystery.png"`; there is no need to type a single setting.',
    )
    answer = 'my_recipe = read_recipe(OUTPUTS / "mystery.png")'
    why = "The recipe stands in the file, complete and checked; typing it off by hand is where mistakes come from."

    def prepare(self, model: Any, ledger: Any) -> Path:
        """Make the mystery: `mystery.png` in the ledger's folder."""
        from tp2lib.engine.generate import generate

        base = EXPERIMENTS["baseline"].recipe
        number = int(base.hash, 16)
        secret = base.vary(steps=10, seed=number % 2**32, guidance=4 + number % 16 / 2)
        return ledger.publish(generate(secret, model, ledger=ledger), "mystery.png")

    def judge(self, answer: Any, model: Any, ledger: Any) -> str:
        """Compare pixels: another recipe that gives the same picture is right too."""
        from tp2lib.storage.pictures import read_recipe

        recipe = as_recipe(answer)
        secret = read_recipe(Path(ledger.outputs) / "mystery.png")
        same, differ = same_picture(recipe, secret, model, ledger)
        if not same:
            names = [name for name in differing(recipe, secret) if name in differ] or differ
            raise Wrong(f"it gives other pixels. Not as in the file: {', '.join(names)}.")
        return "the same in every pixel."


class Trap(Question):
    """A fresh generator for every picture."""

    number, title, minutes, difficulty = "2.2", "Mend the trap", 6, "medium"
    wants = "a picture"
    needs = ("trap",)
    hints = (
        "What moved on between the two calls of the trap?",
        "A generator can be made as often as you like, and costs nothing.",
        "Repeat the call of section 5, but let the argument `generator` be made inside the call, as in section 1.",
    )
    answer = 'fresh = torch.Generator("cpu").manual_seed(42)\nmended = pipe(prompt, num_inference_steps=10, guidance_scale=7.5, generator=fresh).images[0]'
    why = "A generator is state: every draw moves it on. A fresh one with the same seed starts from the same noise."

    def judge(self, answer: Any, trap: Any) -> str:
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


class TwoRecipes(Question):
    """Different recipes that come down to the same settings."""

    number, title, minutes, difficulty = "2.3", "Two recipes, one picture", 8, "hard"
    wants = "two recipes: (Recipe(…), Recipe(…))"
    needs = ("model", "ledger")
    hints = (
        'Which setting has values at which it is simply off? Its help says so: `setting("guidance").help`.',
        "Or: which setting is not used at all while another one is off?",
        'Or: what happens to the words of a very long prompt? Compare `resolve(…)["tokens_cut"]`.',
    )
    answer = "my_pair = (short.vary(guidance=1), short.vary(guidance=0.5))"
    why = "Guidance of 1 and less is switched off, so both come down to the same settings. So do two negative prompts then."

    def judge(self, answer: Any, model: Any, ledger: Any) -> str:
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


QUESTIONS = (Mystery(), Trap(), TwoRecipes())
