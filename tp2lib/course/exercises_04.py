"""The questions of notebook 04: where a picture changed, how strength is quantised, where the product ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from tp2lib.course.question import Question, Wrong, as_number, as_picture, as_reason, as_whole, listed, one_of
from tp2lib.errors import RecipeError, shown
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.metrics.distances import colour_difference, perceptual_distance

__all__ = ["CANDIDATES", "NINTHS", "QUESTIONS", "ninths"]

CANDIDATES = (0.52, 0.41, 0.58, 0.44, 0.47)
NINTHS = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")
_ALIASES = {"center": "centre", "middle": "centre", "upper": "top", "lower": "bottom"}
_AS_GOOD = 0.9  # of the largest change: an eye reads a map no finer


def ninths(picture: Any, reference: Any) -> dict[str, float]:
    """Return the mean colour difference (ΔE00) of two pictures in each ninth of the frame."""
    change = colour_difference(as_picture(picture), as_picture(reference))
    rows = [part for row in np.array_split(change, 3) for part in np.array_split(row, 3, axis=1)]
    return {name: float(part.mean()) for name, part in zip(NINTHS, rows, strict=True)}


class Brightest(Question):
    """Reading a difference map."""

    number, title, minutes, difficulty = "4.1", "Read the map", 4, "easy"
    wants = f"the name of a ninth of the picture ({', '.join(NINTHS)})"
    needs = ("run", "photo")
    hints = (
        "Section 3 has the map: the brighter, the more was changed.",
        "Lay a three by three grid over the map in your mind. Not the brightest dot counts, but the brightest ninth.",
        "`colour_difference` of `tp2lib.metrics` is what the map shows, as an array: take the mean of each ninth.",
    )
    answer = "from tp2lib.course import ninths\n\nchange = ninths(runs[2], photo)\nbrightest = max(change, key=change.get)"
    why = "The map is ΔE, pixel by pixel. The ninth with the largest mean is where most was changed; look what is there."

    def judge(self, answer: Any, run: Any, photo: Any) -> str:
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


class Twins(Question):
    """Which two strengths give the same picture, and why."""

    number, title, minutes, difficulty = "4.2", "Which two are one?", 5, "easy"
    wants = "two of the five strengths, and the number of steps that both run"
    parts = ("twins", "steps_run")
    hints = (
        "How many steps run at each of them?",
        "`int(20 * strength)` cuts the fraction off; it does not round.",
        "Make the five products, strike out what stands behind the point, and look for a number that comes twice.",
    )
    answer = "twins, steps_run = (0.41, 0.44), 8"
    why = "20 × 0.41 is 8.2 and 20 × 0.44 is 8.8: of both, 8 steps run, from the same noise level."

    def judge(self, answer: Any) -> str:
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


class Smallest(Question):
    """The least strength at which anything happens."""

    number, title, minutes, difficulty = "4.3", "The least that does anything", 6, "medium"
    wants = "a number of three decimals"
    hints = (
        "What must `12 × strength` be at least?",
        "1/12 is 0.08333…; cutting it to three decimals makes it smaller.",
        "A recipe refuses strengths that are too low, and its message helps.",
    )
    answer = "smallest = 0.084"
    why = "12 × 0.083 is 0.996, which is cut to 0 steps; 12 × 0.084 is 1.008, and one step runs."

    def judge(self, answer: Any) -> str:
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


class Constant(Question):
    """What constant steps cost, and what they skip."""

    number, title, minutes, difficulty = "4.4", "The price of constancy", 5, "medium"
    wants = "a whole number of steps, and a share from 0 to 1"
    parts = ("asked", "skipped")
    hints = (
        "What times 0.4 is 24?",
        "The smallest number will do.",
        "A recipe in constant mode has a property `nominal_steps`; the skipped share is what does not run, of all that are asked for.",
    )
    answer = "asked, skipped = 60, 0.6"
    why = "60 × 0.4 is 24. The other 36 of 60 are skipped, a share of 0.6: one minus the strength."

    def judge(self, answer: Any) -> str:
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


class Ends(Question):
    """The strength at which the product stops being the product, for a limit that somebody defends."""

    number, title, minutes, difficulty = "4.5", "Where the product ends", 10, "hard"
    wants = "a limit in ΔE, the highest strength within it (0 if none is), and why"
    parts = ("my_limit", "last_strength", "because")
    needs = ("fidelity_study", "photo")
    hints = (
        'Which number of section 4 says most about the product, and least about the background? `changed(run)["product"]`.',
        "For each strength, take the worst of its three seeds: a shop cannot choose the lucky one beforehand.",
        "Choose a limit between two of these worst cases, then go up from the lowest strength as long as all stay within it.",
    )
    answer = (
        'worst = {s: max(changed(cell.run)["product"] for cell in fidelity_study.at(strength=s)) for s in five}\n'
        "my_limit = (min(worst.values()) + max(worst.values())) / 2\n"
        "last_strength = max([s for s in five if all(worst[t] <= my_limit for t in five if t <= s)], default=0)\n"
        'because = "halfway between the least and the most that strength does to this product"'
    )
    why = (
        "No strength is safe in itself. A limit on the distance of the product, stated and defended, turns 'close enough' "
        "into a rule, and the worst seed decides, for that is what a customer may get."
    )

    def judge(self, answer: Any, study: Any, photo: Any) -> str:
        """Hold limit and strength against the worst seed of each strength."""
        limit, chosen, because = answer
        limit = as_number(limit, "my_limit", 0, 100)
        strengths = sorted(study.axes["strength"])
        chosen = one_of(as_number(chosen, "last_strength", 0, 1), [0, *strengths], "last_strength")
        worst = {one: max(product_distance(cell.run, photo) for cell in study.at(strength=one)) for one in strengths}
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


QUESTIONS = (Brightest(), Twins(), Smallest(), Constant(), Ends())
