"""Text in pictures: read by the optional reader, and honestly not read without it."""

from __future__ import annotations

import sys

import pytest
from PIL import Image, ImageDraw

from tp2lib.evaluation import risks
from tp2lib.metadata.source import prepare_source
from tp2lib.paths import INPUTS


@pytest.fixture(autouse=True)
def fresh():
    risks._reader.cache_clear()
    yield
    risks._reader.cache_clear()


def test_without_the_reader_nothing_is_claimed(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    assert risks.read_text(Image.new("RGB", (64, 64), "white")) is None


def test_single_letters_and_doubtful_ones_are_left_out(monkeypatch):
    class Found:
        txts, scores = ("ACME", "O", "??", "maybe", "A4"), (0.97, 0.99, 0.99, 0.5, 0.85)

    sizes = []
    monkeypatch.setattr(risks, "_reader", lambda: lambda pixels: sizes.append(pixels.shape) or Found)
    assert risks.read_text(Image.new("RGB", (64, 32), "white")) == ("ACME", "A4")
    assert sizes == [(512, 1024, 3)]  # small pictures are enlarged

    class Nothing:
        txts = scores = None

    monkeypatch.setattr(risks, "_reader", lambda: lambda pixels: Nothing)
    assert risks.read_text(Image.new("RGB", (64, 64), "white")) == ()


@pytest.mark.slow
def test_the_real_reader_finds_planted_words_without_a_network():
    pytest.importorskip("rapidocr")
    image = prepare_source(INPUTS / "backpack.jpg", 256, 256).image
    assert risks.read_text(image) == ()
    ImageDraw.Draw(image).text((76, 205), "ACME SALE", fill="black", font_size=22)
    assert "ACME" in " ".join(risks.read_text(image)).upper()
