"""Turned and blown things, fruit included: most of each is a surface of revolution."""

from __future__ import annotations

import numpy as np

from .shapes import Mesh, Part, arc, cylinder, lathe, merge, path_through, rounded_box, sheet, shell, smooth_profile, sphere, tube


def apple(rng, record):
    tall, shoulder, dip = rng.uniform(0.80, 1.02), rng.uniform(0.42, 0.50), rng.uniform(0.10, 0.17)
    base = rng.uniform(0.20, 0.30)
    profile = smooth_profile(
        [
            (0.0, 0.06),
            (base * 0.6, 0.0),
            (base, 0.02),
            (0.43, 0.22 * tall),
            (0.5, 0.48 * tall),
            (shoulder * 0.93, 0.74 * tall),
            (0.26, 0.86 * tall),
            (0.10, (0.86 - dip * 0.55) * tall),
            (0.0, (0.86 - dip) * tall),
        ]
    )
    lobes, lean, phase = rng.uniform(0.0, 0.035), rng.uniform(0, 0.05), rng.uniform(0, 6.28)
    skin = lathe(profile, 80, lambda a, z: 1 + lobes * np.cos(5 * a + phase) * (1 - z / tall).clip(0, 1) + lean * np.cos(a + phase) * (z / tall))
    foot = (0.86 - dip) * tall
    bend = rng.uniform(-0.09, 0.09)
    stem = tube(path_through((0, 0, foot - 0.02), (bend * 0.4, 0, foot + 0.10), (bend, 0, foot + rng.uniform(0.17, 0.26))), np.linspace(0.014, 0.022, 24), 10)
    parts = [Part(skin, "body"), Part(stem, "bark")]
    if rng.random() < 0.35:
        u, v = np.meshgrid(np.linspace(0, 1, 20), np.linspace(-1, 1, 9), indexing="ij")
        width = 0.085 * np.sin(np.pi * u**0.8)
        pts = np.stack([0.03 + 0.30 * u, width * v, foot + 0.12 + 0.08 * np.sin(2.4 * u) - 0.05 * v**2 * width / 0.1], -1)
        leaf = sheet(pts, np.stack([u, v], -1)).turned("z", rng.uniform(0, 360))
        parts.append(Part(leaf, "leaf"))
    return parts


def bottle(rng, record):
    model = record["model"]
    r = rng.uniform(0.15, 0.20)
    if model == 0:  # long neck
        neck, h = rng.uniform(0.055, 0.07), rng.uniform(0.98, 1.12)
        knots = [(r, 0.03), (r, 0.30), (r, h * rng.uniform(0.50, 0.60)), (r * 0.75, h * 0.70), (neck, h * 0.80), (neck, h * 0.97)]
        cap_r, cap_h = neck * 1.18, rng.uniform(0.10, 0.22)
    elif model == 1:  # drinking bottle, broad cap
        r, h = rng.uniform(0.16, 0.21), rng.uniform(0.80, 0.98)
        neck = r * rng.uniform(0.55, 0.75)
        knots = [(r, 0.03), (r, 0.3 * h), (r, 0.6 * h), (r * 0.99, 0.82 * h), (neck * 1.1, 0.90 * h), (neck, 0.96 * h)]
        cap_r, cap_h = neck * 1.15, rng.uniform(0.10, 0.17)
    else:  # round-bodied dispenser
        r, h = rng.uniform(0.22, 0.27), rng.uniform(0.66, 0.80)
        neck = rng.uniform(0.07, 0.09)
        knots = [(r * 0.80, 0.02), (r, 0.20 * h), (r * 0.98, 0.5 * h), (r * 0.72, 0.76 * h), (neck, 0.86 * h), (neck, 0.97 * h)]
        cap_r, cap_h = neck * 1.25, rng.uniform(0.10, 0.16)
    profile = smooth_profile(knots)
    solid = lathe(np.concatenate([[(0, 0), (knots[0][0] - 0.02, 0), (knots[0][0] - 0.005, 0.008)], profile, [(0, knots[-1][1])]]))
    parts = [Part(solid, "body")]
    if record["material"] == "glass":
        inner = profile[profile[:, 1] < h * rng.uniform(0.55, 0.80)].copy()
        inner[:, 0] -= 0.018
        parts.append(Part(lathe(np.concatenate([[(0, 0.02)], inner, [(0, inner[-1, 1])]])), "liquid"))
    cap = cylinder(cap_r, cap_h, 0.012).moved(z=h * 0.955)
    parts.append(Part(cap, str(rng.choice(["cork", "dark", "steel"]) if model == 0 else rng.choice(["dark", "steel", "cream"]))))
    if model == 2 and rng.random() < 0.6:
        top = h * 0.955 + cap_h
        parts.append(
            Part(merge([cylinder(0.018, 0.09).moved(z=top), tube([(0, 0, top + 0.09), (0.05, 0, top + 0.10), (0.16, 0, top + 0.085)], 0.02, 12)]), "dark")
        )
    if rng.random() < 0.55:
        low, high = (0.14, 0.40) if model == 0 else (0.22, 0.58)
        band = profile[(profile[:, 1] > h * low) & (profile[:, 1] < h * high)]
        if len(band) > 2:
            label = lathe(np.stack([band[:, 0] + 0.003, band[:, 1]], 1))
            parts.append(Part(label, "label"))
    return parts


