"""What the teacher's guidance leaves out and adds, and that plain guidance comes near it."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers.models.attention_processor import PAGCFGIdentitySelfAttnProcessor2_0

import vitrine.guidance
from vitrine.denoiser import Denoiser, Noise
from vitrine.guidance import SCALE, Teacher, amounts, distil
from vitrine.model import TINY
from vitrine.scene import draw

CPU = torch.device("cpu")
RECORDS = [draw(k) for k in range(6)]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Denoiser(TINY)


@pytest.fixture
def empty(model):
    return model.tokenizer([""], padding="max_length", max_length=77, return_tensors="pt").input_ids[0]


def photos(picks):
    return torch.randn(len(picks), 8, 16, 16, generator=torch.Generator().manual_seed(0))


def asked(model, empty):
    """Noisy latents, timesteps, and texts of two captions and of none."""
    ids = model.tokenizer(["a red apple", "a black pen"], padding="max_length", max_length=77, return_tensors="pt").input_ids
    text, blank = (model.text(one)[0].detach() for one in (ids, empty[None]))
    return torch.randn(2, 8, 16, 16), torch.tensor([900.0, 250.5]), text, blank


def test_words_decide_in_the_noisiest_levels_and_structure_below_them():
    sigma = torch.tensor([0.1, 3.0, 30.0])
    words, structure = amounts(sigma)
    assert (words.diff() > 0).all() and words[2] == pytest.approx(7.5, abs=0.1)
    assert structure.argmax() == 1 and structure[0] < 0.1


def test_the_words_push_across_the_picture_that_they_predict(model, empty, monkeypatch):
    monkeypatch.setattr(vitrine.guidance, "amounts", lambda sigma: (torch.full_like(sigma, 4), torch.zeros_like(sigma)))
    teacher = Teacher(model, Noise(CPU))
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


def test_the_perturbed_prediction_is_another_and_leaves_no_trace(model, empty, monkeypatch):
    teacher = Teacher(model, Noise(CPU))
    perturbing = [name for name, one in teacher.model.unet.attn_processors.items() if isinstance(one, PAGCFGIdentitySelfAttnProcessor2_0)]
    assert {name.split(".")[0] for name in perturbing} == {"down_blocks", "mid_block", "up_blocks"}
    those = asked(model, empty)
    monkeypatch.setattr(vitrine.guidance, "amounts", lambda sigma: (torch.ones_like(sigma), torch.zeros_like(sigma)))
    plain = teacher.predict(*those)[1]
    monkeypatch.setattr(vitrine.guidance, "amounts", lambda sigma: (torch.ones_like(sigma), torch.ones_like(sigma)))
    assert not torch.allclose(teacher.predict(*those)[1], plain, atol=1e-4)
    with torch.no_grad():
        assert torch.allclose(plain, model.unet(those[0], those[1], those[2])[0], atol=1e-5)  # at guidance 1, what the words predict


def test_timesteps_between_two_have_a_noise_between(model):
    teacher = Teacher(model, Noise(CPU))
    low, between, high = teacher.sigma(torch.tensor([500.0, 500.5, 501.0]))
    assert low < between < high and between == pytest.approx((low + high) / 2)


@pytest.mark.slow
def test_plain_guidance_comes_near_the_teacher(model, empty, tmp_path, by_steps):
    before = copy.deepcopy(model).requires_grad_(False)
    teacher = Teacher(before, Noise(CPU))
    fresh = teacher.states(photos, RECORDS, empty, 4, seed=99)
    noisy, t, ids, unguided, guided = (torch.stack(column) for column in zip(*(next(fresh) for _ in range(160)), strict=True))
    text, blank = (before.text(one)[0].detach() for one in (ids, empty[None]))

    @torch.no_grad()
    def misses(unet):
        free, worded = (unet(noisy.float(), t, one)[0] for one in (blank.expand_as(text), text))
        return (free.lerp(worded, SCALE) - guided.float()).square().mean().item(), (free - unguided.float()).square().mean().item()

    learnt = distil(tmp_path, model, photos, RECORDS, 120, CPU, batch=8)
    assert misses(before.unet)[1] == pytest.approx(0, abs=1e-6)
    assert misses(learnt)[0] < 0.85 * misses(before.unet)[0]  # measured: 0.75
    assert misses(learnt)[1] < 0.05 * misses(before.unet)[0]  # without words it predicts what it did
    assert torch.load(tmp_path / "guided.pt", weights_only=True)["step"] > 80
