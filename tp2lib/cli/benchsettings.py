"""Other ways to call a UNet, for ``tp2 bench``: each is put on, gives a function like the plain call, and is taken off."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch

from tp2lib.models.fast import with_engine

__all__ = ["unet_call", "unet_inputs", "variants"]

Forward = Callable[..., torch.Tensor]
Variant = Callable[[Any], AbstractContextManager[Forward]]


def variants(cuda: bool) -> dict[str, Variant]:
    """Return those that are worth measuring, by name."""
    ways: dict[str, Variant] = {"channels-last": _channels_last, "fused QKV": _fused, "sliced attention": _sliced, "compiled": _compiled}
    return ways if cuda else {**ways, "bfloat16": _bfloat16, "OpenVINO, float32": _openvino}


def unet_inputs(unet: Any, rows: int) -> tuple[torch.Tensor, ...]:
    """Draw what a call of so many rows gets: latents, timesteps, words."""
    generator, side = torch.Generator().manual_seed(0), unet.config.sample_size
    shapes = ((rows, unet.config.in_channels, side, side), (rows, 77, unet.config.cross_attention_dim))
    latents, words = (torch.randn(shape, generator=generator).to(unet.device, unet.dtype) for shape in shapes)
    return latents, torch.full((rows,), 500.0, device=unet.device), words


def unet_call(unet: Any, rows: int) -> Callable[[], torch.Tensor]:
    inputs = unet_inputs(unet, rows)
    return lambda: _plain(unet)(*inputs)


def _plain(unet: Any) -> Forward:
    def call(latents: torch.Tensor, times: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return unet(latents, times, encoder_hidden_states=words, return_dict=False)[0]

    return call


@contextlib.contextmanager
def _channels_last(unet: Any) -> Iterator[Forward]:
    unet.to(memory_format=torch.channels_last)
    try:
        yield lambda latents, *rest: _plain(unet)(latents.to(memory_format=torch.channels_last), *rest)
    finally:
        unet.to(memory_format=torch.contiguous_format)


@contextlib.contextmanager
def _fused(unet: Any) -> Iterator[Forward]:
    unet.fuse_qkv_projections()
    try:
        yield _plain(unet)
    finally:
        unet.unfuse_qkv_projections()


@contextlib.contextmanager
def _sliced(unet: Any) -> Iterator[Forward]:
    before = dict(unet.attn_processors)
    unet.set_attention_slice("auto")
    try:
        yield _plain(unet)
    finally:
        unet.set_attn_processor(before)


@contextlib.contextmanager
def _compiled(unet: Any) -> Iterator[Forward]:
    yield _plain(torch.compile(unet))


@contextlib.contextmanager
def _bfloat16(unet: Any) -> Iterator[Forward]:
    with torch.autocast(unet.device.type, torch.bfloat16):
        yield lambda *inputs: _plain(unet)(*inputs).float()


@contextlib.contextmanager
def _openvino(unet: Any) -> Iterator[Forward]:
    yield _plain(with_engine(unet))
