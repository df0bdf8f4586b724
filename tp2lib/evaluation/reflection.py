"""The closing questions: quality, latency and cost, reproducibility, risks, negative prompts, disclosure.

Answers are kept in ``outputs/reflection.json`` and are printed in the report; a missing answer is a gap there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from tp2lib.errors import OutputError, RecordError, did_you_mean, shown
from tp2lib.evaluation.languages import words
from tp2lib.metadata.record import MAX_RECORD, dump_json, load_json
from tp2lib.storage.files import write_atomically

FILE = "reflection.json"
_MOST = 4000  # characters of an answer


ASKED: Mapping[str, Mapping[str, str]] = words("en")["reflection"]
"""Every question under its name, in order: its `title` and its `question`, in English; ``words(code)["reflection"]`` has another language's."""


def answer(name: str, text: str, outputs: str | os.PathLike[str]) -> Path:
    """Keep an answer; it replaces the one before.

    Raises
    ------
    RecordError
        There is no such question, or the text is blank or too long.
    OutputError
        It cannot be written.
    """
    if name not in ASKED:
        raise RecordError(f"there is no question {shown(name)}; there are {', '.join(ASKED)}.{did_you_mean(name, ASKED)}")
    if not isinstance(text, str) or not text.strip():
        raise RecordError(f"the answer to {name} is {shown(text)}; write a sentence or two of your own.")
    if len(text) > _MOST:
        raise RecordError(f"the answer to {name} has {len(text)} characters; at most {_MOST} are kept. Shorten it.")
    line = dump_json({**answers(outputs), name: text.strip().replace("\0", "")})

    def check(written: Path) -> None:
        if written.read_text(encoding="utf-8") != line:
            raise OutputError(f"{FILE} does not read back as it was written; the disk may be failing.")

    return write_atomically(Path(outputs) / FILE, lambda file: file.write(line.encode()), check)


def answers(outputs: str | os.PathLike[str]) -> dict[str, str]:
    """Return the answers that are kept, by question; a file that cannot be read counts as none."""
    path = Path(outputs) / FILE
    try:
        if path.stat().st_size > MAX_RECORD:
            return {}
        kept = load_json(path.read_bytes())
    except (OSError, RecordError, json.JSONDecodeError):
        return {}
    return {name: kept[name][:_MOST] for name in ASKED if isinstance(kept.get(name), str) and kept[name].strip()}
