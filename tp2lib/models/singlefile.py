"""Models as one file, as A1111 and its kin have them: told apart by their keys before anything is loaded, and loaded by diffusers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from tp2lib.errors import ModelError, ModelNotFound, shown
from tp2lib.models import hub
from tp2lib.models.catalogue import CATALOGUE
from tp2lib.models.weights import check_index, read_json

_FIRST = "model.diffusion_model.input_blocks.0.0.weight"  # its second side counts the channels that the UNet reads
_WORDS = "model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight"  # its second side is the text encoder's width
CONFIGS = ("unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json")
# What stands in the keys of each kind, the surest first.
_MARKS = (
    ("LoRA", ("lora_", ".lora.", ".alpha")), ("Flux", ("double_blocks.",)), ("Stable Diffusion 3", ("joint_blocks.",)),
    ("Stable Diffusion XL", ("conditioner.embedders.",)), ("ControlNet", ("control_model.", "controlnet_")),
    ("Stable Diffusion 2", ("cond_stage_model.model.",)), ("textual inversion", ("emb_params", "string_to_param")),
)  # fmt: skip
_PARTS = {"UNet": "model.diffusion_model.", "VAE": "first_stage_model.", "text encoder": "cond_stage_model.transformer."}


def kind_of(shapes: Mapping[str, Sequence[int]]) -> str:
    """Tell what kind of model a file holds, by its tensors' names and shapes: "Stable Diffusion 1" can be loaded, "LoRA" or "VAE" is not a model."""
    for kind, marks in _MARKS:
        if any(mark in key for key in shapes for mark in marks):
            return kind
    if list(shapes.get(_WORDS, (0, 768)))[-1] == 1024:
        return "Stable Diffusion 2"
    if _FIRST in shapes:
        channels = list(shapes[_FIRST])[1]
        if channels != 4:
            return f"inpainting model, whose UNet reads {channels} channels" if channels == 9 else f"model whose UNet reads {channels} channels"
        lacking = [part for part, prefix in _PARTS.items() if not any(key.startswith(prefix) for key in shapes)]
        return f"Stable Diffusion without its {' and '.join(lacking)}" if lacking else "Stable Diffusion 1"
    if any(key.removeprefix("first_stage_model.").startswith("decoder.") for key in shapes):
        return "VAE"
    return "model of a kind that is not known here"


def check_file(path: Path, wanted: str = "Stable Diffusion 1") -> None:
    """Check that a file is of the kind that is wanted, reading nothing but its header; raise ModelNotFound if there is none, ModelError for a pickle or damage."""
    if not path.is_file():
        raise ModelNotFound(f"there is no file {str(path)!r}. Check the path; it starts at the current folder.")
    if path.suffix.lower() != ".safetensors":
        raise ModelError(
            f"{path.name} is a pickle ({path.suffix}), which can run anything when it is opened; that is never done. Take the .safetensors file of the same "
            "model, or convert it where it may do no harm: safetensors.torch.save_file(torch.load(path, weights_only=True)['state_dict'], 'model.safetensors')."
        )
    try:
        with safe_open(path, framework="numpy") as file:
            shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or cut short ({error}). Fetch it again.") from None
    if (kind := kind_of(shapes)) != wanted:
        instead = {
            "LoRA": "A LoRA changes a model and is none; merge it into a model with the tool that it was made for.", "VAE": "Give it as vae=, beside a model.",
        }.get(kind, "Choose a Stable Diffusion 1.x model; an inpainting model is read from a folder in diffusers format.")  # fmt: skip
        raise ModelError(f"{path.name} is a {kind}, and a {wanted} is wanted here. {instead}")


def config_folder(path: Path, download: bool | None) -> Path:
    """Find what a single file lacks, Stable Diffusion 1.5's tokenizer and configurations: beside it, in the cache, or on the hub."""
    card = CATALOGUE["sd15"]
    for folder in (path.parent, hub.cached_configs(card.where, card.revision)):
        if folder is not None and all((folder / name).is_file() for name in ("model_index.json", *CONFIGS)):
            check_index(folder)
            return folder
    if download is False:
        raise ModelNotFound(
            f"{path.name} holds weights alone. Its tokenizer and configurations are those of Stable Diffusion 1.5, and they are neither beside it nor on this "
            f"machine. Fetch them once (3 MB) with tp2lib.load({path.name!r}) where there is a network, or put model_index.json and the folders "
            "tokenizer, unet, vae, text_encoder and scheduler of a Stable Diffusion 1.5 beside the file."
        )
    return hub.fetch_configs(card.where, card.revision)


def load_vae(path: Path, configs: Path, dtype: Any) -> Any:
    """Load a VAE from a folder in diffusers' format or from a single file; raise ModelError unless it has the model's number of channels (SD 1: four)."""
    from diffusers import AutoencoderKL

    if path.is_dir():
        own, wanted = (read_json(folder / "config.json").get("latent_channels", 4) for folder in (path, configs / "vae"))
        if own != wanted:
            raise ModelError(
                f"the VAE in {path} has {shown(own)} channels and the model {shown(wanted)}; it belongs to another kind of model. Choose one for {'Stable Diffusion 1.x' if wanted == 4 else 'this model'}."
            )
        return AutoencoderKL.from_pretrained(path, dtype=dtype, use_safetensors=True, local_files_only=True)
    check_file(path, "VAE")
    return AutoencoderKL.from_single_file(str(path), config=str(configs), subfolder="vae", local_files_only=True, dtype=dtype)
