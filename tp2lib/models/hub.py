"""Download a model from the Hugging Face hub. One that is not whole counts as absent; nothing is ever deleted from the cache, which other programs share."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from tp2lib.errors import ModelError, ModelNotFound
from tp2lib.models.weights import WEIGHT_FILES, check_configs, check_folder, check_index

log = logging.getLogger("tp2lib")

_TEXT_FILES = (".json", ".txt")
_TEXT_FOLDERS = ("scheduler", "tokenizer", "feature_extractor", *WEIGHT_FILES)


def cached(repo: str, revision: str | None = None) -> Path | None:
    """Find the folder of a model ("owner/name", at a commit, branch or tag) that is on this machine, whole; the network is not touched."""
    folder = cached_configs(repo, revision)
    try:
        if folder:
            check_folder(folder)
    except (OSError, ValueError, ModelError):
        return None
    return folder


def cached_configs(repo: str, revision: str | None = None) -> Path | None:
    """Find a model's configurations and tokenizer on this machine, whether or not its weights are; the network is not touched."""
    from huggingface_hub import snapshot_download

    try:
        # Only the index is asked for: whether the rest is there is checked file by file, whoever fetched it.
        return Path(snapshot_download(repo, revision=revision, local_files_only=True, allow_patterns="model_index.json"))
    except (OSError, ValueError):
        return None


def fetch_configs(repo: str, revision: str | None = None) -> Path:
    """Download a model's configurations and tokenizer, some megabytes, without its weights."""
    log.warning("downloading the tokenizer and configurations of %s (3 MB)", repo)
    with _explained(repo, revision):
        return _fetch_texts(repo, revision)


def _fetch_texts(repo: str, revision: str | None) -> Path:
    """Download a model's index, then its configurations and tokenizer; a model of another kind is refused as soon as they say so."""
    from huggingface_hub import snapshot_download

    texts = [f"{folder}/*{ending}" for folder in _TEXT_FOLDERS for ending in _TEXT_FILES]
    check_index(Path(snapshot_download(repo, revision=revision, allow_patterns="model_index.json")))
    folder = Path(snapshot_download(repo, revision=revision, allow_patterns=texts))
    check_configs(folder)
    return folder


def fetch(repo: str, revision: str | None = None, *, half: bool = False) -> Path:
    """Download a model's safetensors weights and configurations, say how much that is, and return the folder they are cached in.

    `half` takes float16 weights where there are some: half the download. ModelNotFound is raised if the hub knows no such model or revision, ModelError if
    access is refused, the connection fails, or a file arrives damaged. What arrived whole is kept, so that another try goes on from there; the model itself
    counts as absent.
    """
    from huggingface_hub import HfApi, snapshot_download

    with _explained(repo, revision):
        info = HfApi().model_info(repo, revision=revision, files_metadata=True)
        if (there := cached(repo, info.sha)) is not None:
            return there
        _fetch_texts(repo, revision)  # a model of another kind is refused before its gigabytes are fetched
        chosen = _choose({file.rfilename: file.size or 0 for file in info.siblings or ()}, half)
        log.warning("downloading %s (%.0f MB, commit %.8s)", repo, sum(chosen.values()) / 1e6, info.sha)
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=list(chosen), max_workers=4))
        check_folder(folder)
        return folder


def _choose(sizes: dict[str, int], half: bool) -> dict[str, int]:
    """Pick the files to fetch out of all in the repository: never a pickle, one set of weights."""
    texts = [name for name in sizes if name.rpartition("/")[0] in _TEXT_FOLDERS and name.endswith(_TEXT_FILES)]
    plain = {part: f"{part}/{stem}.safetensors" for part, stem in WEIGHT_FILES.items()}
    small = {part: f"{part}/{stem}.fp16.safetensors" for part, stem in WEIGHT_FILES.items()}
    parts = [part for part in WEIGHT_FILES if any(name.startswith(f"{part}/") for name in sizes)]
    best = next((one for one in ([small, plain] if half else [plain, small]) if all(one[part] in sizes for part in parts)), plain)
    return {name: sizes[name] for name in ("model_index.json", *texts, *(best[part] for part in parts)) if name in sizes}


@contextlib.contextmanager
def _explained(repo: str, revision: str | None) -> Iterator[None]:
    """Turn what the hub's client raises when a download fails into what to do about it."""
    import httpx
    from huggingface_hub import errors

    where = f"{repo!r}" + (f" at revision {revision!r}" if revision else "")
    try:
        yield
    except ModelError:
        raise
    except errors.GatedRepoError as error:
        raise ModelError(
            f"model {where} is gated: accept its licence on its page on the hub, log in with `hf auth login`, "
            "and try again; or use model='vitrine', which needs no account."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelNotFound(f"the hub has {repo!r}, but not revision {revision!r}. Check the revision.") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelNotFound(
            f"the hub has no model {where}, or it is private. Check the spelling; for a private model, log in with "
            "`hf auth login`. model='vitrine' needs no hub."
        ) from error
    except (OSError, ValueError, RuntimeError, httpx.HTTPError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"model {where} could not be downloaded ({type(error).__name__}: {reason}). Nothing half-fetched is used: "
            "check the connection and try again, or use model='vitrine', which needs no network."
        ) from error
