"""The files of a model, a folder or one file as A1111 and similar tools have it: what must be in them, what must not, and their hash.

One file is told apart by its keys before anything is loaded.
"""

from __future__ import annotations

import functools
import hashlib
import json
import string
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from tp2lib.errors import ModelError, ModelNotFound, shown

WEIGHT_FILES = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model", "safety_checker": "model"}
"""The components that hold weights, and the names of their files (``.safetensors``, or ``.fp16.safetensors``)."""

_PIPELINES = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline")
_LIBRARIES = ("diffusers", "transformers", "stable_diffusion")
_JSON_LIMIT = 5_000_000  # bytes; the largest normal one, a tokenizer's, has 2.2 MB

LOADING = threading.RLock()
"""Held while a network is made: diffusers and transformers patch torch for all threads meanwhile, so that another thread's network stays empty."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of at most 5 MB that must hold one object; raise ModelError for anything else."""
    try:
        if path.stat().st_size > _JSON_LIMIT:
            raise ValueError(f"more than {_JSON_LIMIT} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path.name} of the model in {path.parent} cannot be read ({error}). Fetch it again.") from None
    return content


def check_folder(folder: Path, half: bool = False) -> str | None:
    """Check that a folder holds a whole Stable Diffusion 1.x model in diffusers format, in safetensors, without code of its own.

    The variant of its weights is returned: ``"fp16"``, or None for the plain file names; where both are there, `half` takes the first. ModelNotFound is raised
    if there is no model there, ModelError if it is of another kind, incomplete, damaged, pickled, or brings code.
    """
    index = check_configs(folder)
    present = [name for name in WEIGHT_FILES if name != "safety_checker" or (index.get(name) or [None])[0] is not None]
    variant = _variant(folder, present, half)
    for name in present:
        read_json(folder / name / "config.json")
        _header(folder / name / _file_name(name, variant))
    return variant


def missing_texts(folder: Path) -> list[str]:
    """List what a folder lacks of a model's index, configurations and tokenizer."""
    lacking = [name for name in ("model_index.json", *CONFIGS) if not (folder / name).is_file()]
    read = [(folder / "tokenizer" / name).is_file() for name in ("tokenizer.json", "vocab.json", "merges.txt")]
    return lacking if read[0] or all(read[1:]) else [*lacking, "tokenizer/tokenizer.json"]


def check_configs(folder: Path) -> dict[str, Any]:
    """Check and return a folder's index, and refuse other kinds of models by their configurations; the weights need not be there."""
    index = check_index(folder)
    if lacking := missing_texts(folder):
        raise ModelError(f"the model in {folder} has no {', '.join(lacking)}. Fetch it again.")
    unet, vae = (read_json(folder / part / "config.json") for part in ("unet", "vae"))
    if unet.get("cross_attention_dim") == 1024:
        raise ModelError(
            f"the model in {folder} is a Stable Diffusion 2 (its text encoder is 1024 wide); only Stable Diffusion 1.x is supported. Choose another model."
        )
    channels, latents = unet.get("in_channels", 4), vae.get("latent_channels", 4)
    if type(latents) is not int or channels not in (latents, 2 * latents + 1):
        raise ModelError(
            f"the UNet of the model in {folder} reads {shown(channels)} channels and its VAE makes {shown(latents)}; a UNet reads as many, 4 in Stable Diffusion "
            "1.x, or one more than twice as many, 9, for inpainting. Choose another model."
        )
    return index


def check_index(folder: Path) -> dict[str, Any]:
    """Read a folder's ``model_index.json``; refuse other kinds of models, and code of their own."""
    if not (folder / "model_index.json").is_file():
        raise ModelNotFound(f"no model in {folder}: model_index.json is missing. Name a folder in diffusers format (what pipeline.save_pretrained writes).")
    index = read_json(folder / "model_index.json")
    if index.get("_class_name") not in _PIPELINES:
        raise ModelError(
            f"the model in {folder} is a {shown(index.get('_class_name'))}; only Stable Diffusion 1.x ({_PIPELINES[0]}) is supported. Choose another model."
        )
    for name, entry in index.items():
        if name in WEIGHT_FILES and not (isinstance(entry, list) and len(entry) == 2):
            raise ModelError(f"{name} in model_index.json of the model in {folder} is {shown(entry)}; it must be a library and a class. Fetch it again.")
        if name.startswith("_") or not isinstance(entry, list) or not entry or entry[0] is None:
            continue
        if entry[0] not in _LIBRARIES:
            raise ModelError(
                f"the model in {folder} wants to run code of its own for {shown(name)} ({shown(entry)}); "
                "that is never done. Choose a model made of diffusers and transformers classes only."
            )
    return index


def _file_name(component: str, variant: str | None) -> str:
    return ".".join(filter(None, (WEIGHT_FILES[component], variant, "safetensors")))


