"""tp2lib.widgets.drafts: few steps while a hand moves, the full picture when it rests, and nothing of a draft kept."""

from __future__ import annotations

import threading

import pytest
from plotted import APPLE, fake_run, until
from studio_parts import studio

from tp2lib.recipe import Recipe
from tp2lib.widgets import drafts
from tp2lib.widgets.drafts import STEPS, draft_of
from tp2lib.widgets.panel import Panel

FULL = APPLE.vary(steps=20)


class Engine:
    """Stands for `generate`: notes what was asked for, and waits at a gate."""

    def __init__(self) -> None:
        self.calls: list[tuple[Recipe, object]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, recipe, model=None, *, source=None, ledger=None, on_step=None, should_stop=None):
        self.calls.append((recipe, ledger))
        assert self.gate.wait(10)
        return fake_run(1, **{name: getattr(recipe, name) for name in ("steps", "guidance", "scheduler", "seed", "prompt")})


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(drafts, "_REST", 0.15)
    engine = Engine()
    return Panel(FULL, ["steps", "guidance", "scheduler"], ledger="the ledger", generate=engine), engine


def drag(panel, name, *values) -> None:
    for value in values:
        panel.controls[name].set_state({"value": value})  # as a message from the page does


def test_a_draft_has_few_steps_of_a_fast_sampler_and_all_else_as_it_is() -> None:
    photo = FULL.vary(source="inputs/product.jpg", strength=0.3)
    assert draft_of(FULL) == FULL.vary(steps=STEPS, scheduler="DPM++ 2M")
    assert draft_of(photo).effective_steps == STEPS and draft_of(photo).strength == 0.3
    assert draft_of(FULL.vary(steps=2)).steps == 2


def test_a_moving_slider_gets_a_marked_draft_and_a_resting_one_the_full_picture(made) -> None:
    panel, engine = made
    seen: list[str] = []
    panel.picture.observe(lambda change: seen.append(change["new"]), "value")
    drag(panel, "guidance", 3.0)
    until(lambda: panel.runs and seen and "Draft" not in seen[-1])  # the run is noted before its picture is shown
    assert [(recipe.steps, recipe.guidance, ledger) for recipe, ledger in engine.calls] == [(STEPS, 3.0, None), (20, 3.0, "the ledger")]
    assert any(f"Draft: {STEPS} steps of DPM++ 2M" in html and "dashed" in html for html in seen) and "Draft" not in panel.picture.value
    assert [run.recipe.steps for run in panel.runs] == [20]  # a draft is no run


def test_stale_drafts_are_dropped_and_never_queued(made) -> None:
    panel, engine = made
    engine.gate.clear()
    drag(panel, "guidance", 2.0)
    until(lambda: engine.calls)
    drag(panel, "guidance", 3.0, 4.0, 5.0, 6.0)
    engine.gate.set()
    until(lambda: panel.runs)
    assert [(recipe.steps, recipe.guidance) for recipe, _ in engine.calls] == [(STEPS, 2.0), (STEPS, 6.0), (20, 6.0)]


def test_a_draft_does_not_stay_where_no_full_picture_follows(made) -> None:
    _, engine = made
    panel = Panel(FULL.vary(source="inputs/product.jpg", strength=0.3), ["steps", "strength"], generate=engine)
    seen: list[str] = []
    panel.picture.observe(lambda change: seen.append(change["new"]), "value")
    engine.gate.clear()
    drag(panel, "strength", 0.2)
    until(lambda: engine.calls)
    drag(panel, "steps", 2)
    engine.gate.set()
    until(lambda: seen and "= 0 steps" in panel.status.value and panel.picture.value == "")
    assert "Draft" in seen[0] and not panel.runs