def bowl(rng, record):
    model = record["model"]
    r, h = rng.uniform(0.44, 0.52), (0.34, 0.22, 0.38)[model] * rng.uniform(0.85, 1.15)
    foot = rng.uniform(0.16, 0.22)
    knots = {
        0: [(foot, 0.0), (foot + 0.10, 0.02), (r * 0.86, h * 0.45), (r, h)],
        1: [(foot + 0.08, 0.0), (foot + 0.12, 0.02), (r * 0.95, h * 0.55), (r * 1.08, h)],
        2: [(foot, 0.0), (foot * 0.85, h * 0.14), (foot * 1.15, h * 0.24), (r * 0.92, h * 0.55), (r * 0.98, h)],
    }[model]
    ribs = rng.integers(14, 28) if rng.random() < 0.3 else 0
    wave = (lambda a, z: 1 + 0.018 * np.cos(ribs * a)) if ribs else None
    vessel = shell(smooth_profile(knots), 0.035, 0.05, 96, wave)
    parts = [Part(vessel, "body")]
    if rng.random() < 0.35:
        inner = smooth_profile([(0, 0.062), (r * 0.5, 0.075), (r * 0.80, h * 0.5), (knots[-1][0] - 0.042, h * 0.97)])
        parts.append(Part(lathe(inner), "cream"))
    return parts


def candle(rng, record):
    model = record["model"]
    if model == 0:  # pillar
        r, h = rng.uniform(0.18, 0.27), rng.uniform(0.50, 0.85)
        wax = lathe(smooth_profile([(r, 0.02), (r, h * 0.4), (r, h * 0.8), (r * 0.99, h - 0.01), (r * 0.90, h), (r * 0.55, h - 0.035), (0, h - 0.05)]))
        parts, top = [Part(merge([wax, lathe([(0, 0), (r - 0.01, 0), (r, 0.02)])]), "body")], h - 0.05
    elif model == 1:  # poured in a jar of its own colour
        r, h = rng.uniform(0.25, 0.31), rng.uniform(0.48, 0.64)
        jar = shell(smooth_profile([(r * 0.96, 0.0), (r, 0.04), (r, h * 0.5), (r, h)]), 0.022, 0.05)
        wax = lathe([(0, h * 0.78), (r * 0.6, h * 0.78), (r - 0.03, h * 0.80)])
        label = lathe([(r + 0.003, h * 0.25), (r + 0.003, h * 0.62)], 72)
        half = label.faces[(label.points[label.faces].mean(1)[:, 1] < -r * 0.72)]
        parts, top = [Part(jar, "body"), Part(wax, "cream")], h * 0.78
        parts.append(Part(Mesh(label.points, half, label.uv), "label"))
    else:  # taper in a holder
        r, h = rng.uniform(0.055, 0.075), rng.uniform(0.66, 0.82)
        wax = cylinder(r, h, 0.03, r * 0.78).moved(z=0.10)
        plate = shell(smooth_profile([(0.16, 0.0), (0.24, 0.02), (0.27, 0.06)]), 0.018, 0.012)
        holder = lathe(smooth_profile([(0.09, 0.02), (0.07, 0.06), (0.085, 0.12), (0.095, 0.14)]))
        parts, top = [Part(wax, "body"), Part(merge([plate, holder]), "gold" if rng.random() < 0.6 else "dark")], h + 0.10
    parts.append(Part(cylinder(0.009, 0.07, 0.002).moved(z=top), "dark"))
    flame = lathe(smooth_profile([(0, 0), (0.028, 0.03), (0.034, 0.06), (0.018, 0.115), (0, 0.165)]), 24).moved(z=top + 0.045)
    return [*parts, Part(flame, "flame")]


