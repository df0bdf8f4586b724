"""Notebooks under test write into a folder of their own: what a learner has in outputs/ is neither used nor touched."""

from __future__ import annotations

import tempfile
from collections.abc import Generator

import pytest

OUTPUTS = tempfile.TemporaryDirectory(prefix="tp2-notebooks-")  # one for all: they build on each other


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Tell the notebook's kernel, which inherits the environment; pytest's fixtures do not reach it."""
    with pytest.MonkeyPatch.context() as patch:
        if item.path.suffix == ".ipynb":
            patch.setenv("TP2_OUTPUTS", OUTPUTS.name)
        return (yield)
