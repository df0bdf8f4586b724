"""Replies to a learner: a heading and a text, as plain text and as a box."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["KINDS", "Reply"]

# kind: its sign, its words, the colour of its edge (Okabe and Ito's, distinct with any colour vision)
_LOOKS = {
    "right": ("✓", "right", "#009E73"),
    "wrong": ("✗", "wrong", "#D55E00"),
    "not attempted": ("·", "not attempted", "#8c8c8c"),
    "saved": ("✎", "saved", "#0072B2"),
    "hint": ("?", "hint", "#E69F00"),
    "solution": ("=", "solution", "#56B4E9"),
    "expected": ("✎", "expected", "#0072B2"),
    "compared": ("⇄", "expected and measured", "#CC79A7"),
    "progress": ("·", "progress", "#8c8c8c"),
}
KINDS = tuple(_LOOKS)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Reply:
    """An answer to a learner; as the last line of a cell it shows itself.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    about : str
        What it speaks of, such as ``"3.2"``.
    text : str
        The words, in plain text; they may quote what a learner typed.
    code : str
        Lines of code to go with them, shown as they are.
    table : dict of str to str
        Heads and the words below them, which the box shows as a small table instead of the text.
    """

    kind: str
    about: str
    text: str
    code: str = ""
    table: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        code = "".join(f"\n    {line}" for line in self.code.splitlines())
        return f"{self.about} {_LOOKS[self.kind][1]}: {self.text}{code}"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        sign, words, colour = _LOOKS[self.kind]
        code = f'<pre style="margin:.4em 0 0">{html.escape(self.code)}</pre>' if self.code else ""
        heads, cells = ("".join(f"<{tag}>{html.escape(one)}</{tag}>" for one in row) for tag, row in (("th", self.table), ("td", self.table.values())))
        words_or_table = f"<table><tr>{heads}</tr><tr>{cells}</tr></table>" if self.table else html.escape(self.text)
        return (
            f'<div role="status" style="border-left:4px solid {colour};padding:.2em .8em;max-width:60em">'
            f'<b><span aria-hidden="true">{sign}</span> {html.escape(self.about)} {words}:</b> '
            f"{words_or_table}{code}</div>"
        )
