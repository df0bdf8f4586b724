"""The closed vocabulary of Vitrine that pictures are read in: what each attribute can be, in words.

The captions say it and the judge reads it back; what else decides a training photo is in ``vitrine/vocabulary.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

# How a caption names each value; the first wording is the canonical one.
_KINDS = (
    "apple", "backpack", "book", "bottle", "bowl", "candle", "handbag", "headphones", "lamp", "mug", "pen", "perfume", "teapot", "vase", "wallet", "watch",
)  # fmt: skip
_COLOURS = ("red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "brown", "black", "white", "grey")
KIND_WORDS = {kind: (kind,) for kind in _KINDS} | {
    "backpack": ("backpack", "rucksack"),
    "handbag": ("handbag", "purse"),
    "lamp": ("lamp", "table lamp"),
    "mug": ("mug", "coffee mug", "cup"),
    "pen": ("pen", "ballpoint pen"),
    "perfume": ("perfume", "perfume bottle", "perfume flacon"),
    "watch": ("watch", "wristwatch"),
}
COLOUR_WORDS = {colour: (colour,) for colour in _COLOURS} | {
    "turquoise": ("turquoise", "teal"),
    "purple": ("purple", "violet"),
    "grey": ("grey", "gray"),
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