def mug(rng, record):
    model = record["model"]
    r, h = rng.uniform(0.27, 0.34), rng.uniform(0.58, 0.76)
    profile = {
        0: np.array([(r - 0.015, 0.0), (r, 0.02), (r, h * 0.5), (r, h)]),
        1: smooth_profile([(r * 0.74, 0.0), (r * 0.77, 0.03), (r * 0.92, h * 0.5), (r * 1.05, h)]),
        2: smooth_profile([(r * 0.62, 0.0), (r * 0.70, 0.02), (r * 1.08, h * 0.36), (r * 0.98, h * 0.75), (r * 0.94, h)]),
    }[model]
    parts = [Part(shell(profile, 0.03, 0.05), "body")]
    reach, top, low = r + rng.uniform(0.17, 0.24), h * rng.uniform(0.78, 0.86), h * rng.uniform(0.20, 0.30)
    at = lambda z: float(np.interp(z, profile[:, 1], profile[:, 0])) - 0.012
    if rng.random() < 0.7:
        mid, half = (top + low) / 2, (top - low) / 2
        a = np.radians(np.linspace(90, -90, 30))
        edge = np.interp(np.linspace(0, 1, 30), [0, 1], [at(top), at(low)])
        path = np.stack([edge + (reach - r) * np.cos(a) ** 0.8, np.zeros(30), mid + half * np.sin(a)], 1)
    else:
        path = path_through((at(top), 0, top), (reach + 0.05, 0, top + 0.01), (reach + 0.03, 0, (top + low) / 2), (reach + 0.01, 0, low), (at(low), 0, low))
    parts.append(Part(tube(path, rng.uniform(0.024, 0.034), 14, flat=rng.uniform(1.0, 1.5)), "body"))
    if record["material"] == "ceramic" and rng.random() < 0.4:
        inner = profile[profile[:, 1] > 0.06] - [0.036, 0]
        parts.append(Part(lathe(np.concatenate([[(0, 0.055)], inner * [1, 0.985]])), "cream"))
    if rng.random() < 0.6:
        level = h * rng.uniform(0.72, 0.86)
        parts.append(Part(lathe([(0, level), (at(level) - 0.02, level)]), "coffee"))
    if record["material"] == "metal" and rng.random() < 0.6:
        parts.append(
            Part(
                tube(
                    np.stack([profile[-1, 0] * np.cos(np.linspace(0, 6.2832, 64)), profile[-1, 0] * np.sin(np.linspace(0, 6.2832, 64)), np.full(64, h)], 1),
                    0.014,
                    8,
                    closed=True,
                ),
                "steel",
            )
        )
    return parts


def perfume(rng, record):
    model = record["model"]
    w, h = rng.uniform(0.42, 0.58), rng.uniform(0.50, 0.66)
    d = rng.uniform(0.20, 0.28)
    if model == 0:
        glass, drink = rounded_box(w, d, h, 0.05), rounded_box(w - 0.08, d - 0.08, h * rng.uniform(0.62, 0.82), 0.03).moved(z=0.05)
    elif model == 1:  # disc standing on its edge
        r = h / 2
        glass = cylinder(r, d, 0.06).moved(z=-d / 2).turned("x", 90).moved(z=r * 0.98)
        drink = cylinder(r * 0.84, d * 0.7, 0.05).moved(z=-d * 0.35).turned("x", 90).moved(z=r * 0.98)
    else:  # tapering faceted column
        facets = int(rng.integers(6, 9))
        wave = lambda a, z: np.cos(np.pi / facets) / np.cos((a % (2 * np.pi / facets)) - np.pi / facets)
        r = w * 0.56
        glass = lathe([(0, 0), (r, 0), (r, 0.0), (r, 0.03), (r * 0.74, h), (r * 0.74, h), (0, h)], facets * 12, wave)
        drink = lathe([(0, 0.05), (r * 0.84, 0.05), (r * 0.84, 0.05), (r * 0.66, h * 0.78), (r * 0.66, h * 0.78), (0, h * 0.78)], facets * 12, wave)
    metal = "gold" if rng.random() < 0.55 else "steel"
    collar = cylinder(0.075, 0.05, 0.008).moved(z=h - 0.005)
    if rng.random() < 0.5:
        cap = cylinder(rng.uniform(0.09, 0.13), rng.uniform(0.16, 0.24), 0.016).moved(z=h + 0.04)
    else:
        side = rng.uniform(0.18, 0.26)
        cap = rounded_box(side, min(side, d * 0.95), rng.uniform(0.15, 0.22), 0.02).moved(z=h + 0.04)
    parts = [Part(glass, "clear"), Part(drink, "liquid"), Part(collar, metal), Part(cap, str(rng.choice(["dark", metal, "body"])))]
    if model == 0:
        parts.append(Part(rounded_box(w * 0.46, 0.004, h * 0.26, 0.001).moved(y=-d / 2 - 0.002, z=h * 0.30), "label"))
    return parts


