"""Where a product is, and what became of it: on shapes whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from filled import apple
from PIL import Image, ImageChops

from tp2lib.errors import SourceError
from tp2lib.evaluation.product import fidelity_to, find_product
from tp2lib.metadata.source import prepare_source
from tp2lib.paths import INPUTS


def disc(centre=(64, 64), radius=30, side=128, colour=(200, 30, 40), ground=(250, 250, 250)):
    y, x = np.mgrid[:side, :side]
    pixels = np.full((side, side, 3), ground, np.uint8)
    pixels[np.hypot(x - centre[0], y - centre[1]) < radius] = colour
    return Image.fromarray(pixels)


def test_a_disc_is_found_where_it_is():
    found = find_product(disc())
    truth = np.pi * 30**2 / 128**2
    assert found.share == pytest.approx(truth, rel=0.06) and found.touching == 0
    assert found.mask[64, 64] and not found.mask[5, 5]


def test_a_product_that_is_cut_off_touches_the_frame():
    found = find_product(disc(centre=(110, 64)))
    assert found.touching == pytest.approx(2 * np.sqrt(30**2 - 17**2) / (4 * 127), rel=0.25)


def test_a_hole_is_part_of_the_product():
    holed = disc()
    holed.paste((250, 250, 250), (58, 58, 70, 70))
    assert find_product(holed).mask[64, 64]


@pytest.mark.parametrize(
    "image",
    [Image.new("RGB", (64, 64), "white"), Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))],
    ids=["nothing", "noise"],
)
def test_where_nothing_stands_out_there_is_no_product(image):
    assert find_product(image) is None


def test_a_ground_of_several_colours_is_not_taken_for_the_product():
    image = disc(ground=(250, 250, 250))
    image.paste((120, 80, 40), (0, 0, 128, 30))
    image.paste((20, 20, 24), (0, 98, 128, 128))
    found, truth = find_product(image), find_product(disc())
    assert (found.mask & truth.mask).sum() > 0.95 * (found.mask | truth.mask).sum()


@pytest.mark.parametrize("name", sorted(path.stem for path in INPUTS.glob("*.jpg")))
def test_the_packs_own_photos_show_their_product_whole(name):
    found = find_product(prepare_source(INPUTS / f"{name}.jpg", 256, 256).image)
    assert 0.1 < found.share < 0.5 and found.touching == 0


def test_the_same_picture_is_faithful():
    found = fidelity_to(apple(), apple())
    assert (found.colour, found.shape) == (0, 1)


def test_a_new_background_alters_no_product_and_a_new_colour_does():
    before = disc()
    ground, colour = fidelity_to(disc(ground=(214, 214, 222)), before), fidelity_to(disc(colour=(40, 60, 190)), before)
    assert ground.colour < 3 and ground.shape > 0.97
    assert colour.colour > 25 and colour.shape > 0.97


def test_a_product_that_moved_or_vanished_lost_its_shape():
    moved = fidelity_to(ImageChops.offset(disc(), 12, 0), disc())
    assert 0.5 < moved.shape < 0.85
    assert fidelity_to(Image.new("RGB", (128, 128), (250, 250, 250)), disc()).shape is None
    assert fidelity_to(disc(), Image.new("RGB", (128, 128), "white")) is None
    with pytest.raises(SourceError, match="one size"):
        fidelity_to(disc(), disc(side=64, centre=(32, 32), radius=15))
