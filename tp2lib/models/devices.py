"""Where a run happens: the one decision on device and number format, and a description of the machine."""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import os
import platform
from dataclasses import dataclass

import torch

from tp2lib.errors import ModelError

__all__ = ["Placement", "choose_device", "environment", "try_xformers"]

log = logging.getLogger("tp2lib")

_PACKAGES = ("torch", "diffusers", "transformers", "numpy", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a model runs: "cuda", "mps" or "cpu", the number format of weights and latents, and why.

    `free_gb` is the free memory of the GPU, in GB (10⁹ bytes); None where there is no GPU.
    """

    device: str
    dtype: torch.dtype
    why: str
    free_gb: float | None = None

    @property
    def dtype_name(self) -> str:
        """The number format as text, such as ``"float32"``."""
        return str(self.dtype).removeprefix("torch.")


def choose_device(device: str | None = None) -> Placement:
    """Decide on device and number format, for the whole library; `device` insists on one, as a replay does, else it is the best one that works.

    CUDA runs in float16; Apple's MPS and the CPU run in float32, since float16 is slow and loses images there. ModelError is raised if the device asked for is
    unknown, absent or broken.
    """
    if device not in (None, "cuda", "mps", "cpu"):
        raise ModelError(f"device is {device!r}; it must be 'cuda', 'mps', 'cpu' or None (the best one that works).")
    if device in (None, "cuda"):
        fault = _cuda_fault()
        if fault is None:
            if "LOCAL_RANK" in os.environ:  # accelerate launch: a GPU for each process
                torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
            free_gb = torch.cuda.mem_get_info()[0] / 1e9
            why = f"{torch.cuda.get_device_name()} with {free_gb:.1f} GB free"
            return Placement(device="cuda", dtype=torch.float16, why=why, free_gb=free_gb)
        if device == "cuda":
            raise ModelError(f"device is 'cuda', but {fault}. Use device=None to take what works.")
    if device in (None, "mps") and torch.backends.mps.is_available():
        return Placement(device="mps", dtype=torch.float32, why="Apple GPU (MPS), float32 to keep images whole")
    if device == "mps":
        raise ModelError("device is 'mps', but PyTorch finds no Apple GPU. Use device=None to take what works.")
    why = "asked for" if device == "cpu" else f"{fault}; float32, since float16 is slow and fragile on a CPU"
    return Placement(device="cpu", dtype=torch.float32, why=why)


def _cuda_fault() -> str | None:
    """Say what keeps CUDA from working, by running one kernel: a driver may be there and the GPU too new or too old."""
    if not torch.cuda.is_available():
        return "no CUDA GPU was found"
    try:
        torch.ones(1, device="cuda").add_(1).item()
    except RuntimeError as error:
        return f"the CUDA GPU does not work with this PyTorch ({str(error).splitlines()[0]})"
    return None


def try_xformers(pipe) -> str | None:
    """Switch a pipeline to xformers' attention; where that fails, log and return why, and let the run go on."""
    try:
        pipe.enable_xformers_memory_efficient_attention()
    except Exception as error:  # a broken install raises anything: ImportError, OSError (DLL), ValueError (no CUDA)
        reason = (str(error).splitlines() or [""])[0]
        note = f"xformers is not in use ({type(error).__name__}: {reason}); PyTorch's own attention is, and is as fast."
        log.warning(note)
        return note
    return None


@functools.cache
def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def environment(device: str) -> dict[str, str | int | bool | None]:
    """Describe what an image's last bits depend on, apart from its settings: versions, processor, threads."""
    facts: dict[str, str | int | bool | None] = dict(_versions())
    facts["torch"] = torch.__version__  # names the build too
    facts["python"] = platform.python_version()
    facts["system"] = f"{platform.system()} {platform.machine()}"
    facts["cpu"] = torch.backends.cpu.get_cpu_capability()
    facts["threads"] = torch.get_num_threads()
    on_cuda = device == "cuda"
    facts["gpu"] = torch.cuda.get_device_name() if on_cuda else None
    facts["cuda"] = torch.version.cuda if on_cuda else None
    facts["cudnn"] = torch.backends.cudnn.version() if on_cuda else None
    facts["tf32"] = torch.backends.cuda.matmul.allow_tf32 if on_cuda else None
    return facts
