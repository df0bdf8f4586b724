"""tp2lib.metrics.measures: known values, and what must not change a number."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from PIL import Image, ImageFilter
from strategies import noise_image

from tp2lib.errors import SourceError
from tp2lib.metrics import measures as m
from tp2lib.metrics.measures import MEASURES, Measures, as_pixels, colour_difference, in_words, measure, perceptual_distance, psnr, ssim, take

ALONE = [name for name in MEASURES if name not in ("psnr", "ssim", "perceptual_distance")]
TOGETHER = [psnr, ssim, perceptual_distance]


def flat(*rgb: int, side: int = 32) -> Image.Image:
    return Image.new("RGB", (side, side), rgb)


def product(side: int = 96) -> Image.Image:
    """A red ball on white, with some grain: nothing about it is symmetric in colour or channel."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    pixels = np.full((side, side, 3), 250.0)
    ball = np.hypot(x, y) < 0.3
    pixels[ball] = np.array([190, 30, 40]) + 40 * (x - y)[ball][:, None]
    grain = np.random.default_rng(0).normal(0, 2, pixels.shape)
    return Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))


# -- one picture --------------------------------------------------------------------------------------


def test_known_values() -> None:
    # pure blue is the strongest chroma of sRGB: a* = 79.19, b* = -107.86 (Lindbloom's calculator), so C* = 133.8
    assert m.saturation(flat(0, 0, 255)) == pytest.approx(133.8, abs=0.1)
    assert m.background_whiteness(flat(255, 255, 255)) == 1
    assert m.background_whiteness(flat(255, 204, 255)) == pytest.approx(0.8)
    half = Image.new("RGB", (32, 32))
    half.paste("white", (0, 0, 16, 32))
    assert m.contrast(half) == pytest.approx(0.5)
    assert m.clipped_highlights(half) == m.clipped_shadows(half) == 0.5
    # one bright pixel of luma 100: inside 3x3 laplacians it is -400 once and +100 four times, in 30 x 30 of them
    dot = flat(0, 0, 0)
    dot.putpixel((16, 16), (100, 100, 100))
    assert m.sharpness(dot) == pytest.approx((400**2 + 4 * 100**2) / 900)


@pytest.mark.parametrize("name", ["sharpness", "contrast", "saturation"])
@pytest.mark.parametrize("level", [0, 7, 128, 255])
def test_a_flat_grey_has_neither_detail_nor_contrast_nor_colour(name: str, level: int) -> None:
    assert take(name, flat(level, level, level)) == pytest.approx(0, abs=0.01)  # the white point of skimage has 5 digits


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_turning_a_picture_changes_no_measure(name: str, turn: Image.Transpose) -> None:
    assert take(name, product().transpose(turn)) == pytest.approx(take(name, product()), rel=1e-9)


def test_blur_lowers_sharpness_and_grain_raises_it() -> None:
    blurred = [m.sharpness(product().filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 0.5, 1, 2, 4)]
    assert blurred == sorted(blurred, reverse=True) and blurred[-1] < blurred[0] / 20
    assert m.sharpness(Image.blend(product(), noise_image(96, 96), 0.1)) > m.sharpness(product())


def test_washing_out_lowers_contrast_and_saturation_in_proportion() -> None:
    grey = flat(128, 128, 128, side=96)
    for measured in (m.contrast, m.saturation):
        values = [measured(Image.blend(product(), grey, share)) for share in (0, 0.25, 0.5, 0.75)]
        assert values == sorted(values, reverse=True)
    assert m.contrast(Image.blend(product(), grey, 0.5)) == pytest.approx(m.contrast(product()) / 2, rel=0.02)


def test_one_clipped_channel_is_enough() -> None:
    assert m.clipped_highlights(flat(255, 100, 100)) == 1 and m.clipped_shadows(flat(255, 100, 100)) == 0
    assert m.clipped_highlights(flat(253, 253, 253)) == 0 and m.clipped_shadows(flat(2, 2, 2)) == 0


def test_whiteness_looks_at_the_border_only() -> None:
    white = flat(255, 255, 255, side=64)
    product_inside, cut_off = white.copy(), white.copy()
    product_inside.paste((200, 0, 0), (4, 4, 60, 60))
    cut_off.paste((200, 0, 0), (0, 4, 60, 60))
    assert m.background_whiteness(product_inside) == 1
    assert m.background_whiteness(cut_off) < 0.9


# -- two pictures -------------------------------------------------------------------------------------


def test_known_distances() -> None:
    assert psnr(flat(10, 10, 10), flat(11, 11, 11)) == pytest.approx(20 * math.log10(255))
    # flat pictures leave of SSIM its first term: (2ab + C1) / (a² + b² + C1), C1 = (0.01 * 255)²
    a, b, c1 = 100, 150, 2.55**2
    assert ssim(flat(a, a, a), flat(b, b, b)) == pytest.approx((2 * a * b + c1) / (a**2 + b**2 + c1), rel=1e-6)
    assert perceptual_distance(flat(0, 0, 0), flat(255, 255, 255)) == pytest.approx(100, abs=0.01)
    # Lab of sRGB's red is (53.24, 80.09, 67.20), of its green (87.73, -86.18, 83.18); their ΔE00 is 86.61
    assert colour_difference(flat(255, 0, 0), flat(0, 255, 0)) == pytest.approx(np.full((32, 32), 86.61), abs=0.05)


