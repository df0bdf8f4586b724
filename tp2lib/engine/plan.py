"""Resolve a recipe for a model: which settings will really decide the picture, before anything is sampled.

Only the effective settings decide the pixels. Two recipes with the same effective settings ask for the same
picture (guidance 0.5 and 1.0, strength 0.61 and 0.64 at 10 steps) and have the same key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch

from tp2lib.engine.fallbacks import FALLBACKS, treatments
from tp2lib.engine.inpainting import Region, cut_out, held_cells, painting_size
from tp2lib.engine.runs import MAX_WIDTH
from tp2lib.engine.schedulers import make_scheduler, scheduler_hash, set_timesteps
from tp2lib.errors import ModelError, RecipeError, SourceError, shown
from tp2lib.metadata.mask import Mask
from tp2lib.metadata.source import Source, prepare_source
from tp2lib.models.devices import environment
from tp2lib.models.loading import Model, find_card, load
from tp2lib.recipe import Recipe, setting
from tp2lib.settings import SCHEDULER_FACTS, spelled_as_in_0_1

# Facts about the machine that can change the last bits of a picture.
_KEY_FACTS = ("torch", "diffusers", "transformers", "cpu", "gpu", "cuda", "cudnn", "tf32", "cudnn_tf32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A resolved recipe: everything that an execution needs."""

    recipe: Recipe
    model: Model
    source: Source | None
    mask: Mask | None = None
    effective: dict[str, Any]
    environment: dict[str, Any]
    key: str
    latents_shape: tuple[int, int, int, int] = field(repr=False)

    @property
    def region(self) -> Region | None:
        """What is kept, on the model's grid; None without a mask."""
        size = self.effective["width"], self.effective["height"]
        return Region(self.source.image, self.mask, *size, self.model.pipe.vae_scale_factor) if self.source and self.mask else None

    @property
    def draws(self) -> Draws:
        """The run's randomness."""
        return draw_noise(self.recipe.seed, self.latents_shape, *_drawn(self.recipe, self.model, self.source))

    def at_width(self, batch_width: int) -> Plan:
        """The same plan, to be executed with so many pictures at a time."""
        effective = {**self.effective, "batch_width": batch_width}
        return replace(self, effective=effective, key=_key(effective, self.environment))


def resolve(recipe: Recipe, model: Model, source: Source | None = None) -> dict[str, Any]:
    """Work out the effective settings of a recipe, without sampling.

    Parameters
    ----------
    recipe : Recipe
    model : Model
    source : Source, optional
        The prepared photo, or for a recipe with a mask what `cut_out` returns; by default, made of `recipe.source`.

    Returns
    -------
    dict
        JSON values: scheduler class and config hash, timesteps, model calls, whether guidance is
        active, tokens cut off, size, hash of the initial noise, device, dtype, threads and so on.

    Raises
    ------
    RecipeError, SourceError
        If the recipe cannot be run on this model.
    """
    return make_plan(recipe, model_for(recipe, model), source).effective


def model_for(recipe: Recipe, model: Model | None) -> Model:
    """Return the model to run a recipe on: the given one, or the one that it names; raise RecipeError or ModelError for what is no recipe, or no model."""
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"the recipe is {shown(recipe)}; it must be a Recipe, such as Recipe(prompt='a red apple').")
    if not isinstance(model, (Model, type(None))):
        raise ModelError(f"the model is {shown(model)}; it must be one that load returned, such as load('vitrine').")
    return model or load(recipe.model)


