"""The languages of the rubric and the report: one file of words each, ``words/<code>.toml``, and how it writes a number.

Another language is another file with the same keys.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from tp2lib.errors import RecordError, did_you_mean, shown

_FILES = {path.stem: path for path in sorted(Path(__file__).with_name("words").glob("*.toml"))}
LANGUAGES = tuple(_FILES)


@functools.cache
def words(code: str) -> Mapping[str, Any]:
    """Return all words of a language, by part and key: ``words("fr")["report"]["title"]``."""
    if code not in LANGUAGES:
        raise RecordError(f"the language is {shown(code)}; it must be one of {', '.join(LANGUAGES)}.{did_you_mean(code, LANGUAGES)}")
    return MappingProxyType(tomllib.loads(_FILES[code].read_text(encoding="utf-8")))


def translations(*keys: str) -> Mapping[str, Any]:
    """Return what stands under some keys, by language: ``translations("cases", "baseline")["fr"]``."""
    return MappingProxyType({code: functools.reduce(lambda part, key: part[key], keys, words(code)) for code in LANGUAGES})


class Number(float):
    """A number that is written as a language has it: ``f"{Number(0.125, 'fr'):.1%}"`` is ``"12,5 %"``."""

    language: str

    def __new__(cls, value: float, code: str) -> Self:
        number = super().__new__(cls, value)
        number.language = code
        return number

    def __format__(self, form: str) -> str:
        text = re.sub(r"^[-+](?=[0.]+%?$)", "", float(self).__format__(form))  # zero has no sign
        own = words(self.language)
        return text.replace(".", own["decimal"]).replace("%", own["percent"])
