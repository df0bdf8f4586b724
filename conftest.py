"""Notebooks under test write into a folder of their own and reach this machine only: a learner's outputs/ is not touched."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
LONGEST = ["notebooks", "test_browser", "test_vitrine_training", "tiny_chain", "test_wheel", "test_cli", "test_vitrine_weights", "test_sweep", "test_fast"]
"""Groups of tests that take more than half a minute each, the longest first: what begins last is short, and no process waits long for another."""
SCRATCH = tempfile.TemporaryDirectory(prefix="tp2-notebooks-")  # one for all: they build on each other

# what a shell has set for its user is not for the tests, and what kernels keep is not for the user's home
for name in [one for one in os.environ if one.startswith("TP2_") and one != "TP2_SCREENSHOTS"] + ["JUPYTER_PATH", "HF_HUB_OFFLINE"]:
    os.environ.pop(name, None)
os.environ |= {
    "IPYTHONDIR": f"{SCRATCH.name}/ipython",
    "JUPYTER_DATA_DIR": f"{SCRATCH.name}/jupyter",
    "HF_HOME": f"{SCRATCH.name}/hub",
    "NO_PROXY": "127.0.0.1,localhost",
}

import local_names  # noqa: F401  # no test looks up the name of another machine

import tp2lib  # noqa: F401  # before any test loads torch: its threads are to sleep while they wait

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core each: threads of two workers would wait for each other


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the quick ones first; among several processes, share out whole files, the longest first."""
    slow = Counter()
    for item in items:
        if _rank(item) == 1:
            item.add_marker("slow")
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("notebooks" if _rank(item) else item.path.stem))
        slow[_group(item)] += item.get_closest_marker("slow") is not None
    if "PYTEST_XDIST_WORKER" in os.environ:
        last = len(LONGEST)
        items.sort(key=lambda item: (LONGEST.index(_group(item)) if _group(item) in LONGEST else last, -slow[_group(item)], _group(item), *_turn(item)))
    else:
        items.sort(key=lambda item: (*_turn(item), item.get_closest_marker("slow") is not None))


def _rank(item: pytest.Item) -> int:
    """1 for a notebook, 2 for what looks at executed notebooks, 0 for all else."""
    return 1 if item.path.suffix == ".ipynb" else 2 * (item.get_closest_marker("course") is not None)


def _turn(item: pytest.Item) -> tuple[int, str]:
    """When an item comes; tests in whatever order pytest or a plugin has them, notebooks in that of the course."""
    return _rank(item), item.path.name if _rank(item) == 1 else ""


def _group(item: pytest.Item) -> str:
    return item.get_closest_marker("xdist_group").args[0]


@pytest.fixture
def executed_course() -> Path:
    """The notebooks as this process has executed them, with outputs/ beside them."""
    executed = Path(SCRATCH.name) / "executed"
    if len([*executed.glob("*.ipynb")]) < len([*(ROOT / "notebooks").glob("*.ipynb")]):
        pytest.skip("the notebooks have not been executed in this run: pytest notebooks tests/test_site.py")
    return executed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Tell kernels and other children, which inherit the environment, what pytest's fixtures cannot: no network, and where to write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests" / "offline"), prepend=os.pathsep)
        if item.path.suffix == ".ipynb":
            from executed import CommittedRun

            patch.setattr("nbmake.pytest_items.NotebookRun", CommittedRun)
            patch.setenv("TP2_OUTPUTS", str(Path(SCRATCH.name) / "executed" / "outputs"))
        return (yield)
