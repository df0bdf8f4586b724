"""The wheel, used as someone does who has no clone: built, installed into an empty environment, run from another folder without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from tp2lib import read_recipe
from tp2lib.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
UV = shutil.which("uv")


def _uv(*arguments: str | Path) -> None:
    """Run uv from what it has downloaded before, else from the registry; skip where neither can be had."""
    errors = []
    for how in (["--offline"], []):
        done = subprocess.run([UV, *map(str, arguments), *how], capture_output=True, text=True, timeout=900, cwd=ROOT)
        if done.returncode == 0:
            return
        errors.append(done.stderr)
    if any(words in errors[-1].lower() for words in ("error sending request", "failed to fetch", "dns", "connect")):
        pytest.skip(f"no registry can be reached: {errors[-1][-200:]}")
    raise AssertionError(errors[-1])


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """An environment with nothing in it but the wheel, and pytest-socket to keep it off the network."""
    if UV is None:
        pytest.skip("uv is not on the path, which builds the wheel: pip install uv")
    folder = tmp_path_factory.mktemp("wheel")
    _uv("build", "--wheel", "--out-dir", folder / "dist", "-q", ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    _uv("venv", "-q", "--python", sys.executable, folder / "env")
    python = folder / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    date = PROJECT["tool"]["uv"]["exclude-newer"]
    _uv("pip", "install", "-q", "--python", python, "--exclude-newer", date, wheel, "pytest-socket")
    return python


def _tp2(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the installed command in a folder that has nothing to do with the clone."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("TP2_", "VIRTUAL_ENV"))}
    settings = {**mine, "PYTHONPATH": str(ROOT / "tests" / "offline"), "PYTHONSAFEPATH": "1"}
    command = python.with_name("tp2.exe" if os.name == "nt" else "tp2")
    return subprocess.run([command, *arguments], cwd=folder, env=settings, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
def test_it_is_the_version_that_is_told(environment, tmp_path):
    assert _tp2(environment, tmp_path, "--version").stdout.strip() == f"tp2lib {PROJECT['project']['version']}"


@pytest.mark.slow
def test_the_doctor_finds_it_well(environment, tmp_path):
    done = _tp2(environment, tmp_path, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(ROOT) not in done.stdout


@pytest.mark.slow
def test_it_makes_a_picture(environment, tmp_path):
    done = _tp2(environment, tmp_path, "generate", "a red apple on a white background", "--steps", "4")
    assert done.returncode == 0, done.stderr
    path = tmp_path / done.stdout.strip()
    assert path.is_relative_to(tmp_path) and read_recipe(path).recipe.prompt == "a red apple on a white background"
    with Image.open(path) as image:
        assert image.size == (256, 256)
    assert "Warning" not in done.stderr and "torchvision" not in done.stderr
