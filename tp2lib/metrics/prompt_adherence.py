"""Measure prompt adherence: a judge network reads the picture, and its words are compared with those of the prompt.

Vitrine's judge knows the closed vocabulary of its training photos. Only what the prompt names is
scored: of "a red apple on marble" the kind, the colour and the set, not the light. For other models
there is CLIPScore, if a CLIP is on this machine already; nothing is fetched for it.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from PIL import Image

from tp2lib.errors import ModelNotFound, RecipeError, shown
from tp2lib.models.vocabulary import ATTRIBUTES
from tp2lib.models.weights import LOADING

CLIP = "openai/clip-vit-large-patch14"  # the CLIP whose text encoder Stable Diffusion 1.x reads prompts with

_NEGATIONS = r"(?:no|not|without|never|non)(?: an?| any)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adherence:
    """A judge's reading of one picture.

    Attributes
    ----------
    score : float
        Mean over `seen`: 0 to 1, how much of what the prompt names the judge recognises.
    named : dict
        Attribute to the values that the prompt names, such as ``{"colour": ("red",)}``.
    seen : dict
        Attribute to the probability, 0 to 1, that the judge gives those values.
    instead : dict
        Attribute to the value that the judge holds most likely.
    """

    score: float
    named: dict[str, tuple[str, ...]]
    seen: dict[str, float]
    instead: dict[str, str]

    def __str__(self) -> str:
        """Say the score and where it comes from: ``"0.65: kind apple 0.98, colour red 0.31 (blue?)"``."""
        parts = []
        for attribute, probability in self.seen.items():
            doubt = "" if self.instead[attribute] in self.named[attribute] else f" ({self.instead[attribute]}?)"
            parts.append(f"{attribute} {' or '.join(self.named[attribute])} {probability:.2f}{doubt}")
        return f"{self.score:.2f}: {', '.join(parts)}"


def adherence(image: Image.Image, prompt: str, model: Any = "vitrine", judge: Any = None) -> Adherence | None:
    """Score how well a picture shows what its prompt names.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    prompt : str
        Only the prompt counts; what a negative prompt names is not looked for.
    model : Model or str
        What made the picture. A judge reads the pictures of the model that it was trained with.
    judge : Judge, optional
        By default, Vitrine's.

    Returns
    -------
    Adherence or None
        None if the model has no judge (see :func:`clip_score`), or the prompt names nothing that it knows.

    Notes
    -----
    The judge learnt from renders of the same kind as Vitrine did, though not from the same ones, so
    it may share its blind spots: it tells settings of one model apart, and is no measure of realism.

    Raises
    ------
    ModelNotFound, ModelError
        The judge's weights are missing or damaged.
    """
    if judge is None and getattr(model, "name", model) != "vitrine":
        return None
    named = named_values(prompt)
    named.pop("defect", None)  # a prompt's "dark blue" asks for no dark picture
    if not named:
        return None
    if judge is None:
        from tp2lib.models.judge import load_judge

        judge = load_judge()
    read = judge.read([image])[0]
    seen = {attribute: sum(read[attribute][value] for value in values) for attribute, values in named.items()}
    instead = {attribute: max(read[attribute], key=read[attribute].get) for attribute in named}
    return Adherence(score=sum(seen.values()) / len(seen), named=named, seen=seen, instead=instead)


def named_values(prompt: str) -> dict[str, tuple[str, ...]]:
    """Find which attributes of the vocabulary a prompt names, and with which values.

    Longer wordings win ("white background" is a set and no colour), what is negated does not count,
    and of several colours the one that stands before the product is its own.
    """
    if not isinstance(prompt, str):
        raise RecipeError(f"the prompt is {shown(prompt)}; it must be text. Give recipe.prompt.")
    found = _find(" ".join(prompt.casefold().split()))
    if "kind" in found and "colour" in found:
        product = min(at for at, _ in found["kind"])
        before = [hit for hit in found["colour"] if hit[0] < product]
        found["colour"] = [max(before) if before else min(found["colour"])]
    in_order = {attribute: [value for _, value in sorted(found[attribute])] for attribute in ATTRIBUTES if attribute in found}
    return {attribute: tuple(dict.fromkeys(values)) for attribute, values in in_order.items()}


def _find(text: str) -> dict[str, list[tuple[int, str]]]:
    """List (position, value) of each wording, longest first, each stretch of text read once."""
    wordings = [(wording, attribute, value) for attribute, values in ATTRIBUTES.items() for value, several in values.items() for wording in several]
    found: dict[str, list[tuple[int, str]]] = {}
    for wording, attribute, value in sorted(wordings, key=lambda w: -len(w[0])):
        pattern = rf"(\b{_NEGATIONS} )?\b{re.escape(wording.casefold())}s?\b"
        for match in re.finditer(pattern, text):
            text = text[: match.start()] + "\0" * len(match[0]) + text[match.end() :]
            if not match[1]:
                found.setdefault(attribute, []).append((match.start(), value))
    return found


def clip_score(image: Image.Image, prompt: str, clip: str = CLIP) -> float:
    """CLIPScore, 100·max(cos(E_image, E_text), 0): compare it within one prompt only.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    prompt : str
        Cut after 77 tokens, as CLIP reads it.
    clip : str
        A folder, or the name of a model that is in the hub's cache on this machine.

    Notes
    -----
    Hessel et al., EMNLP 2021, without the paper's factor 2.5. Nearly blind to counts and positions.

    Raises
    ------
    ModelNotFound
        There is no such CLIP on this machine.
    """
    import torch
    from transformers import CLIPImageProcessorPil

    tokenizer, model = _load_clip(str(clip))
    side = model.config.vision_config.image_size
    pixels = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=side)(image, return_tensors="pt")
    tokens = tokenizer([prompt], truncation=True, return_tensors="pt")
    with torch.inference_mode():
        out = model(**tokens, **pixels)
    return 100 * max(float(torch.cosine_similarity(out.image_embeds, out.text_embeds)), 0.0)


@functools.lru_cache(maxsize=1)
def _load_clip(clip: str) -> tuple[Any, Any]:
    from transformers import CLIPModel, CLIPTokenizer

    try:
        tokenizer = CLIPTokenizer.from_pretrained(clip, local_files_only=True)
        with LOADING:
            model = CLIPModel.from_pretrained(clip, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError) as error:
        told = f"there is no CLIP {shown(clip)} on this machine, and none is fetched for a measure"
        raise ModelNotFound(f"{told}. Fetch it once (hf download {CLIP}), or give the folder of one.") from error
    return tokenizer, model.eval()
