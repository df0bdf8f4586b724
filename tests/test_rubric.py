"""The rubric: five criteria in words, and sums that do not count a gap as a zero."""

from __future__ import annotations

import pytest

from tp2lib.errors import RecordError
from tp2lib.evaluation.languages import LANGUAGES
from tp2lib.evaluation.rubric import CRITERIA, JUDGED, LEVELS, MEASURED, POINTS, check_scores, total


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
    from tp2lib.engine.replay import GRADES

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
