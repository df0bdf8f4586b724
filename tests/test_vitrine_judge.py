"""The judge: probabilities, its file, and calibration that calibrates."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from tp2lib.models.judge import Judge, JudgeNet, load_judge
from tp2lib.models.vocabulary import ATTRIBUTES
from vitrine import judging, pack
from vitrine.judging import change, save_judge
from vitrine.renders import Renders
from vitrine.scene import draw


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
    torch.manual_seed(2)
    count = 400
    labels = {name: torch.randint(len(v), (count,)) for name, v in ATTRIBUTES.items()}
    sure = {}
    for name, values in ATTRIBUTES.items():
        guess = torch.where(torch.rand(count) < 0.6, labels[name], torch.randint(len(values), (count,)))
        sure[name] = 9.0 * torch.nn.functional.one_hot(guess, len(values)).float()
    monkeypatch.setattr(judging, "answers_to", lambda *a: sure)
    monkeypatch.setattr(judging, "labels_of", lambda records: labels)
    before = net.temperature.clone()

    class Pictures:
        records = [None] * count

    judging.calibrate(net, Pictures(), np.arange(count))
    assert (net.temperature > 1.5 * before).all()
    net.temperature.copy_(before)


def test_a_changed_photo_keeps_its_size_and_what_it_shows():
    yy, xx = np.mgrid[:256, :256]
    photo = np.full((256, 256, 3), 230, np.uint8)
    photo[(yy - 128) ** 2 + (xx - 128) ** 2 < 60**2] = (190, 30, 30)
    rng = np.random.default_rng(0)
    several = [change(photo, rng) for _ in range(12)]
    assert all(one.shape == photo.shape and one.dtype == np.uint8 for one in several)
    assert len({one.tobytes() for one in several}) == 12
    for one in several:
        assert (one[128, 128].astype(int) - (190, 30, 30) < 30).all() and one[4, 4].min() > 180


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")  # from Python 3.12 on, of every fork
def test_a_pack_brings_the_judges_renders_and_worker_processes_draw_the_same_batches(tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch", reason="the teacher's features are in the extra 'train'")
    folder, there = tmp_path / "renders" / "100", tmp_path / "there"
    folder.mkdir(parents=True)
    for k in range(6):
        Image.fromarray(np.random.default_rng(k).integers(0, 255, (8, 8, 3), np.uint8)).resize((256, 256)).save(folder / f"{100_000 + k}.png")
        (folder / f"{100_000 + k}.json").write_text(json.dumps(draw(100_000 + k)))
    assert pack.pack(tmp_path, tmp_path / "judge.zip", split="judge") == 6
    pack.unpack(tmp_path / "judge.zip", there)
    judging.Teacher(load_file(there / "teacher.safetensors"))
    with pytest.raises(ValueError, match="not the weights"):
        judging.Teacher({key: value for key, value in load_file(there / "teacher.safetensors").items() if "_blocks.9." not in key})
    renders = Renders(there / "renders", "judge")
    assert renders.side == 128
    batches = judging.Batches(renders, np.arange(6), tmp_path / "none", 4, 1)
    for step, (x, labels) in enumerate(DataLoader(batches, batch_size=None, sampler=range(4), num_workers=2)):
        wanted = batches[step]
        assert torch.equal(x, wanted[0]) and all(torch.equal(labels[name], wanted[1][name]) for name in ATTRIBUTES)


@pytest.mark.slow
def test_judge_and_teacher_learn_from_pictures_and_write_a_file(tmp_path, by_steps):
    pytest.importorskip("efficientnet_lite_pytorch", reason="the teacher's features are in the extra 'train'")
    folder = tmp_path / "renders" / "100"
    folder.mkdir(parents=True)
    for k in range(8):
        Image.new("RGB", (128, 128), ("red", "blue")[k % 2]).save(folder / f"{100_000 + k}.png")
        (folder / f"{100_000 + k}.json").write_text(json.dumps(draw(100_000 + k, colour=("red", "blue")[k % 2])))
    judging.train(tmp_path, tmp_path / "judge.safetensors", 20, torch.device("cpu"), 4)
    read = load_judge(tmp_path / "judge.safetensors").read([Image.new("RGB", (128, 128), name) for name in ("red", "blue")])
    assert read[0]["colour"]["red"] > read[1]["colour"]["red"]
    assert torch.load(tmp_path / "teacher.pt", weights_only=True)["step"] > 0
