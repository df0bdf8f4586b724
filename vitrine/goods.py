"""Bound, jointed and machined things, built from boxes, tubes and discs."""

from __future__ import annotations

import numpy as np

from .shapes import Part, arc, cylinder, lathe, merge, rounded_box, rounded_frame, smooth_profile, sphere, stand_or_lie, tube


def book(rng, record):
    w, h = rng.uniform(0.62, 0.80), rng.uniform(0.88, 1.08)
    t = rng.uniform(0.07, 0.12) if record["model"] == 0 else rng.uniform(0.14, 0.24)
    board, lip = 0.018, 0.02
    cover_back = rounded_box(w, h, board, 0.008)
    cover = rounded_box(w, h, board, 0.008).moved(z=t - board)
    spine = rounded_box(0.03, h, t, 0.014).moved(x=-w / 2 + 0.004)
    pages = rounded_box(w - lip * 1.6, h - 2 * lip, t - 2 * board, 0.004).moved(x=-lip * 0.3, z=board)
    parts = [Part(merge([cover_back, cover, spine]), "body"), Part(pages, "paper")]
    ink = "gold" if record["material"] == "leather" or record["style"] == "vintage" else ("cream" if rng.random() < 0.6 else "trim")
    y = rng.uniform(0.10, 0.24) * h
    for k in range(rng.integers(1, 4)):
        parts.append(Part(rounded_box(w * (0.58 - 0.12 * k), 0.06 - 0.016 * k, 0.004, 0.001).moved(x=0.02, y=y - 0.10 * k, z=t - 0.001), ink))
    if record["model"] == 2 or rng.random() < 0.3:
        parts.append(Part(tube(rounded_frame(w * 0.86, h * 0.88, 0.03) + [0.015, 0, t], 0.006, 6, closed=True), ink))
    if record["model"] == 1:
        for yy in (-0.32, -0.12, 0.12, 0.32):
            parts.append(Part(rounded_box(0.045, 0.03, t + 0.012, 0.014).moved(x=-w / 2 + 0.002, y=yy * h, z=-0.006), "body"))
    if rng.random() < 0.5:
        parts.append(Part(rounded_box(0.03, 0.16, 0.003, 0.001).moved(x=0.05, y=-h / 2 - 0.03, z=t / 2), "ribbon"))
    return stand_or_lie(parts, rng, record, h)


def headphones(rng, record):
    span, rise = rng.uniform(0.40, 0.46), rng.uniform(0.48, 0.58)
    cup_r, cup_d = rng.uniform(0.17, 0.23), rng.uniform(0.09, 0.13)
    z = cup_r + 0.01
    model = record["model"]
    band = tube(arc((0, 0, z + 0.10), span, rise, -8, 188, 60), 0.034, 14, flat=rng.uniform(1.2, 2.0))
    parts = [Part(band, "body" if model != 1 else "steel")]
    if model != 2:
        parts.append(Part(tube(arc((0, 0, z + 0.08), span * 0.93, rise * 0.94, 35, 145), 0.042, 14, flat=1.6), "dark"))
    for side in (-1, 1):
        if model == 2:
            cup = rounded_box(cup_r * 1.7, cup_r * 2.0, cup_d, 0.06).moved(z=-cup_d / 2)
        else:
            cup = cylinder(cup_r, cup_d, 0.035, cup_r * 0.93).moved(z=-cup_d / 2)
        cushion = lathe(smooth_profile([(cup_r * 0.45, 0), (cup_r * 0.7, 0.05), (cup_r * 0.98, 0.03), (cup_r, 0)]), 48)
        cap = cylinder(cup_r * 0.62, 0.014, 0.006).moved(z=cup_d / 2)
        for mesh, look in ((cup, "body"), (cushion.turned("x", 180).moved(z=-cup_d / 2), "dark"), (cap, "steel" if model == 1 else "trim")):
            parts.append(Part(mesh.turned("y", 90 * side).moved(x=side * (span + 0.02), z=z), look))
        arm = rounded_box(0.035, 0.06, 0.26, 0.012).moved(x=side * (span + 0.01), z=z + 0.06)
        parts.append(Part(arm, "steel"))
    return parts


