"""The blind session: what is hidden, what is repeated, what is on the disk, and what the lock forbids."""

from __future__ import annotations

import numpy as np
import pytest
from filled import NINE, fill, made, scored
from PIL import Image

from tp2lib.errors import RecipeError, RecordError
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.evaluation.rubric import JUDGED
from tp2lib.evaluation.scoring import BlindScoring
from tp2lib.metadata.pixels import pixels_sha256


@pytest.fixture
def runs(tmp_path):
    return fill(tmp_path, NINE)


def blind(runs, tmp_path, rater="alice", **how):
    return BlindScoring(list(runs.values()), rater, outputs=tmp_path, **how)


def test_every_picture_comes_once_and_one_in_four_twice_and_well_apart(runs, tmp_path):
    for seed in range(30):
        items = blind(runs, tmp_path, f"r{seed}", seed=seed).items
        first = [item for item in items if item.repeat_of is None]
        again = [item for item in items if item.repeat_of]
        assert {item.key for item in first} == {run.key for run in runs.values()} and len(first) == 9 and len(again) == 3
        assert [item.code for item in items] == [f"{n:02d}" for n in range(1, 13)]
        for item in again:
            origin = next(one for one in first if one.code == item.repeat_of)
            assert origin.pixels_sha256 == item.pixels_sha256 and int(item.code) - int(origin.code) > 2


def test_orders_differ_and_one_seed_gives_one_order(runs, tmp_path):
    orders = {seed: [item.key for item in blind(runs, tmp_path, f"r{seed}", seed=seed).items] for seed in range(8)}
    assert len({tuple(order) for order in orders.values()}) == 8
    assert [item.key for item in blind(runs, tmp_path, "again", seed=3).items] == orders[3]


def test_what_cannot_be_read_again_is_not_begun(runs, tmp_path):
    many = [made(EXPERIMENTS["smoke"], 0, Image.new("RGB", (9, 9), (at // 256, at % 256, 0))) for at in range(501)]
    with pytest.raises(RecordError, match="a session has 1 to 500 pictures"):
        BlindScoring(many, "alice", outputs=tmp_path)
    with pytest.raises(RecipeError, match="seed is 'x'"):
        blind(runs, tmp_path, seed="x")
    assert not (tmp_path / "scores").exists()
    assert blind(runs, tmp_path, "one", seed=np.int64(3)).items == blind(runs, tmp_path, "two", seed=3).items


def test_the_log_names_no_setting_before_the_lock(runs, tmp_path):
    session = blind(runs, tmp_path)
    text = session.path.read_text()
    assert not any(word in text for word in ("steps", "guidance", "EulerA", "DDIM", "strength", "wallet", "t2i_", "i2i_"))


def test_the_prompt_and_the_photo_are_shown_and_the_picture_is_the_run(runs, tmp_path):
    session = blind(runs, tmp_path)
    by_key = {run.key: run for run in runs.values()}
    for item in session.items:
        run = by_key[item.key]
        assert session.prompt(item.code) == run.recipe.prompt and session.image(item.code).tobytes() == run.image.tobytes()
        assert (session.photo(item.code) is not None) == (run.recipe.source is not None)
        if run.recipe.source:
            assert pixels_sha256(session.photo(item.code)) == run.effective["source_sha256"]


def test_a_session_goes_on_where_it_was_left(runs, tmp_path):
    session = blind(runs, tmp_path)
    session.score("01", "realism", 2)
    session.score("02", "artifacts", 0)
    later = blind(runs, tmp_path, seed=999)  # its order stays
    assert later.items == session.items and later.progress() == (2, 48)
    assert later.ratings.scores == {"01": {"realism": 2}, "02": {"artifacts": 0}}


def test_a_torn_line_costs_one_point_at_most(runs, tmp_path):
    session = blind(runs, tmp_path)
    session.score("01", "realism", 2)
    with session.path.open("a") as file:
        file.write('{"event":"scored","item":"02","crit')  # the power went off
    later = blind(runs, tmp_path)
    later.score("03", "realism", 1)
    assert later.ratings.scores == {"01": {"realism": 2}, "03": {"realism": 1}}


def test_a_locked_log_cannot_be_scored_again(runs, tmp_path):
    session = scored(tmp_path, runs, "alice", lambda key, criterion: 1)
    size = session.path.stat().st_size
    for again in (session, blind(runs, tmp_path)):
        with pytest.raises(RecordError, match="locked and cannot be changed"):
            again.score("01", "realism", 2)
        with pytest.raises(RecordError, match="locked already"):
            again.lock()
    assert session.path.stat().st_size == size


def test_two_windows_share_one_lock(runs, tmp_path):
    one, other = blind(runs, tmp_path), blind(runs, tmp_path)
    for item in one.items:
        for criterion in JUDGED:
            one.score(item.code, criterion, 1)
    other.lock()
    with pytest.raises(RecordError, match="locked"):
        one.score("01", "realism", 2)


def test_nothing_is_locked_or_revealed_too_early(runs, tmp_path):
    session = blind(runs, tmp_path)
    session.score("01", "realism", 2)
    with pytest.raises(RecordError, match="47 points are missing, first adherence of picture 01"):
        session.lock()
    with pytest.raises(RecordError, match="not locked; 47 points"):
        session.reveal()


def test_the_reveal_gives_each_run_its_points(runs, tmp_path):
    session = scored(tmp_path, runs, "alice", lambda key, criterion: int(key, 16) % 3)
    rows = session.reveal()
    assert [row.run.key for row in rows] == [run.key for run in runs.values()]
    assert all(set(row.scores.values()) == {int(row.run.key, 16) % 3} for row in rows)


def test_an_edited_log_is_not_revealed(runs, tmp_path):
    session = scored(tmp_path, runs, "alice", lambda key, criterion: 1)
    session.path.write_text(session.path.read_text().replace('"points":1', '"points":2', 1))
    with pytest.raises(RecordError, match="was edited after locking"):
        blind(runs, tmp_path).reveal()


def test_other_pictures_want_another_name(runs, tmp_path):
    blind(runs, tmp_path)
    with pytest.raises(RecordError, match="other pictures"):
        BlindScoring(list(runs.values())[:3], "alice", outputs=tmp_path)


def test_what_cannot_be_scored_is_refused(runs, tmp_path):
    session = blind(runs, tmp_path)
    for code, criterion, points in (("99", "realism", 1), ("01", "beauty", 1), ("01", "reproducibility", 1), ("01", "realism", 3)):
        with pytest.raises(RecordError):
            session.score(code, criterion, points)
    with pytest.raises(RecordError, match="no pictures"):
        BlindScoring([], "alice", outputs=tmp_path)
    with pytest.raises(RecordError, match="repeats is -1"):
        blind(runs, tmp_path, "carol", repeats=-1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_pictures_work_too(count, tmp_path):
    runs = [made(EXPERIMENTS[name], number) for number, name in enumerate(NINE[:count])]
    items = BlindScoring(runs, "alice", outputs=tmp_path, seed=1).items
    assert len(items) == count + (count > 1)
