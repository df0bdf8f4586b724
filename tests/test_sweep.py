"""Sweeps: planned whole, run once each, proved controlled, and indifferent to being killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from strategies import noise_image

from tp2lib.engine.axes import choose_width
from tp2lib.engine.generate import generate, run_together
from tp2lib.engine.inpainting import cut_out
from tp2lib.engine.plan import make_plan
from tp2lib.engine.sampling import _Execution
from tp2lib.engine.sweep import sweep
from tp2lib.errors import Cancelled, ControlError, OutputError, RecipeError
from tp2lib.metadata.source import prepare_source
from tp2lib.models.loading import load
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import save_picture

APPLE = Recipe(prompt="a red apple", negative_prompt="blurry", steps=3, width=64, height=64)
MIDDLE = np.pad(np.ones((32, 32), bool), 16)  # what a mask keeps of 64x64 pixels


def silent(line):
    pass


def same(one, other):
    return np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.slow
def test_every_cell_is_the_picture_of_its_recipe(model):
    result = sweep(APPLE, model, steps=[2, 3], scheduler=["EulerA", "DDIM"], seeds=[1, 2], say=silent)
    assert len(result.cells) == len(result.runs) == 8
    for cell in result.cells:
        assert cell.recipe == APPLE.vary(**cell.place)
        assert same(cell.run.image, generate(cell.recipe, model, batch_width=cell.run.effective["batch_width"]).image)
    assert result.control["steps"] == ["model_calls", "nominal_steps", "steps", "timesteps"]
    assert result.control["seed"] == ["noise_sha256", "seed"]


def test_cells_are_found_by_their_place(model):
    result = sweep(APPLE, model, steps=[2, 3], seeds=[1, 2], say=silent)
    assert [cell.place["seed"] for cell in result.at(steps=2)] == [1, 2]
    assert result.at(steps=3, seed=2)[0] is result.cells[-1]
    with pytest.raises(RecipeError, match="no axis 'step'.*Did you mean 'steps'"):
        result.at(step=2)
    with pytest.raises(RecipeError, match="no cell at"):
        result.at(steps=9)


def test_a_batch_whose_pictures_cannot_be_written_is_made_again_and_not_waited_for(model, tmp_path, monkeypatch):
    ledger, finish, full = Ledger(tmp_path), Ledger.finish, [True]

    def fill_up(self, *args, **how):
        if full and len(list(tmp_path.glob("runs/*.png"))) == 1:
            raise OutputError("the disk is full")
        return finish(self, *args, **how)

    monkeypatch.setattr(Ledger, "finish", fill_up)
    first = sweep(APPLE, model, seeds=[1, 2, 3], steps=[2], ledger=ledger, say=silent, batch_width=4)
    assert any("the disk is full" in note for note in first.notes)
    full.clear()
    again = sweep(APPLE, model, seeds=[1, 2, 3], steps=[2], ledger=ledger, say=silent, batch_width=4)
    assert len(again.runs) == 3 and len(list(tmp_path.glob("runs/*.png"))) == 3


def test_a_withheld_picture_costs_no_other(model, monkeypatch):
    """With a mask only a picture that is there tells of kept pixels, so the cells' settings differ where one is withheld."""
    source = cut_out(noise_image(64, 64), MIDDLE)
    finish, seen = _Execution.finish, []

    def withhold(self, denoising):
        seen.append(finish(self, denoising))
        effective = {name: value for name, value in seen[-1].effective.items() if name != "kept_pixels_differing"}
        return replace(seen[-1], image=None, outcome="flagged", effective=effective) if len(seen) == 1 else seen[-1]

    monkeypatch.setattr(_Execution, "finish", withhold)
    recipe = APPLE.vary(source="a.png", mask="found")
    result = sweep(recipe, model, source=source, seeds=[1, 2], steps=[2], say=silent)
    assert [run.outcome for run in result.runs] == ["flagged", "ok"] and any("flagged" in note for note in result.notes)


def test_the_plan_says_images_model_calls_and_time(model):
    said = []
    result = sweep(APPLE, model, steps=[2, 3], guidance=[0, 1, 4], seeds=[1, 2], say=said.append, dry_run=True)
    assert "12 images (8 to make, 4 the same as another)" in said[0]
    assert said[1].startswith("20 model calls, 4 pictures at a time, about ") and said[1].endswith(" s")
    assert said[2] == "guidance 0, 1: the same picture, since guidance of 1 and less is switched off"
    assert result.runs == [] and result.control["guidance"]


