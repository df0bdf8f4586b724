"""The untrained parts: a tokenizer that knows its words, a folder that plain diffusers loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, StableDiffusionPipeline

from tp2lib import INPUTS, Ledger, Recipe, generate, load, sweep
from vitrine.captions import known_words
from vitrine.model import SCHEDULER_CONFIG, TINY, fold_whitening, make_autoencoder, make_text_encoder, make_unet, save_pipeline
from vitrine.tokenizer import make_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    path, tokenizer = tmp_path_factory.mktemp("vitrine"), make_tokenizer()
    save_pipeline(path, make_text_encoder(tokenizer, TINY), make_autoencoder(TINY), make_unet(TINY), tokenizer)
    return path


def test_every_known_word_is_one_token_of_its_own():
    tokenizer = make_tokenizer()
    ids = [tokenizer(word).input_ids for word in known_words()]
    assert all(len(i) == 3 for i in ids)
    assert len({i[1] for i in ids}) == len(ids)
    assert len(tokenizer) <= 1024


@pytest.mark.slow
def test_ids_are_the_same_in_every_process():
    """Weights trained in one process are of no use in another if its words have other numbers."""
    code = "from vitrine.tokenizer import make_tokenizer; print(sorted(make_tokenizer().get_vocab().items()))"
    other = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(sorted(make_tokenizer().get_vocab().items()))


def test_a_strange_word_is_spelled_and_no_letter_is_lost():
    tokenizer = make_tokenizer()
    tokens = tokenizer.tokenize("zebra café")
    assert len(tokens) > 4
    assert tokenizer.unk_token not in tokens


def test_the_saved_folder_loads_with_plain_diffusers(folder):
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    assert pipe.vae_scale_factor == 8 and pipe.safety_checker is None
    assert json.loads((folder / "words.json").read_text()) == known_words()
    assert pipe("a red apple", num_inference_steps=2).images[0].size == (128, 128)


@pytest.mark.slow
def test_the_library_runs_it_from_words_and_from_a_photo_with_previews_and_batches(folder, monkeypatch, tmp_path):
    """Eight latent channels, where Stable Diffusion 1.5 has four."""
    monkeypatch.setenv("TP2_VITRINE", str(folder))
    model, seen = load("vitrine", device="cpu"), []
    words = Recipe(prompt="a red apple", steps=3, width=64, height=64)
    photo = words.vary(source=str(INPUTS / "product.jpg"), strength=0.7)
    for recipe in (words, photo):
        run = generate(recipe, model, on_step=lambda step: seen.append((step.latents.shape, step.preview().size)), ledger=Ledger(tmp_path))
        assert run.outcome == "ok" and run.image.size == (64, 64)
    assert len(seen) == 5 and set(seen) == {((1, 8, 8, 8), (8, 8))}
    study = sweep(words, model, guidance=[1, 7.5, 12], ledger=Ledger(tmp_path))
    assert len({run.image.tobytes() for run in study.runs}) == 3


def test_timestep_grids_are_those_of_stable_diffusion_1_5(folder):
    """The lists in the published hub form: Euler keeps its own spacing, DDIM leads with an offset of 1."""
    base = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32).scheduler.config
    assert json.loads((folder / "scheduler" / "scheduler_config.json").read_text()) == SCHEDULER_CONFIG
    grids = {
        EulerDiscreteScheduler: [999, 749.25, 499.5, 249.75, 0],
        DDIMScheduler: [801, 601, 401, 201, 1],
        DPMSolverMultistepScheduler: [999, 799, 599, 400, 200],
    }
    for scheduler, grid in grids.items():
        made = scheduler.from_config(base)
        made.set_timesteps(5)
        assert made.timesteps.tolist() == pytest.approx(grid), scheduler.__name__


@torch.no_grad()
def test_whitening_changes_the_latents_and_nothing_else():
    torch.manual_seed(1)
    vae = make_autoencoder(TINY)
    vae.quant_conv.weight[1] = vae.quant_conv.weight[0] + 0.02 * vae.quant_conv.weight[1]  # two channels that are nearly one
    x = torch.randn(3, 3, 64, 64)
    before, moments = vae(x).sample, vae.encode(x).latent_dist
    flat, variance = moments.mean.movedim(1, -1).flatten(0, 2), moments.var.mean((0, 2, 3))
    assert torch.corrcoef(flat.T)[0, 1] > 0.95
    fold_whitening(vae, flat.mean(0), torch.cov(flat.T) + torch.diag(variance), variance)
    after = vae.encode(x).latent_dist
    assert torch.allclose(vae(x).sample, before, atol=1e-3)
    white = after.mean.movedim(1, -1).flatten(0, 2)
    assert white.mean(0).abs().max() < 1e-3
    assert ((torch.cov(white.T) + torch.diag(after.var.mean((0, 2, 3)))).diagonal() - 1).abs().max() < 0.05
    assert after.var.std((0, 2, 3)).max() < 1e-5  # constant a channel
