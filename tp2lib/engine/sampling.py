"""Execute plans: encode text and photo, denoise, decode. The parts are diffusers', and the pixels are bit for bit those of its pipelines.

Plans of equal size and number of model calls go through the model together. A row of a batch depends on how many rows there
are (other kernels do the arithmetic), and on nothing that the other rows hold: so each plan's ``batch_width`` fixes their
number, and rows that are left over are filled up.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from tp2lib.engine.fallbacks import FLOAT32, Fallbacks
from tp2lib.engine.inpainting import differing, hold, put_back
from tp2lib.engine.plan import Plan, execution
from tp2lib.engine.preview import StepInfo, colour_map, decode, predicted_x0, rough_colours
from tp2lib.engine.runs import Run
from tp2lib.engine.schedulers import make_scheduler
from tp2lib.errors import Cancelled
from tp2lib.metadata.record import xmp_packet
from tp2lib.metadata.source import Source

T = TypeVar("T")

BLACK_LEVEL = 3  # of 255: a picture with nothing brighter counts as black


def sample_together(plans: Sequence[Plan], *, on_step: Callable[[StepInfo], None] | None = None, should_stop: Callable[[], bool] | None = None) -> list[Run]:
    """Execute plans of one model, size, number of model calls and `batch_width`, at most that many.

    Cancelled is raised if `should_stop` said so or `on_step` raised it, OutOfMemory if no fallback is left. The outcome is "nan" where numbers
    overflowed, "black" where the picture is all black, "flagged" where the model's safety checker withholds it. The seconds of the denoising are shared out by
    rows: a guided picture has two, one without guidance has one.
    """
    parts = plans[0].model.pipe.components
    pipe = type(plans[0].model.pipe)(**parts, requires_safety_checker=parts["safety_checker"] is not None)  # a quarter of a millisecond
    with Fallbacks(pipe, plans[0].effective["rungs"]) as fallbacks, torch.no_grad():
        executions = [_Execution(plan, fallbacks, on_step, should_stop or (lambda: False)) for plan in plans]
        for one in executions:
            one.words = one.stage("text", one.encode_text)
            one.photo = one.stage("encode", functools.partial(one.encode_photo, one.plan.source)) if one.plan.source else None
        executions[0].stage("denoise", lambda: _denoise(executions))
        a_row = executions[0].timings["denoise"] / sum(len(one.texts) for one in executions)
        return [one.finish(a_row * len(one.texts)) for one in executions]


def _denoise(executions: Sequence[_Execution]) -> None:
    """Take all steps; like the other stages, it can be done again from the same inputs, with the same result."""
    first = executions[0]
    for one in executions:
        one.begin()
    width = first.plan.effective["batch_width"]
    texts = [text for one in executions for text in one.texts]
    room = 2 * width if width > 1 else len(texts)  # one picture alone has the rows that diffusers gives it
    filler = [0] * (room - len(texts))
    words = torch.cat([*texts, *(texts[row] for row in filler)])
    for index in range(len(first.timesteps)):
        rows = [row for one in executions for row in one.inputs(index)]
        times = torch.stack([one.timesteps[index] for one in executions for _ in one.texts]).float()
        batch = torch.cat([*rows, *(rows[row] for row in filler)])
        noise = first.pipe.unet(batch, torch.cat([times, times[filler]]).to(batch.device), encoder_hidden_states=words, return_dict=False)[0]
        done = 0
        for one in executions:
            one.advance(index, noise[done : done + len(one.texts)])
            done += len(one.texts)
        for one in executions:
            one.report(index)
    first.pipe.maybe_free_model_hooks()


class _Execution:
    """One picture: its words, its photo, its own scheduler and noise."""

    def __init__(self, plan: Plan, fallbacks: Fallbacks, on_step: Callable[[StepInfo], None] | None, should_stop: Callable[[], bool]) -> None:
        self.plan, self.fallbacks, self.on_step, self.should_stop = plan, fallbacks, on_step, should_stop
        self.pipe = fallbacks.pipe
        self.dtype = plan.model.placement.dtype
        self.timings: dict[str, float] = {}
        self.decoder = plan.model.placement.dtype_name
        self.words: tuple[torch.Tensor, torch.Tensor | None]
        self.photo: torch.Tensor | None = None
        self.masked: torch.Tensor | None = None  # mask and what it leaves, (1, channels + 1, height / 8, width / 8): for models that read them
        self.region = plan.region

    def finish(self, denoising: float) -> Run:
        """Decode and check the picture, and return the run with what was observed."""
        self.timings["denoise"] = denoising
        image, outcome = None, "nan"
        if self.latents.isfinite().all():
            image, outcome = self.stage("decode", self._decode_and_judge)
        kept = {}
        if image and (source := self.plan.source) and (mask := self.plan.mask):
            image = self.stage("put back", functools.partial(put_back, image, source.image, mask, self.plan.recipe.feather))
            kept["kept_pixels_differing"] = differing(image, source.image, mask)
        self.timings["total"] = sum(self.timings.values())
        timesteps = [float(timestep) for timestep in self.made]
        own = [] if self.decoder == self.plan.model.placement.dtype_name else [FLOAT32]  # of this picture, not of those beside it
        observed = {
            "timesteps": timesteps,
            "model_calls": len(timesteps),
            "rungs": list(dict.fromkeys([*self.fallbacks.used, *own])),
            "decoder_dtype": self.decoder,
            **kept,
            **execution(self.plan.model, self.plan.effective["batch_width"]),
        }
        run = Run(
            recipe=self.plan.recipe,
            effective={**self.plan.effective, **observed},
            timings=self.timings,
            environment=self.plan.environment,
            source=self.plan.source.described() if self.plan.source else None,
            outcome=outcome,
            key=self.plan.key,
            image=image,
        )
        if image:  # it is known as made by a model before it is a file, too
            image.info["xmp"] = xmp_packet(run.composite)
        return run

    def stage(self, name: str, work: Callable[[], T]) -> T:
        self._stop_if_asked()
        began = time.perf_counter()
        result = self.fallbacks.run(name, work)
        if self.plan.model.placement.device != "cpu":
            torch.accelerator.synchronize()  # queued work counts in this stage's seconds
        self.timings[name] = time.perf_counter() - began
        return result

    def _stop_if_asked(self) -> None:
        if self.should_stop():
            raise Cancelled("the run was stopped on request; no picture was kept. Run it again to have one.")

    def encode_text(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        effective = self.plan.effective
        return self.pipe.encode_prompt(effective["prompt"], self.pipe._execution_device, 1, effective["guidance_active"], effective["negative_prompt"] or "")

    def encode_photo(self, source: Source) -> torch.Tensor | None:
        """Sample the latents of the prepared photo, of shape (1, channels, height / 8, width / 8), where they are looked at."""
        draws = self.plan.draws
        pixels = self.pipe.image_processor.preprocess(self.region.photo if self.region else source.image)
        if self.region and self.plan.model.reads_masks:
            kept = torch.from_numpy(self.region.share >= 0.5)[None, None].float()
            left = self._encode(pixels * kept, draws.masked)
            self.masked = torch.cat([1 - functional.interpolate(kept, left.shape[2:]).to(left), left], dim=1)
        if draws.photo is None or (self.region and self.plan.recipe.strength == 1):
            return None
        latents = self._encode(pixels, draws.photo)
        return latents.contiguous() if self.region else latents  # diffusers' layout: other kernels give other bits

    def _encode(self, pixels: torch.Tensor, drawn: torch.Tensor | None = None) -> torch.Tensor:
        """Return a sample of what the encoder gives for pixels from -1 to 1, or its mean."""
        device = self.pipe._execution_device
        posterior = self.pipe.vae.encode(pixels.to(device, self.dtype)).latent_dist
        latents = posterior.mean if drawn is None else posterior.mean + posterior.std * drawn.to(device, self.dtype)
        return latents * self.pipe.vae.config.scaling_factor

    def begin(self) -> None:
        """Set the scheduler and the noise to the start, as diffusers' pipelines do."""
        recipe, effective = self.plan.recipe, self.plan.effective
        draws, device = self.plan.draws, self.pipe._execution_device
        scheduler = self.scheduler = self.pipe.scheduler = make_scheduler(recipe.scheduler, self.plan.model.base_scheduler_config, recipe.schedule)
        self.made: list[torch.Tensor] = []  # timesteps of the steps taken, as they are: reading one would wait for the GPU at each step
        self.options = self.pipe.prepare_extra_step_kwargs(draws.generator, 0.0)
        # KDPM2's can be float64, which MPS has not: there they stay on the CPU.
        scheduler.set_timesteps(effective["nominal_steps"], device=None if device.type == "mps" else device)
        self.timesteps = scheduler.timesteps
        self.noise, self.anchor = draws.noise.to(device, self.dtype), self.photo
        if self.plan.source:
            skipped = (recipe.nominal_steps - recipe.effective_steps) * scheduler.order
            self.timesteps = scheduler.timesteps[skipped:]
            if hasattr(scheduler, "set_begin_index"):
                scheduler.set_begin_index(skipped)
        pure = self.photo is None
        self.latents = self.noise * scheduler.init_noise_sigma if pure else scheduler.add_noise(self.photo, self.noise, self.timesteps[:1])
        self.texts = [text for text in reversed(self.words) if text is not None]  # without guidance, the prompt's alone

    def inputs(self, index: int) -> list[torch.Tensor]:
        """The rows that the model gets for this picture: without guidance, the prompt's alone."""
        latents = self.scheduler.scale_model_input(self.latents, self.timesteps[index])
        return [latents if self.masked is None else torch.cat([latents, self.masked], dim=1)] * len(self.texts)

    def advance(self, index: int, noise: torch.Tensor) -> None:
        if len(self.texts) == 2:
            without, wanted = noise.chunk(2)
            noise = without + self.plan.recipe.guidance * (wanted - without)
        self.last = noise, self.timesteps[index], self.latents
        self.made.append(self.timesteps[index])
        self.latents = self.scheduler.step(*self.last, **self.options, return_dict=False)[0]
        if self.region and self.masked is None:
            self.latents, self.anchor = hold(
                self.region, index, self.latents, anchor=self.anchor, noise=self.noise, scheduler=self.scheduler, timesteps=self.timesteps,
                expected=lambda rough: self.fallbacks.run("decode", lambda: (self._rough if rough else self._decode)(self._x0())),
                encode=lambda pixels: self.fallbacks.run("encode", lambda: self._encode(pixels)),
            )  # fmt: skip

    def report(self, index: int) -> None:
        if self.on_step:
            info = StepInfo(
                index=index,
                total=len(self.timesteps),
                timestep=float(self.timesteps[index]),
                latents=self.latents,
                x0=self._x0(),
                decode=self._picture,
                colours=functools.partial(colour_map, self.pipe.vae),
            )
            self.on_step(info)
        self._stop_if_asked()

    def _x0(self) -> torch.Tensor:
        """Predict the final latents from the last model call."""
        output, timestep, sample = self.last
        return predicted_x0(self.scheduler, output, float(timestep), sample)

    def _decode_and_judge(self) -> tuple[Image.Image | None, str]:
        pixels = self._decode(self.latents, FLOAT32 in self.fallbacks.used or self.decoder == "float32")
        if not pixels.isfinite().all():
            return None, "nan"
        _, flags = self.pipe.run_safety_checker(pixels.clone(), self.pipe._execution_device, self.dtype)
        if flags and flags[0]:
            return None, "flagged"
        image = self._to_image(pixels)
        return image, "black" if np.asarray(image).max() <= BLACK_LEVEL else "ok"

    @torch.no_grad()
    def _picture(self, latents: torch.Tensor) -> Image.Image:
        """Decode latents for the receiver of `on_step`, now or after the run."""
        return self._to_image(decode(self.pipe.vae, latents))

    def _decode(self, latents: torch.Tensor, wide: bool = False) -> torch.Tensor:
        """Decode latents that count for the picture, and record the number format that it took."""
        pixels = decode(self.pipe.vae, latents, wide)
        self.decoder = str(pixels.dtype).removeprefix("torch.")
        return pixels

    def _rough(self, latents: torch.Tensor) -> torch.Tensor:
        """Guess what latents decode to, a colour for each."""
        return functional.interpolate(rough_colours(latents, colour_map(self.pipe.vae)), scale_factor=self.pipe.vae_scale_factor, mode="bilinear")

    def _to_image(self, pixels: torch.Tensor) -> Image.Image:
        return self.pipe.image_processor.postprocess(pixels, output_type="pil")[0]
