"""The vocabulary, the records drawn from it and the captions made of them agree."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from tp2lib.models.vocabulary import ATTRIBUTES, COLOUR_WORDS, DEFECT_WORDS, KIND_WORDS
from vitrine.captions import caption, known_words
from vitrine.scene import SPLITS, draw
from vitrine.vocabulary import COLOURS, HELD_OUT, KINDS


@pytest.fixture(scope="module")
def records():
    """The records of seeds 0 to 3999."""
    return [draw(k) for k in range(4000)]


def test_no_blurred_photo_is_called_sharp(records):
    blurred = [one for one in records if one["defect"] in ("blurry", "lowres")]
    said = [caption(one, np.random.default_rng(k)) for k, one in enumerate(blurred)]
    assert len(said) > 100 and not any("sharp" in text or "in focus" in text.replace("out of focus", "") for text in said)


def test_a_seed_decides_the_whole_record():
    assert draw(5) == draw(5)
    assert draw(5) != draw(6)


def test_a_fixed_attribute_is_kept_and_an_unknown_one_refused():
    record = draw(5, kind="apple", colour="blue")
    assert (record["kind"], record["colour"]) == ("apple", "blue")
    with pytest.raises(KeyError, match="flavour"):
        draw(5, flavour="sweet")


@pytest.mark.slow
def test_training_never_shows_a_held_out_pair_and_other_splits_do(records):
    train = {(r["kind"], r["colour"]) for r in records if r["seed"] in range(*SPLITS["train"])}
    judge = {(r["kind"], r["colour"]) for r in map(draw, range(*SPLITS["judge"], 4))}
    assert not train & HELD_OUT
    assert len(train) == len(KINDS) * len(COLOURS) - len(HELD_OUT)
    assert HELD_OUT <= judge


def test_what_is_drawn_is_what_is_read_in_the_same_order():
    assert (list(KINDS), list(COLOURS)) == (list(KIND_WORDS), list(COLOUR_WORDS))  # seeds and the judge's answers count on it


def test_splits_do_not_overlap():
    spans = sorted(SPLITS.values())
    assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(spans))


@pytest.mark.slow
def test_every_value_of_every_attribute_is_common_enough_to_learn(records):
    for attribute, values in ATTRIBUTES.items():
        counts = Counter(r[attribute] for r in records)
        assert set(counts) == set(values), attribute
        assert min(counts.values()) > 4000 * 0.018, (attribute, counts)


@pytest.mark.slow
def test_enough_apples_are_red_and_a_fixed_colour_stays(records):
    apples = [r for r in records if r["kind"] == "apple"]
    assert 0.35 < np.mean([r["colour"] == "red" for r in apples]) < 0.55
    assert {draw(r["seed"], colour="green")["colour"] for r in apples[:40]} == {"green"}


def test_captions_use_known_words_only_and_always_name_a_defect(records):
    words = set(known_words())
    rng = np.random.default_rng(0)
    for record in records[:800]:
        text = caption(record, rng)
        assert text and set(text.replace(",", " ").replace("-", " ").split()) <= words, text
        if record["defect"] != "none":
            assert any(wording in text for wording in DEFECT_WORDS[record["defect"]]), (text, record["defect"])


def test_captions_vary_and_some_are_the_bare_kind():
    rng, record = np.random.default_rng(1), draw(3, defect="none")
    texts = [caption(record, rng) for _ in range(300)]
    assert len(set(texts)) > 200
    assert 8 < sum(text in KIND_WORDS[record["kind"]] for text in texts) < 60


@pytest.mark.slow
def test_a_caption_without_a_colour_shows_one_that_real_ones_come_in(records):
    rng = np.random.default_rng(5)
    colours = {word for words in COLOUR_WORDS.values() for word in words}
    unnamed = {}
    for record in records[:3000]:
        if record["defect"] == "none" and not colours & set(caption(record, rng).replace(",", " ").split()):
            unnamed.setdefault(record["kind"], set()).add((record["material"], record["colour"]))
    assert {colour for _, colour in unnamed["apple"]} == {"red", "green", "yellow"}
    assert {colour for material, colour in unnamed["wallet"] if material == "leather"} == {"brown", "black", "orange"}
    assert len({colour for material, colour in unnamed["wallet"] if material == "fabric"}) > 6  # cloth comes in any
