"""What pictures cost: medians of what the ledger's runs took, and no figure from a record that cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from filled import made

from tp2lib.errors import RecipeError
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.evaluation.running_costs import costs, energy_kwh


def timed(number, steps, denoise, total, **known):
    run = made(EXPERIMENTS["smoke"], number, steps=steps, **known)
    return replace(run, timings={"denoise": denoise, "total": total})


def test_medians_by_kind_the_commonest_first():
    runs = [timed(n, 10, seconds, seconds + 1) for n, seconds in enumerate((1.0, 2.0, 9.0))]
    runs.append(timed(7, 10, 5.0, 6.0, width=512, height=512))
    small, large = costs(runs)
    assert (small.size, small.step_s, small.image_s, len(small.runs)) == ("96 × 96", 0.2, 3.0, 3)
    assert small.per_hour == 1200 and large.size == "512 × 512" and small.runs == tuple(run.key for run in runs[:3])


def test_a_step_is_no_call_of_the_model():
    (heun,) = costs([timed(0, 15, 3.0, 4.0, model_calls=29)])
    assert heun.step_s == pytest.approx(0.2)


@pytest.mark.parametrize("steps", [0, None, "30", -1, 10**400, float("nan")])
def test_a_record_that_cannot_be_is_left_out(steps):
    assert costs([timed(0, steps, 1.0, 2.0)]) == [] == costs([timed(0, 10, 1.0, 10**400)])
    assert costs([replace(timed(0, 10, 1.0, 2.0), timings={})]) == [] == costs([])


def test_energy_is_power_times_time():
    (cost,) = costs([timed(0, 10, 3.0, 3.6)])
    assert energy_kwh(cost, watts=100, pictures=1000) == pytest.approx(0.1)  # 3600 s at 100 W
    with pytest.raises(RecipeError, match="watts is 0"):
        energy_kwh(cost, watts=0)
