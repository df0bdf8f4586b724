"""The judge: probabilities, its file, and calibration that calibrates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tp2lib.models.judge import Judge, JudgeNet, load_judge, save_judge
from tp2lib.models.vocabulary import ATTRIBUTES


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return JudgeNet()


def test_probabilities_sum_to_one_for_every_attribute(net):
    images = [Image.new("RGB", (256, 256), "red"), Image.new("L", (100, 300), 40)]
    readings = Judge(net).read(images)
    assert len(readings) == 2
    for reading in readings:
        assert {name: set(p) for name, p in reading.items()} == {name: set(v) for name, v in ATTRIBUTES.items()}
        assert all(sum(p.values()) == pytest.approx(1, abs=1e-4) for p in reading.values())
    assert Judge(net).read([]) == []


def test_the_file_is_small_and_reads_back_the_same(net, tmp_path):
    path = tmp_path / "judge.safetensors"
    save_judge(net, path)
    assert path.stat().st_size <= 3_000_000
    image = [Image.fromarray(np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8))]
    a, b = Judge(net).read(image)[0], load_judge(path).read(image)[0]
    for name in ATTRIBUTES:
        assert list(a[name].values()) == pytest.approx(list(b[name].values()), abs=5e-3)


def test_a_batch_reads_as_its_pictures_do_alone(net):
    rng = np.random.default_rng(1)
    images = [Image.fromarray(rng.integers(0, 255, (256, 256, 3), np.uint8)) for _ in range(3)]
    judge = Judge(net)
    together, alone = judge.read(images), [judge.read([image])[0] for image in images]
    for a, b in zip(together, alone, strict=True):
        for name in ATTRIBUTES:
            assert list(a[name].values()) == pytest.approx(list(b[name].values()), abs=1e-4)


def test_calibration_softens_a_judge_that_is_too_sure(net, monkeypatch):
    from vitrine import judging

    torch.manual_seed(2)
    count = 400
    labels = {name: torch.randint(len(v), (count,)) for name, v in ATTRIBUTES.items()}
    sure = {}
    for name, values in ATTRIBUTES.items():
        guess = torch.where(torch.rand(count) < 0.6, labels[name], torch.randint(len(values), (count,)))
        sure[name] = 9.0 * torch.nn.functional.one_hot(guess, len(values)).float()
    monkeypatch.setattr(judging, "_logits", lambda *a: sure)
    monkeypatch.setattr(judging, "_labels", lambda records: labels)
    before = net.temperature.clone()

    class Pictures:
        records = [None] * count

    judging.calibrate(net, Pictures(), np.arange(count))
    assert (net.temperature > 1.5 * before).all()
    net.temperature.copy_(before)
