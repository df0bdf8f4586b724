"""tp2lib.plots.figures, curves and display: what they compute, what they say, what they refuse."""

from __future__ import annotations

import base64
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from plotted import drawn, fake_run, inches, picture, words
from strategies import noise_image

from tp2lib.errors import ControlError, RecipeError, SourceError
from tp2lib.metrics.measures import perceptual_distance, ssim
from tp2lib.plots.curves import convergence, fidelity, make_convergence, make_fidelity
from tp2lib.plots.display import before_after, to_png
from tp2lib.plots.figures import Film, make_crops, make_difference, make_filmstrip

PHOTO = {"source": "inputs/product.jpg"}


def faded(share: float, number: int = 0) -> Image.Image:
    """A picture on its way into noise."""
    return Image.blend(picture(number), noise_image(64, 64, seed=number), share)


def over_steps(seeds: tuple[int, ...] = (1, 2), **more: object) -> list:
    return [fake_run(steps=n, seed=s, image=faded(1 / n, s), **more) for s in seeds for n in (5, 10, 20, 50)]


def over_strength(seeds: tuple[int, ...] = (1, 2), **more: object) -> list:
    shares = [(x, s) for s in seeds for x in (0.2, 0.35, 0.6)]
    return [fake_run(strength=x, seed=s, image=faded(x), **PHOTO, **more) for x, s in shares]


# -- filmstrip ----------------------------------------------------------------------------------------


def shoot(film: Film, total: int, spread: float = 1.0) -> Film:
    """Let a run pass before the film; decoding shows the spread of the latents as a grey."""
    for index in range(total):
        latents = np.random.default_rng(index).normal(0, spread, (1, 4, 8, 8))
        decode = lambda latents: Image.new("RGB", (64, 64), (min(int(100 * latents.std()), 255),) * 3)
        film(SimpleNamespace(index=index, total=total, timestep=999.0 - index, latents=latents, x0=2 * latents / spread, decode=decode))
    return film


@pytest.mark.parametrize(("count", "total", "steps"), [(6, 30, [1, 7, 13, 18, 24, 30]), (3, 2, [1, 2]), (1, 9, [1]), (4, 1, [1])])
def test_a_film_keeps_first_last_and_even_steps(count: int, total: int, steps: list[int]) -> None:
    film = shoot(Film(count), total)
    assert [frame.step for frame in film.frames] == steps and {frame.total for frame in film.frames} == {total}


def test_a_film_shows_the_run_so_far_and_what_is_expected() -> None:
    for spread in (1.0, 14.6):  # Euler's first latents have sigma 14.6: shown with the spread that the decoder knows
        frame = shoot(Film(2), 5, spread).frames[0]
        assert 85 < frame.noisy.getpixel((0, 0))[0] < 110 and frame.predicted.getpixel((0, 0))[0] > 180
    figure = make_filmstrip(shoot(Film(4), 20).frames)
    assert len(drawn(figure)) == 8
    for wanted in ("step 1 of 20", "step 20 of 20", "so far", "expected", "timestep 999"):
        assert wanted in words(figure)


def test_a_film_serves_for_one_run_at_a_time() -> None:
    film = shoot(shoot(Film(4), 20), 8)
    assert [frame.total for frame in film.frames] == [8] * 4
    with pytest.raises(RecipeError, match="on_step=film"):
        make_filmstrip([])
    for count in (0, 2.5, None):
        with pytest.raises(RecipeError, match="at least 1 frame"):
            Film(count)  # type: ignore[arg-type]


# -- difference and crops -----------------------------------------------------------------------------


def test_a_difference_shows_where_and_says_how_much() -> None:
    other = picture().copy()
    other.paste((0, 90, 200), (0, 0, 32, 16))  # an eighth of the picture
    figure = make_difference(picture(), fake_run(image=other), heads=("the source", "strength 0.6"))
    difference = drawn(figure)[2]
    shown_map = difference.get_array()
    assert shown_map[:16, :32].min() > 20 and shown_map[16:].max() == 0
    for wanted in ("the source", "strength 0.6", "12% of the pixels", "PSNR", "SSIM", "distance"):
        assert wanted in words(figure)
    assert difference.norm.vmax == 30 and difference.get_cmap().name == "cividis"
    assert "∞ dB" in words(make_difference(picture(), picture()))


def test_differences_of_unlike_things_are_refused() -> None:
    with pytest.raises(SourceError, match="one size"):
        make_difference(picture(), picture(side=32))
    with pytest.raises(SourceError, match="a run that has one"):
        make_difference(picture(), fake_run(outcome="nan"))


@pytest.mark.parametrize(("centre", "box"), [((0.5, 0.5), (16, 16, 48, 48)), ((0, 1), (0, 32, 32, 64)), ((9, -9), (32, 0, 64, 32))])
def test_crops_show_the_very_pixels(centre: tuple[float, float], box: tuple[int, int, int, int]) -> None:
    runs = [fake_run(n, steps=10 * n + 10) for n in range(3)]
    figure = make_crops(runs, centre=centre)
    images = drawn(figure)
    assert len(images) == 6 and "20 steps" in words(figure)
    assert (np.asarray(images[4].get_array()) == np.asarray(runs[1].image.crop(box))).all()
    assert images[4].get_interpolation() == "nearest"
    assert inches(images[4])[1] / 32 == pytest.approx(2 * inches(images[1])[1] / 64, rel=0.01)  # twice as large, pixel for pixel


