"""What a picture shows, as data: one JSON-able record drawn from a seed.

Captions, masks' meaning, the judge's labels and the evaluation all come from the record,
so nothing has to be guessed back from pixels.
"""

from __future__ import annotations

import numpy as np

from tp2lib.models.vocabulary import DEFECT_WORDS, LIGHT_WORDS, SET_WORDS

from .vocabulary import ALL_PAIRS, COLOURS, KINDS, TRAINING_PAIRS

SET_SHARE = dict(zip(SET_WORDS, (0.20, 0.16, 0.15, 0.11, 0.12, 0.11, 0.08, 0.07), strict=True))
LIGHT_SHARE = dict(zip(LIGHT_WORDS, (0.34, 0.28, 0.20, 0.18), strict=True))
DEFECT_SHARE = dict(zip(DEFECT_WORDS, (0.76, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03), strict=True))
RED_APPLES = 0.4  # this share is made red, beside the one in eleven that is: too few for the subject of the whole course
PASTELS = {"pink": (246, 200, 206), "mint": (190, 230, 208), "sky": (188, 214, 240), "lavender": (212, 200, 238), "peach": (250, 214, 184)}

# A kind's edition counts up when its model changes: pictures of an older one are rendered again.
EDITION: dict[str, int] = {"apple": 2, "backpack": 2, "pen": 2, "wallet": 2}

# Who learns from which seeds; only the generator is kept from the held-out pairs.
SPLITS = {"train": (0, 14_000), "judge": (100_000, 112_000), "test": (200_000, 201_000)}


def draw(seed: int, **fixed) -> dict:
    """Draw the record of one picture.

    Parameters
    ----------
    seed : int
        Decides everything that ``fixed`` leaves open, geometry included. A seed of the
        ``train`` split never gets a held-out pair of kind and colour.
    **fixed
        Attributes to impose, e.g. ``kind="apple", colour="red", set="white"``.
    """
    rng = np.random.default_rng([7, seed])
    first, stop = SPLITS["train"]
    pairs = TRAINING_PAIRS if first <= seed < stop else ALL_PAIRS
    kind, colour = pairs[rng.integers(len(pairs))]
    kind = fixed.get("kind", kind)
    if kind == "apple" and np.random.default_rng([19, seed]).random() < RED_APPLES:
        colour = "red"
    colour = fixed.get("colour", colour)
    materials = KINDS[kind]
    share = np.array([0.6, 0.25, 0.15, 0.1][: len(materials)], float)

    def pick(shares: dict) -> str:
        return str(rng.choice(list(shares), p=np.array(list(shares.values()), float) / sum(shares.values())))

    record = {
        "seed": int(seed),
        "edition": EDITION.get(kind, 1),
        "kind": kind,
        "colour": colour,
        "material": str(rng.choice(materials, p=share / share.sum())),
        "model": int(rng.integers(3)),
        "set": pick(SET_SHARE),
        "light": pick(LIGHT_SHARE),
        "focus": pick({"shallow": 0.42, "deep": 0.58}),
        "view": pick({"front": 0.32, "three-quarter": 0.42, "above": 0.26}),
        "palette": pick({"plain": 0.70, "neutral": 0.15, "vivid": 0.15}),
        "style": pick({"plain": 0.66, "vintage": 0.17, "sleek": 0.17}),
        "defect": pick(DEFECT_SHARE),
        "pastel": str(rng.choice(list(PASTELS))),
        "side": int(rng.choice([-1, 1])),
        "fill": round(float(rng.uniform(0.58, 0.78)), 3),
        "shade": [round(float(v), 4) for v in rng.normal(0, 0.05) + rng.normal(0, 0.015, 3)],
    }
    unknown = set(fixed) - set(record)
    if unknown:
        raise KeyError(f"a record has no {sorted(unknown)}; it has {sorted(record)}")
    record |= fixed
    record["rgb"] = [int(np.clip(c * (1 + s), 6, 250)) for c, s in zip(COLOURS[record["colour"]], record["shade"], strict=True)]
    return record
