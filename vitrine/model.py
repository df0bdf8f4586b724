"""Vitrine's parts, untrained: tokenizer, text encoder, autoencoder, UNet, scheduler.

All are diffusers' and transformers' own classes with small sizes, so that the saved
folder loads with ``StableDiffusionPipeline.from_pretrained`` and nothing of ours.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .captions import known_words
from .tokenizer import make_tokenizer

# Stable Diffusion 1.5's scheduler file as published but for ``beta_end``: anything more (a saved
# ``timestep_spacing`` above all) would change every scheduler derived from it. With 0.012 the noisiest level keeps 7 % of
# a photo, and a UNet this good at reading noise found it there: a white background stayed white in two of three pictures at strength 1.
# With 0.020 it keeps 1.5 %, but guidance 7.5 then made dark sets black.
SCHEDULER_CONFIG = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.016,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How big the networks are; ``TINY`` serves the tests."""

    text: int = 192
    text_layers: int = 3
    unet: tuple[int, ...] = (64, 96, 160, 192)
    unet_layers: int = 1
    vae: tuple[int, ...] = (32, 64, 128, 96)
    latents: int = 8
    sample: int = 32
    groups: int = 16


FULL = Size()
TINY = Size(text=32, text_layers=1, unet=(32, 32, 32, 32), vae=(16, 16, 16, 16), sample=16, groups=8)


def make_text_encoder(tokenizer: CLIPTokenizer, size: Size = FULL) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=size.text,
            intermediate_size=4 * size.text,
            num_hidden_layers=size.text_layers,
            num_attention_heads=max(1, size.text // 32),
            max_position_embeddings=77,
            projection_dim=size.text,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def make_autoencoder(size: Size = FULL) -> AutoencoderKL:
    """Factor 8, without attention; eight channels a group in the first layer, as `start_linear` wants it."""
    n = len(size.vae)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * n,
        up_block_types=("UpDecoderBlock2D",) * n,
        block_out_channels=size.vae,
        layers_per_block=1,
        latent_channels=size.latents,
        norm_num_groups=size.vae[0] // 8,
        mid_block_add_attention=False,
        sample_size=size.sample * 2 ** (n - 1),
        scaling_factor=1.0,
    )


def make_unet(size: Size = FULL) -> UNet2DConditionModel:
    """Four levels as in SD 1.5, but attention only at 8×8, 4×4 and the middle.

    Attention at 16×16 too would cost a third of the training speed on a CPU.
    """
    return UNet2DConditionModel(
        sample_size=size.sample,
        in_channels=size.latents,
        out_channels=size.latents,
        block_out_channels=size.unet,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        layers_per_block=size.unet_layers,
        cross_attention_dim=size.text,
        norm_num_groups=size.groups,
        attention_head_dim=tuple(c // 32 for c in size.unet),
    )


def save_pipeline(folder: Path, text_encoder: CLIPTextModel, vae: AutoencoderKL, unet: UNet2DConditionModel, tokenizer: CLIPTokenizer | None = None) -> None:
    """Write a diffusers folder: fp16 safetensors, the published scheduler file, the word list."""
    folder = Path(folder)
    vae.register_to_config(_name_or_path="")  # not the folder it was trained in
    pipe = StableDiffusionPipeline(
        vae=vae.half(),
        text_encoder=text_encoder.half(),
        unet=unet.half(),
        tokenizer=tokenizer or make_tokenizer(),
        scheduler=PNDMScheduler.from_config(SCHEDULER_CONFIG),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER_CONFIG, indent=2) + "\n")
    (folder / "words.json").write_text(json.dumps(known_words(), indent=0) + "\n")


def seal(folder: Path) -> None:
    """Write ``SHA256SUMS`` for all the weights in a folder, as ``sha256sum`` does."""
    lines = []
    for path in sorted(folder.rglob("*.safetensors")):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.relative_to(folder).as_posix()}\n")
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


@torch.no_grad()
def change_basis(vae: AutoencoderKL, to: torch.Tensor, mean: torch.Tensor) -> None:
    """Make the latents ``to @ (z - mean)`` inside the 1×1 convolutions, in place: pictures come back as before.

    Parameters
    ----------
    to : Tensor of shape (C, C)
        Invertible.
    mean : Tensor of shape (C,)
    """
    to, mean = to.double(), mean.double()
    quant, post, channels = vae.quant_conv, vae.post_quant_conv, len(mean)
    weight, bias = quant.weight.double(), quant.bias.double()
    weight[:channels] = torch.einsum("ij,jkhw->ikhw", to, weight[:channels])
    bias[:channels] = to @ (bias[:channels] - mean)
    quant.weight.copy_(weight)
    quant.bias.copy_(bias)
    post_weight = post.weight.double()
    post.bias.copy_(post.bias.double() + post_weight[:, :, 0, 0] @ mean)
    post.weight.copy_(torch.einsum("ikhw,kj->ijhw", post_weight, torch.linalg.inv(to)))


@torch.no_grad()
def fold_whitening(vae: AutoencoderKL, mean: torch.Tensor, covariance: torch.Tensor, variance: torch.Tensor) -> None:
    """Make the latents zero-mean and unit-variance in every direction, exactly, in place.

    Unit variance a channel is not enough: two of the channels were correlated at .98, and the colours lay
    where they differ, a twentieth as wide as the noise that the UNet is to see them through.

    Parameters
    ----------
    vae : AutoencoderKL
        The posterior's variance becomes a constant a channel: turned into the new
        directions it would depend on the old channels in a way that no 1×1 convolution computes.
    mean : Tensor of shape (C,)
    covariance : Tensor of shape (C, C)
        Statistics of the present latents over the training pictures.
    variance : Tensor of shape (C,)
        Mean of the present posterior's variance; a part of the covariance's diagonal.
    """
    values, axes = torch.linalg.eigh(covariance.double())
    to = axes @ torch.diag(values**-0.5) @ axes.T  # symmetric: the nearest basis
    change_basis(vae, to, mean)
    vae.quant_conv.weight[len(mean) :] = 0
    vae.quant_conv.bias[len(mean) :] = (to.square() @ variance.double()).log()
