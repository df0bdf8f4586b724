"""Previews of a run: at each step, the picture that the model predicts as the result."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from diffusers import AutoencoderKL, SchedulerMixin
from PIL import Image
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInfo:
    """One step of a run, as `on_step` gets it."""

    index: int  # model calls made so far, less one: 0 to total - 1
    total: int  # model calls that the run makes
    timestep: float  # noise level of the step, from 999 (noise alone) to 0
    latents: torch.Tensor = field(repr=False)  # the noisy ones after the step, of shape (1, channels, height / 8, width / 8)
    x0: torch.Tensor = field(repr=False)  # the result that the model predicts at this step; same shape
    decode: Callable[[torch.Tensor], Image.Image] = field(repr=False)  # turns latents into a picture, exactly, and costs what decoding a picture costs
    colours: Callable[[], torch.Tensor] = field(repr=False)  # gives the model's map from latents to colours (see `colour_map`)

    def preview(self) -> Image.Image:
        """Draw the predicted x0 at an eighth of the size, in a millisecond: one colour for each latent."""
        rgb = rough_colours(self.x0, self.colours())[0].permute(1, 2, 0)
        return Image.fromarray(((rgb.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy())


def predicted_x0(scheduler: SchedulerMixin, model_output: torch.Tensor, timestep: float, sample: torch.Tensor) -> torch.Tensor:
    """Solve x_t = √ᾱ·x₀ + √(1−ᾱ)·ε for x₀ (Ho et al. 2020, eq. 15), in whatever scale the scheduler works.

    `model_output` is ε, or v for models with ``prediction_type`` "v_prediction". Between two training timesteps ᾱ is interpolated as the schedulers do: linear
    in log σ. Schedulers of the Euler family keep `sample` as x_t / √ᾱ.
    """
    alphas = scheduler.alphas_cumprod.cpu().double()  # some schedulers move them to the device, and MPS has no float64
    log_sigmas = ((1 - alphas) / alphas).sqrt().log()
    low = min(int(timestep), len(alphas) - 2)
    sigma = float(torch.lerp(log_sigmas[low], log_sigmas[low + 1], timestep - low).exp())
    scale = 1 / (1 + sigma**2) ** 0.5  # √ᾱ
    x_t = sample * scale if float(scheduler.init_noise_sigma) != 1 else sample
    if scheduler.config.prediction_type == "v_prediction":
        return scale * x_t - scale * sigma * model_output
    return (x_t - scale * sigma * model_output) / scale


def decode(vae: AutoencoderKL, latents: torch.Tensor, wide: bool = False) -> torch.Tensor:
    """Return the pixels of latents, about -1 to 1: in float32 if `wide`, or where half precision overflows; the decoder is put back as it was."""
    own = vae.dtype
    try:
        for dtype in dict.fromkeys((torch.float32 if wide else own, torch.float32)):
            vae.to(dtype)
            pixels = vae.decode(latents.to(dtype) / vae.config.scaling_factor, return_dict=False)[0]
            if pixels.isfinite().all():
                break
    finally:
        vae.to(own)
    return pixels


def rough_colours(latents: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return the colours of latents by a map as `colour_map` fits it: shape (1, 3, height / 8, width / 8), about -1 to 1, float32 on the CPU."""
    channels_last = latents.float().cpu().permute(0, 2, 3, 1)
    return (channels_last @ matrix[:-1] + matrix[-1]).permute(0, 3, 1, 2)


_MAPS: weakref.WeakKeyDictionary[torch.nn.Module, torch.Tensor] = weakref.WeakKeyDictionary()


@torch.no_grad()
def colour_map(vae: AutoencoderKL) -> torch.Tensor:
    """Fit the best linear map from a decoder's latents to its colours, once for each decoder: shape (channels + 1, 3), red, green and blue from -1 to 1.

    Patches of random latents are decoded, and their mean colours regressed on the latents (least squares). Previews in other tools use such maps with constants
    made for one model each.
    """
    if vae not in _MAPS:
        coarse = torch.randn(1, vae.config.latent_channels, 8, 8, generator=torch.Generator().manual_seed(0))
        latents = functional.interpolate(coarse, scale_factor=3)  # patches of 3 x 3: the middle is one flat colour
        device = getattr(getattr(vae, "_hf_hook", None), "execution_device", None) or vae.device  # an offloaded decoder comes there when it is called
        pixels = decode(vae, latents.to(device)).float().cpu()
        colours = functional.adaptive_avg_pool2d(pixels, 24)[0, :, 1::3, 1::3].flatten(1).T
        design = torch.cat([coarse[0].flatten(1).T, torch.ones(64, 1)], dim=1)
        _MAPS[vae] = torch.linalg.lstsq(design, colours).solution
    return _MAPS[vae]