def lamp(rng, record):
    model = record["model"]
    if model == 0:  # shade on a stem
        h = rng.uniform(0.62, 0.76)
        sh, bot, top = rng.uniform(0.28, 0.38), rng.uniform(0.27, 0.36), rng.uniform(0.15, 0.26)
        rise = np.linspace(0, sh, 6)[:, None]
        wall = np.concatenate([bot + (top - bot) * rise / sh, h - 0.10 + rise], 1)
        shade = lathe(np.concatenate([wall, wall[::-1] - [0.012, 0], wall[:1]]))
        stem = lathe(smooth_profile([(0.17, 0.0), (0.17, 0.025), (0.05, 0.045), (rng.uniform(0.03, 0.13), h * 0.30), (0.035, h * 0.55), (0.025, h)]))
        return [
            Part(shade, "body"),
            Part(merge([stem, lathe([(0, 0), (0.17, 0)])]), str(rng.choice(["steel", "gold", "bark", "trim"]))),
            Part(sphere(0.06).moved(z=h - 0.06), "glow"),
        ]
    base = cylinder(rng.uniform(0.17, 0.22), 0.04, 0.012)
    if model == 1:  # jointed desk lamp
        elbow = np.array([rng.uniform(-0.26, -0.16), 0, rng.uniform(0.46, 0.56)])
        head = np.array([rng.uniform(0.14, 0.24), 0, rng.uniform(0.74, 0.86)])
        arms = merge([tube([(0, 0, 0.03), elbow], 0.018, 12), tube([elbow, head], 0.018, 12), sphere(0.03).moved(*elbow).moved(z=-0.03)])
        curve = smooth_profile([(0.05, 0.0), (0.09, 0.05), (0.15, 0.14), (0.18, 0.22)])
        hood = lathe(np.concatenate([[(0, 0)], curve, curve[::-1] - [0.012, 0]]))
        hood = hood.turned("y", 180 - rng.uniform(25, 50)).moved(*head)
        bulb = sphere(0.06).moved(z=-0.06).moved(*(head + [0.055, 0, -0.10]))
        return [Part(base, "body"), Part(hood, "body"), Part(arms, str(rng.choice(["steel", "body"]))), Part(bulb, "glow")]
    h = rng.uniform(0.40, 0.56)  # dome on a column
    column = cylinder(0.035, h, 0.006)
    curve = smooth_profile([(0.32, 0.0), (0.31, 0.06), (0.25, 0.22), (0.14, 0.32), (0.02, 0.34)])
    dome = lathe(np.concatenate([curve, curve[::-1] * [0.95, 0.96], curve[:1]])).moved(z=h - 0.04)
    return [Part(merge([base, column]), "body"), Part(dome, "body"), Part(sphere(0.07).moved(z=h - 0.02), "glow")]


def pen(rng, record):
    model, length, r = record["model"], rng.uniform(1.0, 1.15), rng.uniform(0.046, 0.058)
    metal = "gold" if record["style"] == "vintage" or rng.random() < 0.3 else "steel"
    if model == 0:  # click ballpoint: barrel, cone, clicker, clip
        barrel = lathe(smooth_profile([(r * 0.55, 0.12), (r * 0.85, 0.20), (r, 0.34), (r, 0.6), (r, length - 0.10)]))
        cone = lathe([(0, 0), (0.008, 0), (0.008, 0.03), (r * 0.55, 0.13)])
        ring = cylinder(r * 1.06, 0.03, 0.004).moved(z=length * 0.52)
        clicker = merge([cylinder(r * 0.96, 0.02, 0.004).moved(z=length - 0.10), cylinder(r * 0.5, 0.09, 0.012).moved(z=length - 0.09)])
        parts = [Part(barrel, "body"), Part(merge([cone, ring, clicker]), metal)]
    elif model == 1:  # capped fountain pen
        barrel = lathe(smooth_profile([(0, 0), (r * 0.7, 0.015), (r * 0.95, 0.10), (r * 1.05, 0.45), (r * 1.05, length * 0.55)]))
        cap = lathe(smooth_profile([(r * 1.18, length * 0.53), (r * 1.18, length * 0.8), (r * 1.05, length * 0.95), (r * 0.5, length), (0, length + 0.005)]))
        bands = merge([cylinder(r * 1.24, z, 0.003).moved(z=length * at) for z, at in ((0.022, 0.53), (0.008, 0.565))])
        parts = [Part(merge([barrel, cap]), "body"), Part(bands, metal)]
    else:  # uncapped, the nib shows
        barrel = lathe(smooth_profile([(r * 0.8, 0.22), (r * 0.95, 0.30), (r * 1.05, 0.55), (r, length * 0.9), (r * 0.6, length), (0, length)]))
        grip = lathe(smooth_profile([(r * 0.5, 0.12), (r * 0.62, 0.15), (r * 0.8, 0.23)]))
        nib = lathe([(0, 0), (0.006, 0), (r * 0.42, 0.10), (r * 0.42, 0.13)]).scaled(1, 0.55, 1)
        parts = [Part(barrel, "body"), Part(grip, "dark"), Part(nib, metal), Part(cylinder(r * 1.07, 0.02, 0.003).moved(z=0.22), metal)]
    if model != 2:
        clip = rounded_box(0.018, 0.012, 0.30, 0.005).moved(y=-r * 1.25, z=length * 0.62)
        parts.append(Part(merge([clip, sphere(0.013).moved(y=-r * 1.2, z=length * 0.62)]), metal))
    turn = rng.uniform(-60, 60)
    laid = [Part(p.mesh.turned("z", turn).moved(z=-length / 2).turned("y", 90).moved(z=r * 1.2), p.look) for p in parts]
    return laid


