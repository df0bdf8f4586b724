"""Sewn things: boxes with flaps, straps and seams."""

from __future__ import annotations

import numpy as np

from .shapes import Mesh, Part, arc, cylinder, merge, path_through, rounded_box, rounded_frame, sphere, stand_or_lie, tube


def backpack(rng, record):
    w, d, h = rng.uniform(0.60, 0.78), rng.uniform(0.30, 0.40), rng.uniform(0.88, 1.08)
    model = record["model"]
    arch = rng.uniform(0.10, 0.24) if model != 1 else 0.03
    body = rounded_box(w, d, h, rng.uniform(0.10, 0.16), pillow=0.05)
    body = body.bent(lambda p: np.stack([p[:, 0] * (1 - arch * (p[:, 2] / h).clip(0, 1) ** 3), p[:, 1] * (1 - 0.25 * (p[:, 2] / h) ** 2), p[:, 2]], 1))
    front = -d / 2 - 0.02
    parts = [Part(body, "body")]
    pw, ph = w * rng.uniform(0.68, 0.82), h * rng.uniform(0.30, 0.40)
    pocket = rounded_box(pw, 0.15, ph, 0.06, pillow=0.02).moved(y=front + 0.01, z=h * 0.07)
    parts.append(Part(pocket, "trim" if rng.random() < 0.5 else "body"))
    if model == 1:  # a flap with two buckled straps
        flap = rounded_box(w * 0.99, d * 1.08, h * 0.34, 0.09, pillow=0.02).moved(y=-0.03, z=h * 0.70)
        parts.append(Part(flap, "body"))
        for x in (-w * 0.22, w * 0.22):
            strap = rounded_box(0.065, 0.03, h * 0.50, 0.012).moved(x=x, y=front - 0.085, z=h * 0.28)
            parts += [Part(strap, "strap"), Part(rounded_box(0.095, 0.03, 0.07, 0.012).moved(x=x, y=front - 0.105, z=h * 0.42), "steel")]
    else:
        zip_line = path_through(
            (-pw * 0.46, front - 0.03, ph * 0.86 + h * 0.07), (0, front - 0.075, ph * 0.89 + h * 0.07), (pw * 0.46, front - 0.03, ph * 0.86 + h * 0.07)
        )
        parts.append(Part(tube(zip_line, 0.012, 8), "steel"))
        rim = arc((0, 0, h * 0.50), w * 0.47 * (1 - arch * 0.4), h * 0.42, 12, 168) + [0, front * 0.72, 0]
        parts.append(Part(tube(rim, 0.012, 8), "strap"))
        if model == 2:
            band = rounded_box(w * 1.005, d * 1.02, 0.10, 0.04, pillow=0.05).moved(z=h * 0.56)
            parts.append(Part(band, "trim"))
    handle = tube(arc((0, 0.04, h * 0.96), 0.10, rng.uniform(0.10, 0.15), 0, 180), 0.022, 12, flat=1.6)
    parts.append(Part(handle, "strap"))
    for side in (-1, 1):
        out = rng.uniform(0.56, 0.66)  # past the body's outline, so that the straps are seen from the front
        path = path_through(
            (side * w * 0.24, d * 0.36, h * 0.95),
            (side * w * out, d * 0.62, h * 0.74),
            (side * w * out, d * 0.66, h * 0.42),
            (side * w * 0.40, d * 0.45, h * 0.07),
        )
        parts.append(Part(tube(path, 0.040, 10, flat=1.8), "strap"))
        buckle = rounded_box(0.10, 0.05, 0.06, 0.012).moved(x=side * w * (out - 0.02), y=d * 0.62, z=h * 0.36)
        parts.append(Part(buckle, "steel"))
        if model != 1 and rng.random() < 0.7:
            parts.append(Part(rounded_box(0.09, d * 0.66, h * 0.26, 0.04).moved(x=side * w * 0.5, z=h * 0.05), "strap"))
    return parts