def test_crops_of_plain_pictures_have_names_if_they_are_given() -> None:
    assert "photo" in words(make_crops([picture(), picture(1)], heads=["photo", "picture"], zoom=4))
    for wrong in ({"pictures": []}, {"pictures": [picture()], "zoom": 1}, {"pictures": [picture()], "zoom": 2.5}):
        with pytest.raises(RecipeError, match="2 or more"):
            make_crops(**wrong)


# -- curves -------------------------------------------------------------------------------------------


def test_convergence_compares_each_step_count_with_the_next_of_its_seed() -> None:
    points = convergence(over_steps()[::-1])
    assert {*convergence([*over_steps(), over_steps()[0]])} == {*points}  # a run that is given twice is one
    assert sorted((p.seed, p.x) for p in points) == [(s, n) for s in (1, 2) for n in (5, 10, 20)]
    first = next(p for p in points if (p.seed, p.x) == (2, 5))
    assert first.y == perceptual_distance(faded(1 / 5, 2), faded(1 / 10, 2))
    ys = [p.y for p in points if p.seed == 1]
    assert sorted(ys) == [p.y for p in sorted((p for p in points if p.seed == 1), key=lambda p: -p.x)]


def test_fidelity_compares_with_the_source() -> None:
    points = fidelity(over_strength(), picture())
    assert {p.x for p in points} == {0.2, 0.35, 0.6} and len(points) == 6
    assert next(p.y for p in points if p.x == 0.6) == ssim(faded(0.6), picture())


def test_curves_say_how_many_seeds_and_what_is_fixed() -> None:
    said = words(make_convergence(over_steps()))
    for wanted in ("median of 2 seeds", "to the next of 5, 10, 20, 50", "distance (ΔE) to the next step count", "just noticeable"):
        assert wanted in said
    assert "guidance 7.5" in said and "seed 1" not in said
    lost = [*over_strength((7,)), fake_run(strength=0.85, seed=7, outcome="nan", **PHOTO)]
    said = words(make_fidelity(lost, picture()))
    for wanted in ("One seed, 7.", "1 of 4 runs have no picture", "0.35 10 of 30 steps", "SSIM to the source photo", "source product.jpg"):
        assert wanted in said


def test_curves_of_several_settings_differ_in_more_than_colour() -> None:
    runs = [run for name in ("EulerA", "DDIM", "Heun") for run in over_steps(scheduler=name)]
    figure = make_convergence(runs, by="scheduler")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["EulerA", "DDIM", "Heun"]
    thick = [line for line in axes.lines if line.get_linewidth() == 2]
    assert len({(line.get_marker(), line.get_linestyle()) for line in thick}) == len({line.get_color() for line in thick}) == 3
    assert len(to_png(figure, alt="three curves")) > 1000
    with pytest.raises(ControlError, match="differ in scheduler too.*by='scheduler'"):
        convergence(runs)


def test_a_curve_of_nothing_is_refused() -> None:
    for wrong in ([fake_run()], [fake_run(outcome="nan"), fake_run(steps=9, outcome="nan")]):
        with pytest.raises(ControlError, match="nothing to draw"):
            convergence(wrong)
    assert make_convergence(over_steps(), measure="psnr")
    with pytest.raises(ControlError, match="nothing to draw"):  # equal pictures: PSNR is infinite
        convergence([fake_run(steps=5), fake_run(steps=9)], measure="psnr")


# -- before/after -------------------------------------------------------------------------------------


def test_the_slider_uncovers_without_sending_the_pictures_again() -> None:
    box = before_after(picture(), fake_run(1), alt_before='the "source"', alt_after="<b>strength</b> 0.6")
    pictures, slider, style = box.children
    sent = pictures.value
    data = [base64.b64decode(part) for part in re.findall(r"base64,([^\"]+)", sent)]
    assert [Image.open(io.BytesIO(one)).tobytes() for one in data] == [picture().tobytes(), picture(1).tobytes()]
    assert 'alt="the &quot;source&quot;"' in sent and "<b>" not in sent and "width:64px" in sent
    slider.set_state({"value": 20})
    assert "inset(0 0 0 20%)" in style.value and len(style.value) < 200 and pictures.value is sent
    name = re.search(r'id="(tp2-\w+)"', sent)[1]
    assert f"#{name} img:last-child" in style.value
    assert name not in before_after(picture(), picture(), alt_before="a", alt_after="b").children[0].value


def test_before_and_after_must_fit_and_have_words() -> None:
    with pytest.raises(SourceError, match="64x64 and 32x32"):
        before_after(picture(), picture(side=32), alt_before="a", alt_after="b")
    with pytest.raises(SourceError, match="alt is ''"):
        before_after(picture(), picture(), alt_before="a", alt_after="")
    with pytest.raises(SourceError, match="a run that has one"):
        before_after(picture(), fake_run(outcome="nan"), alt_before="a", alt_after="b")
