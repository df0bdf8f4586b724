"""Load a model by name, folder, file or hub id."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from tp2lib.errors import ModelError, ModelNotFound, shown
from tp2lib.models import hub
from tp2lib.models.catalogue import CATALOGUE, GONE, HUB_ID, SINGLE_FILES, ModelCard, choose_model, find_card
from tp2lib.models.devices import Placement, check_engine, choose_device, try_xformers, with_engine
from tp2lib.models.weights import CONFIGS, LOADING, check_configs, check_file, check_folder, hash_files, hash_folder, missing_texts, read_json

log = logging.getLogger("tp2lib")


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A loaded model. Its parts are shared by all runs and changed by none."""

    name: str  # in the catalogue, or the folder or hub id that was asked for
    card: ModelCard
    folder: Path  # where its files are
    pipe: Any = field(repr=False)  # a diffusers.StableDiffusionPipeline: runs build pipelines of their own around its components
    base_scheduler_config: Mapping[str, Any] = field(repr=False)  # its scheduler file, as it stands: what every scheduler is derived from
    placement: Placement  # device and number format
    weights_sha256: str  # of its weights, configurations and tokenizer
    native_size: int  # side of its own image size, in pixels
    words: frozenset[str] | None = field(default=None, repr=False)  # those it was trained on, where that list is known
    vae: str | None = None  # the name of the VAE that was put in its own one's place
    fast: str | None = None  # the engine that computes the UNet in torch's place
    notes: tuple[str, ...] = ()  # what was decided on the way, one sentence each

    @property
    def reads_masks(self) -> bool:
        """Whether its UNet was trained for inpainting, and reads a mask and what it leaves beside the latents."""
        return self.pipe.unet.config.in_channels == 2 * self.pipe.vae.config.latent_channels + 1


def load(
    model: str | Path = "auto", *, vae: str | Path | None = None, device: str | None = None, download: bool | None = None, xformers: bool = False,
    fast: str | None = None,
) -> Model:  # fmt: skip
    """Load a model, once: asked again for the same one, it is the same object's parts.

    Parameters
    ----------
    model : str or Path, default "auto"
        ``"vitrine"``, ``"sd15"``, a folder in diffusers format, a ``.safetensors`` file of Stable Diffusion 1.x as A1111 has it, a hub id, or ``"auto"``: what the
        environment variable TP2_MODEL names, else ``sd15`` where a CUDA GPU has room for it and it
        need not be fetched (or `download` is True), else ``vitrine``.
    vae : str or Path, optional
        Another VAE in its own one's place: a folder in diffusers format, or a ``.safetensors`` file. It is part of the record and of the hash.
    device : {"cuda", "mps", "cpu"}, optional
        Insist on a device.
    download : bool, optional
        Whether a model may be fetched from the hub. By default, only one that is asked for by name.
    xformers : bool, default False
        Try xformers' attention; where that fails, one line says so.
    fast : {"openvino"}, optional
        Let another engine compute the UNet (extra ``fast``): 1.4 to 1.6 times as fast on an AVX2 processor, with
        at most one level of 255 between its pictures and the exact ones (86 dB or more, three pictures of 30 steps). It is part of the run's effective settings, so that a replay does the same.

    Raises
    ------
    ModelNotFound
        If there is no such model.
    ModelError
        If it cannot be fetched, is damaged, or is not a Stable Diffusion 1.x in safetensors.
    """
    placement = choose_device(device)
    notes: list[str] = []
    name = str(model)
    if name == "auto" and (asked := os.environ.get("TP2_MODEL")):
        name = asked
        notes.append(f"model {name}: TP2_MODEL asks for it")
    if name == "auto":
        name, why = choose_model(placement, bool(download))
        notes.append(f"model {name}: {why}")
    notes.append(f"device {placement.device}, {placement.dtype_name}: {placement.why}")
    card = find_card(name)
    if name == GONE:
        notes.append(f"{GONE} is gone from the hub; its copy {card.where} is used instead")
        log.warning(notes[-1])
    folder = _folder(card, placement, download)
    configs = folder
    if folder.suffix.lower() in SINGLE_FILES and not folder.is_dir():
        check_file(folder)
        configs = _config_folder(folder, download)
    other = None if vae is None else Path(vae).expanduser()
    if fast:
        check_engine(fast, placement.device)
        notes.append(f"the UNet runs on {fast}: faster, and equal but for the last bits")
    pipe, base, weights, attention = _opened(folder, configs, other, placement.device, placement.dtype, xformers, fast)
    if other:
        notes.append(f"the VAE is {other.name}, in its own one's place")
    if attention:
        notes.append(attention)
    return Model(
        name=card.name,
        card=replace(card, revision=card.revision or (folder.name if HUB_ID.fullmatch(card.where) else None)),
        folder=folder,
        pipe=pipe,
        base_scheduler_config=base,
        placement=placement,
        weights_sha256=weights,
        native_size=int(pipe.unet.config.sample_size * pipe.vae_scale_factor),
        words=_words(folder) if card.name == "vitrine" else None,
        vae=other.name if other else None,
        fast=fast,
        notes=tuple(notes),
    )


def unknown_words(model: Model, text: str) -> list[str]:
    """List the words of a text that the model never saw in training, where that is known (`vitrine`).

    Returns
    -------
    list of str
        In lower case, in the order of the text, each once; empty for models whose words are not known.
    """
    if model.words is None:
        return []
    words = re.findall(r"[^\W\d_]+", text.lower())
    return [word for word in dict.fromkeys(words) if word not in model.words]