def make_plan(recipe: Recipe, model: Model, source: Source | None = None, fallbacks: Sequence[str] = (), batch_width: int = 1) -> Plan:
    """Resolve a recipe for a model; `fallbacks` are the memory fallbacks to use from the start.

    `batch_width` pictures go through the model at a time, 1 to 64: it decides the last bits.
    """
    if type(batch_width) is not int or not 1 <= batch_width <= MAX_WIDTH:
        raise RecipeError(f"batch_width is {shown(batch_width)}; it must be a whole number from 1 to {MAX_WIDTH}. 1 is one picture at a time.")
    if not isinstance(fallbacks, (list, tuple)) or not all(one in [*FALLBACKS] for one in fallbacks):
        raise RecipeError(f"fallbacks is {shown(fallbacks)}; it must be a list of some of these, or empty: {', '.join(FALLBACKS)}.")
    if not isinstance(source, (Source, type(None))):
        raise SourceError(f"the source is {shown(source)}; it must be prepared: prepare_source(photo, width, height), or cut_out(photo).")
    _check_model(recipe, model)
    if recipe.source and recipe.mask and source is None:
        source = cut_out(recipe.source, recipe.mask)
    width, height = _size(recipe, model, source)
    if recipe.source is not None and source is None:
        source = prepare_source(recipe.source, width, height)
    _check_source(recipe, model, source, width, height)
    mask = source.mask.grown(recipe.grow).check() if source and source.mask else None
    factor = model.pipe.vae_scale_factor
    if mask:
        held_cells(mask, width, height, factor)
    shape = (1, model.pipe.vae.config.latent_channels, height // factor, width // factor)
    noise = draw_noise(recipe.seed, shape, *_drawn(recipe, model, source)).noise
    facts = environment(model.placement.device)
    effective = {
        "model": model.name,
        "weights_sha256": model.weights_sha256,
        "mode": "text2img" if source is None else "img2img" if mask is None else "inpaint",
        **({"vae": model.vae} if model.vae else {}),
        **_text(recipe, model),
        **_schedule(recipe, model),
        "seed": recipe.seed,
        "noise_sha256": hashlib.sha256(noise.numpy().tobytes()).hexdigest(),  # two runs are a pair if these are equal
        "noise": "float32 on the CPU; image to image draws the VAE sample first",
        "source_sha256": source.pixels_sha256 if source else None,
        **({"mask_sha256": mask.sha256, "kept_share": round(mask.share, 6), "feather": recipe.feather, "photo_size": list(mask.size)} if mask else {}),
        "width": width,
        "height": height,
        **execution(model, batch_width),
        "rungs": list(fallbacks),  # called so in the records of version 0.1
    }
    return Plan(
        recipe=recipe, model=model, source=source, mask=mask, effective=effective, environment=facts,
        key=_key(effective, facts), latents_shape=shape,
    )  # fmt: skip


class Draws(NamedTuple):
    """A run's randomness, float32 on the CPU, standard normal.

    `generator` has advanced past the draws, and stochastic schedulers go on with it; `photo` is for the sample of the encoded photo,
    `masked` for that of the photo without what is painted, which inpainting models look at; None where there is none.
    """

    generator: torch.Generator
    photo: torch.Tensor | None
    noise: torch.Tensor
    masked: torch.Tensor | None


def draw_noise(seed: int, shape: Sequence[int], photo: bool, masked: bool = False) -> Draws:
    """Draw a run's randomness, the same for every device and number format.

    The order is diffusers' own: first the sample of the encoded photo, then the noise, at last the sample of the masked
    photo. In float32 the numbers are those that its pipelines draw from the same seed.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    first = torch.randn(shape, generator=generator, dtype=torch.float32) if photo else None
    noise = torch.randn(shape, generator=generator, dtype=torch.float32)
    return Draws(generator, first, noise, torch.randn(shape, generator=generator, dtype=torch.float32) if masked else None)


def execution(model: Model, batch_width: int = 1) -> dict[str, Any]:
    """Say how the arithmetic is done now; a replay does it the same way."""
    attention = {type(processor).__name__ for processor in model.pipe.unet.attn_processors.values()}
    return {
        "device": model.placement.device,
        "dtype": model.placement.dtype_name,
        "threads": torch.get_num_threads(),
        "batch_width": batch_width,
        "attention": ", ".join(sorted(attention)),
        **({"fast": model.fast} if model.fast else {}),
    }


def _check_model(recipe: Recipe, model: Model) -> None:
    if recipe.model not in ("auto", model.name) and model.name != find_card(recipe.model).name:
        raise RecipeError(
            f"the recipe asks for model {shown(recipe.model)}, and {shown(model.name)} was given to run it on. "
            "Leave the recipe's model at 'auto', or load the one it asks for."
        )


def _size(recipe: Recipe, model: Model, source: Source | None) -> tuple[int, int]:
    if source and source.mask:
        return painting_size(source.image.size, model.native_size, recipe.width, recipe.height)
    width, height = source.image.size if source else (model.native_size, model.native_size)
    return recipe.width or width, recipe.height or height


def _check_source(recipe: Recipe, model: Model, source: Source | None, width: int, height: int) -> None:
    if model.reads_masks and recipe.mask is None:
        raise RecipeError(
            f"the model {shown(model.name)} is for inpainting, and the recipe has no mask. Give source='photo.jpg' and mask='auto', or use the model that it was "
            "made from, such as 'sd15'."
        )
    if source is None:
        return
    size = f"{source.image.width}x{source.image.height} pixels"
    if recipe.source is None:
        raise SourceError(f"the source is {size} and the recipe has none. Give the recipe a source and a strength, or leave source out.")
    if source.mask and not recipe.mask:
        raise SourceError("the source has a mask and the recipe has none. Give the recipe mask='auto', or prepare the photo with prepare_source.")
    if recipe.mask and not source.mask:
        raise SourceError("the recipe has a mask and the source has none. Leave source out, or give source=cut_out(photo).")
    if source.mask is None and source.image.size != (width, height):
        raise SourceError(f"the source is {size} and the recipe wants {width}x{height}. Prepare it at that size.")
    for name, side in (("width", width), ("height", height)):  # a photo's own size was not checked by the recipe
        setting(name).check(name, side)


def _drawn(recipe: Recipe, model: Model, source: Source | None) -> tuple[bool, bool]:
    """Return whether noise is drawn for the encoded photo, and for the masked one; an inpainting model uses the first only to start from it."""
    looks = source is not None and not (model.reads_masks and recipe.strength == 1)
    return looks, recipe.mask is not None


def _text(recipe: Recipe, model: Model) -> dict[str, Any]:
    """The words that take part: without guidance the negative prompt does not."""
    guided = recipe.guidance > 1  # diffusers' own test: at 1 and below the model is called on the prompt alone
    negative = recipe.negative_prompt if guided else None
    return {
        "prompt": recipe.prompt,
        **_tokens(model.pipe.tokenizer, recipe.prompt, ""),
        "guidance": recipe.guidance if guided else None,
        "guidance_active": guided,
        "negative_prompt": negative,
        "negative_used": bool(negative),
        **_tokens(model.pipe.tokenizer, negative or "", "negative_"),
    }


def _tokens(tokenizer: Any, text: str, prefix: str) -> dict[str, Any]:
    """Count a text's tokens, and find what lies beyond those that the model reads."""
    ids = tokenizer(text, truncation=False, verbose=False).input_ids[1:-1]  # without the start and end marks
    room = tokenizer.model_max_length - 2
    return {
        f"{prefix}tokens": min(len(ids), room),
        f"{prefix}tokens_cut": max(len(ids) - room, 0),
        f"{prefix}text_cut": tokenizer.decode(ids[room:]),
    }


def _schedule(recipe: Recipe, model: Model) -> dict[str, Any]:
    scheduler = make_scheduler(recipe.scheduler, model.base_scheduler_config, recipe.schedule)
    fingerprint = scheduler_hash(scheduler)
    set_timesteps(recipe.scheduler, scheduler, recipe.nominal_steps)
    skipped = (recipe.nominal_steps - recipe.effective_steps) * scheduler.order  # as the img2img pipeline does
    timesteps = [float(t) for t in scheduler.timesteps[skipped:]]
    return {
        "scheduler": recipe.scheduler,
        "schedule": recipe.schedule,
        "scheduler_class": type(scheduler).__name__,
        "scheduler_hash": fingerprint,
        "stochastic": SCHEDULER_FACTS[recipe.scheduler].get("stochastic", False),
        "nominal_steps": recipe.nominal_steps,
        "steps": recipe.effective_steps,
        "strength": None if recipe.strength is None else round(recipe.effective_steps / recipe.nominal_steps, 4),
        "timesteps": timesteps,
        "model_calls": len(timesteps),
    }


def _key(effective: dict[str, Any], facts: dict[str, Any]) -> str:
    """Name the picture that these settings give on this software and processor: 32 hex digits."""
    content = {**spelled_as_in_0_1(effective), "rungs": treatments(effective["rungs"])}
    if effective["device"] == "cuda":
        del content["threads"]  # those of the CPU change no bit there
    content["facts"] = {name: facts[name] for name in _KEY_FACTS if name in facts}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
