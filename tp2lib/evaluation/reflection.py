"""The closing questions: quality, latency and cost, reproducibility, risks, negative prompts, disclosure.

Answers are kept in ``outputs/reflection.json`` and go into the report word by word; what is missing there is a gap.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tp2lib.errors import OutputError, RecordError, did_you_mean, shown
from tp2lib.metadata.record import MAX_RECORD, dump_json, load_json
from tp2lib.storage.atomic import write_atomically

__all__ = ["ASKED", "FILE", "Asked", "answer", "answers"]

FILE = "reflection.json"
_MOST = 4000  # characters of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question.

    Attributes
    ----------
    name : str
    title, question : mapping of str to str
        By language.
    looks_at : str
        Which measured figures stand beside it in the report: "cost", or none.
    """

    name: str
    title: Mapping[str, str]
    question: Mapping[str, str]
    looks_at: str = ""


def _asked(name: str, looks_at: str, en: tuple[str, str], fr: tuple[str, str]) -> Asked:
    title, question = (MappingProxyType({"en": en[at], "fr": fr[at]}) for at in (0, 1))
    return Asked(name=name, title=title, question=question, looks_at=looks_at)


ASKED: Mapping[str, Asked] = MappingProxyType(
    {
        one.name: one
        for one in (
            _asked(
                "quality", "",
                ("Quality", "Which setting changed the quality of your pictures most, by which number, and over how many seeds?"),
                ("Qualité", "Quel réglage a le plus changé la qualité de vos images, selon quel chiffre, et sur combien de seeds ?"),
            ),
            _asked(
                "latency", "cost",
                ("Latency and cost", "A shop needs 2000 pictures by tomorrow, on this computer. What do steps and scheduler cost it, "
                 "in seconds and in money, and what would you give up first?"),
                ("Latence et coût", "Une boutique veut 2000 images pour demain, sur cet ordinateur. Que lui coûtent steps et "
                 "scheduler, en secondes et en argent, et à quoi renonceriez-vous d'abord ?"),
            ),
            _asked(
                "reproducibility", "",
                ("Reproducibility", "What must be kept so that a picture can be made again, and what did your replays show that a list "
                 "of parameters does not?"),
                ("Reproductibilité", "Que faut-il conserver pour refaire une image, et qu'ont montré vos replays qu'une liste de "
                 "paramètres ne montre pas ?"),
            ),
            _asked(
                "risks", "",
                ("Risks", "Which of your pictures would mislead a buyer, what did the risk desk see of it, and what did only you see?"),
                ("Risques", "Laquelle de vos images tromperait un acheteur, qu'en a vu le contrôle des risques, et qu'avez-vous été "
                 "seul à voir ?"),
            ),
            _asked(
                "negative", "",
                ("Negative prompts", "What did a negative prompt change in your own runs, and where did it change nothing at all?"),
                ("Negative prompts", "Qu'a changé un negative prompt dans vos propres runs, et où n'a-t-il rien changé du tout ?"),
            ),
            _asked(
                "disclosure", "",
                ("Disclosure", "Where must a buyer read that a picture was generated, what stays in the file when a platform strips it, and "
                 "who answers for it?"),
                ("Transparence", "Où l'acheteur doit-il lire qu'une image est générée, que reste-t-il dans le fichier quand une plateforme "
                 "le nettoie, et qui en répond ?"),
            ),
        )
    }
)  # fmt: skip
"""Every question under its name, in order."""


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
    kept = {**answers(outputs), name: text.strip().replace("\0", "")}
    line = dump_json(kept)

    def check(written: Path) -> None:
        if written.read_text(encoding="utf-8") != line:
            raise OutputError(f"{FILE} read back otherwise than written; the disk may be failing.")

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
