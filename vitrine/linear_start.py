"""Start an `AutoencoderKL` as the linear autoencoder: mean colours pass through every layer, all else is learnt on top.

A random start learns colour and brightness last, since GroupNorm takes them away before each output; after
16,000 crops one was at 23 dB. This start is at 25 dB before its first step.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

CARRIED = 8  # channels of every layer: RGB, its negative, and two constants
CONSTANT = 8.0  # value of the two constants, +8 and -8, in pictures of [-1, 1]
POSTERIOR = -6.0  # log variance of the latents: a standard deviation of 0.05


def colour_statistics(pictures: torch.Tensor, factor: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the mean colours under a latent are like.

    Parameters
    ----------
    pictures : Tensor of shape (N, 3, H, W)
        Pixels in [-1, 1].
    factor : int
        Pixels a latent, each way.

    Returns
    -------
    mean : Tensor of shape (3,)
    whiten, colour : Tensor of shape (3, 3)
        The matrix that makes the colours white (covariance 1), and its inverse.
    """
    colours = F.avg_pool2d(pictures, factor).movedim(1, -1).reshape(-1, 3).double()
    spread, basis = torch.linalg.eigh(torch.cov(colours.T))
    return colours.mean(0).float(), (torch.diag(spread.rsqrt()) @ basis.T).float(), (basis @ torch.diag(spread.sqrt())).float()


@torch.no_grad()
def start_linear(vae: AutoencoderKL, pictures: torch.Tensor) -> None:
    """Set the weights, in place.

    Channels 0-2 of every layer carry RGB, 3-5 its negative, 6 and 7 the constants: the mean of their group is 0 and
    its spread nearly constant, so that GroupNorm only scales them; and SiLU(x) - SiLU(-x) = x. Strided convolutions
    average them, every block's last convolution is zero on them. The last encoder layer whitens the colours into
    latents 0-2, the first decoder layer takes that back. Everything else starts small at the outputs.

    Parameters
    ----------
    vae : AutoencoderKL
        Its narrowest layer must have at least 16 channels, eight to a group.
    pictures : Tensor of shape (N, 3, H, W)
        Some of the training pictures, in [-1, 1].
    """
    widths, groups = vae.config.block_out_channels, vae.config.norm_num_groups
    if min(widths) < 2 * CARRIED or widths[0] // groups != CARRIED:
        raise ValueError(f"the linear start needs layers of at least {2 * CARRIED} channels, the first with {CARRIED} a group, not {widths} in {groups} groups")
    mean, whiten, colour = colour_statistics(pictures, 2 ** (len(widths) - 1))
    carried, three = torch.arange(CARRIED), torch.arange(3)
    for module in vae.modules():
        match type(module).__name__:
            case "ResnetBlock2D":
                module.conv2.weight.mul_(0.1)
                module.conv2.weight[:CARRIED], module.conv2.bias[:CARRIED] = 0, 0
                if module.conv_shortcut is not None:
                    module.conv_shortcut.weight[:CARRIED], module.conv_shortcut.bias[:CARRIED] = 0, 0
                    module.conv_shortcut.weight[carried, carried, 0, 0] = 1
            case "Downsample2D":
                module.conv.weight[:CARRIED], module.conv.bias[:CARRIED] = 0, 0
                module.conv.weight[carried, carried, :2, :2] = 0.25
            case "Upsample2D":
                module.conv.weight[:CARRIED], module.conv.bias[:CARRIED] = 0, 0
                module.conv.weight[carried, carried, 1, 1] = 1
    for norm, width in ((vae.encoder.conv_norm_out, widths[-1]), (vae.decoder.conv_norm_out, widths[0])):
        norm.weight[:], norm.bias[:] = 0.1, 0
        norm.weight[:6] = (2 * CONSTANT**2 / (width // groups)) ** 0.5  # the group's root mean square: GroupNorm divides by it
    for first, matrix, shift in ((vae.encoder.conv_in, torch.eye(3), torch.zeros(3)), (vae.decoder.conv_in, colour, mean)):
        first.weight[:CARRIED], first.bias[:CARRIED] = 0, 0
        first.weight[:3, :3, 1, 1], first.weight[3:6, :3, 1, 1] = matrix, -matrix
        first.bias[:3], first.bias[3:6], first.bias[6], first.bias[7] = shift, -shift, CONSTANT, -CONSTANT
    last = vae.encoder.conv_out
    last.weight.mul_(0.3)
    last.weight[:3], last.bias[:] = 0, 0
    last.weight[:3, :3, 1, 1], last.weight[:3, 3:6, 1, 1], last.bias[:3] = whiten, -whiten, -whiten @ mean
    for joint in (vae.quant_conv, vae.post_quant_conv):
        joint.weight[:, :, 0, 0], joint.bias[:] = torch.eye(len(joint.weight)), 0
    channels = vae.config.latent_channels
    vae.quant_conv.weight[channels:], vae.quant_conv.bias[channels:] = 0, POSTERIOR
    vae.decoder.conv_out.weight.mul_(0.1)
    vae.decoder.conv_out.weight[:, :6], vae.decoder.conv_out.bias[:] = 0, 0
    vae.decoder.conv_out.weight[three, three, 1, 1], vae.decoder.conv_out.weight[three, three + 3, 1, 1] = 1, -1
