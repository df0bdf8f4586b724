"""One setting of a recipe: its range, its words for a slider, and the check of a value against it."""

from __future__ import annotations

import math
import numbers
import operator
import os
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

from tp2lib.errors import RecipeError, did_you_mean, shown

Kind = Literal["text", "whole", "real", "choice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a slider shows of one field of a recipe, and what the recipe accepts for it.

    `min`, `max` and `step` are numbers in the field's unit; for text, `max` is the number of
    characters. A real number may lie between two steps, and above `over` although below `min`.
    """

    kind: Kind
    label: str
    help: str
    min: float = -math.inf
    max: float = math.inf
    step: float = 1
    choices: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    blank: bool = True
    over: float | None = None

    def check(self, name: str, value: object) -> Any:
        """Return `value` in its one spelling, as the field `name` keeps it; raise RecipeError for a wrong type, or a value out of range."""
        if value is None and self.default is None and not self.required:
            return None
        return getattr(self, f"_{self.kind}")(name, value)

    def _whole(self, name: str, value: Any) -> int:
        try:
            number = operator.index(value)  # NumPy's integers pass; floats and strings do not
            inside = self.min <= number <= self.max and number % self.step == 0
        except TypeError:
            inside = False
        if not inside or isinstance(value, bool):
            kind = "a whole number" if self.step == 1 else f"a multiple of {self.step}"
            raise self._wrong(name, value, f"{kind} from {self.min} to {self.max}")
        return number

    def _real(self, name: str, value: object) -> float:
        try:
            number = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
        except (OverflowError, ValueError):
            number = math.nan
        low_enough = number > self.over if self.over is not None else number >= self.min
        if not (low_enough and number <= self.max):  # NaN fails both
            low = f"from {self.min}" if self.over is None else f"above {self.over}, up"
            raise self._wrong(name, value, f"a number {low} to {self.max}")
        return number + 0.0  # -0.0 and 0.0 are one setting

    def _text(self, name: str, value: object) -> str:
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(value, str):
            raise self._wrong(name, value, "text", "Put it in quotes.")
        text = str(value).replace("\r\n", "\n").replace("\r", "\n")
        if not self.blank and not text.strip():
            raise self._wrong(name, value, "text that is not blank", f"Give {self.help}.")
        if len(text) > self.max:
            raise self._wrong(name, value, f"at most {self.max} characters long, and it has {len(text)}", "Shorten it.")
        for character in text:
            if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
                rule = f"text without U+{ord(character):04X}, a character that files cannot keep"
                raise self._wrong(name, value, rule, "Remove that character.")
        return text

    def _choice(self, name: str, value: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            advice = did_you_mean(value, self.choices).strip() or "Choose one of these."
            raise self._wrong(name, value, f"one of {', '.join(map(repr, self.choices))}", advice)
        return str(value)

    def _wrong(self, name: str, value: object, rule: str, advice: str = "") -> RecipeError:
        rule += "" if self.required or self.default is not None else ", or None"
        return RecipeError(f"{name} is {shown(value)}; it must be {rule}. {advice or self._advice(value)}")

    def _advice(self, value: Any) -> str:
        try:
            nearest = min(max(float(value), self.min), self.max)  # also reads "30"
        except (TypeError, ValueError, OverflowError):
            nearest = math.nan
        if math.isfinite(nearest):
            nearest = round(nearest / self.step) * self.step if self.kind == "whole" else nearest
            return f"The nearest is {nearest:.10g}."
        return "Leave it out if unsure." if self.default is None else f"Use {self.default}, the default."