def handbag(rng, record):
    model = record["model"]
    w, d, h = rng.uniform(0.78, 0.98), rng.uniform(0.26, 0.34), rng.uniform(0.52, 0.68)
    slope = rng.uniform(0.08, 0.24) * (1 if model != 2 else -0.8)
    shape = lambda p: np.stack([p[:, 0] * (1 - slope * p[:, 2] / h), p[:, 1] * (1 - 0.45 * (p[:, 2] / h).clip(0, 1) ** 1.5), p[:, 2]], 1)
    body = rounded_box(w, d, h, rng.uniform(0.05, 0.10), pillow=0.025).bent(shape)
    parts = [Part(body, "body")]
    metal = "gold" if rng.random() < 0.65 else "steel"
    if model == 0:  # flap and clasp, one arched handle
        fh = h * rng.uniform(0.42, 0.58)
        flap = rounded_box(w * 0.985, d * 1.06, fh, 0.06, pillow=0.02).moved(z=h - fh + 0.012).bent(shape)
        clasp = rounded_box(0.10, 0.035, 0.075, 0.014).moved(y=-d * 0.46, z=h - fh - 0.015)
        parts += [Part(flap, "body"), Part(clasp, metal)]
        handle = arc((0, 0, h * 0.98), w * rng.uniform(0.24, 0.32), rng.uniform(0.22, 0.34), 0, 180)
        parts.append(Part(tube(handle, 0.024, 12), "body" if rng.random() < 0.5 else "strap"))
    else:  # tote (two handles), or bucket
        for y in (-d * 0.27, d * 0.27):
            handle = arc((0, y, h * 0.86), w * 0.22, rng.uniform(0.30, 0.42), -12, 192)
            parts.append(Part(tube(handle, 0.021, 12), "strap" if rng.random() < 0.4 else "body"))
        parts.append(Part(tube(rounded_frame(w * (1 - slope) * 0.95, d * 0.52, 0.05) + [0, 0, h * 0.985], 0.014, 8, closed=True), "strap"))
        if model == 1:
            parts.append(Part(rounded_box(0.11, 0.02, 0.06, 0.008).moved(y=-d * 0.40, z=h * 0.58), metal))
        else:
            parts.append(Part(tube(rounded_frame(w * 1.04, d * 1.06, 0.08) + [0, 0, h * 0.28], 0.012, 8, closed=True), "trim"))
    for x in (-w * 0.40, w * 0.40):
        parts.append(Part(sphere(0.022).moved(x=x, y=-d * 0.42, z=0.06), metal))
    return parts


