"""Check the installation: what is missing to make a picture, and how to fix it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tp2lib.errors import TP2Error
from tp2lib.paths import OUTPUTS, ROOT
from tp2lib.storage.files import write_atomically

SUMS = "SHA256SUMS"
"""The file beside a model's weights that lists their checksums, as ``sha256sum`` writes it."""

_INSTALL = "Install again: `uv sync`, or `pip install -e .` in the clone."
_LEAST_FREE_MB = 200  # a picture of 512 x 512 has 0.5 MB; the ledger and a few hundred of them fit
_Found = Iterator[tuple[bool, str, str]]
"""What an examination yields: is it well, what was found, how to fix it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked: what was found, and how to fix it if it is not well."""

    name: str
    ok: bool
    found: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"[{'OK' if self.ok else 'FAIL'}]".ljust(7) + f"{self.name:<9} {self.found}"
        return line if self.ok or not self.fix else f"{line}\n       {'':<9} -> {self.fix}"


def doctor(outputs: str | os.PathLike[str] = OUTPUTS, *, model: str = "auto", say: Callable[[Check], object] | None = None) -> list[Check]:
    """Check everything that a picture needs, and make one.

    Parameters
    ----------
    outputs : path
        The folder that has to be writable.
    model : str, default "auto"
        The model that the picture is made with.
    say : callable, optional
        Gets each check as soon as it is done; ``say=print`` prints them.

    Returns
    -------
    list of Check
        Nothing is raised: what goes wrong is a check that failed. Each prints as a line.
    """
    examinations: dict[str, Callable[[], _Found]] = {
        "python": _python,
        "packages": _packages,
        "device": _device,
        "threads": _threads,
        "weights": _weights,
        "outputs": lambda: _outputs(Path(outputs)),
        "kernel": _kernel,
        "sliders": _sliders,
        "picture": lambda: _picture(model),
    }
    checks = []
    for name, examine in examinations.items():
        for check in _guarded(name, examine):
            checks.append(check)
            if say:
                say(check)
    return checks


def _guarded(name: str, examine: Callable[[], _Found]) -> Iterator[Check]:
    """Name what a check finds; any error is a failed check."""
    try:
        for ok, found, fix in examine():
            yield Check(name=name, ok=ok, found=found, fix=fix)
    except TP2Error as error:
        yield Check(name=name, ok=False, found=str(error), fix="Fix what failed above first.")
    except Exception as error:  # a broken install raises anything, from ImportError to OSError
        yield Check(name=name, ok=False, found=f"{type(error).__name__}: {error}", fix=_INSTALL)


def _declared() -> tuple[str, list[str]]:
    """Return the Python and the packages that are asked for: by the clone, else by what was installed."""
    if (ROOT / "tp2lib").is_dir() and (ROOT / "pyproject.toml").is_file():
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return project["requires-python"], project["dependencies"]
    return importlib.metadata.metadata("tp2lib")["Requires-Python"], importlib.metadata.requires("tp2lib") or []


def _python() -> _Found:
    wanted, have = _declared()[0], platform.python_version()
    fits = SpecifierSet(wanted).contains(have, prereleases=True)
    found = f"{have} in {sys.prefix}" + ("" if fits else f"; {wanted} is asked for")
    yield fits, found, "Start with `uv run tp2 …`: uv picks a Python that fits."


def _packages() -> _Found:
    good, bad = [], []
    for requirement in map(Requirement, _declared()[1]):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            have = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            have = None
        if have is not None and requirement.specifier.contains(have, prereleases=True):
            good.append(f"{requirement.name} {have}")
        else:
            bad.append(f"{requirement.name} {have or 'is not installed'}; {requirement.specifier} is asked for")
    for found in bad:
        yield False, found, _INSTALL
    if not bad:
        yield True, f"all {len(good)} within bounds: {', '.join(good[:3])}, …", ""


def _device() -> _Found:
    from tp2lib.models.devices import choose_device

    placement = choose_device()
    yield True, f"{placement.device}, {placement.dtype_name}: {placement.why}", ""


def _threads() -> _Found:
    import torch

    from tp2lib.startup import spinning

    ok, found = spinning()
    fix = "Import tp2lib first, or set GOMP_SPINCOUNT=6000: beside another busy program pictures are many times slower without."
    yield ok, f"{torch.get_num_threads()}; {found}", fix


