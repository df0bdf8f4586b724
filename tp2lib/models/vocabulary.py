"""The closed vocabulary of Vitrine: every attribute a training photo can have, in words.

One table serves the renderer (what to build), the captions (how to say it) and the
judge (what to read back), so the three cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product as _pairs

# Linear-light reflectances are derived from these sRGB values by the renderer.
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (196, 22, 28),
    "orange": (240, 112, 12),
    "yellow": (246, 200, 20),
    "green": (34, 130, 50),
    "turquoise": (30, 178, 170),
    "blue": (28, 70, 190),
    "purple": (104, 42, 150),
    "pink": (240, 128, 168),
    "brown": (88, 48, 24),
    "black": (15, 15, 16),
    "white": (238, 238, 236),
    "grey": (122, 124, 128),
}

# kind -> the materials it is made in; the first is the usual one.
KINDS: dict[str, tuple[str, ...]] = {
    "apple": ("natural",),
    "backpack": ("fabric", "leather"),
    "book": ("fabric", "leather", "paper"),
    "bottle": ("glass", "plastic", "metal"),
    "bowl": ("ceramic", "wood", "metal", "glass"),
    "candle": ("wax",),
    "handbag": ("leather", "fabric"),
    "headphones": ("plastic", "metal"),
    "lamp": ("metal", "fabric", "ceramic"),
    "mug": ("ceramic", "metal", "glass"),
    "pen": ("plastic", "metal", "wood"),
    "perfume": ("glass",),
    "teapot": ("ceramic", "metal"),
    "vase": ("ceramic", "glass", "wood"),
    "wallet": ("leather", "fabric"),
    "watch": ("leather", "metal", "plastic"),
}

# How a caption names each value; the first wording is the canonical one.
KIND_WORDS = {kind: (kind,) for kind in KINDS} | {
    "backpack": ("backpack", "rucksack"),
    "handbag": ("handbag", "purse"),
    "lamp": ("lamp", "table lamp"),
    "mug": ("mug", "coffee mug", "cup"),
    "pen": ("pen", "ballpoint pen"),
    "perfume": ("perfume", "perfume bottle", "perfume flacon"),
    "watch": ("watch", "wristwatch"),
}
COLOUR_WORDS = {colour: (colour,) for colour in COLOURS} | {
    "grey": ("grey", "gray"),
    "turquoise": ("turquoise", "teal"),
    "purple": ("purple", "violet"),
}
MATERIAL_WORDS = {
    "natural": (),
    "wax": ("wax", "scented"),
    "leather": ("leather",),
    "fabric": ("fabric", "canvas"),
    "ceramic": ("ceramic", "porcelain"),
    "plastic": ("plastic", "glossy plastic"),
    "metal": ("metal", "brushed metal"),
    "wood": ("wood", "wooden"),
    "glass": ("glass",),
    "paper": ("paper", "hardcover"),
}
SET_WORDS = {
    "white": ("white background", "pure white background", "plain white background"),
    "wood": ("rustic wooden table", "wooden table", "wood table"),
    "desk": ("minimalist white desk", "white desk", "minimalist desk"),
    "marble": ("marble counter", "white marble counter", "marble"),
    "dark": ("dark studio background", "dark background", "black background"),
    "pastel": ("pastel backdrop", "pastel background", "pastel colored backdrop"),
    "concrete": ("concrete surface", "grey concrete surface", "concrete"),
    "linen": ("linen cloth", "natural linen cloth", "linen fabric"),
}
LIGHT_WORDS = {
    "studio": ("studio lighting, soft shadow", "studio lighting", "studio light", "soft shadow"),
    "natural": ("soft natural light", "soft natural lighting", "natural light", "window light"),
    "dramatic": ("dramatic lighting", "dramatic light", "low key lighting", "hard light"),
    "golden": ("golden hour light", "golden light", "warm golden light", "sunset light"),
}
FOCUS_WORDS = {
    "shallow": ("shallow depth of field", "blurred background", "bokeh"),
    "deep": ("very sharp", "sharp focus", "everything in focus", "sharp"),
}
VIEW_WORDS = {
    "front": ("front view", "seen from the front"),
    "three-quarter": ("three-quarter view", "angled view"),
    "above": ("seen from above", "top view", "high angle view"),
}
PALETTE_WORDS = {
    "plain": (),
    "neutral": ("neutral colors", "muted colors", "neutral colours"),
    "vivid": ("vivid colors", "vibrant colors", "vivid colours"),
}
STYLE_WORDS = {
    "plain": (),
    "vintage": ("vintage", "old", "retro"),
    "sleek": ("sleek", "modern", "minimalist"),
}
DEFECT_WORDS = {
    "none": (),
    "blurry": ("blurry", "out of focus"),
    "grainy": ("grainy", "noisy"),
    "dark": ("dark", "underexposed"),
    "overexposed": ("overexposed", "washed out"),
    "cropped": ("cropped", "cut off"),
    "cluttered": ("cluttered", "messy background"),
    "oversaturated": ("oversaturated", "garish colors"),
    "lowres": ("low resolution", "pixelated", "jpeg artifacts"),
}

# One attribute name -> its wordings; the judge has one head for each of these.
ATTRIBUTES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "kind": KIND_WORDS,
    "colour": COLOUR_WORDS,
    "set": SET_WORDS,
    "light": LIGHT_WORDS,
    "focus": FOCUS_WORDS,
    "view": VIEW_WORDS,
    "defect": DEFECT_WORDS,
}

QUALITY = (
    "high-quality professional",
    "ultra-realistic",
    "professional",
    "high-quality",
    "realistic",
    "commercial",
    "detailed",
)
BAD_QUALITY = ("low-quality", "bad", "amateur", "ugly")
PHOTO = ("product photo", "photo", "product photograph", "e-commerce product photo", "picture")

# Kind and colour pairs no training photo shows: what the model draws for them, it composed.
HELD_OUT: frozenset[tuple[str, str]] = frozenset(
    {
        ("apple", "blue"),
        ("backpack", "purple"),
        ("book", "orange"),
        ("bottle", "pink"),
        ("bowl", "black"),
        ("candle", "turquoise"),
        ("handbag", "yellow"),
        ("headphones", "green"),
        ("lamp", "red"),
        ("mug", "purple"),
        ("pen", "brown"),
        ("perfume", "grey"),
        ("teapot", "white"),
        ("vase", "orange"),
        ("wallet", "turquoise"),
        ("watch", "pink"),
    }
)
ALL_PAIRS = tuple(_pairs(KINDS, COLOURS))
TRAINING_PAIRS = tuple(p for p in ALL_PAIRS if p not in HELD_OUT)
