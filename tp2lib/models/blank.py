"""A Stable Diffusion 1.5 in shape alone: its published configuration, with weights drawn on the spot.

Speed and memory depend on the shapes and not on the weights, so a machine can be measured without fetching anything.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from tp2lib.models.catalogue import CATALOGUE, ModelCard
from tp2lib.models.devices import Placement
from tp2lib.models.loading import Model

__all__ = ["blank_model"]

_SCHEDULER = {
    "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False,
    "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None,
}  # fmt: skip
_TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 49408, "projection_dim": 768}
_UNET = {
    "sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8, "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
}  # fmt: skip
_VAE = {
    "sample_size": 512, "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
}  # fmt: skip


def blank_model(placement: Placement) -> Model:
    """Build the model: 860 M weights in the UNet, 123 M in the text encoder, 84 M in the VAE; its pictures show nothing.

    The tokenizer is vitrine's: a prompt has 77 tokens with either.
    """
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(Path(CATALOGUE["vitrine"].where) / "tokenizer")
    marks: dict[str, Any] = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    before = torch.get_default_dtype()
    torch.set_default_dtype(placement.dtype)
    try:
        with torch.random.fork_rng(), torch.device(placement.device):
            torch.manual_seed(0)
            text = CLIPTextModel(CLIPTextConfig(max_position_embeddings=77, **_TEXT, **marks)).eval()
            unet, vae = UNet2DConditionModel(**_UNET).eval(), AutoencoderKL(**_VAE).eval()
    finally:
        torch.set_default_dtype(before)
    pipe = StableDiffusionPipeline(vae, text, tokenizer, unet, PNDMScheduler.from_config(_SCHEDULER), None, None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    pipe.to(placement.device, placement.dtype)
    return Model(
        name="sd15 in shape", card=ModelCard(name="sd15 in shape", where="drawn on the spot"), folder=Path(), pipe=pipe,
        base_scheduler_config=MappingProxyType(_SCHEDULER), placement=placement, weights_sha256="0" * 64, native_size=512,
    )  # fmt: skip
