"""tp2lib.course.findings: sentences held against cases, and medians along an axis."""

from __future__ import annotations

import pytest
from PIL import Image
from plotted import fake_run

from tp2lib.course.findings import tabulate, verdict
from tp2lib.engine.sweep import Cell, Sweep
from tp2lib.errors import SourceError


@pytest.mark.parametrize(("holds", "said"), [([1, 1], "agree with"), ([1, 0], "are split on"), ([0, 0], "contradict")])
def test_a_sentence_is_held_against_every_case(holds, said):
    assert verdict("more is more", holds, "pairs") == (f"“more is more”: {sum(holds)} of 2 pairs. Here the measurements {said} the report.")


@pytest.mark.parametrize(("holds", "said"), [([1, 0], "agree with the report"), ([0, 0], "did not happen here, and the report only says that it may")])
def test_a_sentence_with_may_is_never_contradicted(holds, said):
    assert said in verdict("it may rain", holds, "days", may=True)


def test_no_case_is_no_verdict():
    with pytest.raises(SourceError, match="no case"):
        verdict("more is more", [])


def test_a_table_holds_the_median_over_the_seeds_and_leaves_failures_out():
    greys = {(15, 1): 0, (15, 2): 100, (15, 3): 255, (30, 1): 7}
    cells = [
        Cell(place={"steps": steps, "seed": seed}, recipe=run.recipe, key="0" * 8, run=run)
        for (steps, seed), grey in greys.items()
        for run in [fake_run(steps=steps, seed=seed, image=Image.new("RGB", (32, 32), (grey,) * 3))]
    ]
    cells.append(Cell(place={"steps": 50, "seed": 1}, recipe=cells[0].recipe, key="0" * 8, error="no memory"))
    study = Sweep(axes={"steps": (15, 30, 50)}, seeds=(1, 2, 3), cells=tuple(cells))
    table = tabulate(study, "steps", "background_whiteness")
    assert table.index.tolist() == [15, 30, 50] and table.columns.tolist() == ["background_whiteness"]
    assert table["background_whiteness"].tolist() == pytest.approx([0.392, 0.027, float("nan")], abs=1e-3, nan_ok=True)
