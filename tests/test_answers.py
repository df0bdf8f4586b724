"""tp2lib.course.answers: the same words as text and as a box, whoever wrote them."""

from __future__ import annotations

import pytest

from tp2lib.course.answers import KINDS, Reply


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_says_in_words_what_its_colour_says(kind: str) -> None:
    reply = Reply(kind=kind, about="3.2", text="so it is", code="x = 1\ny = 2")
    assert str(reply).startswith("3.2 ") and str(reply).endswith(": so it is\n    x = 1\n    y = 2")
    html = reply._repr_html_()
    assert 'role="status"' in html and "so it is" in html and "<pre" in html
    assert str(reply).split(":")[0].removeprefix("3.2 ") in html


def test_nothing_that_was_typed_becomes_markup() -> None:
    evil = '<img src=x onerror="alert(1)">'
    assert "<img" not in Reply(kind="wrong", about=evil, text=evil, code=evil)._repr_html_()


def test_a_comparison_is_a_small_table():
    said = Reply(kind="compared", about="<q>", text="expected 1, measured 2", table={"expected": "1", "measured": "<2>"})
    page = said._repr_html_()
    assert "<th>expected</th><th>measured</th></tr><tr><td>1</td><td>&lt;2&gt;</td>" in page and "<q>" not in page
    assert str(said) == "<q> expected and measured: expected 1, measured 2"
