"""The languages that the rubric and the report speak, and how each writes a number."""

from __future__ import annotations

import re

from tp2lib.errors import RecordError, did_you_mean, shown

__all__ = ["LANGUAGES", "Number", "language"]

LANGUAGES = ("en", "fr")


def language(code: object) -> str:
    """Return a language's code if the pack speaks it.

    Raises
    ------
    RecordError
        It does not.
    """
    if code not in LANGUAGES:
        raise RecordError(f"the language is {shown(code)}; it must be one of {', '.join(LANGUAGES)}.{did_you_mean(code, LANGUAGES)}")
    return str(code)


class Number(float):
    """A number that is written as a language has it: ``f"{Number(0.125, 'fr'):.1%}"`` is ``"12,5 %"``."""

    language: str

    def __new__(cls, value: float, code: str) -> Number:
        number = super().__new__(cls, value)
        number.language = code
        return number

    def __format__(self, form: str) -> str:
        text = re.sub(r"^[-+](?=[0.]+%?$)", "", float(self).__format__(form))  # nothing is neither more nor less
        if self.language == "fr":
            text = re.sub(r"%$", "\xa0%", text.replace(".", ","))
        return text
