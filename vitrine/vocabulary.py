"""What a training photo can have beyond what is read back: colours, materials, a look, a quality, and which pairs are held out.

One table serves the renderer (what to build) and the captions (how to say it); the rest of the words is in ``tp2lib.models.vocabulary``.
"""

from __future__ import annotations

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
