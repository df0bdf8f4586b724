"""TEACHING.md: what it says about notebooks and exercises is so, and its example runs."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tp2lib.course.exercises import questions
from tp2lib.course.progress import note
from tp2lib.paths import ROOT

TEXT = (ROOT / "TEACHING.md").read_text(encoding="utf-8")


def test_the_table_counts_the_exercises_and_their_minutes():
    rows = re.findall(r"^\| `(\d\d)_\w+` \|.*\| \d+ min \| (\d+), (\d+) min \|$", TEXT, re.MULTILINE)
    wanted = [
        (n, str(len(questions(n))), str(sum(q.minutes for q in questions(n).values())))
        for n in sorted({question.notebook for question in questions().values()})
    ]
    assert rows == wanted


def test_every_exercise_it_names_exists():
    known = {question.number for question in questions().values()}
    for sentence in re.findall(r"exercises? ([\d., and]+)", TEXT):
        for number in re.findall(r"\d\.\d", sentence):
            assert number in known, number


def test_points_add_up_to_twenty():
    assert sum(int(most) for most in re.findall(r"^\| 0–(\d) \|", TEXT, re.MULTILINE)) == 20


def test_links_lead_somewhere():
    for name in re.findall(r"\]\(([\w./]+)\)", TEXT):
        assert (ROOT / name).is_file(), name


def test_the_example_reads_a_class(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    note("check", "03", outputs=tmp_path / "class" / "ada", question="3.1", outcome="right")
    note("answer", "06", outputs=tmp_path / "class" / "bob" / "tp2-main" / "outputs", question="6.4", title="What", text="so it is")
    (tmp_path / "class" / "bob" / "tp2-main" / "outputs" / "ledger.jsonl").touch()
    (tmp_path / "class" / "class.html").touch()  # what `tp2 report --class class` leaves
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    said = capsys.readouterr().out
    assert "ada 03 1 0 0 {'3.1': 'right'}" in said and "bob 0 predictions ['so it is']" in said and "class.html" not in said


def test_uv_knows_the_option_of_the_room_without_network():
    if not (uv := shutil.which("uv")):
        pytest.skip("uv is not on the path")
    said = subprocess.run([uv, "sync", "--help"], capture_output=True, text=True, check=True).stdout
    assert "--offline" in said