def watch(rng, record):
    r, t = rng.uniform(0.24, 0.29), rng.uniform(0.06, 0.085)
    square = record["model"] == 1
    metal = "gold" if rng.random() < 0.35 else "steel"
    case = rounded_box(2 * r * 0.92, 2 * r, t, 0.05) if square else cylinder(r, t, 0.02)
    face = rounded_box(2 * r * 0.76, 2 * r * 0.82, 0.006, 0.002) if square else cylinder(r * 0.84, 0.006, 0.002)
    dial = "dial" if rng.random() < 0.5 else "dark"
    ink = "dark" if dial == "dial" else "cream"
    marks = [rounded_box(0.014, 0.05, 0.008, 0.002).moved(y=r * 0.66).turned("z", 30 * k) for k in range(12)]
    hour, minute = rng.uniform(0, 360, 2)
    hands = [
        rounded_box(0.022, r * 0.42, 0.008, 0.003).moved(y=r * 0.18, z=0.006).turned("z", hour),
        rounded_box(0.016, r * 0.62, 0.008, 0.003).moved(y=r * 0.28, z=0.012).turned("z", minute),
        cylinder(0.02, 0.02, 0.004),
    ]
    head = [
        Part(case, metal),
        Part(face.moved(z=t - 0.002), dial),
        Part(merge([*marks, *hands]).moved(z=t + 0.002), ink),
        Part(cylinder(0.028, 0.05, 0.006).turned("y", 90).moved(x=r - 0.01, z=t / 2), metal),
    ]
    if record["model"] == 2:
        head.append(
            Part(
                tube(
                    np.stack([r * 0.93 * np.cos(np.linspace(0, 6.2832, 80)), r * 0.93 * np.sin(np.linspace(0, 6.2832, 80)), np.full(80, t)], 1),
                    0.02,
                    8,
                    closed=True,
                ),
                "trim",
            )
        )
    width = r * rng.uniform(0.62, 0.78)
    n = 64
    if record["view"] == "above":  # laid out flat
        halves = [rounded_box(width * 2 * 0.62, 0.62, 0.03, 0.014).moved(y=s * (r + 0.27), z=0.005) for s in (-1, 1)]
        straps = merge([m.bent(lambda p: np.stack([p[:, 0] * (1 - 0.25 * (np.abs(p[:, 1]) - r).clip(0) / 0.6), p[:, 1], p[:, 2]], 1)) for m in halves])
        return [*head, Part(straps, "body")]
    # Closed loop, watch lying on its side of the loop, dial up and tilted to the viewer.
    rx, rz = rng.uniform(0.36, 0.42), rng.uniform(0.25, 0.30)
    a = np.radians(np.linspace(90 + 24, 90 + 336, n))
    centre = np.stack([np.zeros(n), rx * np.cos(a), rz * np.sin(a)], 1)
    strap = tube(centre[:, [1, 0, 2]], np.full(n, 0.022), 12).turned("z", 90)
    strap = strap.bent(lambda p: p * [width / 0.022 * 0.55, 1, 1])
    loop = [Part(p.mesh.moved(z=rz - t * 0.4), p.look) for p in head] + [Part(strap, "body")]
    tilt = rng.uniform(38, 58) if record["view"] == "front" else rng.uniform(20, 40)
    loop = [Part(p.mesh.turned("x", tilt), p.look) for p in loop]
    low = min(p.mesh.points[:, 2].min() for p in loop)
    return [Part(p.mesh.moved(z=-low), p.look) for p in loop]