def test_the_whole_plan_is_checked_before_the_first_picture(model, monkeypatch):
    monkeypatch.setattr(model.pipe.unet, "forward", lambda *a, **k: pytest.fail("the model was called"))
    with pytest.raises(RecipeError) as error:
        sweep(APPLE, model, steps=[3, 60, 70], scheduler=["LCM", "Euler"], say=pytest.fail)
    assert str(error.value).startswith("2 of 6 cells cannot be run, so none was:")
    assert "steps 70, scheduler 'LCM', seed 42: steps is 70" in str(error.value)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({}, "the sweep has 0 axes"),
        ({"steps": [1, 2], "guidance": [1], "scheduler": ["DDIM"]}, "3 axes"),
        ({"stepps": [1, 2]}, "'stepps' cannot be an axis.*Did you mean 'steps'"),
        ({"seed": [1, 2]}, "seeds="),
        ({"steps": 15}, r"must be a list, such as steps=\[15\]"),
        ({"prompt": "an apple"}, "must be a list"),
        ({"steps": []}, "at least one value"),
        ({"steps": [15, 15]}, "each value once"),
        ({"steps": [15, "30"]}, "1 of 2 cells cannot be run"),
        ({"strength": [0.3, 0.6]}, "there is no source"),
    ],
)
def test_impossible_axes_are_refused_in_words(model, axes, message):
    with pytest.raises(RecipeError, match=message):
        sweep(APPLE, model, say=pytest.fail, **axes)


def test_settings_that_come_down_to_the_same_are_run_once(model):
    calls, forward = [], model.pipe.unet.forward
    model.pipe.unet.forward = lambda *a, **k: calls.append(1) or forward(*a, **k)
    try:
        result = sweep(APPLE, model, guidance=[0, 0.5, 1], say=silent)
    finally:
        del model.pipe.unet.forward
    assert len(calls) == 3 + 2  # one run of three steps, and the timing of the plan
    assert [cell.run.requested["guidance"] for cell in result.cells] == [0, 0.5, 1]
    assert result.control["guidance"] == []
    assert result.notes == ("guidance 0, 0.5, 1 (the whole axis): the same picture, since guidance of 1 and less is switched off",)


def test_strengths_that_run_the_same_steps_are_announced(model):
    photo = prepare_source(Image.new("RGB", (64, 64), "red"), 64, 64)
    recipe = APPLE.vary(source="apple.png", strength=0.5, steps=10)
    said = []
    sweep(recipe, model, source=photo, strength=[0.35, 0.61, 0.64], say=said.append)
    assert "strength 0.61, 0.64: the same picture, since each runs 6 of 10 steps" in said


def test_the_photo_is_prepared_once_for_each_size(model, tmp_path, monkeypatch):
    Image.new("RGB", (64, 64), "red").save(tmp_path / "apple.png")
    seen = []
    monkeypatch.setattr("tp2lib.engine.plan.prepare_source", lambda *known: seen.append(known[1:]) or prepare_source(*known))
    sweep(APPLE.vary(source=str(tmp_path / "apple.png"), strength=0.5), model, width=[64, 72], seeds=[1, 2, 3], say=silent, dry_run=True)
    assert seen == [(64, 64), (72, 64)]


def test_a_model_that_ignores_an_axis_is_found_out_by_its_pixels(model, monkeypatch):
    """Known field failures: a sampler axis that is labelled, and not applied."""
    monkeypatch.setattr(model.pipe.vae, "decode", lambda z, **k: (torch.zeros(1, 3, 64, 64),))
    said = []
    result = sweep(APPLE, model, scheduler=["DDIM", "Euler"], say=said.append)
    assert "no reason is known, so check the axis" in result.notes[0] and said[-1] == result.notes[0]


def test_a_condition_that_changes_on_the_way_is_no_controlled_sweep(model):
    threads = torch.get_num_threads()
    try:
        with pytest.raises(ControlError, match="differ in steps only.*threads is"):
            sweep(APPLE, model, steps=[2, 3], say=silent, on_run=lambda cell: torch.set_num_threads(threads + 1))
    finally:
        torch.set_num_threads(threads)


