"""How long a thread spins while it waits for work. It is fixed when torch is loaded, so it is set before.

PyTorch's threads (OpenMP) wait for each other hundreds of times a step, and by default they spin for milliseconds. Beside one
other busy program they use the processor time that the thread they wait for needs: a picture of half a second takes twenty.
"""

from __future__ import annotations

import os
import sys

POLICY = {"GOMP_SPINCOUNT": "6000", "KMP_BLOCKTIME": "1"}
"""For GNU's OpenMP (Linux), in turns of its waiting loop; for Intel's and LLVM's (Windows, macOS), in milliseconds."""

_waiting = False, "threads that wait spin: torch was loaded before tp2lib, too late to change it"


def settle() -> None:
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