def out_of_vocabulary(model: Model, *texts: str) -> str:
    """Name the words of some texts that a model never saw in training, in a sentence; nothing where none are, or it is not known."""
    words = unknown_words(model, " ".join(texts)) if getattr(model, "words", None) else []
    return f"{model.name} never saw these words in training: {', '.join(words)}" if words else ""


def _folder(card: ModelCard, placement: Placement, download: bool | None) -> Path:
    """Find the model's files; fetch them if that is allowed."""
    if card.name == "vitrine" and (other := os.environ.get("TP2_VITRINE")):
        return Path(other)
    if not HUB_ID.fullmatch(card.where):
        return Path(card.where)
    folder = hub.cached(card.where, card.revision)
    if folder is None and download is False:
        raise ModelNotFound(
            f"model {card.name!r} is not on this machine, and fetching it was not allowed. Fetch it once with "
            f"tp2lib.load({card.name!r}), or use model='vitrine'."
        )
    return folder or hub.fetch(card.where, card.revision, half=placement.dtype == torch.float16)


def _config_folder(path: Path, download: bool | None) -> Path:
    """Find what a single file lacks, Stable Diffusion 1.5's tokenizer and configurations: beside it, in the cache, or on the hub."""
    card = CATALOGUE["sd15"]
    for folder in (path.parent, hub.cached_configs(card.where, card.revision)):
        if folder and not missing_texts(folder):
            check_configs(folder)
            return folder
    if download is False:
        raise ModelNotFound(
            f"{path.name} holds weights alone. Its tokenizer and configurations are those of Stable Diffusion 1.5, and they are neither beside it nor on this "
            f"machine. Fetch them once (3 MB) with tp2lib.load({path.name!r}) where there is a network, or put model_index.json and the folders "
            "tokenizer, unet, vae, text_encoder and scheduler of a Stable Diffusion 1.5 beside the file."
        )
    return hub.fetch_configs(card.where, card.revision)


_loaded: dict[tuple[Any, ...], tuple[Any, Mapping[str, Any], str, str | None]] = {}


def _opened(*asked: Any) -> tuple[Any, Mapping[str, Any], str, str | None]:
    """Load the components, once; another model leaves memory before, so that there is room for this one."""
    with LOADING:
        if asked not in _loaded:
            _loaded.clear()
            gc.collect()
            torch.cuda.empty_cache()
            _loaded[asked] = _open(*asked)
        return _loaded[asked]


def _open(
    folder: Path, configs: Path, vae: Path | None, device: str, dtype: torch.dtype, xformers: bool, fast: str | None
) -> tuple[Any, Mapping[str, Any], str, str | None]:
    single = configs != folder
    variant = None if single else check_folder(folder, dtype == torch.float16)
    weights = hash_files(folder, *(configs / name for name in CONFIGS)) if single else hash_folder(folder, variant)
    part = f"model in {folder}"
    with _quiet():
        from diffusers import StableDiffusionPipeline

        try:
            if single:
                pipe = StableDiffusionPipeline.from_single_file(str(folder), config=str(configs), local_files_only=True, dtype=dtype, safety_checker=None)
            else:
                pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=dtype, variant=variant, use_safetensors=True, local_files_only=True)
            if vae is not None:
                part = f"VAE in {vae}"
                pipe.vae = _load_vae(vae, configs, dtype)
                part = f"model in {folder}"
                weights = hashlib.sha256(f"{weights} {hash_files(vae)}".encode()).hexdigest()
            pipe.to(device)
        except ModelError:
            raise
        except torch.OutOfMemoryError as error:
            advice = "Close other programs that use it, or choose device='cpu' or model='vitrine', which is small."
            raise ModelError(f"the model in {folder} does not fit in the free memory of {device}. {advice}") from error
        except Exception as error:  # the files are a stranger's: a configuration can raise anything
            reason = (str(error).splitlines() or [""])[0]
            raise ModelError(f"the {part} cannot be loaded ({type(error).__name__}: {reason}). Fetch it again, or choose another model.") from error
    if len(pipe.tokenizer) < 100:  # transformers builds an empty vocabulary, silently, from files it does not know
        raise ModelError(f"the tokenizer in {folder} knows {len(pipe.tokenizer)} tokens only. Fetch the model again.")
    if type(side := pipe.unet.config.sample_size) is not int:
        raise ModelError(f"sample_size of the UNet in {folder} is {shown(side)}; it must be a whole number, 64 in Stable Diffusion 1.x. Choose another model.")
    if fast:
        pipe = type(pipe)(**{**pipe.components, "unet": with_engine(pipe.unet)}, requires_safety_checker=pipe.config.requires_safety_checker)
    pipe.set_progress_bar_config(disable=True)
    base = MappingProxyType(read_json(configs / "scheduler" / "scheduler_config.json"))
    if (kind := base.get("prediction_type", "epsilon")) not in ("epsilon", "v_prediction"):
        raise ModelError(f"the scheduler of the model in {folder} predicts {shown(kind)}; it must be 'epsilon' or 'v_prediction'. Choose another model.")
    return pipe, base, weights, try_xformers(pipe) if xformers else None


def _load_vae(path: Path, configs: Path, dtype: Any) -> Any:
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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the progress bars and hints of loading out of notebooks; errors still show."""
    import diffusers.utils.logging as diffusers_log
    import transformers.utils.logging as transformers_log

    before = [(log, log.get_verbosity()) for log in (diffusers_log, transformers_log)]
    try:
        for one, _ in before:
            one.set_verbosity_error()
            one.disable_progress_bar()
        yield
    finally:
        for one, level in before:
            one.set_verbosity(level)
            one.enable_progress_bar()


def _words(folder: Path) -> frozenset[str] | None:
    try:
        return frozenset(json.loads((folder / "words.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
