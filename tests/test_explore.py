"""tp2lib.widgets.explore: the grid over two settings, what it remembers, and what it refuses."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from studio_parts import MARKUP, studio

from tp2lib.errors import RecipeError
from tp2lib.plots.grid import make_grid
from tp2lib.widgets.explore import AXES, parse_values


@pytest.fixture
def tool(tmp_path):
    made, _ = studio(tmp_path)
    made.text.controls["steps"].value = 3
    return made


def lay(explorer, across="1, 4, 7.5", down="2, 3"):
    explorer.live.value = False
    explorer.columns.value, explorer.rows.value = across, down
    return explorer


def test_values_are_read_strictly() -> None:
    assert parse_values("steps", " 5, 10,20 ") == [5, 10, 20] and parse_values("guidance", "1,7.5") == [1.0, 7.5]
    assert parse_values("guidance", "4; 7,5") == [4.0, 7.5] == parse_values("guidance", "4; 7.5;")
    assert parse_values("seed", f"12345678901, {2**64 - 1}") == [12345678901, 2**64 - 1]
    assert parse_values("scheduler", "ddim, Euler a") == ["DDIM", "EulerA"]
    for axis in AXES:
        assert len(parse_values(axis, AXES[axis])) >= (2 if axis == "schedule" else 4)
    wrong = {
        "steps": ["", "0", "2.5", "5, 5", "1e3", ",".join(map(str, range(1, 10))), "__import__('os')"],
        "guidance": ["nan", "31"], "seed": ["-1", str(2**64)], "strength": ["0"], "scheduler": [MARKUP], "step": ["5"],
    }  # fmt: skip
    for axis, texts in wrong.items():
        for text in texts:
            with pytest.raises(RecipeError):
                parse_values(axis, text)
    with pytest.raises(RecipeError, match="guidance has the value '1, 2'.*or with semicolons"):
        parse_values("guidance", "1, 2; 3")


def test_the_grid_is_filled_and_is_a_controlled_one(tool) -> None:
    explorer = lay(tool.explorer)
    counted: list[int] = []
    explorer.bar.observe(lambda change: counted.append(change["new"]), "value")
    runs = explorer.fill(timeout=20)
    assert counted == [*range(1, 16)] and explorer.bar.max == 15  # over all places, so that the time to go shrinks
    assert [(run.recipe.steps, run.recipe.guidance) for run in runs] == [(s, g) for s in (2, 3) for g in (1.0, 4.0, 7.5)]
    assert explorer.missing() == [] and explorer.table.value.count("<img") == 6 and "6 made" in explorer.status.value
    assert make_grid(runs, rows="steps", cols="guidance")
    assert len({run.recipe.vary(steps=1, guidance=1) for run in runs}) == 1


def test_a_place_that_was_rendered_comes_back_without_the_engine(tmp_path) -> None:
    tool, engine = studio(tmp_path)
    tool.text.controls["steps"].value = 3
    explorer = lay(tool.explorer)
    explorer.fill(timeout=20)
    assert len(engine.calls) == 6
    for x in (1.0, 4.0, 7.5):
        for y in (2, 3):
            assert explorer.move(x, y)
            assert f"guidance {x:g}" in explorer.shown.value or "guidance off" in explorer.shown.value
    assert len(engine.calls) == 6 and tool.explorer.job.state == "done"


def test_what_was_made_stays_when_the_axes_change(tool, tmp_path) -> None:
    explorer = lay(tool.explorer)
    explorer.fill(timeout=20)
    explorer.columns.value = "4, 7.5, 12"
    assert len(explorer.missing()) == 2
    again, _engine = studio(tmp_path)  # another sitting: the ledger has them
    again.text.controls["steps"].value = 3
    runs = lay(again.explorer).fill(timeout=20)
    assert all(run.reused for run in runs)


def test_axes_may_change_while_places_are_made(tmp_path) -> None:
    gate = threading.Event()
    tool, engine = studio(tmp_path, gate=gate)
    explorer = lay(tool.explorer, "1, 4", "2")
    job = explorer.start()
    assert engine.reached.wait(10)
    begun, done = threading.Event(), threading.Event()

    def read_places() -> None:
        while not done.is_set():
            explorer.place()
            begun.set()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_places)
        assert begun.wait(10)
        for axis in ["seed", "guidance"] * 20:  # 7.5 is no seed
            explorer.across.value = axis
        done.set()
    gate.set()
    assert reading.result() is None and job.result(20) and explorer.missing() == []


def test_a_stop_says_what_is_kept_and_leaves_no_draft(tmp_path) -> None:
    gate = threading.Event()
    tool, engine = studio(tmp_path, gate=gate)
    explorer = lay(tool.explorer, "1, 4", "2")
    job = explorer.start()
    assert engine.reached.wait(10)
    explorer.x.value = 4.0
    explorer.shown.value = "a draft"
    make, explorer._make = explorer._make, lambda recipe, **how: explorer.stop() or make(recipe, **how)  # the next place is stopped
    gate.set()
    assert job.wait(10) and job.state == "cancelled"
    assert "Stopped; 1 made before are kept." in explorer.status.value and len(explorer.shots) == 1
    assert "This place is not made yet." in explorer.shown.value


def test_a_slider_that_stops_on_a_place_makes_it(tool) -> None:
    explorer = lay(tool.explorer)
    assert not explorer.move(4.0, 3) and "not made yet" in explorer.shown.value
    explorer.live.value, explorer.drafts.on.value = True, False
    explorer.x.set_state({"index": 2})  # as a browser does
    assert explorer.job.wait(10)
    assert [(r.guidance, r.steps) for r in explorer.shots] == [(7.5, 3)] and "<img" in explorer.shown.value
    assert explorer.move(7.5, 3)


def test_the_latest_place_is_made_next(tmp_path) -> None:
    gate = threading.Event()
    tool, engine = studio(tmp_path, gate=gate)
    explorer = lay(tool.explorer)
    explorer.live.value = True
    explorer.x.value = 4.0
    assert engine.reached.wait(10)
    for x, y in ((7.5, 2), (1.0, 3), (7.5, 3)):  # scrubbed past while the first one is at work
        explorer.move(x, y)
    gate.set()
    assert explorer.job.wait(10)
    assert [(r.guidance, r.steps) for r in engine.calls] == [(4.0, 2), (7.5, 3)]


def test_what_cannot_be_explored_is_a_sentence(tool) -> None:
    explorer = lay(tool.explorer)
    explorer.down.value = "guidance"
    assert "both axes are guidance" in explorer.status.value
    explorer.generate_button.click()  # fills no other grid than the one that is chosen
    assert "both axes are guidance" in explorer.status.value and explorer.job is None
    explorer.down.value = "strength"
    assert "strength needs a source photo" in explorer.status.value
    explorer.origin.value = "Image to image"
    assert "12 places; 12 are to be made" in explorer.status.value  # the columns of `lay`, the rows that are offered for a strength
    explorer.rows.value = MARKUP
    assert "✗" in explorer.status.value and "<script" not in explorer.status.value


def test_strength_is_explored_on_the_photo_of_image_to_image(tool) -> None:
    explorer = tool.explorer
    tool.image.controls["steps"].value = 10
    explorer.live.value = False
    explorer.origin.value, explorer.down.value, explorer.rows.value, explorer.columns.value = "Image to image", "strength", "0.3, 0.6", "4"
    runs = explorer.fill(timeout=20)
    assert [run.recipe.effective_steps for run in runs] == [3, 6] and all(run.source for run in runs)
    tool.image.photo.choice.value = "mug.png"
    explorer.rows.value = "0.3, 0.6, 0.9"
    assert len(explorer.missing()) == 3  # another photo: nothing of the first one passes for it


def test_a_place_has_the_size_of_its_own_model_though_another_is_chosen_meanwhile(tool) -> None:
    explorer = tool.explorer
    tool.image.controls["steps"].value = 10
    explorer.live.value = False
    explorer.origin.value, explorer.columns.value, explorer.rows.value = "Image to image", "4, 7.5", "10"
    tool.image.settings.model.value = "sd15"
    for run in explorer.fill(timeout=20):
        assert run.recipe.model == "auto" and run.source["chain"][-1] == "scaled to 64x64 (Lanczos)"