def teapot(rng, record):
    model = record["model"]
    r, h = rng.uniform(0.34, 0.40), (0.52, 0.66, 0.44)[model] * rng.uniform(0.92, 1.08)
    knots = {
        0: [(r * 0.55, 0.0), (r * 0.62, 0.02), (r * 1.02, h * 0.42), (r * 0.78, h * 0.82), (r * 0.48, h)],
        1: [(r * 0.86, 0.0), (r * 0.92, 0.03), (r * 0.86, h * 0.45), (r * 0.66, h * 0.85), (r * 0.50, h)],
        2: [(r * 0.75, 0.0), (r * 0.85, 0.02), (r * 1.16, h * 0.50), (r * 0.95, h * 0.80), (r * 0.50, h)],
    }[model]
    body = smooth_profile(knots)
    parts = [Part(lathe(np.concatenate([[(0, 0)], body, [(0, h)]])), "body")]
    lid = smooth_profile([(r * 0.50, h - 0.005), (r * 0.46, h + 0.04), (r * 0.20, h + 0.085), (0.0, h + 0.095)])
    knob = sphere(rng.uniform(0.035, 0.05)).moved(z=h + 0.085)
    parts += [Part(lathe(lid), "body"), Part(knob, str(rng.choice(["body", "gold", "dark", "bark"])))]
    at = lambda z: float(np.interp(z, body[:, 1], body[:, 0]))
    reach = r * rng.uniform(1.75, 2.05)
    spout = path_through((at(h * 0.35) - 0.05, 0, h * 0.34), (r * 1.35, 0, h * 0.42), (r * 1.55, 0, h * 0.72), (reach, 0, h * rng.uniform(0.92, 1.04)))
    parts.append(Part(tube(spout, np.linspace(0.095, 0.038, 24), 18), "body"))
    if model == 2:
        grip = arc((0, 0, h * 0.86), r * 0.92, r * rng.uniform(0.95, 1.2), 5, 175)
        parts.append(Part(tube(grip, 0.024, 12), "dark" if rng.random() < 0.5 else "body"))
    else:
        a = np.radians(np.linspace(80, 280, 32))
        mid, half = h * 0.52, h * 0.30
        grip = np.stack([-at(mid) * 0.92 + 0.27 * np.cos(a), np.zeros(32), mid + half * np.sin(a)], 1)
        parts.append(Part(tube(grip, 0.03, 14), "body"))
    return parts


def vase(rng, record):
    model = record["model"]
    h = rng.uniform(0.85, 1.05)
    j = lambda x: x * rng.uniform(0.90, 1.10)
    knots = {
        0: [(j(0.14), 0.0), (j(0.17), 0.02), (j(0.33), 0.34 * h), (j(0.26), 0.62 * h), (j(0.09), 0.84 * h), (j(0.13), h)],
        1: [(j(0.16), 0.0), (j(0.17), 0.02), (j(0.15), 0.4 * h), (j(0.19), 0.75 * h), (j(0.25), h)],
        2: [(j(0.12), 0.0), (j(0.12), 0.03), (j(0.20), 0.30 * h), (j(0.31), 0.66 * h), (j(0.20), 0.86 * h), (j(0.17), 0.92 * h), (j(0.21), h)],
    }[model]
    wave = None
    if rng.random() < 0.45:
        count, twist, depth = rng.integers(8, 26), rng.uniform(-3, 3) * (rng.random() < 0.4), rng.uniform(0.012, 0.035)
        wave = lambda a, z: 1 + depth * np.cos(count * a + twist * z)
    parts = [Part(shell(smooth_profile(knots), 0.025, 0.05, 120, wave), "body")]
    if model == 2 and rng.random() < 0.5:
        for side in (0, 180):
            path = path_through((0.17, 0, 0.90 * h), (0.34, 0, 0.95 * h), (0.36, 0, 0.78 * h), (0.29, 0, 0.70 * h))
            parts.append(Part(tube(path, 0.024, 12).turned("z", side), "body"))
    if record["material"] == "ceramic" and rng.random() < 0.3:
        curve = smooth_profile(knots)
        band = curve[(curve[:, 1] > 0.40 * h) & (curve[:, 1] < 0.50 * h)]
        parts.append(Part(lathe(band + [0.004, 0], 96, wave), "cream"))
    return parts
