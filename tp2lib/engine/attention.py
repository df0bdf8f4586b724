"""Which word of a prompt the model looks at, where in the picture, and when: the cross-attention of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tp2lib.engine.generate import generate
from tp2lib.engine.plan import model_for
from tp2lib.engine.preview import StepInfo
from tp2lib.engine.runs import Run
from tp2lib.errors import RecipeError, did_you_mean, shown
from tp2lib.models.loading import Model
from tp2lib.recipe import Recipe

SIDE = 64  # most cells a map has each way: 8 bytes of memory a cell, word and step, whatever the picture's size
START, REST = "(start)", "(end)"  # CLIP's start and end tokens: attention goes there where no word matters


@dataclass(frozen=True, slots=True, kw_only=True)
class WordMaps:
    """Where each word of a prompt was attended to, mean over layers and heads (Tang et al., 2023, arXiv:2210.04885)."""

    words: tuple[str, ...]  # in the prompt's order, between "(start)" and "(end)", CLIP's marks of its two ends
    steps: np.ndarray = field(repr=False)  # (steps, words, height, width), float32: at every cell of every step the words' shares, 0 to 1, sum to 1

    def of(self, word: str, step: int | None = None) -> np.ndarray:
        """Return the map of a word, (height, width), float32: mean over the steps, or at one (0 is the first); over all places where the prompt has the word.

        RecipeError is raised if the prompt has no such word, or the run no such step.
        """
        places = [k for k, known in enumerate(self.words) if known.lower() == str(word).lower()]
        if not places:
            raise RecipeError(f"the prompt has no word {shown(word)}. Its words: {', '.join(self.words)}.{did_you_mean(str(word), self.words)}")
        if step is not None and not 0 <= step < len(self.steps):
            raise RecipeError(f"step is {step!r}; the run made {len(self.steps)} model calls: give 0 to {len(self.steps) - 1}.")
        maps = self.steps.mean(0) if step is None else self.steps[step]
        return maps[places].sum(0)

    def inside(self, mask: np.ndarray, word: str, step: int | None = None) -> float:
        """Share of a word's attention that lies inside a mask, 0 to 1; a word that is attended to evenly has the mask's own share.

        `mask` is bool, (height, width), of the picture's size, such as ``find_product(run.image).mask``.
        """
        found = self.of(word, step)
        covered = F.interpolate(torch.from_numpy(np.asarray(mask, np.float32))[None, None], size=found.shape, mode="area")[0, 0].numpy()
        return float((found * covered).sum() / found.sum())


def map_words(run: Run | Recipe, model: Model | None = None, *, on_step: Callable[[StepInfo], None] | None = None) -> tuple[Run, WordMaps]:
    """Make a run or a recipe again, alone, and watch its cross-attention; `on_step` is that of `generate`.

    Its pixels are the same as without watching: the maps are computed beside the model's own attention, from the same queries and keys. Costs about a tenth
    more time. RecipeError is raised if the model was loaded with ``fast``.
    """
    recipe = run.recipe if isinstance(run, Run) else run
    model = model_for(recipe, model)
    if model.fast:
        raise RecipeError(f"the model runs on {model.fast}, whose attention cannot be watched. Load it without fast.")
    words, tokens = tokens_of(recipe.prompt, model.pipe.tokenizer)
    with _watch(model.pipe.unet, tokens, len(words)) as watch:
        again = generate(recipe, model, on_step=on_step)
    return again, WordMaps(words=words, steps=np.stack(watch.maps[-again.effective["model_calls"] :]))  # those of an attempt that ran out of memory come before


def tokens_of(prompt: str, tokenizer: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the words of a prompt, and for each token the number of the word it belongs to.

    Words that lie past the tokenizer's length are not among them: the model never reads them.
    """
    read = tokenizer(prompt, padding="max_length", truncation=True, max_length=tokenizer.model_max_length, return_offsets_mapping=True)
    words, owner, reached = [START], [0], 0
    for first, last in read["offset_mapping"][1:]:
        if last <= first:
            owner.append(-1)  # the end, and the padding after it
            continue
        if first > reached or len(words) == 1 or not (prompt[first].isalnum() and prompt[first - 1].isalnum()):
            words.append("")
        words[-1] += prompt[first:last].strip()
        owner.append(len(words) - 1)
        reached = last
    return (*words, REST), np.where(np.array(owner) < 0, len(words), owner)


class _Watch:
    """Collects attention, a model call at a time; only what its own thread does counts."""

    def __init__(self, tokens: np.ndarray, count: int) -> None:
        self.maps: list[np.ndarray] = []
        self.membership = F.one_hot(torch.from_numpy(tokens), count).float()
        self.shape: tuple[int, int] = (1, 1)
        self.sum: torch.Tensor | None = None
        self.layers = 0
        self.thread = threading.get_ident()

    def begin(self, _module: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        if threading.get_ident() != self.thread:
            return
        sample = args[0] if args else kwargs["sample"]
        self.shape, self.sum, self.layers = tuple(sample.shape[-2:]), None, 0

    def end(self, *_: Any) -> None:
        if threading.get_ident() == self.thread and self.sum is not None:
            self.maps.append((self.sum / self.layers).cpu().numpy())

    def attend(self, attention: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        """Add one layer's attention for the prompt: the last row, since an unguided row comes first."""
        if threading.get_ident() != self.thread:
            return
        hidden, words = args[0] if args else kwargs["hidden_states"], kwargs["encoder_hidden_states"]
        heads = lambda x: x[-1].unflatten(-1, (attention.heads, -1)).transpose(0, 1).float()
        scores = heads(attention.to_q(hidden[-1:])) @ heads(attention.to_k(words[-1:])).transpose(1, 2) * attention.scale
        shares = scores.softmax(-1).mean(0) @ self.membership.to(scores.device)  # (cells, words)
        height, width = self.shape
        sides = next(s for s in zip(_halved(height), _halved(width), strict=False) if s[0] * s[1] == len(shares))
        cells = shares.T.unflatten(1, sides)[None]
        size = (min(height, SIDE), min(width, SIDE))
        cells = F.interpolate(cells, size=size, mode="bilinear", align_corners=False)[0]
        self.sum = cells if self.sum is None else self.sum + cells
        self.layers += 1


def _halved(side: int) -> Iterator[int]:
    """The sides of the UNet's levels: each half of the one above, rounded up."""
    while True:
        yield side
        side = -(-side // 2)


@contextmanager
def _watch(unet: Any, tokens: np.ndarray, count: int) -> Iterator[_Watch]:
    watch = _Watch(tokens, count)
    with ExitStack() as hooks:
        for name, module in unet.named_modules():
            if name.endswith("attn2"):
                hooks.callback(module.register_forward_pre_hook(watch.attend, with_kwargs=True).remove)
        hooks.callback(unet.register_forward_pre_hook(watch.begin, with_kwargs=True).remove)
        hooks.callback(unet.register_forward_hook(watch.end).remove)
        yield watch
