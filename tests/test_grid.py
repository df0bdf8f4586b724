"""tp2lib.plots.grid, labels, layout and display: what is written on a grid, and for whom."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from plotted import APPLE, drawn, fake_run, inches, picture, words

from tp2lib.errors import ControlError, RecipeError, SourceError
from tp2lib.plots.display import image_html, show, to_png
from tp2lib.plots.grid import describe_grid, make_grid, show_grid
from tp2lib.plots.labels import OUTCOMES, varying
from tp2lib.plots.layout import legible, wrap

STEPS, SCHEDULERS = (10, 15, 30, 50), ("EulerA", "Heun", "DDIM")


def sweep() -> list:
    return [fake_run(n, scheduler=s, steps=t) for n, (s, t) in enumerate((s, t) for s in SCHEDULERS for t in STEPS)]


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict, dict]]:
    """What is sent to the notebook: (data, options) of each display."""
    sent: list[tuple[dict, dict]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: sent.append((data, options)))
    return sent


# -- what a grid says ---------------------------------------------------------------------------------


def test_a_grid_names_its_sides_its_costs_and_what_is_fixed() -> None:
    figure = make_grid(sweep(), rows="scheduler", cols="steps", title="Steps and schedulers")
    said = words(figure)
    assert isinstance(figure, Figure) and len(drawn(figure)) == 12
    for wanted in ("10 steps", "50 steps", "EulerA", "Heun", "DDIM", "Steps and schedulers", "1.5 s · 15 model calls"):
        assert wanted in said
    assert "19 model calls" in said and said.count("sharpness") == 12 == said.count("contrast")
    (fixed,) = (part.partition("Fixed: ")[2] for part in said.split(" | ") if "Fixed: " in part)
    assert fixed == "model vitrine; “a red apple on a white table”; guidance 7.5; seed 42; 64×64 pixels; cpu float32."


@pytest.mark.slow
def test_places_follow_the_settings_and_not_the_order_of_the_runs() -> None:
    one, other = (make_grid(runs, rows="scheduler", cols="steps") for runs in (sweep(), sorted(sweep(), key=lambda r: r.recipe.steps)))
    assert to_png(one, alt="x") == to_png(other, alt="x")
    across = [inches(image)[0] for image in drawn(make_grid(sweep()[:4][::-1], cols="steps"))]
    assert across == sorted(across) and words(make_grid(sweep()[:4][::-1], cols="steps")).startswith("10 steps")


@pytest.mark.parametrize("odd", [[1], {"a": 1}, None])
def test_an_odd_record_does_not_stop_a_label(odd) -> None:
    runs = [fake_run(known={"width": odd, "model": odd}), fake_run(1)]
    assert sorted(varying(runs)) == ["model", "width"]


def test_labels_come_from_what_really_ran() -> None:
    photo = {"source": "/home/somebody/private/product.jpg"}
    said = words(make_grid([fake_run(n, strength=s, **photo) for n, s in enumerate((0.35, 0.6))], cols="strength"))
    assert "strength 0.35 10 of 30 steps run | strength 0.6 18 of 30 steps run" in said
    assert "source product.jpg" in said and "somebody" not in said
    guidance = [fake_run(n, guidance=g, negative_prompt="blurry") for n, g in enumerate((0, 1, 7.5))]
    said = words(make_grid(guidance, cols="guidance"))
    assert "guidance 0 guidance off | guidance 1 guidance off | guidance 7.5 | " in said


def test_an_effect_that_differs_within_a_column_stands_under_each_tile() -> None:
    runs = [fake_run(n, steps=t, strength=0.5, source="a.png", strength_mode=m) for n, (t, m) in enumerate(
        (t, m) for t in (10, 20) for m in ("diffusers", "constant"))]  # fmt: skip
    said = words(make_grid(runs, rows="strength_mode", cols="steps"))
    assert "10 steps | 20 steps" in said and "5 run" in said and "10 run" in said


def test_a_gallery_is_headed_by_what_each_run_changes() -> None:
    changes = ({}, {"steps": 15}, {"steps": 50}, {"guidance": 1}, {"guidance": 12}, {"scheduler": "DDIM"})
    six = [fake_run(n, **change) for n, change in enumerate(changes)]
    said = words(make_grid(six))
    for head in ("EulerA, 30 steps, guidance 7.5", "15 steps", "50 steps", "guidance 1 (guidance off)", "guidance 12", "DDIM"):
        assert f"{head} | " in said
    assert "Fixed" in said and "⚠" not in said
    assert "run05 guidance 12 | " in words(make_grid(six, titles=[f"run0{n} guidance 12" for n in range(1, 7)]))
    assert "the same again" in words(make_grid([fake_run(), fake_run(1)]))


def test_what_else_varies_is_said() -> None:
    said = words(make_grid([fake_run(0, steps=10, seed=1), fake_run(1, steps=20, seed=2, known={"threads": 1})], cols="steps"))
    assert "⚠ Also varies: seed 1, 2." in said and "⚠ Not the same: threads 2, 1." in said


@pytest.mark.parametrize("outcome", [*OUTCOMES, "something new"])
def test_a_run_without_a_picture_is_named(outcome: str) -> None:
    black = Image.new("RGB", (64, 64)) if outcome == "black" else None
    runs = [fake_run(0), fake_run(1, steps=50, outcome=outcome, image=black)]
    figure = make_grid(runs, cols="steps")
    assert len(drawn(figure)) == 1 and f"✗ {OUTCOMES.get(outcome, outcome)}" in words(figure)
    assert f"50 steps: {OUTCOMES.get(outcome, outcome)}" in describe_grid(runs, cols="steps")


def test_a_place_without_a_run_says_so() -> None:
    figure = make_grid(sweep()[:-1], rows="scheduler", cols="steps")
    assert words(figure).count("not run") == 1 and len(drawn(figure)) == 11


def test_a_sweep_is_taken_whole_with_the_cells_that_failed() -> None:
    cells = [SimpleNamespace(recipe=run.recipe, run=run, error=None) for run in sweep()]
    cells[1] = SimpleNamespace(recipe=cells[1].recipe, run=None, error="memory ran out. " + "Try less. " * 40)
    cells[2] = SimpleNamespace(recipe=cells[2].recipe, run=None, error=None)
    for given_ in (cells, SimpleNamespace(cells=tuple(cells))):
        said = words(make_grid(given_, rows="scheduler", cols="steps"))
        assert "✗ failed: memory ran out. Try less." in said and said.count("not run") == 1 and "⚠" not in said


def test_measures_can_be_chosen_and_compared_with_a_reference() -> None:
    said = words(make_grid(sweep()[:3], cols="steps", measures=["ssim"], reference=picture(0)))
    assert "SSIM 1.000" in said and said.count("SSIM") == 3 and "sharpness" not in said
    with pytest.raises(SourceError, match="Give reference"):
        make_grid(sweep()[:3], cols="steps", measures=["ssim"])


def test_wide_and_tall_pictures_keep_their_proportions() -> None:
    wide = make_grid([fake_run(n, steps=n + 1, image=Image.new("RGB", (96, 32), "red")) for n in range(2)], cols="steps")
    for image in drawn(wide):
        _, width, height = inches(image)
        assert width / height == pytest.approx(3, rel=0.01)


@pytest.mark.slow
def test_tiles_are_as_wide_as_they_may_be_and_the_page_as_large_as_they_need() -> None:
    for runs, wanted in ((sweep()[:4], 2.1), ([fake_run(n, steps=n + 1) for n in range(8)], 1.2)):
        figure = make_grid(runs, cols="steps")
        for _, *size in map(inches, drawn(figure)):
            assert size == pytest.approx([wanted, wanted], abs=0.02)
        box = figure.get_tightbbox()
        assert figure.get_size_inches() - [box.width, box.height] == pytest.approx([0, 0], abs=0.35)


def test_no_words_overlap_and_none_leave_the_page() -> None:
    long = "ultra-realistic PRODUCT PHOTO of a vintage leather wallet " * 2 + "W" * 60
    for runs, sides in (
        ([fake_run(n, prompt=p, seed=s) for n, (p, s) in enumerate((p, s) for p in (long, "a cup", "W" * 90) for s in (1, 2))], ("prompt", "seed")),
        ([fake_run(n, prompt=f"{long[:n]}{long}") for n in range(3)], (None, "prompt")),
        ([fake_run(n, steps=n + 1) for n in range(10)], (None, "steps")),
    ):
        figure = make_grid(runs, *sides, title=long)
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.findobj(Text) if text.get_text()]
        page = figure.bbox.padded(2)
        assert all(page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1) for box in boxes)
        assert not any(one.padded(-1).overlaps(other.padded(-1)) for n, one in enumerate(boxes) for other in boxes[n + 1 :])


# -- refusals -----------------------------------------------------------------------------------------


def test_two_runs_in_one_place_are_refused_with_the_reason() -> None:
    with pytest.raises(ControlError, match="differ in seed.*one seed at a time"):
        make_grid([fake_run(seed=1), fake_run(seed=2), fake_run(steps=9)], cols="steps")
    with pytest.raises(ControlError, match="same recipe twice"):
        make_grid([fake_run(), fake_run(), fake_run(steps=9)], cols="steps")


def test_other_refusals() -> None:
    for wrong, message in (
        (lambda: make_grid([]), "no runs"),
        (lambda: make_grid(sweep(), rows="steps", cols="stepz"), "Did you mean 'steps'"),
        (lambda: make_grid(sweep(), rows="steps", cols="steps"), "must be two settings"),
        (lambda: make_grid(sweep(), titles=["one"]), "1 titles for 12 runs"),
    ):
        with pytest.raises(RecipeError, match=message):
            wrong()


# -- words --------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=20, deadline=None)  # a busy machine draws slowly
@given(st.text(max_size=80))
def test_any_prompt_is_drawn_without_a_warning(text: str) -> None:
    try:
        run = fake_run(prompt=text)
    except RecipeError:
        return
    to_png(make_grid([run], title=text), alt="x")


def test_formulas_and_foreign_scripts_are_plain_text() -> None:
    hostile = r"$\frac{1}{0}$ <b>皮革钱包</b> 🍎 \n"
    said = words(make_grid([fake_run(prompt=hostile)]))
    assert r"$\frac{1}{0}$ <b>□□□□</b> □ \n" in said
    assert legible("a\tb\n c\xa0d") == "a b c\xa0d"


@pytest.mark.slow
@given(st.text(st.sampled_from("abcW i"), max_size=120), st.floats(0.3, 5))
def test_wrapping_loses_nothing_and_fits(text: str, width: float) -> None:
    lines = wrap(text, width).split("\n")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    figure = Figure(dpi=144)
    for line in lines:
        written = figure.text(0, 0, line, fontsize=8, family="DejaVu Sans").get_window_extent()
        assert written.width / figure.dpi <= width + 0.02


# -- showing ------------------------------------------------------------------------------------------


def test_a_grid_is_shown_with_words_for_those_who_do_not_see_it(displayed: list) -> None:
    show_grid(sweep(), rows="scheduler", cols="steps", alt='Apples & "pears"\n<script>alert(1)</script>')
    ((data, options),) = displayed
    assert options["raw"] and "Grid with scheduler in rows: EulerA, Heun, DDIM" in options["metadata"]["image/png"]["alt"]
    assert "<script>" not in data["text/html"]
    assert 'alt="Apples &amp; &quot;pears&quot; &lt;script&gt;' in data["text/html"]
    png = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert png.text["Description"] == options["metadata"]["image/png"]["alt"]
    assert f"data:image/png;base64,{data['image/png']}" in data["text/html"]


def test_a_picture_is_shown_pixel_by_pixel(displayed: list) -> None:
    show(picture(), alt="a ball", caption="a <b>ball</b>")
    data, _ = displayed[0]
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).tobytes() == picture().tobytes()
    assert "<figcaption>a &lt;b&gt;ball&lt;/b&gt;</figcaption>" in data["text/html"]


@pytest.mark.parametrize("alt", ["", "  \n", None, 3])
def test_an_image_without_alternative_text_is_refused(alt: object, displayed: list) -> None:
    for shower in (lambda: show(picture(), alt=alt), lambda: show_grid(sweep(), alt=alt), lambda: image_html(b"", alt=alt)):
        with pytest.raises(SourceError, match="alt is .*must say what the picture shows"):
            shower()
    with pytest.raises(TypeError):
        show_grid(sweep())  # type: ignore[call-arg]
    with pytest.raises(SourceError, match="figure or a PIL image"):
        show("photo.png", alt="a photo")  # type: ignore[arg-type]
    assert not displayed


def test_the_users_own_style_changes_nothing() -> None:
    plain = to_png(make_grid(sweep()[:4], cols="steps"), alt="x")
    saving = {"savefig.bbox": "tight", "savefig.facecolor": "red", "savefig.dpi": 10, "figure.dpi": 20}
    drawing = {"text.color": "white", "font.size": 30, "figure.facecolor": "black", "font.family": "serif"}
    with matplotlib.rc_context(saving | drawing):
        assert to_png(make_grid(sweep()[:4], cols="steps"), alt="x") == plain


@pytest.mark.slow
def test_plots_and_widgets_need_neither_torch_nor_pyplot() -> None:
    ours = "labels, layout, display, grid, figures, curves; from tp2lib.widgets import jobs, controls, panel"
    heavy = "{'torch', 'diffusers', 'transformers', 'matplotlib.pyplot'}"
    code = f"import sys; from tp2lib.metrics import measures, prompt_adherence; from tp2lib.plots import {ours}; print(*({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_every_run_in_a_grid_is_described() -> None:
    assert re.fullmatch(r"Grid with steps in columns: 10, 15\. Fixed: .*\.", describe_grid(sweep()[:2], cols="steps"))
    assert describe_grid([fake_run(), fake_run(1, steps=15)]).startswith("2 pictures: 30 steps; 15 steps.")
    assert APPLE.prompt in describe_grid([fake_run()])
