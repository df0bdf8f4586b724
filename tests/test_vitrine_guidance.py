"""What the teacher's guidance leaves out and adds, and that plain guidance comes near it."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers.models.attention_processor import PAGCFGIdentitySelfAttnProcessor2_0
from taught_parts import CPU, RECORDS, make_denoiser, make_features, photos

import vitrine.guidance
from vitrine.denoiser import Noise
from vitrine.guidance import SCALE, Teacher, amounts, distil
from vitrine.weak import silenced, weaken


@pytest.fixture
def model():
    return make_denoiser()


@pytest.fixture
def weak(model):
    weak = copy.deepcopy(model.unet)
    for weight, kept in silenced(weak):
        weight.data.mul_(kept)
    return weak.requires_grad_(False)


@pytest.fixture
def empty(model):
    return model.tokenizer([""], padding="max_length", max_length=77, return_tensors="pt").input_ids[0]


def asked(model, empty):
    """Noisy latents, timesteps, and texts of two captions and of none."""
    ids = model.tokenizer(["a red apple", "a black pen"], padding="max_length", max_length=77, return_tensors="pt").input_ids
    text, blank = (model.text(one)[0].detach() for one in (ids, empty[None]))
    return torch.randn(2, 8, 16, 16), torch.tensor([900.0, 250.5]), text, blank


def amounts_of(*values):
    """Words, structure and detail, the same at every level."""
    return lambda sigma: tuple(torch.full_like(sigma, value) for value in values)


def test_words_decide_in_the_noisiest_levels_and_structure_below_them():
    sigma = torch.tensor([0.1, 3.0, 30.0])
    words, structure, detail = amounts(sigma)
    assert (words.diff() > 0).all() and words[2] == pytest.approx(7.5, abs=0.1)
    assert structure.argmax() == 1 and structure[0] < 0.1
    assert detail.argmax() == 1 and detail[0] > 0.5 and detail[2] == pytest.approx(0, abs=0.1)


def test_the_words_push_across_the_picture_that_they_predict(model, weak, empty, monkeypatch):
    monkeypatch.setattr(vitrine.guidance, "amounts", amounts_of(4, 0, 0))
    teacher = Teacher(model, weak, Noise(CPU))
    noisy, t, text, blank = asked(model, empty)
    _, guided = teacher.predict(noisy, t, text, blank)
    sigma = teacher.sigma(t)[:, None, None, None]
    clean = lambda predicted: noisy * (1 + sigma**2).sqrt() - sigma * predicted
    with torch.no_grad():
        worded, free = (model.unet(noisy, t, one.expand_as(text))[0] for one in (text, blank))
    cosine = torch.nn.functional.cosine_similarity
    assert cosine((guided - worded).flatten(1), clean(worded).flatten(1)).abs().max() < 1e-3
    assert cosine((worded - free).flatten(1), clean(worded).flatten(1)).abs().max() > 0.01  # plain guidance's lies along it, too
    assert (guided - worded).norm() > (worded - free).norm()


def test_the_perturbed_prediction_is_another_and_leaves_no_trace(model, weak, empty, monkeypatch):
    teacher = Teacher(model, weak, Noise(CPU))
    perturbing = [name for name, one in teacher.model.unet.attn_processors.items() if isinstance(one, PAGCFGIdentitySelfAttnProcessor2_0)]
    assert {name.split(".")[0] for name in perturbing} == {"down_blocks", "mid_block", "up_blocks"}
    those = asked(model, empty)
    monkeypatch.setattr(vitrine.guidance, "amounts", amounts_of(1, 0, 0))
    plain = teacher.predict(*those)[1]
    monkeypatch.setattr(vitrine.guidance, "amounts", amounts_of(1, 1, 0))
    assert not torch.allclose(teacher.predict(*those)[1], plain, atol=1e-4)
    with torch.no_grad():
        assert torch.allclose(plain, model.unet(those[0], those[1], those[2])[0], atol=1e-5)  # at guidance 1, what the words predict


def test_the_weak_prediction_is_left_with_words_and_without(model, weak, empty, monkeypatch):
    teacher = Teacher(model, weak, Noise(CPU))
    those = asked(model, empty)
    monkeypatch.setattr(vitrine.guidance, "amounts", amounts_of(1, 0, 0))
    plain = torch.stack(teacher.predict(*those))
    monkeypatch.setattr(vitrine.guidance, "amounts", amounts_of(1, 0, 2))
    free, worded = torch.stack(teacher.predict(*those)) - plain
    assert torch.allclose(free, worded, atol=1e-5)
    away = plain[1] - weak(*those[:3])[0]
    assert torch.nn.functional.cosine_similarity(worded.flatten(1), away.flatten(1)).min() > 0.8  # what lies along the picture is left out


def test_brightness_and_hue_are_left_to_the_words(model, weak, empty, monkeypatch):
    teacher, those, means = Teacher(model, weak, Noise(CPU)), asked(model, empty), []
    for amount in ((4, 0, 0), (4, 2, 0), (4, 0, 2)):
        monkeypatch.setattr(vitrine.guidance, "amounts", amounts_of(*amount))
        means.append(teacher.predict(*those)[1].mean((2, 3)))
    assert torch.allclose(means[0], means[1], atol=1e-5) and torch.allclose(means[0], means[2], atol=1e-5)


def test_timesteps_between_two_have_a_noise_between(model, weak):
    teacher = Teacher(model, weak, Noise(CPU))
    low, between, high = teacher.sigma(torch.tensor([500.0, 500.5, 501.0]))
    assert low < between < high and between == pytest.approx((low + high) / 2)


@pytest.mark.slow
def test_plain_guidance_comes_near_the_teacher(model, empty, tmp_path, by_steps):
    before = copy.deepcopy(model).requires_grad_(False)
    learnt = distil(tmp_path, model, photos, RECORDS, make_features(), 110, CPU, batch=8)
    teacher = Teacher(before, weaken(tmp_path, before, photos, RECORDS, 0, CPU, batch=8), Noise(CPU))
    fresh = teacher.states(photos, RECORDS, empty, 4, seed=99)
    noisy, t, ids, unguided, guided = (torch.stack(column) for column in zip(*(next(fresh) for _ in range(160)), strict=True))
    text, blank = (before.text(one)[0].detach() for one in (ids, empty[None]))

    @torch.no_grad()
    def misses(unet):
        free, worded = (unet(noisy.float(), t, one)[0] for one in (blank.expand_as(text), text))
        return (free.lerp(worded, SCALE) - guided.float()).square().mean().item(), (free - unguided.float()).square().mean().item()

    assert misses(learnt)[0] < 0.85 * misses(before.unet)[0]  # measured: 0.66
    assert misses(learnt)[1] < 0.85 * misses(before.unet)[1]  # measured: 0.64
    assert torch.load(tmp_path / "weak.pt", weights_only=True)["step"] == 22
    assert torch.load(tmp_path / "guided.pt", weights_only=True)["step"] > 50


def test_a_slow_machine_makes_one_step_at_least(model, tmp_path, monkeypatch):
    monkeypatch.setattr(vitrine.guidance, "LEAST", 4)
    before = copy.deepcopy(model.unet)
    learnt = distil(tmp_path, model, photos, RECORDS, make_features(), 1e-6, CPU, batch=2)
    assert torch.load(tmp_path / "guided.pt", weights_only=True)["step"] == 1
    assert any(not torch.equal(one, other) for one, other in zip(learnt.parameters(), before.parameters(), strict=True))