@pytest.mark.parametrize("distance", TOGETHER)
def test_a_picture_is_itself(distance) -> None:
    same = {psnr: math.inf, ssim: 1, perceptual_distance: 0}[distance]
    assert distance(product(), product()) == pytest.approx(same)


@pytest.mark.parametrize("distance", TOGETHER)
def test_a_distance_is_the_same_from_both_ends(distance) -> None:
    other = noise_image(96, 96)
    assert distance(product(), other) == pytest.approx(distance(other, product()), rel=1e-6)


@pytest.mark.parametrize("distance", TOGETHER)
def test_more_damage_is_further_away(distance) -> None:
    values = [distance(product(), Image.blend(product(), noise_image(96, 96), share)) for share in (0.05, 0.1, 0.3, 0.9)]
    assert values == sorted(values, reverse=distance is not perceptual_distance)


def test_a_glance_forgives_grain_that_ssim_does_not() -> None:
    pixels = np.asarray(product(192)).astype(int)
    grain = np.random.default_rng(1).integers(-12, 13, pixels.shape[:2])[..., None]
    grainy = (pixels + grain).clip(0, 255).astype(np.uint8)
    tinted = (pixels + np.array([-12, 0, 12])).clip(0, 255).astype(np.uint8)
    assert perceptual_distance(grainy, product(192)) < 1 < perceptual_distance(tinted, product(192))
    assert ssim(grainy, product(192)) < ssim(tinted, product(192))


def test_the_map_shows_where() -> None:
    other = product()
    other.paste((20, 120, 20), (0, 0, 10, 20))
    difference = colour_difference(product(), other)
    assert difference[:20, :10].min() > 10 and difference[20:].max() == difference[:, 10:].max() == 0


# -- all together -------------------------------------------------------------------------------------


def test_measure_takes_all_and_compares_only_with_a_reference() -> None:
    alone, compared = measure(product()), measure(product(), noise_image(96, 96))
    assert alone.psnr is alone.ssim is alone.perceptual_distance is None
    assert dataclasses.replace(compared, psnr=None, ssim=None, perceptual_distance=None) == alone
    assert all(type(value) is float for value in dataclasses.asdict(compared).values())
    assert dataclasses.asdict(compared) == {name: take(name, product(), noise_image(96, 96)) for name in MEASURES}


def test_arrays_and_images_measure_alike() -> None:
    assert measure(np.asarray(product())) == measure(product())


def test_measures_read_as_words() -> None:
    assert in_words("sharpness", 812.4) == "sharpness 812"
    assert in_words("clipped_highlights", 0.0312) == "clipped highlights 3.1%"
    assert in_words("psnr", math.inf) == "PSNR ∞ dB (equal)"
    assert m.axis_title("perceptual_distance") == "distance (ΔE)" and m.axis_title("contrast") == "contrast"
    values = dataclasses.asdict(measure(product(), product()))
    assert all(in_words(name, value) for name, value in values.items())


@pytest.mark.parametrize(
    "wrong",
    [
        None, "photo.png", Image.new("L", (32, 32)), Image.new("RGBA", (32, 32)), Image.new("CMYK", (32, 32)),
        np.zeros((32, 32, 3)), np.zeros((32, 32), np.uint8), np.zeros((3, 32, 32), np.uint8),
        np.zeros((32, 32, 4), np.uint8), Image.new("RGB", (2, 50)), np.zeros((0, 0, 3), np.uint8),
    ],
    ids=lambda what: " ".join(map(str, (type(what).__name__, getattr(what, "mode", ""), getattr(what, "shape", "")))).strip(),
)  # fmt: skip
def test_what_is_no_rgb_picture_is_refused(wrong: object) -> None:
    for call in (as_pixels, measure, lambda image: psnr(image, product()), lambda image: ssim(product(), image)):
        with pytest.raises(SourceError, match="give one|RGB"):
            call(wrong)


def test_other_refusals_say_what_to_do() -> None:
    with pytest.raises(SourceError, match="96x96 and its reference 32x32.*Resize"):
        measure(product(), flat(0, 0, 0))
    with pytest.raises(SourceError, match="8x8; SSIM needs 11x11"):
        ssim(flat(0, 0, 0, side=8), flat(1, 1, 1, side=8))
    with pytest.raises(SourceError, match="Did you mean 'contrast'"):
        take("contrats", product())
    with pytest.raises(SourceError, match="Give reference="):
        take("ssim", product())
    with pytest.raises(SourceError, match="no measure 3"):
        in_words(3, 0.0)  # type: ignore[arg-type]


def test_every_measure_is_a_field_and_exported() -> None:
    assert tuple(f.name for f in dataclasses.fields(Measures)) == MEASURES
    assert all(callable(getattr(m, name)) for name in MEASURES)
