"""The rubric: five criteria in words, sums that do not count a gap as a zero, and a picture for every level."""

from __future__ import annotations

import numpy as np
import pytest
from plotted import words

from tp2lib.engine.replay import GRADES, grade
from tp2lib.errors import RecordError
from tp2lib.evaluation.languages import LANGUAGES
from tp2lib.evaluation.product import find_product
from tp2lib.evaluation.rubric import CRITERIA, JUDGED, LEVELS, MEASURED, POINTS, check_scores, exemplar, make_exemplars, total
from tp2lib.metrics.measures import background_whiteness, perceptual_distance, saturation


def test_the_criteria_are_the_reports_and_add_up_to_ten():
    assert list(CRITERIA) == ["adherence", "realism", "artifacts", "usability", "reproducibility"]
    assert (JUDGED, MEASURED) == (tuple(CRITERIA)[:4], ("reproducibility",))
    assert len(CRITERIA) * max(LEVELS) == 10


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_level_is_a_sentence_of_its_own(code):
    sentences = [words for one in CRITERIA.values() for words in one.levels[code]]
    assert len(set(sentences)) == 15 and all(words.endswith(".") and len(words) > 15 for words in sentences)
    assert all(one.label[code] and one.question[code].endswith("?") for one in CRITERIA.values())


def test_the_grades_of_a_replay_are_the_points():
    assert [POINTS[grade] for grade in GRADES] == [2, 1, 1, 0]


def test_a_sum_with_a_gap_is_none():
    full = dict.fromkeys(CRITERIA, 2)
    assert total(full) == 10 and total({**full, "reproducibility": None}) is None and total({"realism": 2}) is None


@pytest.mark.parametrize("scores", [{"realism": 3}, {"realism": True}, {"realism": 1.0}, {"realism": "2"}, {"beauty": 1}, [], None])
def test_points_that_cannot_be_are_refused(scores):
    with pytest.raises(RecordError):
        check_scores(scores)


def test_nobody_judges_reproducibility():
    with pytest.raises(RecordError, match="measured by a replay, not judged"):
        check_scores({"reproducibility": 2})
    assert check_scores({"realism": 0}) == {"realism": 0}


# -- the example pictures ----------------------------------------------------------------------------


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
    assert cut.touching > 0.1
    red, green = (np.asarray(exemplar("adherence", level)).reshape(-1, 3).mean(0) for level in (2, 1))
    assert red[0] > red[1] and green[1] > green[0]


def test_the_figure_says_every_sentence():
    with pytest.raises(RecordError, match="language is 'de'"):
        make_exemplars("de")
    said = words(make_exemplars("fr"))
    for one in CRITERIA.values():
        assert all(" ".join(text.split()) in " ".join(said.split()) for text in (one.label["fr"], *one.levels["fr"]))


def test_there_are_no_others():
    with pytest.raises(RecordError, match="Did you mean 'realism'"):
        exemplar("realsim", 1)
    with pytest.raises(RecordError):
        exemplar("realism", 3)
