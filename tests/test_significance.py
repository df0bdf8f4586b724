"""Two pictures' scores: apart only by more than the raters' own noise, and open where nothing is known of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from filled import fill, scored

from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.evaluation.rubric import JUDGED
from tp2lib.evaluation.significance import compare

NINE = [name for name in EXPERIMENTS if "run" in name]


@pytest.fixture
def runs(tmp_path):
    return fill(tmp_path, NINE)


def steadily(key, criterion):
    """The first three pictures 0, the next three 1, the last three 2."""
    return (int(key, 16) - 1) // 3


def test_two_pictures_are_apart_only_by_more_than_the_noise(runs, tmp_path):
    first, second, near = (runs[name].key for name in (NINE[0], NINE[8], NINE[1]))
    steady = [scored(tmp_path, runs, name, steadily).ratings for name in ("ann", "ben", "cid")]
    far = compare(steady, second, first, by="key")
    assert (far.mean, far.separable, far.raters) == (8, True, 3)
    same = compare(steady, near, first, by="key")
    assert same.mean == 0 and not same.separable
    alone = compare(steady[:1], second, first, by="key")
    assert alone.separable and alone.low == 7 and alone.repeats == 3  # a point is the least noise that one rater has


def test_one_noisy_rater_separates_little_and_one_without_repeats_nothing(runs, tmp_path):
    count = iter(range(10**6))
    moody = scored(tmp_path, runs, "moody", lambda key, criterion: next(count) // 4 % 3).ratings
    noise = [sum(pair) for pair in zip(*([a - b for a, b in moody.repeats(name)] for name in JUDGED))]
    found = compare([moody], runs[NINE[0]].key, runs[NINE[4]].key, by="key")
    assert found.high - found.mean == pytest.approx(max(1.96 * math.sqrt(np.mean(np.square(noise))), 1))
    assert compare([moody], runs[NINE[0]].key, "f" * 32, by="key") is None
