"""Notebooks under test write into a folder of their own: what a learner has in outputs/ is neither used nor touched."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
WEIGHTS = ROOT / "tp2lib" / "vitrine" / "weights"
SCRATCH = tempfile.TemporaryDirectory(prefix="tp2-notebooks-")  # one for all: they build on each other


def untrained() -> bool:
    """Whether there is no vitrine yet, and none is named in its place."""
    return not (WEIGHTS / "model_index.json").exists() and "TP2_VITRINE" not in os.environ


def pytest_report_header() -> str | None:
    return "vitrine has no trained weights yet: the notebooks run on a random stand-in" if untrained() else None


@cache
def stand_in() -> str:
    """Save the tiny random model of tests/conftest.py, once."""
    spec = importlib.util.spec_from_file_location("tp2_tests_conftest", ROOT / "tests" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.build_tiny(Path(SCRATCH.name) / "stand-in"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Tell the notebook's kernel, which inherits the environment; pytest's fixtures do not reach it."""
    with pytest.MonkeyPatch.context() as patch:
        if item.path.suffix == ".ipynb":
            patch.setenv("TP2_OUTPUTS", str(Path(SCRATCH.name) / "outputs"))
            if untrained():
                patch.setenv("TP2_VITRINE", stand_in())
        return (yield)
