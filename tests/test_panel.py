"""tp2lib.widgets.panel: what the controls stand for, what the buttons do, and what is said when it fails."""

from __future__ import annotations

import base64
import io
import re
import threading
from types import SimpleNamespace

import pytest
from PIL import Image
from plotted import APPLE, fake_run, picture

from tp2lib.errors import Cancelled, ModelError, RecipeError
from tp2lib.recipe import Recipe, setting
from tp2lib.widgets.panel import SETTINGS, Panel, control, settled

PHOTO = APPLE.vary(source="inputs/product.jpg", strength=0.6, width=64, height=64)


class Engine:
    """Stands for `generate`: the same signature, a step each time the test lets it."""

    def __init__(self, outcome: str = "ok", error: Exception | None = None, gate: threading.Event | None = None) -> None:
        self.outcome, self.error, self.gate = outcome, error, gate
        self.calls: list[tuple[Recipe, dict]] = []
        self.previews = 0

    def preview(self) -> Image.Image:
        self.previews += 1
        return picture(3, side=8)

    def __call__(self, recipe, model=None, *, source=None, on_step=None, should_stop=None, ledger=None):
        self.calls.append((recipe, {"model": model, "source": source, "ledger": ledger}))
        for index in range(recipe.effective_steps):
            on_step(SimpleNamespace(index=index, total=recipe.effective_steps, preview=self.preview))
            if self.gate is not None and index == 0:
                assert self.gate.wait(10)
        if self.error:
            raise self.error
        return fake_run(1, outcome=self.outcome, **{name: getattr(recipe, name) for name in (*SETTINGS, "source")})


def panel(*settings: str, recipe: Recipe = APPLE, **engine: object) -> tuple[Panel, Engine]:
    made = Engine(**engine)
    return Panel(recipe, settings or ("steps", "guidance"), model="the model", ledger="the ledger", generate=made), made


# -- controls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("held", "meant"), [(1 / 3, 1 / 3), (0.35000000000000003, 0.35), (7.1, 7.1)])
def test_a_control_stands_for_the_number_it_was_given(held, meant) -> None:
    slider = control("strength", 0.5)
    slider.min, slider.max, slider.value = 0, 10, held
    assert settled({"strength": slider}) == {"strength": meant}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_control_has_the_range_the_words_and_the_value_of_its_setting(name: str) -> None:
    made, known = control(name, getattr(PHOTO, name)), setting(name)
    assert made.value == getattr(PHOTO, name) and made.description == known.label and made.tooltip == known.help
    if known.kind in ("whole", "real"):
        assert (made.min, made.max, made.step) == (-1 if name == "seed" else known.min, known.max, known.step)
    if known.kind == "choice":
        assert made.options == known.choices
    else:
        assert made.continuous_update is False  # a drag is one change, not a hundred


@pytest.mark.parametrize("name", SETTINGS)
def test_what_a_browser_sends_becomes_the_recipe(name: str) -> None:
    sent = {
        "prompt": "a mug", "negative_prompt": "blur", "seed": 2**32 - 1, "steps": 7, "guidance": 4.5, "width": 128,
        "height": 128, "scheduler": "DDIM", "schedule": "trailing", "strength": 0.35000000000000003, "strength_mode": "constant",
        "grow": -3, "feather": 5,
    }[name]  # fmt: skip
    recipe = PHOTO.vary(mask="auto") if name in ("grow", "feather") else PHOTO
    shown, _ = panel(name, recipe=recipe)
    made = shown.controls[name]
    made.set_state({"index": made.options.index(sent)} if name in ("scheduler", "schedule", "strength_mode") else {"value": sent})
    wanted = 0.35 if name == "strength" else sent
    assert shown.recipe() == recipe.vary(**{name: wanted})


def test_a_seed_of_minus_one_draws_one() -> None:
    shown, _ = panel("seed")
    shown.controls["seed"].set_state({"value": -1})
    seed = shown.controls["seed"].value
    assert 0 <= seed < 2**32 and seed != APPLE.seed and shown.recipe().seed == shown.recipe().seed == seed


def test_untouched_controls_change_nothing() -> None:
    for odd in (PHOTO, PHOTO.vary(strength=0.0075, steps=150), PHOTO.vary(guidance=7.3)):
        assert panel(*SETTINGS, recipe=odd)[0].recipe() == odd


def test_what_can_have_no_control_is_refused() -> None:
    for name in ("model", "source"):
        with pytest.raises(RecipeError, match=f"{name}' has no control"):
            panel(name, recipe=PHOTO)
    with pytest.raises(RecipeError, match="Did you mean 'steps'"):
        panel("step")
    with pytest.raises(RecipeError, match="Give the recipe a source and a strength first"):
        panel("strength")
    with pytest.raises(RecipeError, match="Give the recipe a width first"):
        panel("width")


# -- running ------------------------------------------------------------------------------------------


def test_run_makes_the_picture_that_the_controls_ask_for() -> None:
    shown, engine = panel("steps", "guidance")
    shown.controls["steps"].value = 5
    run = shown.run(timeout=10)
    assert engine.calls == [(APPLE.vary(steps=5), {"model": "the model", "source": None, "ledger": "the ledger"})]
    assert run is shown.result and shown.runs == [run] and run.recipe.steps == 5
    assert (shown.bar.value, shown.bar.max, shown.bar.bar_style) == (5, 5, "success")
    assert not shown.generate_button.disabled and shown.stop_button.disabled
    png = base64.b64decode(re.search(r"base64,([^\"]+)", shown.picture.value)[1])
    assert Image.open(io.BytesIO(png)).tobytes() == run.image.tobytes()
    assert 'alt="Generated picture. “a red apple on a white table”; EulerA, 5 steps' in shown.picture.value


