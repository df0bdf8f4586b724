"""One execution of a plan, in diffusers' own pipelines: words, photo, denoising, picture."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from PIL import Image

from tp2lib.engine.fallbacks import Ladder
from tp2lib.engine.plan import Plan, draw_noise, execution
from tp2lib.engine.preview import StepInfo, StepWatch, colour_map
from tp2lib.engine.schedulers import make_scheduler
from tp2lib.errors import Cancelled

__all__ = ["Sample", "sample"]

T = TypeVar("T")

BLACK_LEVEL = 3  # of 255: a picture with nothing brighter counts as black


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What came out of an execution.

    Attributes
    ----------
    image : PIL.Image.Image or None
        The picture; None where the outcome is "nan" or "flagged".
    outcome : {"ok", "nan", "black", "flagged"}
        Whether it is a picture, or why not: the numbers overflowed, it is all black, or the model's
        safety checker withholds it.
    observed : dict
        What was seen while it ran: timesteps, model calls, rungs of the memory ladder, the number
        format of the decoder, threads, attention.
    timings : dict
        Seconds for each stage, and in total.
    """

    image: Image.Image | None = field(repr=False)
    outcome: str
    observed: dict[str, Any]
    timings: dict[str, float]


def sample(
    plan: Plan,
    *,
    on_step: Callable[[StepInfo], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Sample:
    """Execute a plan.

    Raises
    ------
    Cancelled
        If `should_stop` said so, or `on_step` raised it.
    OutOfMemory
        If the memory ladder has no rung left.
    """
    with Ladder(_pipeline(plan), plan.effective["rungs"]) as ladder, torch.no_grad():
        return _Execution(plan, ladder, on_step, should_stop or (lambda: False)).run()


class _Execution:
    """The stages of one execution. Each can be done again from the same inputs, with the same result."""

    def __init__(
        self,
        plan: Plan,
        ladder: Ladder,
        on_step: Callable[[StepInfo], None] | None,
        should_stop: Callable[[], bool],
    ) -> None:
        self.plan, self.ladder, self.on_step, self.should_stop = plan, ladder, on_step, should_stop
        self.pipe = ladder.pipe
        self.dtype = plan.model.placement.dtype
        self.timings: dict[str, float] = {}
        self.decoder = plan.model.placement.dtype_name
        self.watch: StepWatch

    def run(self) -> Sample:
        began = time.perf_counter()
        words = self._stage("text", self._encode_text)
        photo = self._stage("encode", self._encode_photo) if self.plan.source else None
        latents = self._stage("denoise", lambda: self._denoise(words, photo))
        image, outcome = None, "nan"
        if latents.isfinite().all():
            image, outcome = self._stage("decode", lambda: self._decode_and_judge(latents))
        self.timings["total"] = time.perf_counter() - began
        observed = {
            "timesteps": self.watch.timesteps,
            "model_calls": len(self.watch.timesteps),
            "rungs": list(self.ladder.rungs),
            "decoder_dtype": self.decoder,
            **execution(self.plan.model),
        }
        return Sample(image=image, outcome=outcome, observed=observed, timings=self.timings)

    def _stage(self, name: str, work: Callable[[], T]) -> T:
        self._stop_if_asked()
        began = time.perf_counter()
        result = self.ladder.run(name, work)
        if self.plan.model.placement.device == "cuda":
            torch.cuda.synchronize()  # what was queued belongs to this stage's seconds
        self.timings[name] = time.perf_counter() - began
        return result

    def _stop_if_asked(self) -> None:
        if self.should_stop():
            raise Cancelled("the run was stopped on request; no picture was kept. Run it again to have one.")

    def _encode_text(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        effective = self.plan.effective
        return self.pipe.encode_prompt(
            effective["prompt"],
            self.pipe._execution_device,
            1,
            effective["guidance_active"],
            effective["negative_prompt"] or "",
        )

    def _encode_photo(self) -> torch.Tensor:
        """Sample the latents of the prepared photo; shape (1, 4, height / 8, width / 8)."""
        _, drawn, _ = draw_noise(self.plan.recipe.seed, self.plan.latents_shape, True)
        pixels = self.pipe.image_processor.preprocess(self.plan.source.image)
        device = self.pipe._execution_device
        posterior = self.pipe.vae.encode(pixels.to(device, self.dtype)).latent_dist
        latents = posterior.mean + posterior.std * drawn.to(device, self.dtype)
        return latents * self.pipe.vae.config.scaling_factor

    def _denoise(self, words: tuple[torch.Tensor, torch.Tensor | None], photo: torch.Tensor | None) -> torch.Tensor:
        recipe, effective = self.plan.recipe, self.plan.effective
        generator, _, noise = draw_noise(recipe.seed, self.plan.latents_shape, photo is not None)
        self.pipe.scheduler = make_scheduler(recipe.scheduler, self.plan.model.base_scheduler_config, recipe.schedule)
        self.watch = StepWatch(self.pipe.scheduler)
        noise = noise.to(self.pipe._execution_device, self.dtype)
        if photo is None:
            start = {"latents": noise, "width": effective["width"], "height": effective["height"]}
        else:
            self.pipe.noise = noise
            start = {"image": photo, "strength": recipe.strength}
        return self.pipe(
            prompt_embeds=words[0],
            negative_prompt_embeds=words[1],
            num_inference_steps=effective["nominal_steps"],
            guidance_scale=recipe.guidance,
            generator=generator,
            output_type="latent",
            callback_on_step_end=self._step_done,
            **start,
        ).images

    def _step_done(self, pipe: Any, index: int, timestep: torch.Tensor, tensors: dict[str, Any]) -> dict[str, Any]:
        if self.on_step:
            info = StepInfo(
                index=index,
                total=pipe.num_timesteps,
                timestep=float(timestep),
                latents=tensors["latents"],
                x0=self.watch.x0(),
                decode=self._picture,
                colours=functools.partial(colour_map, self.pipe.vae),
            )
            self.on_step(info)
        self._stop_if_asked()
        return {}

    def _decode_and_judge(self, latents: torch.Tensor) -> tuple[Image.Image | None, str]:
        pixels = self._decode(latents)
        if not pixels.isfinite().all() and self.dtype != torch.float32:
            pixels = self._decode_in_float32(latents)
        if not pixels.isfinite().all():
            return None, "nan"
        _, flags = self.pipe.run_safety_checker(pixels.clone(), self.pipe._execution_device, self.dtype)
        if flags and flags[0]:
            return None, "flagged"
        image = self._to_image(pixels)
        black = max(high for _, high in image.getextrema()) <= BLACK_LEVEL
        return image, "black" if black else "ok"

    @torch.no_grad()
    def _picture(self, latents: torch.Tensor) -> Image.Image:
        """Decode latents for whoever watches, now or after the run."""
        return self._to_image(self._decode(latents))

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        return self.pipe.vae.decode(latents / self.pipe.vae.config.scaling_factor, return_dict=False)[0]

    def _decode_in_float32(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode the same latents again where float16 overflowed; the decoder is put back as it was."""
        self.decoder = "float32"
        try:
            self.pipe.vae.to(torch.float32)
            return self._decode(latents.float())
        finally:
            self.pipe.vae.to(self.dtype)

    def _to_image(self, pixels: torch.Tensor) -> Image.Image:
        return self.pipe.image_processor.postprocess(pixels, output_type="pil")[0]


def _pipeline(plan: Plan) -> Any:
    """Build this run's own pipeline around the model's shared parts; it takes a quarter of a millisecond."""
    parts = plan.model.pipe.components
    kind = type(plan.model.pipe) if plan.source is None else _photo_pipeline()
    pipe = kind(**parts, requires_safety_checker=parts["safety_checker"] is not None)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@functools.cache
def _photo_pipeline() -> type:
    from diffusers import StableDiffusionImg2ImgPipeline

    class FromNoisedPhoto(StableDiffusionImg2ImgPipeline):
        """diffusers' image-to-image pipeline, with noise from outside: its own is drawn in the model's dtype."""

        noise: torch.Tensor

        def prepare_latents(self, image: torch.Tensor, timestep: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            return self.scheduler.add_noise(image, self.noise, timestep)

    return FromNoisedPhoto
