"""Agreement: kappas against the literature and against other formulas, intervals that cover, and honest abstention."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from filled import NINE, fill, scored

from tp2lib.errors import RecordError
from tp2lib.evaluation.rater_agreement import Agreement, agreement, compare, consistency, correlation, interval, paired
from tp2lib.evaluation.ratings import Item, Ratings
from tp2lib.evaluation.rubric import JUDGED


def weighted_kappa(table, weights):
    """Cohen's weighted kappa from the table of two raters, an independent way to the same number."""
    expected = np.outer(table.sum(1), table.sum(0))
    return 1 - (weights * table).sum() / (weights * expected).sum()


def test_the_reference_is_cohens():
    """Cohen, Psychological Bulletin 70 (1968), table 1: 0.348 and 0.492; Fleiss, Levin and Paik (2003), table 18.1: 0.676."""
    table = np.array([[0.44, 0.07, 0.09], [0.05, 0.20, 0.05], [0.01, 0.03, 0.06]])
    assert weighted_kappa(table, np.array([[0, 1, 3], [1, 0, 6], [3, 6, 0]])) == pytest.approx(0.348, abs=5e-4)
    assert weighted_kappa(table, 1 - np.eye(3)) == pytest.approx(0.492, abs=5e-4)
    table = np.array([[0.75, 0.01, 0.04], [0.05, 0.04, 0.01], [0.0, 0.0, 0.10]])
    assert weighted_kappa(table, 1 - np.eye(3)) == pytest.approx(0.676, abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_the_tables_of_all_pairs(seed):
    draw = np.random.default_rng(seed)
    rows = draw.integers(0, 3, (4, 30))
    rows[1] = np.clip(rows[0] + draw.integers(-1, 2, 30), 0, 2)
    tables = []
    for a in range(4):
        for b in range(a + 1, 4):
            tables.append(np.zeros((3, 3)))
            np.add.at(tables[-1], (rows[a], rows[b]), 1 / 30)
    squares = np.subtract.outer(range(3), range(3)) ** 2
    assert kappa(*rows) == pytest.approx(np.mean([weighted_kappa(table, squares) for table in tables]))


def kappa(*rows):
    """The agreement of raters who gave these points for realism, a row each."""
    raters = []
    for number, row in enumerate(rows):
        items = tuple(Item(code=str(at), key="0" * 8, pixels_sha256=str(at), recipe="0" * 8) for at in range(len(row)))
        raters.append(Ratings(rater=f"r{number}", items=items, scores={str(at): {"realism": points} for at, points in enumerate(row)}))
    return next(one.value for one in agreement(raters) if one.criterion == "realism")


def test_what_kappa_says_at_its_ends():
    assert kappa([0, 1, 2, 0], [0, 1, 2, 0]) == pytest.approx(1) and kappa([0, 2, 0, 2], [2, 0, 2, 0]) == pytest.approx(-1)
    assert kappa([1, 1, 1], [1, 1, 1]) is None and kappa([], []) is None  # always the same points: nothing to be said
    assert kappa([0, 1, 2, 2], [0, 1, 2, 1]) > kappa([0, 1, 2, 2], [0, 1, 2, 0])  # two levels off is worse


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    draw, hits = np.random.default_rng(7), 0
    for _ in range(120):
        sample = draw.normal(3.0, 1.0, 25)
        low, high = interval(25, lambda chosen, sample=sample: sample[chosen].mean(-1), resamples=300)
        hits += low <= 3.0 <= high
    assert 0.86 <= hits / 120 <= 1.0
    assert interval(2, lambda chosen: chosen.mean(-1)) is None and interval(9, lambda chosen: chosen.mean(-1) * np.nan) is None


@pytest.fixture
def runs(tmp_path):
    return fill(tmp_path, NINE)


@pytest.fixture
def moody(runs, tmp_path):
    """A rater who gives the same picture other points when it comes again."""
    count = iter(range(10**6))
    return scored(tmp_path, runs, "moody", lambda key, criterion: next(count) // 4 % 3).ratings


def noisy(noise, seed):
    draw = np.random.default_rng(seed)
    return lambda key, criterion: int(np.clip((int(key, 16) - 1) // 3 + draw.integers(-noise, noise + 1), 0, 2))


@pytest.mark.slow
def test_raters_who_see_the_same_agree_and_dice_do_not(runs, tmp_path):
    alike = [scored(tmp_path, runs, name, noisy(0, 1)).ratings for name in ("ann", "ben", "cid")]
    for one in agreement(alike):
        assert (one.raters, one.n, one.equal) == (3, 9, 1.0)
        assert one.value == pytest.approx(1) and one.low == pytest.approx(1) and one.separable
    dice = scored(tmp_path, runs, "dice", lambda key, criterion: int(np.random.default_rng(int(key, 16) * 7919).integers(0, 3))).ratings
    for one in agreement([alike[0], dice]):
        assert one.value < 0.9 and not one.separable


def test_raters_are_compared_on_what_both_have_scored(runs, tmp_path):
    one = scored(tmp_path, runs, "ann", noisy(0, 1)).ratings
    few = scored(tmp_path, {name: runs[name] for name in NINE[:4]}, "ben", noisy(0, 1)).ratings
    assert {part.n for part in agreement([one, few], by="recipe")} == {4}
    other = scored(tmp_path, {name: runs[name] for name in NINE[8:]}, "cid", noisy(0, 1)).ratings
    assert agreement([few, other], by="recipe")[0].n == 0  # nothing in common
    assert agreement([few, other, replace(few, rater="dan")]) == agreement([few, replace(few, rater="dan")])  # takes nothing from the others
    assert {(part.n, part.raters) for part in agreement([one, few, other])} == {(5, 3)}  # pair by pair
    with pytest.raises(RecordError, match="two or more, each once"):
        agreement([one])
    with pytest.raises(RecordError, match="each once"):
        agreement([one, one])


def test_machines_that_differ_are_paired_by_recipe_even_where_one_picture_is_equal(runs, tmp_path):
    one = scored(tmp_path, runs, "ann", noisy(0, 1)).ratings
    first = one.items[0].pixels_sha256

    def elsewhere(item):
        return item if item.pixels_sha256 == first else replace(item, pixels_sha256=item.pixels_sha256[::-1])

    other = replace(one, rater="ben", items=tuple(map(elsewhere, one.items)))
    assert paired([one, replace(one, rater="ben")])[0] == "pixels_sha256"
    by, found = paired([one, other])
    assert by == "recipe" and {part.n for part in found} == {9} and paired([one]) == ("pixels_sha256", [])


def test_somebody_who_always_gives_two_tells_nothing(runs, tmp_path):
    generous = [scored(tmp_path, runs, name, lambda key, criterion: 2).ratings for name in ("ann", "ben")]
    for one in agreement(generous):
        assert one.value is None and one.low is None and one.equal == 1.0 and not one.separable
    own = consistency(generous[0])
    assert (own.n, own.value, own.equal) == (3, None, 1.0)


def test_a_rater_is_held_against_herself_on_the_repeats_only(runs, moody, tmp_path):
    own = consistency(scored(tmp_path, runs, "ann", noisy(0, 1)).ratings)
    assert own.n == 3 and own.equal == 1.0 and own.value == pytest.approx(1)
    assert consistency(moody).n == 3 and consistency(moody).equal < 1


def test_differences_between_the_criteria_are_no_agreement(runs, tmp_path):
    blind = scored(tmp_path, runs, "blind", lambda key, criterion: dict(zip(JUDGED, (2, 1, 1, 0), strict=True))[criterion]).ratings
    assert consistency(blind).value is None and {one.value for one in agreement([blind, replace(blind, rater="too")])} == {None}


def test_a_rater_with_herself_is_the_mean_of_her_criteria(runs, tmp_path):
    log = scored(tmp_path, runs, "ann", noisy(1, 3)).ratings
    pairs = np.array(log.repeats())
    each = [kappa(*pairs[:, :, at].T) for at in range(len(JUDGED))]
    assert consistency(log).value == pytest.approx(np.mean([one for one in each if one is not None]))


def test_a_repeat_counts_once_all_its_points_are_given(runs, tmp_path):
    log = scored(tmp_path, runs, "ann", noisy(0, 1)).ratings
    again = next(item for item in log.items if item.repeat_of)
    assert len(replace(log, scores={**log.scores, again.code: {JUDGED[0]: 2}}).repeats()) == len(log.repeats()) - 1


def test_rank_correlation_against_a_worked_example():
    """Ranks 1 to 6 with one swap: rho = 1 - 6·sum(d²)/(n(n²-1)) = 1 - 6·2/210."""
    scores = dict(zip("abcdef", (1, 2, 3, 4, 5, 6), strict=True))
    measured = dict(zip("abcdef", (10.0, 20.0, 40.0, 30.0, 50.0, 60.0), strict=True))
    found = correlation(scores, measured)
    assert found.value == pytest.approx(1 - 12 / 210) and found.n == 6 and found.low < found.value <= found.high
    few = correlation(dict(list(scores.items())[:5]), measured)
    assert few.value == pytest.approx(0.9) and few.low is None and not few.separable  # five are in order too often by chance
    assert correlation(scores, {"a": 1.0}).value is None and correlation(scores, dict.fromkeys("abcde", 1.0)).value is None


def test_a_correlation_of_either_sign_is_separable_and_disagreement_is_no_agreement():
    found = Agreement(criterion="sharpness", raters=1, n=9, value=-0.9, low=-1.0, high=-0.6)
    assert found.separable and not replace(found, equal=0.1).separable and not replace(found, high=0.1).separable


# -- two pictures ------------------------------------------------------------------------------------


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
    assert alone.separable and alone.low == pytest.approx(8 - 3.182 / 2, abs=1e-3) and alone.repeats == 3  # half a point is the least noise of one rater


def test_one_noisy_rater_separates_little_and_one_without_repeats_nothing(runs, moody):
    noise = [sum(one) - sum(other) for one, other in moody.repeats()]
    found = compare([moody], runs[NINE[0]].key, runs[NINE[4]].key, by="key")
    assert found.high - found.mean == pytest.approx(3.182 * math.sqrt(np.mean(np.square(noise))), rel=1e-3)
    assert compare([moody], runs[NINE[0]].key, "f" * 32, by="key") is None


def of_two(number, points):
    """A rater's log of two pictures, and of repeats of others: the points of each, criterion by criterion."""
    again = {code: code - 1 for code in range(4, len(points) + 1, 2)}
    items = tuple(
        Item(code=f"{at}", key=f"{at}" * 8, pixels_sha256=f"{again.get(at, at)}", recipe="0" * 8, repeat_of=again.get(at) and f"{again[at]}")
        for at in range(1, len(points) + 1)
    )
    scores = {item.code: dict(zip(JUDGED, map(int, row), strict=True)) for item, row in zip(items, points, strict=True)}
    return Ratings(rater=f"r{number}", items=items, scores=scores)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("draws", ["dice", "alike"])
def test_pictures_that_do_not_differ_are_rarely_called_separable(count, draws):
    draw, wrong, rounds = np.random.default_rng(count), 0, 400
    shape = (count, 2 if count > 2 else 8, 4)  # one or two raters have three hidden repeats besides
    for _ in range(rounds):
        if draws == "dice":
            points = draw.integers(0, 3, shape)
        else:  # raters who see much the same, with the noise of a normal distribution
            points = np.clip(np.round(draw.normal(1, 0.5, shape)), 0, 2)
        wrong += compare([of_two(at, one) for at, one in enumerate(points)], "1", "2").separable
    assert wrong / rounds <= 0.08


def test_raters_who_agree_to_the_point_leave_an_interval(runs, moody):
    higher = [of_two(at, [[2, 1, 1, 1], [1, 1, 1, 1]]) for at in range(3)]
    found = compare(higher, "1", "2")
    assert found.mean == 1 and found.low < 0 and not found.separable
    far = compare([of_two(at, [[2] * 4, [0] * 4]) for at in range(3)], "1", "2")
    assert far.separable and far.low < far.mean == 8
    key, other = (runs[name].key for name in (NINE[0], NINE[4]))
    noisy_ones = compare([replace(moody, rater=name) for name in ("a", "b", "c")], key, other, by="key")  # they agree with each other, but not with themselves
    noise = math.sqrt(np.mean([(sum(one) - sum(two)) ** 2 for one, two in moody.repeats()]))
    assert noise > 1 and noisy_ones.high - noisy_ones.mean >= 1.96 * noise / math.sqrt(3)