def test_a_leak_from_run_to_run_is_no_controlled_sweep(model, monkeypatch):
    """What the frozen base prevents: each scheduler derived from the one before."""
    import tp2lib.engine.plan

    last = {"config": model.base_scheduler_config}

    def leaky(name, base, schedule="default"):
        from tp2lib.engine.schedulers import make_scheduler

        scheduler = make_scheduler(name, last["config"], schedule)
        last["config"] = {**scheduler.config, "steps_offset": scheduler.config.get("steps_offset", 0) + 1}
        return scheduler

    monkeypatch.setattr(tp2lib.engine.plan, "make_scheduler", leaky)
    with pytest.raises(ControlError, match="scheduler_hash"):
        sweep(APPLE, model, guidance=[4, 8], say=silent)


@pytest.mark.slow
def test_cells_made_with_another_fallback_are_all_made_again(model, monkeypatch):
    decode, starved = model.pipe.vae.decode, []

    def short_of_memory(latents, **options):
        if len(starved) < 3 and len(done) == 1:  # the second cell needs tiling
            starved.append(1)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(latents, **options)

    done, said = [], []
    monkeypatch.setattr(model.pipe.vae, "decode", short_of_memory)
    result = sweep(APPLE, model, steps=[2, 3], on_run=done.append, say=said.append)
    assert "memory ran out: all cells are made again with VAE slicing, VAE tiling, so that they compare" in said
    assert [run.effective["rungs"] for run in result.runs] == [["VAE slicing", "VAE tiling"]] * 2
    assert not model.pipe.vae.use_tiling


@pytest.fixture
def overflowing(model, monkeypatch):
    """Makes a model that decodes in bfloat16, where no run of ours goes on the CPU, and overflows at one of its calls."""

    def make(call):
        pipe = load(model.folder, device="cpu").pipe.to(torch.bfloat16)
        decode, seen = pipe.vae.decode, []

        def overflow(latents, **options):
            seen.append(latents.dtype)
            pixels = decode(latents, **options)[0]
            return (pixels * float("inf"),) if len(seen) == call else (pixels,)

        monkeypatch.setattr(pipe.vae, "decode", overflow)
        return replace(model, pipe=pipe, placement=replace(model.placement, dtype=torch.bfloat16))

    yield make
    load.__globals__["_loaded"].clear()  # this model's parts are bfloat16 now


def test_where_one_picture_overflows_in_half_precision_all_are_decoded_in_float32(overflowing, tmp_path):
    """The kept pictures would stand in the way of the proof for ever."""
    said = []
    result = sweep(APPLE, overflowing(2), guidance=[2, 3], ledger=Ledger(tmp_path), batch_width=1, say=said.append)
    assert "a picture overflowed: all cells are made again with float32 decoder, so that they compare" in said
    assert [run.effective["decoder_dtype"] for run in result.runs] == ["float32"] * 2 and result.control["guidance"]


def test_a_picture_that_overflows_changes_no_other_of_its_batch(overflowing):
    half = overflowing(1)
    first, second = run_together([make_plan(APPLE.vary(seed=seed), half, batch_width=2) for seed in (1, 2)])
    assert (first.effective["rungs"], second.effective["rungs"]) == (["float32 decoder"], [])


@pytest.mark.parametrize("seeds", [[1, 2, 1], [42, 42 + 2**32]])
def test_seeds_that_draw_the_same_noise_are_not_two_samples(model, seeds):
    with pytest.raises(RecipeError, match="each value once. Seeds that are equal modulo"):
        sweep(APPLE, model, seeds=seeds, steps=[2], say=silent)


@pytest.mark.slow
def test_a_cell_that_fails_is_said_and_the_others_are_made(model, monkeypatch):
    forward = model.pipe.unet.forward

    def greedy(sample, *args, **kwargs):
        if sample.shape[-1] > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(model.pipe.unet, "forward", greedy)
    result = sweep(APPLE, model, width=[64, 128], say=silent)
    assert result.cells[0].run and not result.cells[1].run
    assert "width 128, seed 42: memory ran out at stage 'denoise'" in result.notes[0]


def test_a_cell_without_a_picture_says_why(model, monkeypatch):
    decode = model.pipe.vae.decode
    monkeypatch.setattr(model.pipe.vae, "decode", lambda z, **k: decode(z, **k) if z.shape[-1] == 8 else (torch.full((1, 3, 64, 96), -1.0),))
    result = sweep(APPLE, model, width=[64, 96], say=silent)
    assert [cell.error for cell in result.cells] == [None, "no picture: black"]