def _variant(folder: Path, components: list[str], half: bool) -> str | None:
    for variant in ("fp16", None) if half else (None, "fp16"):
        if all((folder / name / _file_name(name, variant)).is_file() for name in components):
            return variant
    lacking = [name for name in components if not any((folder / name).glob("*.safetensors"))]
    pickled = [name for name in lacking if any((folder / name).glob("*.bin"))]
    if pickled:
        raise ModelError(
            f"the model in {folder} has only pickled weights for {', '.join(pickled)}, and a pickle can run anything "
            "when it is opened. Convert them to safetensors, or choose another model."
        )
    what = ", ".join(lacking or components)
    raise ModelError(f"the model in {folder} is not whole: no safetensors weights for {what}. Fetch it again.")


def _header(path: Path) -> dict[str, list[int]]:
    """Read the names and shapes of a file's tensors, and nothing else."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or cut short ({error}). Delete it and fetch the model again.") from None


def hash_folder(folder: Path, variant: str | None) -> str:
    """Hash all that decides what the model computes: its weights, its configurations, its tokenizer."""
    weights = {folder / name / _file_name(name, variant) for name in WEIGHT_FILES}
    files = [path for path in sorted(folder.glob("*/*")) if path in weights or path.suffix in (".json", ".txt")]
    return _hash((f"{path.parent.name}/{path.name}", path) for path in files if path.is_file())


def hash_files(*paths: Path) -> str:
    """Hash the files of a model that is put together: weights in one file, configurations, another VAE."""
    files = []
    for path in paths:
        if path.is_dir():
            inside = [file for file in sorted(path.glob("**/*")) if file.suffix in (".json", ".txt", ".safetensors")]
            files += [(str(file.relative_to(path)), file) for file in inside]
        else:
            files.append(("weights", path))
    return _hash(files)


def _hash(files: Iterable[tuple[str, Path]]) -> str:
    total = hashlib.sha256()
    for name, path in files:
        stat = path.stat()
        total.update(f"{name} {_hash_file(path, stat.st_size, stat.st_mtime_ns)}\n".encode())
    return total.hexdigest()


@functools.lru_cache(maxsize=64)
def _hash_file(path: Path, size: int, changed_ns: int) -> str:
    """SHA-256 of a file, remembered for as long as its size and date stay the same."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    promised = path.resolve().name  # the hub's cache names a large file after its SHA-256
    if len(promised) == 64 and not promised.strip(string.hexdigits) and promised != digest:
        raise ModelError(f"{path} is damaged: its SHA-256 is {digest}. Delete {path.resolve()} and fetch it again.")
    return digest


_FIRST = "model.diffusion_model.input_blocks.0.0.weight"  # its second side counts the channels that the UNet reads
_WORDS = "model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight"  # its second side is the text encoder's width
CONFIGS = ("unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json")
# What the keys of each kind contain, the most certain first.
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
    if list(shapes.get(_WORDS, (0, 768)))[-1:] == [1024]:
        return "Stable Diffusion 2"
    if len(shapes.get(_FIRST, ())) > 1:
        channels = list(shapes[_FIRST])[1]
        if channels != 4:
            return f"inpainting model, whose UNet reads {channels} channels" if channels == 9 else f"model whose UNet reads {channels} channels"
        lacking = [part for part, prefix in _PARTS.items() if not any(key.startswith(prefix) for key in shapes)]
        return f"Stable Diffusion without its {' and '.join(lacking)}" if lacking else "Stable Diffusion 1"
    if any(key.removeprefix("first_stage_model.").startswith("decoder.") for key in shapes):
        return "VAE"
    return "model of a kind that is not known here"


def check_file(path: Path, wanted: str = "Stable Diffusion 1") -> None:
    """Check that a file is of the kind that is wanted, by its header alone; raise ModelNotFound if there is none, ModelError for a pickle or damage."""
    if not path.is_file():
        raise ModelNotFound(f"there is no file {str(path)!r}. Check the path; a relative one starts at the current folder.")
    if path.suffix.lower() != ".safetensors":
        raise ModelError(
            f"{path.name} is a pickle ({path.suffix}), which can run anything when it is opened; that is never done. Take the .safetensors file of the same "
            "model, or convert it where it may do no harm: safetensors.torch.save_file(torch.load(path, weights_only=True)['state_dict'], 'model.safetensors')."
        )
    if (kind := kind_of(_header(path))) != wanted:
        instead = {
            "LoRA": "A LoRA changes a model and is none; merge it into a model with the tool that it was made for.", "VAE": "Give it as vae=, beside a model.",
        }.get(kind, "Choose a Stable Diffusion 1.x model; an inpainting model is read from a folder in diffusers format.")  # fmt: skip
        raise ModelError(f"{path.name} is a {kind}, and a {wanted} is wanted here. {instead}")
