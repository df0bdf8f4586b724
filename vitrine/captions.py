"""Captions from records, in the phrasing of product-photo prompts."""

from __future__ import annotations

import numpy as np

from tp2lib.models.vocabulary import COLOUR_WORDS, DEFECT_WORDS, FOCUS_WORDS, KIND_WORDS, LIGHT_WORDS, SET_WORDS, VIEW_WORDS

from .vocabulary import BAD_QUALITY, MATERIAL_WORDS, PALETTE_WORDS, PHOTO, QUALITY, STYLE_WORDS

KEEP = 0.72  # chance that a caption names an attribute it could name

# The colours that real ones come in, by kind or material. Others are always named, so that a prompt without a colour means
# one of these; what is not listed here comes in any colour.
TYPICAL: dict[str, tuple[str, ...]] = {
    "apple": ("red", "green", "yellow"),
    "leather": ("brown", "black", "orange"),  # orange as tan or cognac is
    "wood": ("brown",),
    "metal": ("grey", "black", "white"),
    "wax": ("white", "red", "yellow"),
    "ceramic": ("white", "blue", "grey", "turquoise", "green"),
    "pen": ("black", "blue", "grey"),
    "headphones": ("black", "white", "grey"),
}


def is_typical(record: dict) -> bool:
    """Whether a record's colour may stay unnamed."""
    colours = TYPICAL.get(record["kind"]) or TYPICAL.get(record["material"])
    return colours is None or record["colour"] in colours


def caption(record: dict, rng: np.random.Generator) -> str:
    """Describe a record, with synonyms, a shuffled order and dropped attributes.

    One caption in twelve is the bare kind, so that partial prompts mean something.
    A defect is always named: a bad photo captioned as a good one would teach the model
    that defects are normal.
    """

    def say(words: tuple[str, ...], keep: float = KEEP) -> str:
        if not words or rng.random() > keep:
            return ""
        return str(words[0] if rng.random() < 0.5 else rng.choice(words))

    bad, typical = record["defect"] != "none", is_typical(record)
    bare = rng.random() < 1 / 12 and typical
    kind = say(KIND_WORDS[record["kind"]], 1.0)
    if bare and not bad:
        return kind
    adjectives = [say(STYLE_WORDS[record["style"]]), say(COLOUR_WORDS[record["colour"]], 0.7 if typical else 1.0), say(MATERIAL_WORDS[record["material"]], 0.6)]
    noun = " ".join(a for a in (*adjectives, kind) if a)
    place = say(SET_WORDS[record["set"]], 0.82)
    where = f"on a {place}" if rng.random() < 0.8 else f"in front of a {place}" if "background" in place or "backdrop" in place else f"on the {place}"
    extras = [
        say(LIGHT_WORDS[record["light"]]),
        "" if record["defect"] in ("blurry", "lowres") else say(FOCUS_WORDS[record["focus"]], 0.45),  # such a photo is not sharp, whatever the lens did
        say(VIEW_WORDS[record["view"]], 0.35),
        say(PALETTE_WORDS[record["palette"]]),
    ]
    extras += [say(DEFECT_WORDS[record["defect"]], 1.0)] if bad else []
    extras = [e for e in extras if e]
    rng.shuffle(extras)
    praise = say(BAD_QUALITY, 0.4) if bad else say(QUALITY, 0.55)
    lead = rng.random()
    if lead < 0.60:
        head = f"{praise} {say(PHOTO, 1.0)} of {_article(noun)}".strip()
    elif lead < 0.75:
        head = f"{_article(noun)}"
    else:
        head = noun
    if place:
        head += (", " if rng.random() < 0.35 else " ") + where
    if bad and rng.random() < 0.3:  # the way negative prompts are written, which name more defects than a photo shows
        others = [name for name in DEFECT_WORDS if name not in ("none", record["defect"])]
        extras += [say(DEFECT_WORDS[name], 1.0) for name in rng.choice(others, rng.integers(0, 4), replace=False)]
        rng.shuffle(extras)
        return ", ".join(extras)
    if rng.random() < 0.12 and extras:
        return ", ".join([extras[0], head, *extras[1:]])
    return ", ".join([head, *extras])


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def known_words() -> list[str]:
    """Every word a caption can contain, sorted."""
    tables = (KIND_WORDS, COLOUR_WORDS, MATERIAL_WORDS, SET_WORDS, LIGHT_WORDS, FOCUS_WORDS, VIEW_WORDS, PALETTE_WORDS, STYLE_WORDS, DEFECT_WORDS)
    phrases = [*QUALITY, *BAD_QUALITY, *PHOTO, "on a", "on the", "in front of an", "of", "and", "with"]
    phrases += [phrase for table in tables for phrases_ in table.values() for phrase in phrases_]
    return sorted({word for phrase in phrases for word in phrase.replace(",", " ").replace("-", " - ").split() if word != "-"})
