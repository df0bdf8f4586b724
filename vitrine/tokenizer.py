"""Vitrine's tokenizer, made from the words of its captions, and captions as its tokens; needs no torch, so that a process for it starts soon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

from .captions import caption, known_words

END = "</w>"  # CLIP's mark of a word's end
WORDINGS = 24  # captions drawn a picture, once


def make_tokenizer() -> CLIPTokenizer:
    """A byte-level BPE in which every word a caption can contain is one token.

    All 256 bytes stay encodable, inside and at the end of a word, so no text is lost;
    words the model never saw are spelled in pieces and can be told by that.
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = _merges(known_words())
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(c + END for c in letters), *(a + b for a, b in merges)]
    vocab = {token: k for k, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def _merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges until each word is one symbol, the most frequent pair first.

    Ties go to the pair that sorts last, so that the ids are the same on every machine and
    in every process; the ``tokenizers`` trainer breaks them at random.
    """
    spelled = [[*word[:-1], word[-1] + END] for word in words]
    merges = []
    while pairs := Counter(pair for symbols in spelled for pair in pairwise(symbols)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for symbols in spelled:
            for k in range(len(symbols) - 2, -1, -1):
                if (*symbols[k : k + 2],) == best:
                    symbols[k : k + 2] = ["".join(best)]
    return merges


def draw_texts(records: Sequence[dict], wordings: int = WORDINGS) -> tuple[np.ndarray, np.ndarray]:
    """Captions of all pictures as tokens, drawn once: 11 ms a record on one busy core.

    Returns
    -------
    ids : ndarray of shape (N, wordings, 77), int16
    empty : ndarray of shape (77,), int16
    """
    rng = np.random.default_rng(31)
    texts = [caption(record, rng) for record in records for _ in range(wordings)]
    tokens = make_tokenizer()(["", *texts], padding="max_length", truncation=True, max_length=77, return_tensors="np").input_ids.astype(np.int16)
    return tokens[1:].reshape(len(records), wordings, -1), tokens[0]
