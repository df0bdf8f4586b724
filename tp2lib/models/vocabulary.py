"""The closed vocabulary of Vitrine that pictures are read in, from ``vocabulary.toml``: what each attribute can be, in words.

The captions say it and the judge reads it back; what else decides a training photo is in ``vitrine/vocabulary.py``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

_tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

ATTRIBUTES: Mapping[str, Mapping[str, tuple[str, ...]]] = {name: {value: tuple(said) for value, said in table.items()} for name, table in _tables.items()}
"""How a caption names each value of each attribute, the canonical wording first; the judge has one head for each attribute."""
KIND_WORDS, COLOUR_WORDS, SET_WORDS, LIGHT_WORDS, FOCUS_WORDS, VIEW_WORDS, DEFECT_WORDS = ATTRIBUTES.values()