def test_a_draft_does_not_stay_where_a_click_is_refused(made, monkeypatch) -> None:
    monkeypatch.setattr(drafts, "_REST", 60)
    panel = Panel(FULL.vary(source="inputs/product.jpg", strength=0.3), ["steps", "strength"], generate=made[1])
    drag(panel, "strength", 0.2)
    until(lambda: "Draft" in panel.picture.value)
    panel.controls["steps"].value = 2
    panel.generate_button.click()
    until(lambda: panel.drafts._job is None)
    assert "= 0 steps" in panel.status.value and panel.picture.value == "" and not panel.runs


def test_what_code_sets_is_not_followed_nor_what_is_switched_off(made) -> None:
    panel, engine = made
    panel.controls["guidance"].value = 3.0
    panel.drafts.on.value = False
    drag(panel, "guidance", 4.0)
    assert panel.drafts._job is None and engine.calls == [] and not panel.controls["guidance"].continuous_update
    panel.drafts.on.value = True
    assert panel.controls["guidance"].continuous_update


def test_a_click_takes_the_place_of_drafts_and_of_what_a_rest_started(made, monkeypatch) -> None:
    panel, engine = made
    with monkeypatch.context() as patch:
        patch.setattr("tp2lib.widgets.drafts._REST", 60)
        drag(panel, "guidance", 3.0)
        assert panel.run(timeout=20).recipe.steps == 20
    assert panel.drafts._job is None and [run.recipe.guidance for run in panel.runs] == [3.0]  # no rest is waited for that would start more
    engine.gate.clear()
    drag(panel, "guidance", 4.0)
    engine.gate.set()
    until(lambda: panel.job.active or len(panel.runs) == 2)
    assert panel.run(timeout=20).recipe.guidance == 4.0


def test_a_rest_that_comes_first_at_the_last_moment_gives_way_to_the_click(made, monkeypatch) -> None:
    panel, engine = made
    lock, rests = threading.Lock(), []

    class Overtaken:
        """Lets a rest start its picture while the click is on its way to the lock."""

        def __enter__(self) -> None:
            if not rests:
                rests.append(None)
                rests[0] = panel.start(resting=True)
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    monkeypatch.setattr(panel, "_starting", Overtaken())
    engine.gate.clear()
    make_way = panel.make_way
    monkeypatch.setattr(panel, "make_way", lambda: (make_way(), engine.gate.set())[0])  # the click asks the rest's picture to stop
    clicked = panel.start()
    assert clicked is not rests[0] and not rests[0].active and clicked.result(20)
    engine.gate.clear()
    clicked = panel.start()
    assert panel.start(resting=True) is clicked  # and a rest that comes second starts nothing
    engine.gate.set()
    assert clicked.result(20)


def test_what_was_clicked_for_is_not_stopped_by_a_movement(made) -> None:
    panel, engine = made
    engine.gate.clear()
    job = panel.start()
    until(lambda: engine.calls)
    drag(panel, "guidance", 3.0)
    engine.gate.set()
    assert job.result(20).recipe.guidance == FULL.guidance and len(engine.calls) == 1


def test_the_mini_product_and_explore_have_drafts_too(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(drafts, "_REST", 0.1)
    tool, engine = studio(tmp_path)
    tool.text.controls["steps"].value = 9
    tool.text.settings.lock.value = False  # a roll of the seed would make another picture than the draft's
    seed = tool.text.controls["seed"].value
    tool.text.controls["guidance"].set_state({"value": 3.0})
    until(lambda: tool.text.runs)
    assert [(recipe.steps, recipe.guidance, recipe.seed) for recipe in engine.calls] == [(STEPS, 3.0, seed), (9, 3.0, seed)]
    assert len(tool.ledger.events()) == 2  # started and done, of the full picture
    explorer = tool.explorer
    explorer.columns.value, explorer.rows.value = "1, 4, 7.5", "8, 9"
    engine.calls.clear()
    explorer.x.set_state({"index": 2})
    until(lambda: explorer.shots)
    assert [(recipe.steps, recipe.guidance) for recipe in engine.calls] == [(STEPS, 7.5), (8, 7.5)]
    assert explorer.move(7.5, 8) and "Draft" not in explorer.shown.value
