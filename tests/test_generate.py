"""Generate: the very pixels of diffusers, a true record, and three ways of having no picture."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image

from tp2lib.engine.generate import generate
from tp2lib.engine.inpainting import cut_out
from tp2lib.engine.plan import Plan, make_plan, resolve
from tp2lib.engine.runs import Run
from tp2lib.engine.sampling import _Execution
from tp2lib.engine.schedulers import make_scheduler
from tp2lib.errors import Cancelled, OutputError, RecordError, SourceError
from tp2lib.models.loading import load
from tp2lib.recipe import SCHEDULER_NAMES, Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import read_recipe, read_record, save_picture

APPLE = Recipe(prompt="a red apple on a white table", negative_prompt="blurry", steps=4, width=64, height=64)


def same(one: Image.Image, other: Image.Image) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other))


def plain(kind, model, scheduler, **settings) -> Image.Image:
    """The picture of a plain diffusers call, as the notebooks show it."""
    pipe = kind(**{**model.pipe.components, "scheduler": make_scheduler(scheduler)}, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe(
        APPLE.prompt, negative_prompt=APPLE.negative_prompt, num_inference_steps=APPLE.steps,
        guidance_scale=APPLE.guidance, generator=torch.Generator().manual_seed(APPLE.seed), **settings,
    ).images[0]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", SCHEDULER_NAMES)
def test_pixels_are_those_of_a_plain_diffusers_call(model, photo, scheduler):
    run = generate(APPLE.vary(scheduler=scheduler), model)
    assert same(run.image, plain(StableDiffusionPipeline, model, scheduler, width=64, height=64))
    assert run.effective["model_calls"] == resolve(run.recipe, model)["model_calls"]
    run = generate(APPLE.vary(scheduler=scheduler, source="photo.png", strength=0.6), model, source=photo)
    assert same(run.image, plain(StableDiffusionImg2ImgPipeline, model, scheduler, image=photo.image, strength=0.6))


def test_observed_timesteps_are_the_planned_ones(model, photo):
    for scheduler in ("PNDM", "Heun", "DPM++ 2M Karras"):
        recipe = APPLE.vary(scheduler=scheduler, source="photo.png", strength=0.6, strength_mode="constant")
        planned = resolve(recipe, model, photo)
        run = generate(recipe, model, source=photo)
        assert {name: run.effective[name] for name in planned} == planned


def test_the_same_recipe_gives_the_same_picture_and_another_seed_another(model):
    first = generate(APPLE, model)
    generate(APPLE.vary(scheduler="DPM++ 2M SDE"), model)  # nothing of it may stay behind
    assert same(first.image, generate(APPLE, model).image)
    assert not same(first.image, generate(APPLE.vary(seed=43), model).image)


def test_the_model_is_not_changed_by_a_run(model, photo):
    scheduler, before = model.pipe.scheduler, {k: id(v) for k, v in model.pipe.components.items()}
    generate(APPLE.vary(source="photo.png", strength=0.5), model, source=photo)
    assert {k: id(v) for k, v in model.pipe.components.items()} == before
    assert model.pipe.scheduler is scheduler and not hasattr(scheduler.step, "__wrapped__")


def test_without_guidance_the_negative_prompt_changes_nothing(model):
    runs = [generate(APPLE.vary(guidance=1, negative_prompt=text), model) for text in ("", "blurry")]
    assert same(runs[0].image, runs[1].image) and runs[0].key == runs[1].key


def test_sizes_that_are_no_multiple_of_the_model_s_blocks_work(model):
    assert generate(APPLE.vary(width=72, height=104), model).image.size == (72, 104)


def test_the_record_tells_stages_versions_and_requests(model, photo):
    run = generate(APPLE.vary(source="photo.png", strength=0.5), model, source=photo)
    assert set(run.timings) == {"text", "encode", "denoise", "decode", "total"}
    assert run.environment["torch"] == torch.__version__
    assert run.requested["strength"] == 0.5 and run.effective["steps"] == 2
    assert run.source["pixels_sha256"] == run.effective["source_sha256"] == photo.pixels_sha256
    assert "image" not in repr(run)


def test_progress_counts_the_real_model_calls(model):
    seen = []
    generate(APPLE.vary(scheduler="Heun"), model, on_step=lambda step: seen.append((step.index, step.total)))
    assert seen == [(i, 7) for i in range(7)]


def test_watching_a_run_does_not_change_it(model):
    watched = generate(APPLE, model, on_step=lambda step: step.preview())
    assert same(watched.image, generate(APPLE, model).image)


def test_the_last_prediction_is_the_picture(model):
    steps = []
    run = generate(APPLE.vary(scheduler="DDIM"), model, on_step=steps.append)
    last = steps[-1]
    assert same(last.decode(last.latents), run.image)
    difference = np.abs(np.asarray(last.decode(last.x0), float) - np.asarray(run.image, float))
    assert difference.mean() < 3
    assert last.preview().size == (8, 8)  # the size of the latents


@pytest.mark.parametrize("when", [0, 1, 3])
def test_cancel_stops_at_once_and_leaves_everything_sound(model, tmp_path, when):
    stop, seen, ledger = threading.Event(), [], Ledger(tmp_path)

    def on_step(step):
        seen.append(step.index)
        if step.index == when:
            stop.set()

    with pytest.raises(Cancelled):
        generate(APPLE, model, on_step=on_step, should_stop=stop.is_set, ledger=ledger)
    assert seen == list(range(when + 1))
    assert ledger.events()[-1]["event"] == "failed" and not list(tmp_path.glob("runs/*.png"))
    assert same(generate(APPLE, model, ledger=ledger).image, generate(APPLE, model).image)


def test_an_interrupt_is_noted(model, tmp_path):
    def on_step(step):
        raise KeyboardInterrupt

    ledger = Ledger(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        generate(APPLE, model, on_step=on_step, ledger=ledger)
    assert [event["event"] for event in ledger.events()] == ["started", "failed"] and ledger.events()[-1]["reason"].startswith("KeyboardInterrupt")


def test_cancel_before_the_first_step(model):
    with pytest.raises(Cancelled):
        generate(APPLE, model, on_step=lambda step: pytest.fail("a step was made"), should_stop=lambda: True)


def test_latents_that_overflow_are_called_nan(model, tmp_path, monkeypatch):
    forward = model.pipe.unet.forward
    monkeypatch.setattr(model.pipe.unet, "forward", lambda *a, **k: (forward(*a, **k)[0] * float("nan"),))
    ledger = Ledger(tmp_path)
    run = generate(APPLE, model, ledger=ledger)
    assert (run.outcome, run.image, run.path) == ("nan", None, None)
    assert "decode" not in run.timings
    assert ledger.events()[-1]["reason"] == "nan"
    with pytest.raises(OutputError, match="ended as 'nan'"):
        run.save(tmp_path / "nan.png")


@pytest.mark.parametrize(("level", "outcome"), [(float("inf"), "nan"), (-1.0, "black")])
def test_a_decoder_that_overflows_is_called_nan_and_an_all_black_picture_black(model, tmp_path, monkeypatch, level, outcome):
    monkeypatch.setattr(model.pipe.vae, "decode", lambda z, **k: (torch.full((1, 3, 64, 64), level),))
    run = generate(APPLE, model, ledger=Ledger(tmp_path))
    assert run.outcome == outcome and run.path is None and not list(tmp_path.glob("runs/*.png"))


@pytest.mark.parametrize("case", ["plain", "previewed", "masked"])
def test_half_precision_that_overflows_is_decoded_again_in_float32(model, monkeypatch, case):
    """Forced onto the CPU in bfloat16, where no run of ours goes, to see the retry and the way back."""
    half = replace(model.placement, dtype=torch.bfloat16)
    pipe = load(model.folder, device="cpu").pipe.to(torch.bfloat16)
    decode, seen = pipe.vae.decode, []

    def overflowing(latents, **options):
        seen.append(latents.dtype)
        pixels = decode(latents, **options)[0]
        return (pixels * float("inf"),) if latents.dtype is torch.bfloat16 else (pixels,)

    again = [torch.bfloat16, torch.float32]
    # With a mask, the expected surroundings are decoded on the way; then the picture is decoded in float32 at once.
    decoded = {"plain": again, "previewed": again * 2, "masked": again * 2 + again[1:]}
    cut = cut_out(Image.new("RGB", (64, 64), "red"), np.pad(np.ones((16, 16), bool), 24)) if case == "masked" else None
    recipe = APPLE.vary(source="photo.png", mask="mask.png") if cut else APPLE
    try:
        monkeypatch.setattr(pipe.vae, "decode", overflowing)
        run = generate(recipe, replace(model, pipe=pipe, placement=half), source=cut, on_step=(lambda info: info.preview()) if case == "previewed" else None)
        assert run.outcome == "ok" and run.effective["decoder_dtype"] == "float32" and run.effective["rungs"] == ["float32 decoder"]
        assert seen == decoded[case] and pipe.vae.dtype is torch.bfloat16
    finally:
        load.__globals__["_loaded"].clear()  # this model's parts are bfloat16 now


def test_no_float64_is_put_on_an_apple_gpu(model, monkeypatch):
    """MPS has none; `device` would raise wherever it is used."""
    pipe = SimpleNamespace(_execution_device=SimpleNamespace(type="mps"), prepare_extra_step_kwargs=lambda *_: {})
    monkeypatch.setattr(Plan, "draws", SimpleNamespace(generator=None, noise=SimpleNamespace(to=lambda *_: torch.zeros(1, 4, 8, 8))))
    plan = make_plan(Recipe(prompt="a red apple", steps=3, scheduler="KDPM2", schedule="karras"), model)
    one = _Execution(plan, SimpleNamespace(pipe=pipe), None, lambda: False)
    one.words = torch.zeros(1), None
    one.begin()
    assert one.timesteps.device.type == "cpu" and one.timesteps.dtype is torch.float64


def test_a_run_is_kept_and_found_again_without_a_model_call(model, tmp_path, monkeypatch):
    ledger = Ledger(tmp_path)
    first = generate(APPLE, model, ledger=ledger)
    assert first.path.is_file() and not first.reused
    monkeypatch.setattr(model.pipe.unet, "forward", lambda *a, **k: pytest.fail("the model was called"))
    again = generate(APPLE, model, ledger=Ledger(tmp_path))
    assert again.reused and again.key == first.key and same(again.image, first.image)
    assert again.effective == first.effective


def test_a_recipe_that_comes_down_to_the_same_finds_the_run_and_keeps_its_own_words(model, tmp_path):
    ledger = Ledger(tmp_path)
    generate(APPLE.vary(guidance=1), model, ledger=ledger)
    found = generate(APPLE.vary(guidance=0), model, ledger=ledger)
    assert found.reused and found.requested["guidance"] == 0 and found.effective["guidance"] is None
    published = Run.from_picture(ledger.publish(found, "baseline.png"))
    assert published.recipe == found.recipe and published.key == found.key and same(published.image, found.image)


def test_a_kept_picture_that_was_tampered_with_is_made_again(model, tmp_path):
    first = generate(APPLE, model, ledger=Ledger(tmp_path))
    Image.new("RGB", (64, 64)).save(first.path)
    again = generate(APPLE, model, ledger=Ledger(tmp_path))
    assert not again.reused and same(again.image, first.image)


def test_a_photo_is_kept_so_that_its_runs_can_be_made_again(model, photo, tmp_path):
    ledger = Ledger(tmp_path)
    recipe = APPLE.vary(source="photo.png", strength=0.5)
    run = generate(recipe, model, source=photo, ledger=ledger)
    by_hash = recipe.vary(source=f"sha256:{photo.pixels_sha256}")
    assert generate(by_hash, model, ledger=ledger).key == run.key
    with pytest.raises(SourceError, match="known by its hash only"):
        generate(by_hash, model)


def test_save_writes_a_picture_that_carries_its_run(model, tmp_path):
    run = generate(APPLE, model)
    path = run.save(tmp_path / "apple.png")
    assert read_recipe(path).recipe == APPLE
    assert read_record(path)["effective"] == run.effective
    back = Run.from_picture(path)
    assert back.key == run.key and same(back.image, run.image)


def test_a_picture_without_a_whole_record_is_no_run(model, tmp_path):
    save_picture(generate(APPLE, model).image, tmp_path / "bare.png", {}, APPLE)
    with pytest.raises(RecordError, match="says nothing of how the picture was made"):
        Run.from_picture(tmp_path / "bare.png")


def test_the_model_is_loaded_when_none_is_given(vitrine):
    assert generate(APPLE).effective["model"] == "vitrine"
