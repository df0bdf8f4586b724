"""Another engine for the UNet's arithmetic: faster on a CPU, and equal but for the last bits."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch

from tp2lib.errors import ModelError, did_you_mean, shown

__all__ = ["ENGINES", "check_engine", "with_engine"]

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
        raise ModelError("fast is 'openvino', and OpenVINO is not installed. Install it: pip install 'tp2lib[fast]'.") from None


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

    side, width = unet.config.sample_size, unet.config.cross_attention_dim
    example = torch.zeros(2, unet.config.in_channels, side, side), torch.zeros(2), torch.zeros(2, 77, width)
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):  # its way of reading a model, which torch calls old
        network = openvino.convert_model(Positional(), example_input=example)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    engine = openvino.compile_model(network, "CPU", settings)

    def forward(sample: torch.Tensor, timestep: Any, encoder_hidden_states: torch.Tensor, return_dict: bool = True, **unused: Any) -> Any:
        times = torch.as_tensor(timestep).float().reshape(-1).expand(len(sample))
        found = torch.from_numpy(engine([one.numpy() for one in (sample, times, encoder_hidden_states)])[0])
        return UNet2DConditionOutput(sample=found) if return_dict else (found,)

    other = copy.copy(unet)
    other.forward = forward
    return other
