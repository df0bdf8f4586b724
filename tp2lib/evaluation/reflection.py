"""The closing questions: quality, latency and cost, reproducibility, risks, negative prompts, disclosure.

Answers are kept in ``outputs/reflection.json`` and are printed in the report; a missing answer is a gap there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tp2lib.errors import RecordError, did_you_mean, shown
from tp2lib.evaluation.languages import words
from tp2lib.storage.files import read_json, write_json

FILE = "reflection.json"
_MOST = 4000  # characters of an answer


ASKED: Mapping[str, Mapping[str, str]] = words("en")["reflection"]
"""Every question under its name, in order: its `title` and its `question`, in English; ``words(code)["reflection"]`` has another language's."""


def answer(name: str, text: str, outputs: str | os.PathLike[str]) -> Path:
    """Keep an answer; it replaces the one before, and a blank one removes it.

    Raises
    ------
    RecordError
        There is no such question, or the text is too long or no text.
    OutputError
        It cannot be written.
    """
    if name not in ASKED:
        raise RecordError(f"there is no question {shown(name)}; there are {', '.join(ASKED)}.{did_you_mean(name, ASKED)}")
    if not isinstance(text, str):
        raise RecordError(f"the answer to {name} is {shown(text)}; write a sentence or two of your own.")
    if len(text) > _MOST:
        raise RecordError(f"the answer to {name} has {len(text)} characters; at most {_MOST} are kept. Shorten it.")
    kept = {**answers(outputs), name: text.strip().replace("\0", "")}
    return write_json(Path(outputs) / FILE, {one: known for one, known in kept.items() if known})


def answers(outputs: str | os.PathLike[str]) -> dict[str, str]:
    """Return the answers that are kept, by question; a file that cannot be read counts as none."""
    kept = read_json(Path(outputs) / FILE)
    return {name: kept[name][:_MOST] for name in ASKED if isinstance(kept.get(name), str) and kept[name].strip()}