def seam(path: np.ndarray, dash: float = 0.030, gap: float = 0.018, radius: float = 0.0065) -> Mesh:
    """Stitches along an (N, 3) path: one short thread after the other."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    point = lambda at: np.stack([np.interp(at, along, path[:, k]) for k in range(3)], -1)
    starts = np.arange(0, along[-1] - dash, dash + gap)
    return merge([tube(point(np.linspace(at, at + dash, 4)), radius, 6) for at in starts])


def _leaf(w: float, h: float, t: float) -> tuple[Mesh, Mesh]:
    """One half of a folded wallet, flat on z = 0 with its fold along the edge x = 0, and the stitches on it."""
    half = rounded_box(w, h, t, 0.030, pillow=0.010).moved(x=w / 2)
    return half, seam(rounded_frame(w * 0.90, h * 0.90, 0.05) + [w / 2, 0, t + 0.006])


def _folded(rng, w: float, h: float, t: float, opened: float) -> list[tuple[Mesh, str]]:
    """A bifold about its fold (the y axis), the halves ``opened`` degrees apart, with pockets and cards inside."""
    half, stitches = _leaf(w, h, t)
    fold = tube(np.stack([np.zeros(24), np.linspace(-h / 2 + 0.02, h / 2 - 0.02, 24), np.zeros(24)], 1), t * 0.9, 14)
    out = [(fold, "body")]
    for side in (-1, 1):
        turn = lambda mesh, side=side: mesh.turned("y", -90 + side * opened / 2)
        outward = lambda mesh, side=side: mesh if side < 0 else mesh.bent(lambda p: p * [1, 1, -1])
        out += [(turn(outward(half)), "body"), (turn(outward(stitches)), "stitch")]
    for k in range(int(rng.integers(1, 4))):
        card = rounded_box(w * 0.86, h * 0.9, 0.007, 0.002).moved(x=w * 0.52, z=-0.02 - 0.012 * k).turned("y", -90 - opened / 2 + 6 + 3 * k)
        out.append((card, str(rng.choice(["trim", "dark", "gold", "cream"], p=[0.4, 0.25, 0.15, 0.2]))))
    return out


def wallet(rng, record):
    model = record["model"]
    metal = "gold" if rng.random() < 0.5 else "steel"
    if model == 0:
        w, h, t = rng.uniform(0.78, 0.90), rng.uniform(0.66, 0.76), rng.uniform(0.045, 0.06)
        if record["view"] == "front":  # stands on its edge like an open book, fold towards the viewer or away
            made = _folded(rng, w, h, t, rng.uniform(55, 100))
            turn = 90 if rng.random() < 0.7 else -90
            return [Part(mesh.turned("x", 90).turned("z", turn).moved(z=h / 2), look) for mesh, look in made]
        made = _folded(rng, w, h, t, rng.uniform(8, 26))
        parts = [Part(mesh.turned("y", 90).turned("z", 180), look) for mesh, look in made]
        low = min(part.mesh.points[:, 2].min() for part in parts)
        parts = [Part(part.mesh.moved(z=-low), part.look) for part in parts]
        if rng.random() < 0.4:  # strap and press stud
            top = max(part.mesh.points[:, 2].max() for part in parts)
            strap = rounded_box(w * 0.26, h * 0.20, 0.026, 0.012).moved(x=-w * 0.94, z=top * 0.72)
            parts += [Part(strap, "body"), Part(cylinder(0.032, 0.02, 0.008).moved(x=-w * 0.86, z=top * 0.72 + 0.024), metal)]
        return [Part(part.mesh.moved(x=w / 2), part.look) for part in parts]
    w, h = (rng.uniform(0.92, 1.02), rng.uniform(0.66, 0.74)) if model == 2 else (rng.uniform(1.05, 1.15), rng.uniform(0.52, 0.60))
    t = rng.uniform(0.05, 0.075)
    lower = rounded_box(w, h, t, 0.035, pillow=0.012)
    upper = rounded_box(w * 0.995, h * 0.99, t, 0.035, pillow=0.022).moved(z=t * 0.97)
    parts = [Part(merge([lower, upper]), "body")]
    top = 2 * t + 0.008
    parts.append(Part(seam(rounded_frame(w * 0.92, h * 0.89, 0.04) + [0, 0, top]), "stitch"))
    if model == 1:  # zip round
        zip_line = tube(rounded_frame(w * 1.005, h * 1.01, 0.05) + [0, 0, t], 0.016, 8, closed=True)
        pull = rounded_box(0.12, 0.045, 0.016, 0.006).turned("z", rng.uniform(-30, 30)).moved(x=w * 0.53, y=h * 0.30, z=t)
        parts.append(Part(merge([zip_line, pull]), metal))
        if rng.random() < 0.5:
            parts.append(
                Part(seam(path_through((-w * 0.46, -h * 0.06, top + 0.012), (0, -h * 0.06, top + 0.022), (w * 0.46, -h * 0.06, top + 0.012))), "stitch")
            )
    else:  # card holder: slots one below the other, a card's edge showing in some
        for k in range(3):
            edge = h * (0.30 - 0.17 * k)
            if rng.random() < 0.55:
                card = rounded_box(w * 0.80, h * 0.16, 0.006, 0.002).moved(y=edge + h * 0.005, z=top + 0.012 * (k + 1))
                parts.append(Part(card, str(rng.choice(["trim", "dark", "gold", "cream"], p=[0.4, 0.25, 0.15, 0.2]))))
            slot = rounded_box(w * 0.94, edge + h * 0.46, 0.016, 0.007).moved(y=(edge - h * 0.46) / 2, z=top - 0.004 + 0.014 * (k + 1))
            line = np.array([(-w * 0.44, edge - 0.02, 0), (w * 0.44, edge - 0.02, 0)]) + [0, 0, top + 0.014 + 0.014 * (k + 1)]
            parts += [Part(slot, "body"), Part(seam(np.linspace(line[0], line[1], 30)), "stitch")]
    if model == 1 and rng.random() < 0.6:
        parts.append(Part(rounded_box(0.16, 0.07, 0.004, 0.001).moved(x=-w * 0.28, y=-h * 0.28, z=top + 0.01), metal))
    return stand_or_lie(parts, rng, record, h)
