"""What the engine's tests share: a Stable Diffusion of 0.4 million random weights, in place of the real `vitrine`."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from strategies import noise_image  # hypothesis repeats itself in every module

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

WORDS = ["a", "photo", "of", "red", "green", "blue", "apple", "leather", "wallet", "mug", "on", "white", "wooden", "table", "soft", "light", "blurry"]
SIDE = 128  # pixels of a picture whose recipe names no size; vitrine's own 256 take four times as long


def pytest_configure(config: pytest.Config) -> None:
    """Let pass what our dependencies do to each other; our own warnings stay errors."""
    # diffusers' schedulers hand tensors to numpy, which announces to change that; nothing of ours is concerned
    config.addinivalue_line("filterwarnings", "ignore:__array_:DeprecationWarning")


def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Letters, digits and the merges that spell WORDS: enough for a real CLIP tokenizer."""
    letters = [*map(chr, range(97, 123)), *"0123456789,.-'!;:"]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        left, *rest = [*word[:-1], word[-1] + "</w>"]
        for right in rest:
            if (left, right) not in merges:
                merges.append((left, right))
            left += right
            if left not in tokens:
                tokens.append(left)
    return {token: number for number, token in enumerate(tokens)}, merges


def build_tiny(folder: Path, *, seed: int = 0) -> Path:
    """Save a tiny random Stable Diffusion (factor 8) in diffusers format."""
    import torch
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from diffusers.utils import logging as diffusers_log
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    from transformers.utils import logging as transformers_log

    from tp2lib.engine.schedulers import SD15_BASE

    diffusers_log.disable_progress_bar()
    transformers_log.disable_progress_bar()
    vocabulary, merges = _vocabulary()
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                num_attention_heads=2, max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
            )
        )  # fmt: skip
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 8, 8), down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4, latent_channels=4, norm_num_groups=4, sample_size=SIDE,
        )  # fmt: skip
        unet = UNet2DConditionModel(
            sample_size=SIDE // 8, block_out_channels=(16, 32), layers_per_block=1, cross_attention_dim=32,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), attention_head_dim=2, norm_num_groups=8,
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip
    scheduler = PNDMScheduler.from_config(dict(SD15_BASE))
    StableDiffusionPipeline(vae, text, tokenizer, unet, scheduler, None, None, requires_safety_checker=False).save_pretrained(folder)
    # diffusers adds timestep_spacing when it saves, which would move the timesteps of every other scheduler
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(dict(SD15_BASE)))
    (folder / "words.json").write_text(json.dumps(WORDS))
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the tiny model; read only."""
    folder = build_tiny(tmp_path_factory.mktemp("vitrine") / "weights")
    gc.freeze()  # torch and diffusers stay: a collection, which the engine asks for when memory runs out, need not look through them
    yield folder
    gc.unfreeze()


@pytest.fixture
def vitrine(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the tiny model stand for `vitrine`, and `auto` mean what it means anywhere."""
    monkeypatch.setenv("TP2_VITRINE", str(tiny_folder))
    monkeypatch.delenv("TP2_MODEL", raising=False)
    return tiny_folder


@pytest.fixture
def by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training count a second a step, so that what it learns depends on no clock."""
    from vitrine.training import Budget

    def tick(self: Budget) -> float:
        share, self.spent = self.share, self.spent + 1
        return share

    monkeypatch.setattr(Budget, "tick", tick)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay here, where the fresh process itself is not what is tested: it takes seconds to start."""
    import importlib

    module = importlib.import_module("tp2lib.engine.replay")
    monkeypatch.setattr(module, "_run_process", lambda folder, jobs: module.main([str(folder)]))


@pytest.fixture
def photo():
    """A photo of noise, in which every pixel tells."""
    from tp2lib.metadata.source import prepare_source

    return prepare_source(noise_image(64, 64), 64, 64)


@pytest.fixture
def model(vitrine: Path):
    """The tiny model, loaded on the CPU."""
    from tp2lib.models.loading import load

    return load("vitrine", device="cpu")
