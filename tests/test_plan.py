"""Effective settings: what decides the pixels, known before anything is sampled."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tp2lib.engine.generate import generate
from tp2lib.engine.plan import draw_noise, make_plan, resolve
from tp2lib.engine.sweep import sweep
from tp2lib.errors import ModelError, RecipeError, RecordError, SourceError, TP2Error
from tp2lib.metadata.source import prepare_source
from tp2lib.recipe import Recipe

APPLE = Recipe(prompt="a red apple on a white table", steps=10)


@pytest.fixture
def photo():
    return prepare_source(Image.new("RGB", (128, 128), "red"), 128, 128)


def key(recipe, model, **more):
    return make_plan(recipe, model, **more).key


def test_effective_settings_are_json_and_sample_nothing(model, monkeypatch):
    monkeypatch.setattr(model.pipe.unet, "forward", lambda *a, **k: pytest.fail("the model was called"))
    effective = resolve(APPLE, model)
    assert json.loads(json.dumps(effective, allow_nan=False)) == effective
    assert effective["width"] == effective["height"] == 128
    assert effective["model_calls"] == len(effective["timesteps"]) == 10
    assert effective["threads"] == torch.get_num_threads() and effective["dtype"] == "float32"


@pytest.mark.parametrize(("guidance", "active"), [(0, False), (0.5, False), (1, False), (1.0001, True), (7.5, True)])
def test_guidance_up_to_1_switches_guidance_and_the_negative_prompt_off(model, guidance, active):
    effective = resolve(APPLE.vary(guidance=guidance, negative_prompt="blurry"), model)
    assert effective["guidance_active"] is effective["negative_used"] is active
    assert effective["guidance"] == (guidance if active else None)
    assert effective["negative_prompt"] == ("blurry" if active else None)


def test_recipes_that_come_down_to_the_same_share_a_key(model, photo):
    off = [APPLE.vary(guidance=g, negative_prompt=n) for g, n in [(0, ""), (1, "blurry"), (0.5, "green")]]
    assert len({key(recipe, model) for recipe in off}) == 1
    nearby = [APPLE.vary(source="a.png", strength=s) for s in (0.61, 0.64, 0.699)]
    assert len({key(recipe, model, source=photo) for recipe in nearby}) == 1


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_threads_of_the_cpu_change_the_key_on_the_cpu_alone(model, device):
    """accelerate launch sets their number, and `tp2 sweep` beside it does not."""
    plan = make_plan(APPLE, model)
    keys = {replace(plan, effective={**plan.effective, "device": device, "threads": threads}).at_width(1).key for threads in (1, 16)}
    assert len(keys) == (2 if device == "cpu" else 1)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 43}, {"steps": 11}, {"guidance": 8}, {"scheduler": "Euler"}, {"prompt": "a green apple"},
        {"negative_prompt": "blurry"}, {"width": 256},
    ],
)  # fmt: skip
def test_what_changes_the_picture_changes_the_key(model, change):
    assert key(APPLE, model) != key(APPLE.vary(**change), model)


def test_the_key_depends_on_how_it_is_executed(model, photo, monkeypatch):
    recipe = APPLE.vary(source="a.png", strength=0.5)
    before = key(recipe, model, source=photo)
    other = prepare_source(Image.new("RGB", (128, 128), "blue"), 128, 128)
    assert key(recipe, model, source=other) != before
    assert key(recipe, model, source=photo, fallbacks=["VAE tiling"]) != before
    assert key(recipe, model, source=photo, fallbacks=["free caches"]) == before
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert key(recipe, model, source=photo) != before


def test_the_key_does_not_depend_on_where_the_photo_lies(model, photo):
    keys = {key(APPLE.vary(source=name, strength=0.5), model, source=photo) for name in ("a.png", "b/c.png")}
    assert len(keys) == 1


def test_tokens_beyond_what_the_model_reads_are_counted_and_named(model):
    effective = resolve(APPLE.vary(prompt="red " * 75 + "blue apple"), model)
    assert (effective["tokens"], effective["tokens_cut"], effective["text_cut"]) == (75, 2, "blue apple")


@pytest.mark.parametrize(
    ("steps", "strength", "mode", "ran", "of"),
    [
        (50, 0.58, "diffusers", 28, 50),  # int(50 * 0.58) is 28, not 29
        (30, 0.35, "diffusers", 10, 30),
        (10, 1.0, "diffusers", 10, 10),
        (30, 0.35, "constant", 30, 86),
        (10, 0.29, "constant", 10, 35),
    ],
)
def test_strength_decides_how_many_steps_run(model, photo, steps, strength, mode, ran, of):
    recipe = APPLE.vary(steps=steps, strength=strength, strength_mode=mode, source="a.png", scheduler="DDIM")
    effective = resolve(recipe, model, photo)
    assert (effective["steps"], effective["nominal_steps"], effective["model_calls"]) == (ran, of, ran)
    assert effective["strength"] == pytest.approx(ran / of, abs=1e-4)


def test_noise_is_the_same_for_all_settings_but_seed_and_size(model):
    same = [APPLE, APPLE.vary(steps=3), APPLE.vary(guidance=0), APPLE.vary(scheduler="LMS"), APPLE.vary(prompt="mug")]
    assert len({resolve(recipe, model)["noise_sha256"] for recipe in same}) == 1
    others = [APPLE.vary(seed=1), APPLE.vary(width=64)]
    assert len({resolve(recipe, model)["noise_sha256"] for recipe in [APPLE, *others]}) == 3


def test_noise_is_float32_on_the_cpu_and_the_generator_has_moved_on():
    generator, sample, noise, masked = draw_noise(7, (1, 4, 8, 8), photo=True)
    assert masked is None
    plain = torch.Generator().manual_seed(7)
    assert torch.equal(sample, torch.randn(1, 4, 8, 8, generator=plain))
    assert torch.equal(noise, torch.randn(1, 4, 8, 8, generator=plain))
    assert torch.equal(generator.get_state(), plain.get_state())
    assert noise.dtype is torch.float32 and noise.device.type == "cpu"
    assert not torch.equal(noise, sample)


def test_a_recipe_for_another_model_is_refused(model):
    with pytest.raises(RecipeError, match="asks for model 'sd15', and 'vitrine' was given"):
        resolve(APPLE.vary(model="sd15"), model)
    assert resolve(APPLE.vary(model="vitrine"), model)["model"] == "vitrine"
    gone = replace(model, name="a folder that is gone")
    assert resolve(APPLE.vary(model=gone.name), gone)["model"] == gone.name


def test_a_photo_of_another_size_is_refused(model, photo):
    with pytest.raises(SourceError, match="128x128 pixels and the recipe wants 64x128"):
        resolve(APPLE.vary(source="a.png", strength=0.5, width=64), model, photo)
    odd = replace(photo, image=Image.new("RGB", (100, 64), "red"))
    with pytest.raises(RecipeError, match="width is 100; it must be a multiple of 8 from 64 to 1024"):
        resolve(APPLE.vary(source="a.png", strength=0.5), model, odd)
    with pytest.raises(SourceError, match="the recipe has none. Give the recipe a source"):
        resolve(APPLE, model, photo)


def test_the_photo_s_size_counts_where_the_recipe_names_none(model):
    small = prepare_source(Image.new("RGB", (64, 64), "red"), 128, 64)
    effective = resolve(APPLE.vary(source="a.png", strength=0.5), model, small)
    assert (effective["width"], effective["height"]) == (128, 64)


def test_a_schedule_that_the_scheduler_cannot_make_is_refused_before_sampling(model):
    with pytest.raises(RecipeError, match="at most 50"):
        resolve(APPLE.vary(scheduler="LCM", steps=60), model)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"recipe": "a red apple"}, RecipeError, r"the recipe is 'a red apple'; it must be a Recipe, such as Recipe\(prompt="),
        ({"model": 3}, ModelError, "the model is 3; it must be one that load returned"),
        ({"source": "photo.jpg"}, SourceError, "the source is 'photo.jpg'; it must be prepared"),
        ({"ledger": "outputs"}, RecordError, "the ledger is 'outputs'; it must be a Ledger"),
        ({"fallbacks": "VAE tiling"}, RecipeError, "fallbacks is 'VAE tiling'; it must be a list of some of these"),
        ({"fallbacks": ["tiling", []]}, RecipeError, "free caches, VAE slicing"),
    ],
)
def test_what_is_of_the_wrong_type_is_refused_in_words(model, change, error, words):
    known = {"recipe": APPLE, "model": model, **change}
    if "ledger" not in change and "fallbacks" not in change:
        with pytest.raises(error, match=words):
            resolve(**known)
    if "fallbacks" not in change:
        with pytest.raises(TP2Error, match=words):  # of a cell, in the sweep's own words
            sweep(**known, steps=[2], say=pytest.fail)
    with pytest.raises(error, match=words):
        generate(**known)