def _weights() -> _Found:
    from tp2lib.models.catalogue import CATALOGUE
    from tp2lib.models.weights import check_folder, hash_folder

    other = os.environ.get("TP2_VITRINE")
    folder = Path(other or CATALOGUE["vitrine"].where)
    fix = f"TP2_VITRINE names {other}; name a complete model, or unset it." if other else f"Get the clone's files again: `git checkout -- {folder}`."
    if not (folder / "model_index.json").is_file():
        yield False, f"the weights of vitrine, the embedded model, are missing: nothing is in {folder}", fix
        return
    try:
        digest = hash_folder(folder, check_folder(folder))
    except TP2Error as error:
        yield False, f"the embedded model is incomplete: {error}", fix
        return
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) / 1e6
    found = f"vitrine, {size:.1f} MB, sha256 {digest[:12]}…"
    if (folder / SUMS).is_file():
        wrong = _changed(folder)
        yield not wrong, f"{found}; not as in {SUMS}: {', '.join(wrong)}" if wrong else f"{found}, every file as in {SUMS}", fix
    elif other:
        yield True, f"{found}, from TP2_VITRINE and without a {SUMS} to compare with", ""
    else:
        yield False, f"{found}; {SUMS} is missing, so they cannot be checked", fix


def _changed(folder: Path) -> list[str]:
    """List the files that are not as the folder's checksums say."""
    wrong, listed = [], set()
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition(" ")
        name = name.strip().removeprefix("*").removeprefix("./")
        listed.add(name)
        if not (folder / name).is_file():
            wrong.append(f"{name} is missing")
        elif hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            wrong.append(f"{name} was changed")
    unlisted = {path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors")} - listed
    return wrong + [f"{name} is not listed" for name in sorted(unlisted)]


def _outputs(folder: Path) -> _Found:
    probe = folder / ".doctor"
    fix = "Name another folder with --outputs, or in the environment variable TP2_OUTPUTS."
    try:
        write_atomically(probe, lambda file: file.write(b"tp2"))
        probe.unlink()
        free_mb = shutil.disk_usage(folder).free / 1e6
    except (TP2Error, OSError) as error:
        yield False, str(error), fix
        return
    yield free_mb >= _LEAST_FREE_MB, f"{folder} is writable, {free_mb / 1000:.1f} GB free", f"Free {_LEAST_FREE_MB} MB. {fix}"


def _kernel() -> _Found:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    fix = "Install the kernel of this environment: `python -m ipykernel install --sys-prefix`."
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        yield False, "there is no kernel python3, which the notebooks name", fix
        return
    program = spec.argv[0]
    both = (Path(program), Path(sys.executable))  # environments of one Python link to it, each from a folder of its own
    same = both[0].exists() and os.path.samefile(*both) and os.path.samefile(*(one.parent for one in both))
    if same or program in ("python", "python3", f"python3.{sys.version_info.minor}"):
        yield True, "python3 is this environment's", ""
    else:
        yield False, f"python3 starts {program}, another Python than this one", f"Remove {spec.resource_dir}, which hides it. {fix}"


def _sliders() -> _Found:
    for name in ("jupyterlab", "ipywidgets", "jupyterlab_widgets"):
        importlib.metadata.version(name)
    part = Path(sys.prefix) / "share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager/package.json"
    found = "JupyterLab has the widgets' part" if part.is_file() else f"JupyterLab lacks the widgets' part ({part})"
    yield part.is_file(), found, "Put it back: `uv sync --reinstall-package jupyterlab-widgets`, or `pip install --force-reinstall jupyterlab-widgets`."


def _picture(name: str) -> _Found:
    from tp2lib.evaluation.experiments import EXPERIMENTS
    from tp2lib.models.loading import load

    began = time.perf_counter()
    model = load(name)
    loaded = time.perf_counter() - began
    from tp2lib.engine.generate import generate

    run = generate(EXPERIMENTS["smoke"].recipe, model)
    size = f"{run.effective['width']}x{run.effective['height']}"
    if run.outcome == "ok":
        took = f"{run.timings['total']:.1f} s for {run.effective['steps']} steps at {size}"
        yield True, f"{took} with {model.name} on {model.placement.device} (loading: {loaded:.1f} s)", ""
    else:
        yield False, f"none with {model.name} at {size}: it came out {run.outcome}", "Try `tp2 doctor --model vitrine`; if that fails too, install again."