def test_a_finished_sweep_costs_no_model_call(model, tmp_path, monkeypatch):
    axes = {"steps": [2, 3], "guidance": [1, 4]}
    first = sweep(APPLE, model, **axes, ledger=Ledger(tmp_path), say=silent)
    monkeypatch.setattr(model.pipe.unet, "forward", lambda *a, **k: pytest.fail("the model was called"))
    said = []
    again = sweep(APPLE, model, **axes, ledger=Ledger(tmp_path), say=said.append)
    assert said[0].endswith("4 images (4 kept from before)")
    assert all(same(one.image, other.image) for one, other in zip(first.runs, again.runs, strict=True))


def test_a_stopped_sweep_goes_on_where_it_stood(model, tmp_path):
    stop, seen = threading.Event(), []

    def after(cell):
        seen.append(cell)
        stop.set()

    with pytest.raises(Cancelled):
        sweep(APPLE, model, steps=[2, 3, 4], ledger=Ledger(tmp_path), on_run=after, should_stop=stop.is_set, say=silent)
    assert len(seen) == 1
    said = []
    sweep(APPLE, model, steps=[2, 3, 4], ledger=Ledger(tmp_path), say=said.append)
    assert "(2 to make, 1 kept from before" in said[0]


def test_progress_counts_model_calls(model, monkeypatch, capsys):
    seen = []
    sweep(APPLE, model, steps=[2, 3], progress=True, on_step=lambda step: seen.append(step.index), say=silent)
    assert seen == [0, 1, 0, 1, 2]
    assert "5/5" in capsys.readouterr().err


def test_progress_counts_only_what_is_to_be_made(model, tmp_path, capsys):
    ledger = Ledger(tmp_path)
    generate(APPLE.vary(steps=2), model, ledger=ledger)
    sweep(APPLE, model, steps=[2, 3], ledger=ledger, progress=True, say=silent, batch_width=1)
    assert "3/3" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that can fork")
def test_a_sweep_survives_being_killed_and_a_deadly_recipe_is_set_aside(vitrine):
    """Eight random SIGKILLs here; `python tests/kill_sweep.py 200` does as many as you like."""
    script = Path(__file__).with_name("kill_sweep.py")
    environment = {**os.environ, "TP2_VITRINE": str(vitrine), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script, "8"], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["bad files accepted"] == 0 and found["final pixels identical"]
    assert found["images redone"] <= 2 * found["kills"] == 16  # two pictures at a time
    assert found["poison"]["deaths"] == [True, True]
    assert "quarantine" in found["poison"]["errors"][0] and found["poison"]["made"] == [False, True]


def test_the_schedule_is_an_axis_and_touches_nothing_else(model):
    result = sweep(APPLE.vary(scheduler="Euler"), model, schedule=["default", "karras", "trailing"], seeds=[1], say=silent)
    assert result.control["schedule"] == ["schedule", "scheduler_hash", "timesteps"]
    assert len({cell.run.image.tobytes() for cell in result.cells}) == 3
    with pytest.raises(RecipeError, match="schedule is 'karras' with the EulerA scheduler"):
        sweep(APPLE, model, schedule=["default", "karras"], say=silent)


def test_a_name_that_holds_two_settings_is_no_controlled_axis(model):
    with pytest.raises(RecipeError, match="names two settings. Use scheduler='DPM\\+\\+ 2M' and schedule='karras'"):
        sweep(APPLE, model, scheduler=["DPM++ 2M", "DPM++ 2M Karras"], say=silent)
    with pytest.raises(RecipeError, match="each value once"):
        sweep(APPLE, model, scheduler=["EulerA", "euler a"], say=silent)


def test_a_setting_that_follows_an_axis_is_refused_before_the_first_picture_with_what_to_do(model):
    recipe = Recipe(prompt="a red apple", source="a.png", mask="found")  # the photo's shape decides its height
    with pytest.raises(ControlError, match="height is 128 or 64.*In a plan, give that setting a value in the recipe, or vary another one"):
        sweep(recipe, model, source=cut_out(Image.new("RGB", (64, 64), "red"), MIDDLE), width=[64, 128], say=silent, on_run=pytest.fail)


def test_seeds_of_minus_one_are_drawn_once_for_the_whole_grid(model):
    result = sweep(APPLE, model, steps=[2, 3], seeds=[-1, -1], say=silent)
    seeds = [cell.place["seed"] for cell in result.cells]
    assert seeds[:2] == seeds[2:] and len({*seeds}) == 2 and -1 not in seeds


# -- pictures that go through the model together ---------------------------------------------------------


