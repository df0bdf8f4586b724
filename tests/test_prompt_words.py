"""tp2lib.widgets.controls and browser: chips, suggestions, words that are pointed out, and two widgets of our own."""

from __future__ import annotations

import re

import ipywidgets
import pytest
from studio_parts import MARKUP, WORDS, Model

from tp2lib.widgets.controls import CHIPS, PromptWords, add_words, chips, unknown_html
from tp2lib.widgets.drop_zone import MAX_UPLOAD, DropZone
from tp2lib.widgets.run_card import CopyText
from vitrine.vocabulary import COLOURS, KINDS


@pytest.fixture
def boxes():
    return ipywidgets.Textarea(value="a red mug"), ipywidgets.Textarea()


def test_only_chips_that_the_model_knows_are_offered() -> None:
    assert chips(WORDS)["products"] == ["apple", "mug", "wallet"] and chips(None) == {} and chips(frozenset()) == {}
    for some in chips(WORDS).values():
        assert {word for chip in some for word in re.findall("[a-z]+", chip)} <= WORDS | {"a", "on"}


def test_vitrines_products_and_colours_are_all_there() -> None:
    assert {chip.split()[0] for chip in CHIPS["products"]} == {*KINDS} and {*CHIPS["colours"]} == {*COLOURS}


def test_a_chip_adds_its_words_where_they_belong(boxes) -> None:
    words = PromptWords(*boxes, Model())
    rows = {row.description: row for row in words.folds.children[0].children}
    rows["materials"].value = "leather"
    assert boxes[0].value == "a red mug, leather" and rows["materials"].value is None
    rows["to avoid"].value = "blurry"
    assert boxes[1].value == "blurry" and boxes[0].value == "a red mug, leather"
    assert not words.suggest.continuous_update  # "a" is a word too
    words.suggest.value = "apple"
    assert boxes[0].value.endswith(", apple") and words.suggest.value == ""
    words.suggest.value = "unicorn"  # half typed, or unknown: nothing happens
    assert "unicorn" not in boxes[0].value


def test_words_are_added_with_sense() -> None:
    assert add_words("", "mug") == "mug" and add_words("a", "mug") == "a mug"
    assert add_words("a red mug", "on a white background") == "a red mug on a white background"
    assert add_words("a smartwatch", "watch") == "a smartwatch, watch"
    assert add_words("a red mug", "mug") == "a red mug" and add_words("x" * 1999, "mug") == "x" * 1999


def test_unknown_words_are_pointed_out_as_they_are_typed(boxes) -> None:
    words = PromptWords(*boxes, Model())
    assert "Every word is known" in words.unknown.value
    boxes[0].value = "a red unicorn and an aple"
    assert "<mark>unicorn</mark>" in words.unknown.value and "did you mean <em>apple</em>" in words.unknown.value
    boxes[1].value = "zebra"
    assert "<mark>zebra</mark> in negative_prompt" in words.unknown.value
    boxes[0].value = MARKUP
    assert "<script" not in words.unknown.value and "<img" not in words.unknown.value


def test_a_model_whose_words_are_not_known_says_so(boxes) -> None:
    words = PromptWords(*boxes, Model())
    other = type("Other", (), {"name": "sd15", "words": None})()
    words.use(other)
    assert "not recorded" in words.unknown.value and not words.folds.children and words.suggest.layout.display == "none"
    assert "Which" not in unknown_html(None, prompt="x")


def test_a_long_prompt_points_out_a_dozen_words_at_most() -> None:
    said = unknown_html(Model(), prompt=" ".join(f"zz{chr(97 + n)}" for n in range(26)))
    assert said.count("<mark>") == 12


def test_a_drop_is_taken_measured_and_answered() -> None:
    taken = []
    zone = DropZone("drop", lambda data, name: taken.append((data, name)))
    zone._received(zone, {"kind": "file", "name": "a\nb" + "c" * 200, "size": 3}, [memoryview(b"abc")])
    assert taken[0][0] == b"abc" and len(taken[0][1]) == 80 and "\n" not in zone.said
    zone.take(b"", "huge.png", MAX_UPLOAD + 1)
    assert zone.said.startswith("✗ huge.png has 8.0 MB") and len(taken) == 1


def test_the_javascript_puts_words_in_as_text_only() -> None:
    for code in (DropZone._esm, CopyText._esm):
        source = str(code)
        assert "textContent" in source
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|https?:", source)
