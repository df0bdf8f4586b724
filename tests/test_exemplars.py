"""The exemplars: a picture for every level, the best of them the photo itself, the worse ones worse in what they are for."""

from __future__ import annotations

import numpy as np
import pytest
from plotted import words

from tp2lib.engine.replay import grade
from tp2lib.errors import RecordError
from tp2lib.evaluation.product import find_product
from tp2lib.evaluation.rubric import CRITERIA, LEVELS, exemplar, make_exemplars
from tp2lib.metrics.measures import background_whiteness, perceptual_distance, saturation


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_levels_of_a_criterion_are_three_pictures(criterion):
    pictures = [exemplar(criterion, level) for level in LEVELS]
    assert len({picture.tobytes() for picture in pictures}) == 3 and {picture.mode for picture in pictures} == {"RGB"}
    assert exemplar(criterion, 1).tobytes() == pictures[1].tobytes()
    if criterion in ("artifacts", "reproducibility"):  # the others are worse in kind, not in distance
        assert perceptual_distance(pictures[0], pictures[2]) > perceptual_distance(pictures[1], pictures[2])


def test_those_of_reproducibility_bear_the_grades():
    best = exemplar("reproducibility", 2)
    assert [grade(best, exemplar("reproducibility", level))[0] for level in LEVELS] == ["different", "within 1 level", "identical"]


def test_the_faults_are_what_they_are_called():
    assert background_whiteness(exemplar("usability", 1)) < 0.8 < background_whiteness(exemplar("usability", 2))
    assert saturation(exemplar("realism", 1)) > 1.2 * saturation(exemplar("realism", 2))
    cut = find_product(exemplar("usability", 0))
    assert cut is None or cut.touching > 0.1
    red, green = (np.asarray(exemplar("adherence", level)).reshape(-1, 3).mean(0) for level in (2, 1))
    assert red[0] > red[1] and green[1] > green[0]


def test_the_figure_says_every_sentence():
    said = words(make_exemplars("fr"))
    for one in CRITERIA.values():
        assert one.label["fr"].split()[0] in said
        assert one.levels["fr"][1].split()[0] in said


def test_there_are_no_others():
    with pytest.raises(RecordError, match="Did you mean 'realism'"):
        exemplar("realsim", 1)
    with pytest.raises(RecordError):
        exemplar("realism", 3)
