"""What ``tp2 bench`` measures: other ways to call a UNet, and a model of Stable Diffusion 1.5's shapes with random weights.

Each way is a context that gives a function like the plain call, and leaves the model as it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tp2lib.engine.schedulers import SD15_BASE
from tp2lib.models.catalogue import CATALOGUE, ModelCard
from tp2lib.models.devices import Placement, with_engine
from tp2lib.models.loading import Model

Forward = Callable[..., torch.Tensor]
Variant = Callable[[Any], AbstractContextManager[Forward]]


def variants(cuda: bool) -> dict[str, Variant]:
    """Return those that are worth measuring, by name."""
    ways: dict[str, Variant] = {
        "channels-last": lambda unet: _with(
            unet,
            partial(unet.to, memory_format=torch.channels_last),
            partial(unet.to, memory_format=torch.contiguous_format),
            lambda latents: latents.to(memory_format=torch.channels_last),
        ),
        "fused QKV": lambda unet: _with(unet, unet.fuse_qkv_projections, partial(_unfuse, unet)),
        "sliced attention": lambda unet: _with(unet, partial(unet.set_attention_slice, "auto"), partial(unet.set_attn_processor, dict(unet.attn_processors))),
        "compiled": lambda unet: contextlib.nullcontext(_plain(torch.compile(unet))),
    }
    if not cuda:
        ways |= {"bfloat16": _bfloat16, "OpenVINO, float32": lambda unet: contextlib.nullcontext(_plain(with_engine(unet)))}
    return ways


def _unfuse(unet: Any) -> None:
    """Undo the fusing; diffusers leaves the fused weights beside the others."""
    unet.unfuse_qkv_projections()
    for module in unet.modules():
        for name in {"to_qkv", "to_kv"} & module._modules.keys():
            delattr(module, name)


def unet_inputs(unet: Any, rows: int) -> tuple[torch.Tensor, ...]:
    """Draw what a call of so many rows gets: latents, timesteps, words."""
    generator, side = torch.Generator().manual_seed(0), unet.config.sample_size
    shapes = ((rows, unet.config.in_channels, side, side), (rows, 77, unet.config.cross_attention_dim))
    latents, words = (torch.randn(shape, generator=generator).to(unet.device, unet.dtype) for shape in shapes)
    return latents, torch.full((rows,), 500.0, device=unet.device), words


def unet_call(unet: Any, rows: int) -> Callable[[], torch.Tensor]:
    return partial(_plain(unet), *unet_inputs(unet, rows))


def _plain(unet: Any) -> Forward:
    def call(latents: torch.Tensor, times: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return unet(latents, times, encoder_hidden_states=words, return_dict=False)[0]

    return call


@contextlib.contextmanager
def _with(
    unet: Any, do: Callable[[], Any], undo: Callable[[], Any], lay: Callable[[torch.Tensor], torch.Tensor] = lambda latents: latents
) -> Iterator[Forward]:
    do()
    try:
        yield lambda latents, *rest: _plain(unet)(lay(latents), *rest)
    finally:
        undo()


@contextlib.contextmanager
def _bfloat16(unet: Any) -> Iterator[Forward]:
    with torch.autocast(unet.device.type, torch.bfloat16):
        yield lambda *inputs: _plain(unet)(*inputs).float()


# What diffusers and transformers have otherwise by default.
_UNET = {"sample_size": 64, "cross_attention_dim": 768}
_TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "projection_dim": 768}
_VAE = {
    "sample_size": 512, "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
}  # fmt: skip


def blank_model(placement: Placement) -> Model:
    """Build a model of Stable Diffusion 1.5's shapes: 860 M weights in the UNet, 123 M in the text encoder, 84 M in the VAE, drawn on the spot.

    Speed and memory depend on the shapes alone, so nothing is fetched. Its pictures show nothing. A prompt has 77 tokens with vitrine's tokenizer, too.
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
            text = CLIPTextModel(CLIPTextConfig(**_TEXT, **marks)).eval()
            unet, vae = UNet2DConditionModel(**_UNET).eval(), AutoencoderKL(**_VAE).eval()
    finally:
        torch.set_default_dtype(before)
    pipe = StableDiffusionPipeline(vae, text, tokenizer, unet, PNDMScheduler.from_config(dict(SD15_BASE)), None, None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    pipe.to(placement.device, placement.dtype)
    return Model(
        name="sd15 in shape", card=ModelCard(name="sd15 in shape", where="drawn on the spot"), folder=Path(), pipe=pipe,
        base_scheduler_config=SD15_BASE, placement=placement, weights_sha256="0" * 64, native_size=512,
    )  # fmt: skip
