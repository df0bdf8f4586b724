"""The questions of notebook 05: what differs, what is free, what a shop gets, what a tool must say."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from tp2lib.course.question import OpenQuestion, Question, Wrong, as_whole, differing, listed, one_of
from tp2lib.errors import shown
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.recipe import Recipe

__all__ = ["QUESTIONS"]

_FILES = ("this.png", "that.png")
LEAST_PIXELS = 1000  # a side, as marketplaces ask


class Differ(Question):
    """The settings in which two pictures of a gallery differ."""

    number, title, minutes, difficulty = "5.1", "What differs?", 5, "easy"
    wants = "the names of the settings in which they differ, as a list"
    needs = ("pair",)
    hints = (
        "Drop both pictures into the tool, one after the other, and look which controls move.",
        "A difference may be in a control that you did not look at: go through all of them.",
        "`read_recipe(path).to_dict()` lists every setting of a file; compare the two lists.",
    )
    answer = "one, other = (read_recipe(path).to_dict() for path in pair)\ndiffer = [name for name in one if one[name] != other[name]]"
    why = "Two pictures that look like one experiment may be none. The files know all settings; memory knows the ones you moved."

    def prepare(self, model: Any, ledger: Any) -> tuple[Path, ...]:
        """Make the two pictures, `this.png` and `that.png` in the ledger's folder."""
        from tp2lib.engine.generate import generate

        base = EXPERIMENTS["smoke"].recipe.vary(steps=6)
        recipes = (base, base.vary(seed=base.seed + 1, guidance=9.0, negative_prompt="blurry"))
        return tuple(ledger.publish(generate(recipe, model, ledger=ledger), name) for recipe, name in zip(recipes, _FILES, strict=True))

    def judge(self, answer: Any, pair: Any) -> str:
        """Compare with the recipes in the two files."""
        from tp2lib.storage.pictures import read_recipe

        one, other = (read_recipe(path) for path in pair)
        names = [one_of(_underscored(name), list(one.to_dict()), "a setting") for name in listed(answer, self.wants)]
        differ = differing(one, other)
        if same := [name for name in names if name not in differ]:
            raise Wrong(f"{' and '.join(same)} is the same in both: {', '.join(shown(getattr(one, n)) for n in same)}.")
        if missed := len(set(differ) - set(names)):
            so_far = f"right so far: {', '.join(dict.fromkeys(names))}" if names else "no setting is named"
            raise Wrong(f"{so_far}; {missed} more {'differs' if missed == 1 else 'differ'}.")
        return f"{', '.join(differ)} differ: with three at once, the pair proves nothing."


class Free(Question):
    """How many pictures stand behind nine positions of two controls."""

    number, title, minutes, difficulty = "5.2", "Nine positions", 6, "medium"
    wants = "a number of pictures"
    needs = ("model",)
    hints = (
        "Some positions come down to the same settings, and a tool that knows it makes one picture for all of them.",
        "At which of the three guidances is a negative prompt heard at all?",
        "Two of the three guidances are off, and then all three negative prompts are one picture. Count what is left.",
    )
    answer = "pictures = 1 + 3"
    why = "Guidance 0 and 1 are both off, so six positions are one picture. At 7.5 the three negative prompts give three."

    def judge(self, answer: Any, model: Any) -> str:
        """Count the keys that the nine recipes come down to."""
        count = as_whole(answer, "pictures", 1)
        keys = [_key(recipe, model) for recipe in positions()]
        if count != len(set(keys)):
            way = "some of them come down to the same settings" if count > len(set(keys)) else "too many count as one"
            raise Wrong(f"{count} of 9 positions, you say: {way}.")
        return f"nine positions, {count} pictures."


class Export(Question):
    """A picture that a marketplace would take, and that still says what it is."""

    number, title, minutes, difficulty = "5.3", "Ready for the shop", 8, "medium"
    wants = "the path of a picture"
    hints = (
        "A marketplace asks for a square of 1000 pixels or more, and a law for the mark of origin.",
        "Saving with an image program loses the mark; the tool's export keeps it.",
        "Export with the marketplace preset, and give the path that it returns.",
    )
    answer = (
        "from tp2lib.widgets import export_run\n"
        "\n"
        'picture = generate(EXPERIMENTS["smoke"].recipe.vary(steps=6), model, ledger=ledger)\n'
        'my_export = export_run(picture, OUTPUTS, kind="jpeg", preset="marketplace").path'
    )
    why = "Enlarging by Lanczos invents nothing, and the export carries the mark and the settings into the new file."

    def judge(self, answer: Any) -> str:
        """Look at the file: its size, its mark, its settings."""
        from tp2lib.metadata.pixels import open_image
        from tp2lib.metadata.provenance import COMPOSITE, GENERATED, digital_source_type
        from tp2lib.storage.pictures import read_recipe

        answer = getattr(answer, "path", answer)  # an Export has one
        if not isinstance(answer, (str, os.PathLike)):
            raise Wrong(f"{shown(answer)} is no path; give the path of the exported file.")
        image, _ = open_image(Path(answer))
        size = f"{image.width}×{image.height}"
        if image.width != image.height or image.width < LEAST_PIXELS:
            raise Wrong(f"it has {size} pixels; it must be a square of {LEAST_PIXELS} or more.")
        if digital_source_type(image) not in (GENERATED, COMPOSITE):
            raise Wrong(f"it is {size}, but bears no mark of origin: nobody can tell that it was generated.")
        recipe = read_recipe(Path(answer))
        return f"{size} pixels, marked as generated, and made with {shown(recipe.prompt, 40)}."


class Says(OpenQuestion):
    """What a tool owes to those who use its pictures."""

    number, title, minutes, difficulty = "5.4", "What must it say?", 8, "medium"
    wants = "a few sentences of your own"
    hints = (
        "Think of three people: the one who made the picture, a colleague who finds it a year later, and a customer.",
        "Which of them needs the settings, which the source photo, and which the words 'made by a model'?",
        "For each line that you ask for, say what goes wrong without it; and say what would be too much.",
    )
    answer = (
        'my_answer = """The maker needs every setting, requested and effective, because strength 0.6 may run 18 steps. The\n'
        "colleague needs the model's hash and a replay grade, since names vanish. The customer needs one line only:\n"
        'generated from a photo of the product, not a photo."""'
    )
    why = "One answer of many: it names the people, what each can check, and what would only be noise to them."


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


QUESTIONS = (Differ(), Free(), Export(), Says())
