"""What a run looks like on the way: the picture that the model expects at each step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from diffusers import SchedulerMixin
from PIL import Image

__all__ = ["StepInfo", "StepWatch", "predicted_x0"]

# Latent to RGB for Stable Diffusion 1.x, as ComfyUI has it: a picture at an eighth of the size, for free.
_SD1_TO_RGB = (
    (0.3512, 0.2297, 0.3227),
    (0.3250, 0.4974, 0.2350),
    (-0.2829, 0.1762, 0.2721),
    (-0.2120, -0.2616, -0.7177),
)
_LARGE = 512  # from this native size on, decoding a preview costs more than a step, and the model is an SD 1.x


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInfo:
    """One step of a run, as `on_step` gets it.

    Attributes
    ----------
    index : int
        Model calls made so far, less one: 0 to ``total - 1``.
    total : int
        Model calls that the run makes.
    timestep : float
        Noise level of the step, from 999 (noise alone) to 0.
    latents : Tensor of shape (1, 4, height / 8, width / 8)
        The noisy latents after the step.
    x0 : Tensor
        What the model expected, at this step, to end up with; same shape.
    decode : callable
        Turns latents into a full-size PIL image. Costs what decoding a picture costs.
    """

    index: int
    total: int
    timestep: float
    latents: torch.Tensor = field(repr=False)
    x0: torch.Tensor = field(repr=False)
    decode: Callable[[torch.Tensor], Image.Image] = field(repr=False)
    native_size: int = field(repr=False, default=0)

    def preview(self) -> Image.Image:
        """Draw the predicted x0 cheaply: small models decode it, large ones map latents to colours."""
        if self.native_size < _LARGE:
            return self.decode(self.x0)
        return _colours(self.x0)


class StepWatch:
    """Listens to a scheduler: which timesteps it really made, and what the model said at the last one."""

    def __init__(self, scheduler: SchedulerMixin) -> None:
        self.scheduler = scheduler
        self.timesteps: list[float] = []
        self.last: tuple[torch.Tensor, float, torch.Tensor] | None = None
        step = scheduler.step

        @functools.wraps(step)  # the pipelines ask the signature whether a generator is taken
        def watched(model_output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor, *args, **kwargs):
            self.timesteps.append(float(timestep))
            self.last = (model_output, float(timestep), sample)
            return step(model_output, timestep, sample, *args, **kwargs)

        scheduler.step = watched

    def x0(self) -> torch.Tensor:
        """Predict the final latents from the last model call."""
        return predicted_x0(self.scheduler, *self.last)


def predicted_x0(
    scheduler: SchedulerMixin, model_output: torch.Tensor, timestep: float, sample: torch.Tensor
) -> torch.Tensor:
    """Solve x_t = √ᾱ·x₀ + √(1−ᾱ)·ε for x₀ (Ho et al. 2020, eq. 15), in whatever scale the scheduler works.

    Parameters
    ----------
    scheduler : SchedulerMixin
        With its timesteps set.
    model_output : Tensor
        ε, or v for models with ``prediction_type`` "v_prediction".
    timestep : float
        Between two training timesteps, ᾱ is interpolated as the schedulers do: linear in log σ.
    sample : Tensor
        The latents that the step started from; schedulers of the Euler family keep x_t / √ᾱ.
    """
    alphas = scheduler.alphas_cumprod.to(torch.float64)
    log_sigmas = ((1 - alphas) / alphas).sqrt().log()
    low = min(int(timestep), len(alphas) - 2)
    sigma = float(torch.lerp(log_sigmas[low], log_sigmas[low + 1], timestep - low).exp())
    scale = 1 / (1 + sigma**2) ** 0.5  # √ᾱ
    x_t = sample * scale if float(scheduler.init_noise_sigma) != 1 else sample
    if scheduler.config.prediction_type == "v_prediction":
        return scale * x_t - scale * sigma * model_output
    return (x_t - scale * sigma * model_output) / scale


def _colours(latents: torch.Tensor) -> Image.Image:
    matrix = torch.tensor(_SD1_TO_RGB, dtype=torch.float32)
    rgb = latents[0].float().cpu().permute(1, 2, 0) @ matrix
    return Image.fromarray(((rgb.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy())
