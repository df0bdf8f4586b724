"""Choose device, number format and engine for the UNet, and describe the machine."""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import logging
import os
import platform
import warnings
from dataclasses import dataclass
from typing import Any

import torch

from tp2lib.errors import ModelError, did_you_mean, shown

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
    """Choose device and number format, for the whole library: `device` if it is given, as in a replay, else the best one that works.

    CUDA runs in float16; Apple's MPS and the CPU run in float32, since float16 is slow and loses images there. ModelError is raised if the device asked for is
    unknown, absent or broken.
    """
    if device not in (None, "cuda", "mps", "cpu"):
        raise ModelError(f"device is {device!r}; it must be 'cuda', 'mps', 'cpu' or None (the best one that works).")
    if device in (None, "cuda"):
        if "LOCAL_RANK" in os.environ and torch.cuda.is_available():  # accelerate launch: a GPU for each process
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        fault = _cuda_fault()
        if fault is None:
            held = torch.cuda.memory_reserved()  # by this process: a loaded model leaves before the next one comes
            free_gb = (torch.cuda.mem_get_info()[0] + held) / 1e9
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
    facts["tf32"] = torch.backends.cuda.matmul.fp32_precision == "tf32" if on_cuda else None  # allow_tf32 raises where this was set
    if on_cuda:
        cudnn: Any = torch.backends.cudnn
        facts["cudnn_tf32"] = cudnn.conv.fp32_precision == "tf32"
    return facts


ENGINES = ("openvino",)


def check_engine(name: object, device: str) -> None:
    """Raise ModelError if an engine is unknown, not installed, or not for this device."""
    if name not in ENGINES:
        raise ModelError(f"fast is {shown(name)}; it must be {' or '.join(map(repr, ENGINES))}, or None.{did_you_mean(name, ENGINES)}")
    if device != "cpu":
        raise ModelError(f"fast is {shown(name)}, which computes on the CPU, and the device is {device}. Leave fast out, or give device='cpu'.")
    try:
        import openvino  # noqa: F401
    except ImportError:
        raise ModelError(
            "fast is 'openvino', and OpenVINO is not installed. Install it in the clone: `uv sync --inexact --extra fast`, or `pip install -e '.[fast]'`."
        ) from None


@functools.cache
def _core() -> Any:
    """Return OpenVINO's core, kept as long as the process.

    Its CPU plugin gives the thread that loads it a stack for signal handlers, and frees it with the last model. Freed by another thread,
    a widget's job for one, it is still in use: the next interrupt, or the end of a child process, kills this process.
    """
    import openvino

    return openvino.Core()


def with_engine(unet: Any) -> Any:
    """Return a UNet that OpenVINO computes, in float32, for any size and number of rows.

    Weights, configuration and attention processors are shared with the first, which stays as it is; only the calls differ.
    """
    import openvino
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

    class Positional(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unet = unet

        def forward(self, latents: torch.Tensor, times: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
            return self.unet(latents, times, encoder_hidden_states=words, return_dict=False)[0]

    side, width = unet.config.sample_size | 1, unet.config.cross_attention_dim  # an odd side: for an even one, enlarging by 2 would be all that is traced
    example = torch.zeros(2, unet.config.in_channels, side, side), torch.zeros(2), torch.zeros(2, 77, width)
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):  # its way of reading a model, which torch calls old
        network = openvino.convert_model(Positional(), example_input=example)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    engine = _core().compile_model(network, "CPU", settings)
    # OpenVINO 2026.4 computes all sizes wrong after a first one whose deepest maps are a single cell, as 64 x 64 pixels
    engine([one.numpy() for one in example])

    def forward(sample: torch.Tensor, timestep: Any, encoder_hidden_states: torch.Tensor, return_dict: bool = True, **unused: Any) -> Any:
        times = torch.as_tensor(timestep).float().reshape(-1).expand(len(sample))
        found = torch.from_numpy(engine([one.numpy() for one in (sample, times, encoder_hidden_states)])[0])
        return UNet2DConditionOutput(sample=found) if return_dict else (found,)

    other = copy.copy(unet)
    other.forward = forward
    return other
