"""Threads that wait: decided before torch is loaded, never over what the user chose, and said by the doctor."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tp2lib.startup import POLICY

SAY = "; import os, tp2lib.startup as t; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'), *t.spinning())"


def said(code: str, **chosen: str) -> str:
    bare = {name: value for name, value in os.environ.items() if name not in (*POLICY, "OMP_WAIT_POLICY")}
    return subprocess.run([sys.executable, "-c", code + SAY], env=bare | chosen, capture_output=True, text=True, check=True).stdout


def test_importing_the_library_sets_the_policy_before_torch():
    line = said("import tp2lib")
    assert line.startswith(f"{POLICY['GOMP_SPINCOUNT']} None True") and "as tp2lib set it" in line


@pytest.mark.parametrize("chosen", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}, {"KMP_BLOCKTIME": "9"}])
def test_what_the_user_chose_stays(chosen):
    line = said("import tp2lib", **chosen)
    assert line.startswith(f"{chosen.get('GOMP_SPINCOUNT')} {chosen.get('OMP_WAIT_POLICY')} True")
    assert "as you chose" in line and "=".join(*chosen.items()) in line


def test_after_torch_it_is_too_late_and_that_is_said():
    line = said("import sys; sys.modules['torch'] = sys; import tp2lib")  # any module of that name: loading it takes seconds
    assert line.startswith("None None False") and "torch was loaded before" in line


def test_a_child_knows_that_the_policy_is_ours():
    assert "as tp2lib set it" in said("import tp2lib", **POLICY)


def test_the_doctor_says_how_threads_wait():
    from tp2lib.cli.doctor import _threads

    ((ok, found, _),) = _threads()
    assert ok and ("sleep" in found or "as you chose" in found)
