"""Fallbacks for when memory runs out, tried in order. Each one is recorded, because some change the picture."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import torch

from tp2lib.errors import ModelError

log = logging.getLogger("tp2lib")

T = TypeVar("T")

FREE_CACHES = "free caches"
SLICING = "VAE slicing"
TILING = "VAE tiling"
OFFLOAD = "model offload"
FLOAT32 = "float32 decoder"
SMALLER = "smaller size"  # how tags of earlier versions begin, which could shrink a picture: its size is in the record too
_STAGES = ("text", "encode", "denoise", "decode")
FALLBACKS = {FREE_CACHES: (*_STAGES, "put back"), SLICING: ("encode", "decode"), TILING: ("encode", "decode"), OFFLOAD: _STAGES, FLOAT32: ()}
"""All fallbacks, in the order they are tried, with the stages that they help. Freeing caches changes no pixel; tiling may change many.
The float32 decoder is for a picture that overflows in half precision."""

_SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED.")
"""How PyTorch's CPU (Linux, Windows) and MPS allocators, cuBLAS and cuDNN say it, in a RuntimeError."""


def treatments(fallbacks: Sequence[str]) -> list[str]:
    """The fallbacks that may change pixels: all but freed caches. Pictures compare if these are equal."""
    return [fallback for fallback in fallbacks if fallback != FREE_CACHES and not str(fallback).startswith(SMALLER)]


class OutOfMemory(ModelError):
    """All fallbacks were used, and it still does not fit in memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on any device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


class Fallbacks:
    """Run the stages of one picture with its own pipeline; when memory runs out, add the next fallback and try again.

    A context manager that uses `fallbacks` from the start; on exit, the model is as it was. Where it does not fit on its
    device any more, it stays offloaded, and the next picture's fallbacks say so.
    """

    def __init__(self, pipe: Any, fallbacks: Sequence[str] = ()) -> None:
        self.pipe = pipe
        self.device = pipe._execution_device
        self.used = list(fallbacks)
        if OFFLOAD not in self.used and any(hasattr(part, "_hf_hook") for part in pipe.components.values()):
            self.used.append(OFFLOAD)

    def __enter__(self) -> Self:
        for fallback in self.used:
            self._apply(fallback)
        return self

    def __exit__(self, *_: object) -> None:
        self.pipe.vae.disable_slicing()
        self.pipe.vae.disable_tiling()
        if OFFLOAD not in self.used:
            return
        self.pipe.remove_all_hooks()
        try:
            self.pipe.to(self.device)
            return
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        log.warning("the model no longer fits on %s as a whole: it stays offloaded, which is slower", self.device)
        self._apply(FREE_CACHES)
        self._apply(OFFLOAD)

    def run(self, stage: str, work: Callable[[], T]) -> T:
        """Do a stage's work; if memory runs out, add the next fallback that helps that stage (see `FALLBACKS`) and do it again.

        `work` must give the same result each time it is called. OutOfMemory is raised if no fallback is left.
        """
        while True:
            try:
                return work()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                reason = (str(error).splitlines() or [type(error).__name__])[0]
            # Not within the except block: while the exception lives, so does every tensor on its stack.
            self._add(stage, reason)

    def _add(self, stage: str, reason: str) -> None:
        for fallback, stages in FALLBACKS.items():
            if fallback not in self.used and stage in stages and (fallback != OFFLOAD or self.device.type != "cpu"):
                self.used.append(fallback)
                self._apply(FREE_CACHES)
                self._apply(fallback)
                return
        raise OutOfMemory(
            f"memory ran out at stage {stage!r} ({reason}), after: {', '.join(self.used)}. Close other programs that "
            "use the GPU, or ask for a smaller width and height."
        )

    def _apply(self, fallback: str) -> None:
        if fallback == FREE_CACHES:
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if torch.backends.mps.is_available():
                torch.mps.empty_cache()
        elif fallback == SLICING:
            self.pipe.vae.enable_slicing()
        elif fallback == TILING:
            self.pipe.vae.enable_tiling()
        elif fallback == OFFLOAD:
            self.pipe.enable_model_cpu_offload(device=self.device)