def test_a_click_does_what_a_call_does() -> None:
    shown, engine = panel()
    shown.generate_button.click()
    assert shown.job.wait(10) and shown.result.outcome == "ok" and len(engine.calls) == 1


def test_what_the_settings_came_down_to_is_said() -> None:
    shown, _ = panel("strength", "guidance", recipe=PHOTO)
    shown.controls["guidance"].value = 1
    shown.run(timeout=10)
    assert "strength 0.6: 18 of 30 steps run; guidance 1: guidance off." in shown.status.value


def test_words_out_of_vocabulary_are_pointed_out() -> None:
    from tp2lib.models.loading import load

    shown = Panel(APPLE, ("prompt", "negative_prompt"), model=load("vitrine"), generate=Engine())
    shown.controls["prompt"].value = "a red unicorn on a white background"
    shown.controls["negative_prompt"].value = "blurry, <b>zorg</b>"
    shown.run(timeout=10)
    assert "vitrine never saw these words in training: unicorn, b, zorg" in shown.status.value
    shown.controls["prompt"].value, shown.controls["negative_prompt"].value = "a red apple on a white background", "blurry"
    shown.run(timeout=10)
    assert "never saw" not in shown.status.value


def test_progress_and_a_preview_are_shown_on_the_way() -> None:
    gate = threading.Event()
    shown, engine = panel(gate=gate)
    job = shown.start()
    while job.done < 1 or "Preview" not in shown.picture.value:
        assert not job.wait(0.005)
    assert "step 1 of 30" in shown.status.value and "data:image/jpeg" in shown.picture.value
    assert 'alt="Preview, step 1 of 30"' in shown.picture.value and "width:64px" in shown.picture.value
    assert shown.generate_button.disabled and not shown.stop_button.disabled
    with pytest.raises(ModelError, match="one picture at a time"):
        shown.start()
    shown.generate_button.click()
    assert "one picture at a time" in shown.status.value and len(engine.calls) == 1
    gate.set()
    assert job.wait(10) and 1 <= engine.previews < 30  # not one at every step


def test_stop_ends_it_and_leaves_no_half_made_picture() -> None:
    gate = threading.Event()
    shown, _ = panel(gate=gate)
    job = shown.start()
    while job.done < 1:
        assert not job.wait(0.005)
    shown.stop_button.click()
    gate.set()
    with pytest.raises(Cancelled):
        job.result(10)
    assert "Stopped" in shown.status.value and shown.picture.value == "" and shown.result is None
    assert not shown.generate_button.disabled and shown.details.layout.display == "none"
    assert shown.run(timeout=10).outcome == "ok"


# -- trouble ------------------------------------------------------------------------------------------


def test_an_error_is_one_sentence_with_its_details_folded_away() -> None:
    shown, _ = panel(error=ModelError('no model <img src=x onerror="alert(1)"> here.\nFetch it.'))
    with pytest.raises(ModelError):
        shown.run(timeout=10)
    assert "✗ no model &lt;img src=x onerror=&quot;alert(1)&quot;&gt; here. Fetch it." in shown.status.value
    assert 'role="alert"' in shown.status.value and "<img" not in shown.status.value + shown.traceback.value
    assert "ModelError" in shown.traceback.value and shown.details.selected_index is None
    assert shown.details.layout.display != "none" and not shown.generate_button.disabled
    assert shown.picture.value == ""  # its last preview would pass for a picture


def test_a_click_on_settings_at_odds_says_so() -> None:
    shown, engine = panel("steps", "strength", recipe=PHOTO)
    shown.controls["steps"].value, shown.controls["strength"].value = 5, 0.1
    shown.generate_button.click()
    assert "= 0 steps" in shown.status.value and not engine.calls and shown.job is None
    with pytest.raises(RecipeError, match="= 0 steps"):
        shown.run()


@pytest.mark.parametrize(("outcome", "words"), [("nan", "not a number"), ("black", "all black"), ("flagged", "withheld")])
def test_a_run_without_a_picture_is_no_black_square(outcome: str, words: str) -> None:
    shown, _ = panel(outcome=outcome)
    assert shown.run(timeout=10).outcome == outcome
    assert f"✗ No picture: {words}" in shown.status.value and shown.picture.value == "" and shown.bar.bar_style == "danger"


def test_prompts_are_escaped_wherever_they_are_shown() -> None:
    shown, _ = panel("prompt")
    shown.controls["prompt"].value = '"><script>alert(1)</script>'
    shown.run(timeout=10)
    for part in (shown.picture, shown.status, shown.traceback):
        assert "<script" not in part.value
    assert "&quot;&gt;&lt;script&gt;" in shown.picture.value


def test_a_keyboard_interrupt_stops_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    shown, _ = panel(gate=gate)

    def interrupted(self, timeout=None):
        raise KeyboardInterrupt

    monkeypatch.setattr("tp2lib.widgets.jobs.Job.result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shown.run()
    gate.set()
    assert shown.job.wait(10) and shown.job.state == "cancelled"


def test_a_notebook_shows_the_panel_as_a_widget() -> None:
    shown, _ = panel()
    assert "application/vnd.jupyter.widget-view+json" in shown._repr_mimebundle_()
