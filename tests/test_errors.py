"""tp2lib.errors: one family, standard relatives, messages that hold up against any value."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tp2lib import errors
from tp2lib.errors import TP2Error, did_you_mean, shown

FAMILY = {
    "RecipeError": ValueError,
    "SourceError": ValueError,
    "RecordError": ValueError,
    "Quarantined": ValueError,
    "ControlError": RuntimeError,
    "Cancelled": RuntimeError,
    "OutputError": OSError,
    "ModelError": RuntimeError,
    "ModelNotFound": FileNotFoundError,
}


@pytest.mark.parametrize("name", FAMILY)
def test_every_error_is_also_a_standard_one_and_survives_another_process(name: str) -> None:
    error = getattr(errors, name)("seed is -1; it must be 0 or more. Use 0.")
    assert isinstance(error, TP2Error) and isinstance(error, FAMILY[name])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error) and str(copy) == str(error) == "seed is -1; it must be 0 or more. Use 0."


def test_the_family_in_the_tests_is_the_whole_family() -> None:
    defined = {n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, TP2Error)}
    assert defined == {*FAMILY, "TP2Error"}


class _Broken:
    def __repr__(self) -> str:
        raise ZeroDivisionError


class _Odd:
    def __repr__(self) -> str:
        return "line\nline\ud800" * 50


@given(st.one_of(st.text(), st.binary(), st.floats(), st.lists(st.text()), st.just(10**5000), st.just("x" * 10**6),
                 st.builds(_Broken), st.builds(_Odd)), st.integers(20, 200))  # fmt: skip
def test_shown_is_short_printable_and_never_fails(value: object, limit: int) -> None:
    text = shown(value, limit)
    assert 0 < len(text) <= limit
    assert text.isprintable()
    text.encode("utf-8")


def test_shown_names_the_value() -> None:
    assert shown(1.5) == "1.5" and shown("a") == "'a'" and shown(None) == "None"
    assert shown("x" * 1000).startswith("'xxx") and shown("x" * 1000).endswith("…")
    assert "_Broken" in shown(_Broken())


@pytest.mark.parametrize("typo", ["step", "stpes", "STEPS", "steps "])
def test_near_misses_are_suggested(typo: str) -> None:
    assert did_you_mean(typo, ["seed", "steps", "guidance"]) == " Did you mean 'steps'?"


@pytest.mark.parametrize("other", ["walrus", "", None, 3, b"steps", "steps" * 1000])
def test_far_misses_and_other_types_get_no_suggestion(other: object) -> None:
    assert did_you_mean(other, ["seed", "steps"]) == ""


def test_a_path_is_shown_as_it_would_be_typed() -> None:
    assert shown(Path("pictures") / "a.png") == repr(str(Path("pictures") / "a.png"))
