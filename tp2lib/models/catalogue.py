"""The catalogue of models: what each one is, what it needs, and which one to use on this machine."""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tp2lib.errors import ModelNotFound, did_you_mean, shown
from tp2lib.models import hub
from tp2lib.models.devices import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What to know about a model before loading it: the name that recipes use, and where it is, a hub id or a folder.

    `revision` is the pinned commit on the hub, `licence` says under which terms it may be used, `native_size` is the side in pixels that it was trained for,
    `download_mb` what fetching it costs, in MB (10⁶ bytes), `memory_gb` the free GPU memory that an image of that size needs, in GB, `note` what it is.
    """

    name: str
    where: str
    revision: str | None = None
    licence: str = "unknown: ask whoever made it"
    native_size: int = 512
    download_mb: int = 0
    memory_gb: float = 4.0
    note: str = ""


_HERE = Path(__file__)
_CARDS = tomllib.loads(_HERE.with_suffix(".toml").read_text(encoding="utf-8"))

CATALOGUE: Mapping[str, ModelCard] = MappingProxyType(
    {name: ModelCard(name=name, **{"where": str(_HERE.with_name(name)), **facts}) for name, facts in _CARDS.items()}
)
"""The models known by name, from ``catalogue.toml``."""

GONE = "runwayml/stable-diffusion-v1-5"
"""The id that the report names, and that left the hub."""
SINGLE_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
"""How the names of models in one file end; all but the first are pickles, and refused."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
"""What a hub id looks like: owner/name."""


def choose_model(placement: Placement, consent: bool) -> tuple[str, str]:
    """Choose what "auto" means here, and say why: a model's name, and the reason; `consent` says whether `sd15` may be downloaded."""
    card = CATALOGUE["sd15"]
    if placement.device != "cuda":
        return "vitrine", f"sd15 wants a CUDA GPU, and this runs on {placement.device}"
    if (placement.free_gb or 0) < card.memory_gb:
        return "vitrine", f"sd15 wants {card.memory_gb:.1f} GB of GPU memory, and {placement.free_gb:.1f} GB are free"
    if hub.cached(card.where, card.revision):
        return "sd15", f"{placement.why}, and sd15 is on this machine"
    if consent:
        return "sd15", f"{placement.why}, and you agreed to fetch {card.download_mb} MB"
    return "vitrine", f"sd15 is not on this machine; load('sd15') fetches it ({card.download_mb} MB)"


def find_card(name: str) -> ModelCard:
    """Find a model's card by any of its names; make one for a folder, a file or a hub id that is not in the catalogue, else raise ModelNotFound."""
    if name == GONE:
        return CATALOGUE["sd15"]
    for card in CATALOGUE.values():
        if name in (card.name, card.where):
            return card
    with contextlib.suppress(OSError, RuntimeError):  # a name too long for a file, or a home folder of an unknown user
        path = Path(name).expanduser().absolute()  # a relative one, such as models/mine, would look like a hub id
        if path.is_dir() or name.lower().endswith(SINGLE_FILES):
            return ModelCard(name=name, where=str(path), note="a local folder" if path.is_dir() else "a single file")
    if HUB_ID.fullmatch(name):
        return ModelCard(name=name, where=name, note="a model of the hub")
    raise ModelNotFound(
        f"there is no model {shown(name)}; it must be auto, {', '.join(CATALOGUE)}, a folder in diffusers format, a .safetensors file, or "
        f"a hub id (owner/name).{did_you_mean(name, ['auto', *CATALOGUE])}"
    )
