"""Procedural, tileable textures from filtered noise: wood, marble, concrete, linen, grain.

Each returns a float32 array in [0, 1], of shape (size, size) or (size, size, 3), linear light.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SIZE = 512
BANK = 12  # textures of a kind; a picture takes one of these and its own rotation and offset


def noise(rng: np.random.Generator, slope: float, stretch: tuple[float, float] = (1.0, 1.0), low: float = 1.0, size: int = SIZE) -> np.ndarray:
    """Periodic noise of zero mean and unit spread whose spectrum falls as 1/f**slope."""
    fy, fx = np.fft.fftfreq(size)[:, None] * size, np.fft.rfftfreq(size)[None] * size
    f = np.hypot(fx * stretch[0], fy * stretch[1])
    gain = np.where(f < low, 0.0, np.maximum(f, 1e-9) ** -slope)
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * gain, (size, size))
    return ((field - field.mean()) / (field.std() + 1e-12)).astype(np.float32)


def _mix(a, b, t):
    return np.float32(a) + (np.float32(b) - np.float32(a)) * t[..., None]


@lru_cache(maxsize=BANK)
def wood(seed: int) -> np.ndarray:
    """Weathered planks along x, with grain, tone differences and dark gaps."""
    rng = np.random.default_rng([11, seed])
    planks = int(rng.integers(4, 8))
    height = SIZE // planks
    rows = np.arange(SIZE)
    light = np.array(((0.42, 0.24, 0.12), (0.50, 0.34, 0.20), (0.36, 0.19, 0.09), (0.33, 0.27, 0.21))[seed % 4], np.float32)
    dark = light * np.array((0.30, 0.27, 0.25), np.float32)
    out = np.empty((SIZE, SIZE, 3), np.float32)
    warp, fine = noise(rng, 1.6, (6.0, 1.0)), noise(rng, 0.7, (30.0, 1.0))
    y = np.linspace(0, 1, SIZE, dtype=np.float32)[:, None]
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (y * planks * rng.uniform(2, 4) + 1.1 * warp))
    grain = (0.55 * rings**1.6 + 0.45 * (0.5 + 0.22 * fine)).clip(0, 1)
    for k in range(planks + 1):
        band = slice(k * height, min((k + 1) * height, SIZE))
        if band.start >= SIZE:
            break
        rolled = np.roll(grain, int(rng.integers(SIZE)), axis=1)[band]
        out[band] = _mix(light, dark, 0.15 + 0.62 * rolled) * rng.uniform(0.78, 1.12)
    edge = np.minimum(rows % height, height - 1 - rows % height)
    out *= (1 - 0.80 * np.exp(-((edge / 1.6) ** 2)))[:, None, None].astype(np.float32)
    return out.clip(0, 1)


@lru_cache(maxsize=BANK)
def marble(seed: int) -> np.ndarray:
    """Pale stone with ridged grey veins at two scales."""
    rng = np.random.default_rng([12, seed])
    big = np.exp(-np.abs(noise(rng, 1.9) + 0.25 * noise(rng, 1.2, low=4)) / 0.055)
    small = np.exp(-np.abs(noise(rng, 1.5, low=3)) / 0.035)
    cloud = 0.5 + 0.18 * noise(rng, 1.8)
    vein = (0.95 * big * (0.6 + 0.8 * cloud) + 0.55 * small * cloud + 0.35 * (cloud - 0.45)).clip(0, 1)
    return _mix((0.76, 0.75, 0.73), (0.13, 0.13, 0.15), vein).clip(0, 1)


@lru_cache(maxsize=BANK)
def concrete(seed: int) -> np.ndarray:
    rng = np.random.default_rng([13, seed])
    tone = 0.30 + 0.035 * noise(rng, 1.5) + 0.018 * noise(rng, 0.4)
    pores = (noise(rng, 0.5, low=24) > 2.9) * 0.10
    return np.repeat((tone - pores)[..., None], 3, 2).clip(0.02, 1) * np.array((1, 1, 0.98), np.float32)


@lru_cache(maxsize=BANK)
def linen(seed: int) -> np.ndarray:
    """Plain weave, slubby threads, natural beige."""
    rng = np.random.default_rng([14, seed])
    threads = 64
    t = np.linspace(0, 2 * np.pi * threads, SIZE, endpoint=False, dtype=np.float32)
    warp, weft = np.sin(t[None] + 0.5 * noise(rng, 1.4)), np.sin(t[:, None] + 0.5 * noise(rng, 1.4))
    slub = 0.05 * noise(rng, 0.9, (8, 1)) + 0.05 * noise(rng, 0.9, (1, 8))
    tone = (0.80 + 0.10 * warp * weft + slub + 0.04 * noise(rng, 1.8)).clip(0, 1)
    return tone[..., None] * np.array((0.60, 0.51, 0.38), np.float32)


@lru_cache(maxsize=BANK)
def leather_grain(seed: int) -> np.ndarray:
    """Height map: pebbled cells."""
    rng = np.random.default_rng([15, seed])
    return (0.5 + 0.25 * np.abs(noise(rng, 0.9, low=20)) + 0.06 * noise(rng, 1.5)).clip(0, 1)


@lru_cache(maxsize=2)
def weave(seed: int) -> np.ndarray:
    """Height map: a tight basket weave."""
    t = np.linspace(0, 2 * np.pi * 48, SIZE, endpoint=False, dtype=np.float32)
    return 0.5 + 0.25 * (np.sin(t[None]) * np.sign(np.sin(t[:, None] / 2)) + np.sin(t[:, None]) * np.sign(np.sin(t[None] / 2)))


@lru_cache(maxsize=BANK)
def streaks(seed: int) -> np.ndarray:
    """Mask for fruit skin: vertical flecks and a paler crown."""
    rng = np.random.default_rng([16, seed])
    return (0.5 + 0.22 * noise(rng, 1.0, (1.0, 9.0), low=3) + 0.16 * noise(rng, 1.8)).clip(0, 1)


@lru_cache(maxsize=BANK)
def wear(seed: int) -> np.ndarray:
    """Mask for aged leather, paint and cloth: cloudy scuffs."""
    rng = np.random.default_rng([17, seed])
    return (0.5 + 0.26 * noise(rng, 1.4, low=2) + 0.08 * noise(rng, 0.5)).clip(0, 1)


@lru_cache(maxsize=BANK)
def grain(seed: int) -> np.ndarray:
    """Mask for turned wood: rings stretched along the axis."""
    rng = np.random.default_rng([18, seed])
    y = np.linspace(0, 1, SIZE, dtype=np.float32)[:, None]
    return (0.5 + 0.5 * np.sin(2 * np.pi * (12 * y + 0.5 * noise(rng, 1.7, (7.0, 1.0))))).clip(0, 1)
