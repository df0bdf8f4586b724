"""What happens when tp2lib is imported: it says how threads wait, before torch is loaded, and imports each name when it is first used.

PyTorch's threads (OpenMP) wait for each other hundreds of times a step, and by default they spin for milliseconds. Beside one
other busy program they use the processor time that the thread they wait for needs: a picture of half a second takes twenty.
How long they spin is fixed when torch is loaded.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

POLICY = {"GOMP_SPINCOUNT": "6000", "KMP_BLOCKTIME": "1"}
"""For GNU's OpenMP (Linux), in turns of its waiting loop; for Intel's and LLVM's (Windows, macOS), in milliseconds."""

_waiting = False, "threads that wait spin: torch was loaded before tp2lib, too late to change it"


def settle_threads() -> None:
    """Set the policy in this process's environment, which its children inherit, unless the user has chosen one."""
    global _waiting
    chosen = [f"{name}={os.environ[name]}" for name in ("OMP_WAIT_POLICY", *POLICY) if name in os.environ]
    inherited = all(f"{name}={value}" in chosen for name, value in POLICY.items())  # from a process that did this
    if chosen and not inherited:
        _waiting = True, f"{', '.join(chosen)} decides how they wait, as you chose"
    elif inherited or "torch" not in sys.modules:
        os.environ.update(POLICY)
        _waiting = True, "they sleep early, as tp2lib set it before torch was loaded"


def spinning() -> tuple[bool, str]:
    """Say whether threads that wait leave the processor to others in time, and who decided it."""
    return _waiting


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make ``__getattr__``, ``__dir__`` and ``__all__`` of a package (its ``__name__`` and ``__file__``) from its imports under ``if TYPE_CHECKING:``.

    Editors and type checkers read those imports, so the list of names is kept once. No name may be that of a module beside it: Python would put the module in
    its place as soon as somebody imports it.
    """
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    imports = [node for block in tree.body if isinstance(block, ast.If) for node in block.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.name: str(node.module) for node in imports for alias in node.names}

    def fetch(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return fetch, lambda: sorted({*vars(sys.modules[package]), *homes}), sorted(homes)
