"""That the weaker UNet is weaker, is trained, and leaves the given one as it is."""

from __future__ import annotations

import copy

import pytest
import torch
from taught_parts import CPU, RECORDS, make_denoiser, photos

from vitrine.weak import KEPT, silenced, weaken


@pytest.fixture
def model():
    return make_denoiser()


def test_the_hidden_channels_that_count_most_are_kept(model):
    weight, kept = silenced(model.unet)[0]
    block = model.unet.down_blocks[0].resnets[0]
    assert weight is block.conv2.weight
    assert kept.sum() == int(KEPT * weight.shape[1])
    with torch.no_grad():
        block.conv1.weight[7] *= 100
    assert silenced(model.unet)[0][1][0, 7] == 1
    with torch.no_grad():
        block.conv1.weight[7] = 0
    assert silenced(model.unet)[0][1][0, 7] == 0


@pytest.mark.slow
def test_a_weak_copy_learns_without_the_silenced_channels(model, tmp_path, by_steps):
    before = copy.deepcopy(model.unet.state_dict())
    weak = weaken(tmp_path, model, photos, RECORDS, 12, CPU, batch=4)
    assert all(torch.equal(before[name], one) for name, one in model.unet.state_dict().items())
    for (_, kept), (weight, _) in zip(silenced(model.unet), silenced(weak), strict=True):
        silent = (kept == 0).flatten()
        assert not weight[:, silent].any() and weight[:, ~silent].any()
    assert not torch.equal(weak.conv_in.weight, model.unet.conv_in.weight)


@pytest.mark.slow
def test_what_was_trained_comes_back_without_more_time(model, tmp_path, by_steps):
    weak = weaken(tmp_path, model, photos, RECORDS, 5, CPU, batch=4)
    again = weaken(tmp_path, model, photos, RECORDS, 0, CPU, batch=4)
    assert all(torch.equal(one, again.state_dict()[name]) for name, one in weak.state_dict().items())
    longer = weaken(tmp_path, model, photos, RECORDS, 3, CPU, batch=4)
    assert torch.load(tmp_path / "weak.pt", weights_only=True)["step"] == 8
    assert not torch.equal(longer.conv_in.weight, weak.conv_in.weight)