@pytest.mark.slow
def test_a_picture_does_not_depend_on_those_it_is_made_with(model):
    """The same cells in other company, in another order, alone and filled up: the same bits at one width."""
    many = sweep(APPLE, model, guidance=[1, 4, 7.5], seeds=[1, 2, 3], batch_width=4, say=silent)
    few = sweep(APPLE, model, scheduler=["Euler", "EulerA"], seeds=[3, 2], batch_width=4, say=silent)
    for seed in (2, 3):
        assert same(many.at(guidance=7.5, seed=seed)[0].run.image, few.at(scheduler="EulerA", seed=seed)[0].run.image)
    for cell in many.cells:
        run = generate(cell.recipe, model, batch_width=4)
        assert same(run.image, cell.run.image) and run.key == cell.key and run.effective == cell.run.effective
        assert np.abs(np.asarray(generate(cell.recipe, model).image, int) - np.asarray(run.image, int)).max() <= 1


def test_the_seconds_of_a_batch_are_shared_out_by_rows(model):
    off, on = sweep(APPLE, model, guidance=[1, 4], batch_width=2, say=silent).runs
    assert on.timings["denoise"] == pytest.approx(2 * off.timings["denoise"]) and on.timings["total"] == pytest.approx(
        sum(seconds for stage, seconds in on.timings.items() if stage != "total")
    )


@pytest.mark.slow
def test_photos_and_schedulers_of_two_calls_a_step_go_together_too(model):
    photo = prepare_source(Image.new("RGB", (64, 64), "red"), 64, 64)
    recipe = APPLE.vary(source="apple.png", strength=0.6, steps=6)
    result = sweep(recipe, model, source=photo, scheduler=["Heun", "KDPM2A"], seeds=[1, 2], batch_width=4, say=silent)
    for cell in result.cells:
        assert same(cell.run.image, generate(cell.recipe, model, source=photo, batch_width=4).image)


def test_the_width_is_the_one_that_leaves_the_least_to_do(model, tmp_path):
    def width(seeds, ledger=None, **axes):
        return sweep(APPLE, model, seeds=seeds, ledger=ledger, say=silent, dry_run=ledger is None, **axes).cells

    first = {count: width(range(count), guidance=[4])[0] for count in (1, 3, 4, 16)}
    wide = {count: [width for width in (1, 2, 4, 8) if make_plan(cell.recipe, model, batch_width=width).key == cell.key] for count, cell in first.items()}
    assert wide == {1: [1], 3: [1], 4: [4], 16: [8]}
    width(range(4), Ledger(tmp_path), guidance=[4])
    assert {cell.run.effective["batch_width"] for cell in width(range(5), Ledger(tmp_path), guidance=[4])} == {4}  # grown: it stays


def test_a_width_that_ended_the_process_is_left_for_another_one_unless_all_other_cells_are_made(model, tmp_path, monkeypatch):
    plans = [make_plan(APPLE.vary(seed=seed), model) for seed in range(4)]
    ended = {plans[0].at_width(4).key}
    monkeypatch.setattr(Ledger, "quarantined", lambda self, key: "it took down 2 processes" if key in ended else None)
    assert choose_width(plans, None) == 4 and choose_width(plans, Ledger(tmp_path)) == 2
    monkeypatch.setattr(Ledger, "lookup", lambda self, key: {"picture": key} if key in {plan.at_width(4).key for plan in plans[1:]} else None)
    assert choose_width(plans, Ledger(tmp_path)) == 4


@pytest.mark.parametrize("width", [0, 65, 2.0, True])
def test_a_width_that_cannot_be_is_refused(model, width):
    with pytest.raises(RecipeError, match="batch_width is .*from 1 to 64"):
        sweep(APPLE, model, steps=[2], batch_width=width, say=silent)


def test_a_stop_comes_within_one_step_of_a_batch(model, tmp_path):
    calls = []
    with pytest.raises(Cancelled):
        sweep(APPLE, model, guidance=[2, 3, 4, 5], batch_width=4, ledger=Ledger(tmp_path), on_step=calls.append, should_stop=lambda: bool(calls), say=silent)
    assert len(calls) == 1
    assert {event["event"] for event in Ledger(tmp_path).events()} == {"started", "failed"}


