"""The doctor: a line for each thing that can be wrong, how to fix it; never an exception."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tp2lib.cli.doctor import SUMS, Check, doctor
from tp2lib.errors import ModelError

module = importlib.import_module("tp2lib.cli.doctor")


def only(examine, name="x"):
    """The checks of one examination."""
    return list(module._guarded(name, examine))


def test_all_is_well_here(vitrine, tmp_path):
    said = []
    checks = doctor(tmp_path, say=said.append)
    assert [check.name for check in checks if not check.ok] == []
    assert [check.name for check in checks] == [
        "python", "packages", "device", "threads", "weights", "outputs", "kernel", "sliders", "picture",
    ]  # fmt: skip
    assert said == checks
    assert re.search(r"20 steps at 128x128 with vitrine on \w+ \(loading: ", checks[-1].found)
    assert list(tmp_path.iterdir()) == []  # a check-up leaves nothing behind


def test_a_check_is_a_line_and_a_failed_one_says_what_to_do():
    assert str(Check(name="device", ok=True, found="cpu", fix="unused")) == "[OK]   device    cpu"
    first, second = str(Check(name="device", ok=False, found="none", fix="Buy one.")).splitlines()
    assert (first, second.strip()) == ("[FAIL] device    none", "-> Buy one.")


def test_packages_out_of_bounds_are_named_one_by_one(monkeypatch):
    bounds = ["numpy>=1", "pillow<2", "no-such-package>=1", 'not-on-this-one>=1; sys_platform == "amiga"']
    monkeypatch.setattr(module, "_declared", lambda: (">=3.11", bounds))
    found = [(check.ok, check.found) for check in only(module._packages)]
    assert [ok for ok, _ in found] == [False, False]
    assert found[0][1].startswith("pillow ") and found[0][1].endswith("; <2 is asked for")
    assert found[1][1] == "no-such-package is not installed; >=1 is asked for"
    assert all("pip install" in check.fix for check in only(module._packages))


def test_the_bounds_are_those_of_the_clone():
    python, packages = module._declared()
    assert python.startswith(">=3.11") and any(one.startswith("torch>=") for one in packages)


def test_an_installation_without_a_clone_has_bounds_too(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    assert any(one.startswith("torch") for one in module._declared()[1])
    assert all(check.ok for check in only(module._packages) if "is not installed" not in check.found)


def test_another_python_is_refused(monkeypatch):
    monkeypatch.setattr(module, "_declared", lambda: (">=3.99", []))
    (check,) = only(module._python)
    assert not check.ok and ">=3.99 is asked for" in check.found and "uv run" in check.fix


@pytest.fixture
def weights(tiny_folder, tmp_path, monkeypatch):
    """A copy of the tiny model with its checksums."""
    folder = tmp_path / "weights"
    shutil.copytree(tiny_folder, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    names = [path.relative_to(folder).as_posix() for path in files]
    sums = [f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True)]
    (folder / SUMS).write_text("".join(sums))
    monkeypatch.setenv("TP2_VITRINE", str(folder))
    return folder


def test_weights_as_listed_are_well(weights):
    (check,) = only(module._weights)
    assert check.ok and check.found.endswith(f"every file as in {SUMS}")


UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (lambda folder: (folder / "vae/config.json").touch(), "every file"),
        (lambda folder: (folder / "words.json").write_text("[]"), "words.json was changed"),
        (lambda folder: (folder / "words.json").unlink(), "words.json is missing"),
        (lambda folder: shutil.copy(folder / UNET, folder / "vae/x.safetensors"), "vae/x.safetensors is not listed"),
        (lambda folder: (folder / UNET).write_bytes(b"version https://git-lfs"), "damaged or cut short"),
        (shutil.rmtree, "are missing"),
    ],
)
def test_weights_that_are_not_what_they_were_fail(weights, harm, found):
    harm(weights)
    (check,) = only(module._weights)
    assert found in check.found and check.ok == (found == "every file")
    assert check.ok or "TP2_VITRINE" in check.fix


def test_a_stand_in_needs_no_checksums_and_the_embedded_model_does(vitrine, monkeypatch):
    assert "without a" in only(module._weights)[0].found
    monkeypatch.delenv("TP2_VITRINE")
    monkeypatch.setitem(sys.modules, "tp2lib.models.catalogue", SimpleNamespace(CATALOGUE={"vitrine": SimpleNamespace(where=str(vitrine))}))
    (check,) = only(module._weights)
    assert not check.ok and "cannot be checked" in check.found and "git checkout" in check.fix


def test_outputs_that_cannot_be_written_fail(tmp_path):
    (tmp_path / "file").write_text("")
    (check,) = only(lambda: module._outputs(tmp_path / "file"))
    assert not check.ok and "cannot be written" in check.found and "--outputs" in check.fix


def test_a_full_disk_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=3_000_000))
    (check,) = only(lambda: module._outputs(tmp_path))
    assert not check.ok and "0.0 GB free" in check.found and check.fix.startswith("Free 200 MB.")


@pytest.mark.parametrize("same", [False, True], ids=["another Python", "another environment of this Python"])
def test_a_kernel_of_another_python_fails(tmp_path, monkeypatch, same):
    kernel, other = tmp_path / "kernels" / "python3", tmp_path / "python" if same else Path("/usr/bin/python2")
    kernel.mkdir(parents=True)
    if same:
        other.symlink_to(Path(sys.executable).resolve())
    (kernel / "kernel.json").write_text(json.dumps({"argv": [str(other), "-m", "ipykernel"], "display_name": "Other", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    (check,) = only(module._kernel)
    assert not check.ok and str(other) in check.found and f"Remove {kernel}" in check.fix


def test_sliders_need_their_part_of_jupyterlab(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (check,) = only(module._sliders)
    assert not check.ok and "lacks the widgets' part" in check.found and "jupyterlab-widgets" in check.fix


@pytest.mark.parametrize("error", [ModelError("no GPU today."), ImportError("DLL load failed"), OSError("gone")])
def test_whatever_goes_wrong_is_a_failed_check(error):
    def examine():
        raise error
        yield

    (check,) = only(examine, "device")
    assert (check.name, check.ok) == ("device", False) and str(error) in check.found and check.fix


def test_a_picture_that_comes_out_black_fails(vitrine, monkeypatch):
    engine = importlib.import_module("tp2lib.engine.generate")
    real = engine.generate
    monkeypatch.setattr(engine, "generate", lambda *args: replace(real(*args), outcome="black"))
    (check,) = only(lambda: module._picture("vitrine"))
    assert not check.ok and "it came out black" in check.found