@pytest.mark.slow
def test_memory_that_lacks_for_many_is_enough_for_one(model, monkeypatch):
    forward = model.pipe.unet.forward

    def greedy(sample, *args, **kwargs):
        if len(sample) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(model.pipe.unet, "forward", greedy)
    said = []
    result = sweep(APPLE, model, guidance=[2, 3, 4, 5], batch_width=4, say=said.append)
    assert [line for line in said if "memory" in line] == [
        f"memory ran out: all cells are made again {how}, so that they compare" for how in ("2 at a time", "one by one")
    ]
    assert all(same(cell.run.image, generate(cell.recipe, model).image) for cell in result.cells)


# -- processes that share a sweep -------------------------------------------------------------------------


def test_a_run_is_claimed_once_and_a_dead_process_lets_go_of_it(tmp_path):
    first, second = Ledger(tmp_path), Ledger(tmp_path)
    assert first.claim(["a" * 32, "b" * 32]) == ["a" * 32, "b" * 32]
    assert second.claim(["b" * 32, "c" * 32]) == ["c" * 32]
    first.fail("a" * 32, "no picture")
    assert second.claim(["a" * 32, "b" * 32]) == ["a" * 32]
    first.close()
    assert second.crashes("b" * 32) == 1 and second.claim(["b" * 32]) == ["b" * 32]


def no_waiting(seconds):
    pytest.fail("the sweep waits, and nobody else is at work")


def test_a_finished_picture_that_cannot_be_read_is_made_again_and_not_waited_for(model, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", no_waiting)
    (cell,) = sweep(APPLE, model, guidance=[4], ledger=Ledger(tmp_path), say=silent).cells
    cell.run.image.save(cell.run.path)  # the same pixels, and no record
    assert not sweep(APPLE, model, guidance=[4], ledger=Ledger(tmp_path), say=silent).cells[0].run.reused
    save_picture(cell.run.image, cell.run.path, {"key": cell.key}, cell.recipe)  # and one that does not say how it was made
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert not sweep(APPLE, model, guidance=[4], ledger=Ledger(tmp_path), say=silent).cells[0].run.reused


def test_a_sweep_that_waits_can_be_stopped_also_after_a_crash_elsewhere(model, tmp_path):
    dead, alive = Ledger(tmp_path), Ledger(tmp_path)
    key = sweep(APPLE, model, guidance=[4], say=silent, dry_run=True, batch_width=1).cells[0].key
    dead.start(key)
    dead.close()
    assert alive.claim([key]) == [key]
    with pytest.raises(Cancelled):
        sweep(APPLE, model, guidance=[4], ledger=Ledger(tmp_path), say=silent, should_stop=lambda: True, batch_width=1)


SHARED = Recipe(prompt="a red apple", width=64, height=64, steps=3)
SHARED_AXES = {"guidance": [2, 3, 4], "seeds": [1, 2, 3, 4]}


def share(weights: Path, outputs: Path, threads: int) -> None:
    """Make a sweep, as one process of several, and write down what it proves."""
    os.environ["TP2_VITRINE"] = str(weights)
    torch.set_num_threads(threads)
    result = sweep(SHARED, load("vitrine", device="cpu"), **SHARED_AXES, ledger=Ledger(outputs), say=silent)
    assert all(cell.run for cell in result.cells)
    (outputs / f"{os.getpid()}.txt").write_text(str(result.control))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that can fork")
def test_two_processes_make_a_sweep_together_and_a_killed_one_is_made_good(vitrine, tmp_path, model):
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tp2lib.engine.sweep", "tp2lib.models.loading", "diffusers.pipelines.stable_diffusion"])  # once, not three times

    def start():
        process = processes.Process(target=share, args=(vitrine, tmp_path, torch.get_num_threads()))
        process.start()
        return process

    pair, ledger = [start(), start()], Ledger(tmp_path)
    while not any(event["event"] == "started" for event in ledger.events()):
        assert any(process.is_alive() for process in pair)
        time.sleep(0.02)
    pair[0].kill()
    pair[0].join()
    others = [pair[1], start()]
    for process in others:
        process.join(300)
    assert [process.exitcode for process in others] == [0, 0]
    said = {(tmp_path / f"{process.pid}.txt").read_text() for process in others}
    events = ledger.events()
    done = [event["key"] for event in events if event["event"] == "done"]
    assert len(done) == len(set(done)) == 12
    assert sum(event["event"] == "started" for event in events) <= 12 + 4  # the killed one's batch, at most
    alone = sweep(SHARED, model, **SHARED_AXES, say=silent)
    assert {cell.key for cell in alone.cells} == set(done) and said == {str(alone.control)}
    for cell in alone.cells:
        with Image.open(ledger.picture(cell.key)) as image:
            assert same(image, cell.run.image)
