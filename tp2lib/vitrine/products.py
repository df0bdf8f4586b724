"""Sixteen product kinds, each a function from a random generator to parts in a few models.

A builder gets ``rng`` and the picture's record and returns the `Part` list of one product
standing on z = 0. ``look`` names the surface of a part; `stage` turns it into a material.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shapes import Mesh, arc, cylinder, lathe, merge, rounded_box, sheet, shell, smooth_profile, sphere, tube


@dataclass(frozen=True)
class Part:
    """A mesh and the name of its surface: ``body``, ``trim``, ``steel``, ``paper``, …"""

    mesh: Mesh
    look: str


def _line(*points, n: int = 24) -> np.ndarray:
    """A smooth path through 3-D points."""
    p = np.float64(points)
    t, s = np.linspace(0, 1, len(p)), np.linspace(0, 1, n)
    if len(p) < 3:
        return np.stack([np.interp(s, t, p[:, k]) for k in range(3)], 1)
    fit = np.polynomial.Polynomial.fit
    return np.stack([fit(t, p[:, k], len(p) - 1)(s) for k in range(3)], 1)


def _frame(width: float, height: float, radius: float, n: int = 10) -> np.ndarray:
    """A closed rounded rectangle in the xy plane, as a path."""
    a = np.linspace(0, np.pi / 2, n)
    corners = [(1, 1, 0), (-1, 1, 1), (-1, -1, 2), (1, -1, 3)]
    pts = [(sx * (width / 2 - radius) + radius * np.cos(t + k * np.pi / 2),
            sy * (height / 2 - radius) + radius * np.sin(t + k * np.pi / 2), 0.0)
           for sx, sy, k in corners for t in a]
    return np.float64(pts + pts[:1])


def apple(rng, record):
    tall, shoulder, dip = rng.uniform(.80, 1.02), rng.uniform(.42, .50), rng.uniform(.10, .17)
    base = rng.uniform(.20, .30)
    profile = smooth_profile([(0.0, .06), (base * .6, .0), (base, .02), (.43, .22 * tall), (.5, .48 * tall),
                              (shoulder * .93, .74 * tall), (.26, .86 * tall), (.10, (.86 - dip * .55) * tall),
                              (.0, (.86 - dip) * tall)])
    lobes, lean, phase = rng.uniform(.0, .035), rng.uniform(0, .05), rng.uniform(0, 6.28)
    skin = lathe(profile, 80, lambda a, z: 1 + lobes * np.cos(5 * a + phase) * (1 - z / tall).clip(0, 1)
                 + lean * np.cos(a + phase) * (z / tall))
    foot = (.86 - dip) * tall
    bend = rng.uniform(-.09, .09)
    stem = tube(_line((0, 0, foot - .02), (bend * .4, 0, foot + .10), (bend, 0, foot + rng.uniform(.17, .26))),
                np.linspace(.014, .022, 24), 10)
    parts = [Part(skin, "body"), Part(stem, "bark")]
    if rng.random() < .35:
        u, v = np.meshgrid(np.linspace(0, 1, 20), np.linspace(-1, 1, 9), indexing="ij")
        width = .085 * np.sin(np.pi * u ** .8)
        pts = np.stack([.03 + .30 * u, width * v, foot + .12 + .08 * np.sin(2.4 * u) - .05 * v**2 * width / .1], -1)
        leaf = sheet(pts, np.stack([u, v], -1)).turned("z", rng.uniform(0, 360))
        parts.append(Part(leaf, "leaf"))
    return parts


def backpack(rng, record):
    w, d, h = rng.uniform(.60, .78), rng.uniform(.30, .40), rng.uniform(.88, 1.08)
    model = record["model"]
    arch = rng.uniform(.10, .24) if model != 1 else .03
    body = rounded_box(w, d, h, rng.uniform(.10, .16), pillow=.05)
    body = body.bent(lambda p: np.stack([
        p[:, 0] * (1 - arch * (p[:, 2] / h).clip(0, 1) ** 3), p[:, 1] * (1 - .25 * (p[:, 2] / h) ** 2), p[:, 2]], 1))
    front = -d / 2 - .02
    parts = [Part(body, "body")]
    pw, ph = w * rng.uniform(.68, .82), h * rng.uniform(.30, .40)
    pocket = rounded_box(pw, .15, ph, .06, pillow=.02).moved(y=front + .01, z=h * .07)
    parts.append(Part(pocket, "trim" if rng.random() < .5 else "body"))
    if model == 1:  # a flap with two buckled straps
        flap = rounded_box(w * .99, d * 1.08, h * .34, .09, pillow=.02).moved(y=-.03, z=h * .70)
        parts.append(Part(flap, "body"))
        for x in (-w * .22, w * .22):
            strap = rounded_box(.065, .03, h * .50, .012).moved(x=x, y=front - .085, z=h * .28)
            parts += [Part(strap, "strap"), Part(rounded_box(.095, .03, .07, .012).moved(x=x, y=front - .105, z=h * .42), "steel")]
    else:
        zip_line = _line((-pw * .46, front - .03, ph * .86 + h * .07), (0, front - .075, ph * .89 + h * .07), (pw * .46, front - .03, ph * .86 + h * .07))
        parts.append(Part(tube(zip_line, .012, 8), "steel"))
        rim = arc((0, 0, h * .50), w * .47 * (1 - arch * .4), h * .42, 12, 168) + [0, front * .72, 0]
        parts.append(Part(tube(rim, .012, 8), "strap"))
        if model == 2:
            band = rounded_box(w * 1.005, d * 1.02, .10, .04, pillow=.05).moved(z=h * .56)
            parts.append(Part(band, "trim"))
    handle = tube(arc((0, .04, h * .96), .10, rng.uniform(.10, .15), 0, 180), .022, 12, flat=1.6)
    parts.append(Part(handle, "strap"))
    for side in (-1, 1):
        path = _line((side * w * .26, d * .42, h * .92), (side * w * .42, d * .80, h * .60), (side * w * .36, d * .45, h * .06))
        parts.append(Part(tube(path, .035, 10, flat=1.7), "strap"))
        if model != 1 and rng.random() < .7:
            parts.append(Part(rounded_box(.09, d * .66, h * .26, .04).moved(x=side * w * .5, z=h * .05), "strap"))
    return parts


def book(rng, record):
    w, h = rng.uniform(.62, .80), rng.uniform(.88, 1.08)
    t = rng.uniform(.07, .12) if record["model"] == 0 else rng.uniform(.14, .24)
    board, lip = .018, .02
    cover_back = rounded_box(w, h, board, .008)
    cover = rounded_box(w, h, board, .008).moved(z=t - board)
    spine = rounded_box(.03, h, t, .014).moved(x=-w / 2 + .004)
    pages = rounded_box(w - lip * 1.6, h - 2 * lip, t - 2 * board, .004).moved(x=-lip * .3, z=board)
    parts = [Part(merge([cover_back, cover, spine]), "body"), Part(pages, "paper")]
    ink = "gold" if record["material"] == "leather" or record["style"] == "vintage" else ("cream" if rng.random() < .6 else "trim")
    y = rng.uniform(.10, .24) * h
    for k in range(rng.integers(1, 4)):
        parts.append(Part(rounded_box(w * (.58 - .12 * k), .06 - .016 * k, .004, .001).moved(x=.02, y=y - .10 * k, z=t - .001), ink))
    if record["model"] == 2 or rng.random() < .3:
        parts.append(Part(tube(_frame(w * .86, h * .88, .03) + [.015, 0, t], .006, 6, closed=True), ink))
    if record["model"] == 1:
        for yy in (-.32, -.12, .12, .32):
            parts.append(Part(rounded_box(.045, .03, t + .012, .014).moved(x=-w / 2 + .002, y=yy * h, z=-.006), "body"))
    if rng.random() < .5:
        parts.append(Part(rounded_box(.03, .16, .003, .001).moved(x=.05, y=-h / 2 - .03, z=t / 2), "ribbon"))
    return _stand_or_lie(parts, rng, record, h)


def _stand_or_lie(parts, rng, record, height):
    """Flat things lie on the table, but stand up, leaning back, when seen from the front."""
    if record["view"] != "front":
        return parts
    return [Part(p.mesh.moved(y=height / 2).turned("x", 80 + rng.uniform(-4, 4)), p.look) for p in parts]


def bottle(rng, record):
    model = record["model"]
    r = rng.uniform(.15, .20)
    if model == 0:  # long neck
        neck, h = rng.uniform(.055, .07), rng.uniform(.98, 1.12)
        knots = [(r, .03), (r, .30), (r, h * rng.uniform(.50, .60)), (r * .75, h * .70), (neck, h * .80), (neck, h * .97)]
        cap_r, cap_h = neck * 1.18, rng.uniform(.10, .22)
    elif model == 1:  # drinking bottle, broad cap
        r, h = rng.uniform(.16, .21), rng.uniform(.80, .98)
        neck = r * rng.uniform(.55, .75)
        knots = [(r, .03), (r, .3 * h), (r, .6 * h), (r * .99, .82 * h), (neck * 1.1, .90 * h), (neck, .96 * h)]
        cap_r, cap_h = neck * 1.15, rng.uniform(.10, .17)
    else:  # round-bodied dispenser
        r, h = rng.uniform(.22, .27), rng.uniform(.66, .80)
        neck = rng.uniform(.07, .09)
        knots = [(r * .80, .02), (r, .20 * h), (r * .98, .5 * h), (r * .72, .76 * h), (neck, .86 * h), (neck, .97 * h)]
        cap_r, cap_h = neck * 1.25, rng.uniform(.10, .16)
    profile = smooth_profile(knots)
    solid = lathe(np.concatenate([[(0, 0), (knots[0][0] - .02, 0), (knots[0][0] - .005, .008)], profile, [(0, knots[-1][1])]]))
    parts = [Part(solid, "body")]
    if record["material"] == "glass":
        inner = profile[profile[:, 1] < h * rng.uniform(.55, .80)].copy()
        inner[:, 0] -= .018
        parts.append(Part(lathe(np.concatenate([[(0, .02)], inner, [(0, inner[-1, 1])]])), "liquid"))
    cap = cylinder(cap_r, cap_h, .012).moved(z=h * .955)
    parts.append(Part(cap, str(rng.choice(["cork", "dark", "steel"]) if model == 0 else rng.choice(["dark", "steel", "cream"]))))
    if model == 2 and rng.random() < .6:
        top = h * .955 + cap_h
        parts.append(Part(merge([cylinder(.018, .09).moved(z=top), tube([(0, 0, top + .09), (.05, 0, top + .10), (.16, 0, top + .085)], .02, 12)]), "dark"))
    if rng.random() < .55:
        low, high = (.14, .40) if model == 0 else (.22, .58)
        band = profile[(profile[:, 1] > h * low) & (profile[:, 1] < h * high)]
        if len(band) > 2:
            label = lathe(np.stack([band[:, 0] + .003, band[:, 1]], 1))
            parts.append(Part(label, "label"))
    return parts


def bowl(rng, record):
    model = record["model"]
    r, h = rng.uniform(.44, .52), (.34, .22, .38)[model] * rng.uniform(.85, 1.15)
    foot = rng.uniform(.16, .22)
    knots = {0: [(foot, .0), (foot + .10, .02), (r * .86, h * .45), (r, h)],
             1: [(foot + .08, .0), (foot + .12, .02), (r * .95, h * .55), (r * 1.08, h)],
             2: [(foot, .0), (foot * .85, h * .14), (foot * 1.15, h * .24), (r * .92, h * .55), (r * .98, h)]}[model]
    ribs = rng.integers(14, 28) if rng.random() < .3 else 0
    wave = (lambda a, z: 1 + .018 * np.cos(ribs * a)) if ribs else None
    vessel = shell(smooth_profile(knots), .035, .05, 96, wave)
    parts = [Part(vessel, "body")]
    if rng.random() < .35:
        inner = smooth_profile([(0, .062), (r * .5, .075), (r * .80, h * .5), (knots[-1][0] - .042, h * .97)])
        parts.append(Part(lathe(inner), "cream"))
    return parts


def candle(rng, record):
    model = record["model"]
    if model == 0:  # pillar
        r, h = rng.uniform(.18, .27), rng.uniform(.50, .85)
        wax = lathe(smooth_profile([(r, .02), (r, h * .4), (r, h * .8), (r * .99, h - .01), (r * .90, h), (r * .55, h - .035), (0, h - .05)]))
        parts, top = [Part(merge([wax, lathe([(0, 0), (r - .01, 0), (r, .02)])]), "body")], h - .05
    elif model == 1:  # poured in a jar of its own colour
        r, h = rng.uniform(.25, .31), rng.uniform(.48, .64)
        jar = shell(smooth_profile([(r * .96, .0), (r, .04), (r, h * .5), (r, h)]), .022, .05)
        wax = lathe([(0, h * .78), (r * .6, h * .78), (r - .03, h * .80)])
        label = lathe([(r + .003, h * .25), (r + .003, h * .62)], 72)
        half = label.faces[(label.points[label.faces].mean(1)[:, 1] < -r * .72)]
        parts, top = [Part(jar, "body"), Part(wax, "cream")], h * .78
        parts.append(Part(Mesh(label.points, half, label.uv), "label"))
    else:  # taper in a holder
        r, h = rng.uniform(.055, .075), rng.uniform(.66, .82)
        wax = cylinder(r, h, .03, r * .78).moved(z=.10)
        plate = shell(smooth_profile([(.16, .0), (.24, .02), (.27, .06)]), .018, .012)
        holder = lathe(smooth_profile([(.09, .02), (.07, .06), (.085, .12), (.095, .14)]))
        parts, top = [Part(wax, "body"), Part(merge([plate, holder]), "gold" if rng.random() < .6 else "dark")], h + .10
    parts.append(Part(cylinder(.009, .07, .002).moved(z=top), "dark"))
    flame = lathe(smooth_profile([(0, 0), (.028, .03), (.034, .06), (.018, .115), (0, .165)]), 24).moved(z=top + .045)
    return [*parts, Part(flame, "flame")]


def handbag(rng, record):
    model = record["model"]
    w, d, h = rng.uniform(.78, .98), rng.uniform(.26, .34), rng.uniform(.52, .68)
    slope = rng.uniform(.08, .24) * (1 if model != 2 else -.8)
    shape = lambda p: np.stack([p[:, 0] * (1 - slope * p[:, 2] / h), p[:, 1] * (1 - .45 * (p[:, 2] / h).clip(0, 1) ** 1.5), p[:, 2]], 1)  # noqa: E731
    body = rounded_box(w, d, h, rng.uniform(.05, .10), pillow=.025).bent(shape)
    parts = [Part(body, "body")]
    metal = "gold" if rng.random() < .65 else "steel"
    if model == 0:  # flap and clasp, one arched handle
        fh = h * rng.uniform(.42, .58)
        flap = rounded_box(w * .985, d * 1.06, fh, .06, pillow=.02).moved(z=h - fh + .012).bent(shape)
        clasp = rounded_box(.10, .035, .075, .014).moved(y=-d * .46, z=h - fh - .015)
        parts += [Part(flap, "body"), Part(clasp, metal)]
        handle = arc((0, 0, h * .98), w * rng.uniform(.24, .32), rng.uniform(.22, .34), 0, 180)
        parts.append(Part(tube(handle, .024, 12), "body" if rng.random() < .5 else "strap"))
    else:  # tote (two handles), or bucket
        for y in (-d * .27, d * .27):
            handle = arc((0, y, h * .86), w * .22, rng.uniform(.30, .42), -12, 192)
            parts.append(Part(tube(handle, .021, 12), "strap" if rng.random() < .4 else "body"))
        parts.append(Part(tube(_frame(w * (1 - slope) * .95, d * .52, .05) + [0, 0, h * .985], .014, 8, closed=True), "strap"))
        if model == 1:
            parts.append(Part(rounded_box(.11, .02, .06, .008).moved(y=-d * .40, z=h * .58), metal))
        else:
            parts.append(Part(tube(_frame(w * 1.04, d * 1.06, .08) + [0, 0, h * .28], .012, 8, closed=True), "trim"))
    for x in (-w * .40, w * .40):
        parts.append(Part(sphere(.022).moved(x=x, y=-d * .42, z=.06), metal))
    return parts


def headphones(rng, record):
    span, rise = rng.uniform(.40, .46), rng.uniform(.48, .58)
    cup_r, cup_d = rng.uniform(.17, .23), rng.uniform(.09, .13)
    z = cup_r + .01
    model = record["model"]
    band = tube(arc((0, 0, z + .10), span, rise, -8, 188, 60), .034, 14, flat=rng.uniform(1.2, 2.0))
    parts = [Part(band, "body" if model != 1 else "steel")]
    if model != 2:
        parts.append(Part(tube(arc((0, 0, z + .08), span * .93, rise * .94, 35, 145), .042, 14, flat=1.6), "dark"))
    for side in (-1, 1):
        if model == 2:
            cup = rounded_box(cup_r * 1.7, cup_r * 2.0, cup_d, .06).moved(z=-cup_d / 2)
        else:
            cup = cylinder(cup_r, cup_d, .035, cup_r * .93).moved(z=-cup_d / 2)
        cushion = lathe(smooth_profile([(cup_r * .45, 0), (cup_r * .7, .05), (cup_r * .98, .03), (cup_r, 0)]), 48)
        cap = cylinder(cup_r * .62, .014, .006).moved(z=cup_d / 2)
        for mesh, look in ((cup, "body"), (cushion.turned("x", 180).moved(z=-cup_d / 2), "dark"), (cap, "steel" if model == 1 else "trim")):
            parts.append(Part(mesh.turned("y", 90 * side).moved(x=side * (span + .02), z=z), look))
        arm = rounded_box(.035, .06, .26, .012).moved(x=side * (span + .01), z=z + .06)
        parts.append(Part(arm, "steel"))
    return parts


def lamp(rng, record):
    model = record["model"]
    if model == 0:  # shade on a stem
        h = rng.uniform(.62, .76)
        sh, bot, top = rng.uniform(.28, .38), rng.uniform(.27, .36), rng.uniform(.15, .26)
        rise = np.linspace(0, sh, 6)[:, None]
        wall = np.concatenate([bot + (top - bot) * rise / sh, h - .10 + rise], 1)
        shade = lathe(np.concatenate([wall, wall[::-1] - [.012, 0], wall[:1]]))
        stem = lathe(smooth_profile([(.17, .0), (.17, .025), (.05, .045), (rng.uniform(.03, .13), h * .30), (.035, h * .55), (.025, h)]))
        return [Part(shade, "body"), Part(merge([stem, lathe([(0, 0), (.17, 0)])]), str(rng.choice(["steel", "gold", "bark", "trim"]))),
                Part(sphere(.06).moved(z=h - .06), "glow")]
    base = cylinder(rng.uniform(.17, .22), .04, .012)
    if model == 1:  # jointed desk lamp
        elbow = np.float64([rng.uniform(-.26, -.16), 0, rng.uniform(.46, .56)])
        head = np.float64([rng.uniform(.14, .24), 0, rng.uniform(.74, .86)])
        arms = merge([tube([(0, 0, .03), elbow], .018, 12), tube([elbow, head], .018, 12), sphere(.03).moved(*elbow).moved(z=-.03)])
        curve = smooth_profile([(.05, .0), (.09, .05), (.15, .14), (.18, .22)])
        hood = lathe(np.concatenate([[(0, 0)], curve, curve[::-1] - [.012, 0]]))
        hood = hood.turned("y", 180 - rng.uniform(25, 50)).moved(*head)
        bulb = sphere(.06).moved(z=-.06).moved(*(head + [.055, 0, -.10]))
        return [Part(base, "body"), Part(hood, "body"), Part(arms, str(rng.choice(["steel", "body"]))), Part(bulb, "glow")]
    h = rng.uniform(.40, .56)  # dome on a column
    column = cylinder(.035, h, .006)
    curve = smooth_profile([(.32, .0), (.31, .06), (.25, .22), (.14, .32), (.02, .34)])
    dome = lathe(np.concatenate([curve, curve[::-1] * [.95, .96], curve[:1]])).moved(z=h - .04)
    return [Part(merge([base, column]), "body"), Part(dome, "body"), Part(sphere(.07).moved(z=h - .02), "glow")]


def mug(rng, record):
    model = record["model"]
    r, h = rng.uniform(.27, .34), rng.uniform(.58, .76)
    profile = {0: np.float64([(r - .015, .0), (r, .02), (r, h * .5), (r, h)]),
               1: smooth_profile([(r * .74, .0), (r * .77, .03), (r * .92, h * .5), (r * 1.05, h)]),
               2: smooth_profile([(r * .62, .0), (r * .70, .02), (r * 1.08, h * .36), (r * .98, h * .75), (r * .94, h)])}[model]
    parts = [Part(shell(profile, .03, .05), "body")]
    reach, top, low = r + rng.uniform(.17, .24), h * rng.uniform(.78, .86), h * rng.uniform(.20, .30)
    at = lambda z: float(np.interp(z, profile[:, 1], profile[:, 0])) - .012  # noqa: E731
    if rng.random() < .7:
        mid, half = (top + low) / 2, (top - low) / 2
        a = np.radians(np.linspace(90, -90, 30))
        edge = np.interp(np.linspace(0, 1, 30), [0, 1], [at(top), at(low)])
        path = np.stack([edge + (reach - r) * np.cos(a) ** .8, np.zeros(30), mid + half * np.sin(a)], 1)
    else:
        path = _line((at(top), 0, top), (reach + .05, 0, top + .01), (reach + .03, 0, (top + low) / 2), (reach + .01, 0, low), (at(low), 0, low))
    parts.append(Part(tube(path, rng.uniform(.024, .034), 14, flat=rng.uniform(1.0, 1.5)), "body"))
    if record["material"] == "ceramic" and rng.random() < .4:
        inner = profile[profile[:, 1] > .06] - [.036, 0]
        parts.append(Part(lathe(np.concatenate([[(0, .055)], inner * [1, .985]])), "cream"))
    if rng.random() < .6:
        level = h * rng.uniform(.72, .86)
        parts.append(Part(lathe([(0, level), (at(level) - .02, level)]), "coffee"))
    if record["material"] == "metal" and rng.random() < .6:
        parts.append(Part(tube(np.stack([profile[-1, 0] * np.cos(np.linspace(0, 6.2832, 64)), profile[-1, 0] * np.sin(np.linspace(0, 6.2832, 64)), np.full(64, h)], 1), .014, 8, closed=True), "steel"))
    return parts


def pen(rng, record):
    model, length, r = record["model"], rng.uniform(1.0, 1.15), rng.uniform(.034, .048)
    metal = "gold" if record["style"] == "vintage" or rng.random() < .3 else "steel"
    if model == 0:  # click ballpoint: barrel, cone, clicker, clip
        barrel = lathe(smooth_profile([(r * .55, .12), (r * .85, .20), (r, .34), (r, .6), (r, length - .10)]))
        cone = lathe([(0, 0), (.008, 0), (.008, .03), (r * .55, .13)])
        ring = cylinder(r * 1.06, .03, .004).moved(z=length * .52)
        clicker = merge([cylinder(r * .96, .02, .004).moved(z=length - .10), cylinder(r * .5, .09, .012).moved(z=length - .09)])
        parts = [Part(barrel, "body"), Part(merge([cone, ring, clicker]), metal)]
    elif model == 1:  # capped fountain pen
        barrel = lathe(smooth_profile([(0, 0), (r * .7, .015), (r * .95, .10), (r * 1.05, .45), (r * 1.05, length * .55)]))
        cap = lathe(smooth_profile([(r * 1.18, length * .53), (r * 1.18, length * .8), (r * 1.05, length * .95), (r * .5, length), (0, length + .005)]))
        bands = merge([cylinder(r * 1.24, z, .003).moved(z=length * at) for z, at in ((.022, .53), (.008, .565))])
        parts = [Part(merge([barrel, cap]), "body"), Part(bands, metal)]
    else:  # uncapped, the nib shows
        barrel = lathe(smooth_profile([(r * .8, .22), (r * .95, .30), (r * 1.05, .55), (r, length * .9), (r * .6, length), (0, length)]))
        grip = lathe(smooth_profile([(r * .5, .12), (r * .62, .15), (r * .8, .23)]))
        nib = lathe([(0, 0), (.006, 0), (r * .42, .10), (r * .42, .13)]).scaled(1, .55, 1)
        parts = [Part(barrel, "body"), Part(grip, "dark"), Part(nib, metal), Part(cylinder(r * 1.07, .02, .003).moved(z=.22), metal)]
    if model != 2:
        clip = rounded_box(.018, .012, .30, .005).moved(y=-r * 1.25, z=length * .62)
        parts.append(Part(merge([clip, sphere(.013).moved(y=-r * 1.2, z=length * .62)]), metal))
    turn = rng.uniform(-60, 60)
    laid = [Part(p.mesh.turned("z", turn).moved(z=-length / 2).turned("y", 90).moved(z=r * 1.2), p.look) for p in parts]
    return laid


def perfume(rng, record):
    model = record["model"]
    w, h = rng.uniform(.42, .58), rng.uniform(.50, .66)
    d = rng.uniform(.20, .28)
    if model == 0:
        glass, drink = rounded_box(w, d, h, .05), rounded_box(w - .08, d - .08, h * rng.uniform(.62, .82), .03).moved(z=.05)
    elif model == 1:  # disc standing on its edge
        r = h / 2
        glass = cylinder(r, d, .06).moved(z=-d / 2).turned("x", 90).moved(z=r * .98)
        drink = cylinder(r * .84, d * .7, .05).moved(z=-d * .35).turned("x", 90).moved(z=r * .98)
    else:  # tapering faceted column
        facets = int(rng.integers(6, 9))
        wave = lambda a, z: np.cos(np.pi / facets) / np.cos((a % (2 * np.pi / facets)) - np.pi / facets)  # noqa: E731
        r = w * .56
        glass = lathe([(0, 0), (r, 0), (r, .0), (r, .03), (r * .74, h), (r * .74, h), (0, h)], facets * 12, wave)
        drink = lathe([(0, .05), (r * .84, .05), (r * .84, .05), (r * .66, h * .78), (r * .66, h * .78), (0, h * .78)], facets * 12, wave)
    metal = "gold" if rng.random() < .55 else "steel"
    collar = cylinder(.075, .05, .008).moved(z=h - .005)
    if rng.random() < .5:
        cap = cylinder(rng.uniform(.09, .13), rng.uniform(.16, .24), .016).moved(z=h + .04)
    else:
        side = rng.uniform(.18, .26)
        cap = rounded_box(side, min(side, d * .95), rng.uniform(.15, .22), .02).moved(z=h + .04)
    parts = [Part(glass, "clear"), Part(drink, "liquid"), Part(collar, metal), Part(cap, str(rng.choice(["dark", metal, "body"])))]
    if model == 0:
        parts.append(Part(rounded_box(w * .46, .004, h * .26, .001).moved(y=-d / 2 - .002, z=h * .30), "label"))
    return parts


def teapot(rng, record):
    model = record["model"]
    r, h = rng.uniform(.34, .40), (.52, .66, .44)[model] * rng.uniform(.92, 1.08)
    knots = {0: [(r * .55, .0), (r * .62, .02), (r * 1.02, h * .42), (r * .78, h * .82), (r * .48, h)],
             1: [(r * .86, .0), (r * .92, .03), (r * .86, h * .45), (r * .66, h * .85), (r * .50, h)],
             2: [(r * .75, .0), (r * .85, .02), (r * 1.16, h * .50), (r * .95, h * .80), (r * .50, h)]}[model]
    body = smooth_profile(knots)
    parts = [Part(lathe(np.concatenate([[(0, 0)], body, [(0, h)]])), "body")]
    lid = smooth_profile([(r * .50, h - .005), (r * .46, h + .04), (r * .20, h + .085), (.0, h + .095)])
    knob = sphere(rng.uniform(.035, .05)).moved(z=h + .085)
    parts += [Part(lathe(lid), "body"), Part(knob, str(rng.choice(["body", "gold", "dark", "bark"])))]
    at = lambda z: float(np.interp(z, body[:, 1], body[:, 0]))  # noqa: E731
    reach = r * rng.uniform(1.75, 2.05)
    spout = _line((at(h * .35) - .05, 0, h * .34), (r * 1.35, 0, h * .42), (r * 1.55, 0, h * .72), (reach, 0, h * rng.uniform(.92, 1.04)))
    parts.append(Part(tube(spout, np.linspace(.095, .038, 24), 18), "body"))
    if model == 2:
        grip = arc((0, 0, h * .86), r * .92, r * rng.uniform(.95, 1.2), 5, 175)
        parts.append(Part(tube(grip, .024, 12), "dark" if rng.random() < .5 else "body"))
    else:
        a = np.radians(np.linspace(80, 280, 32))
        mid, half = h * .52, h * .30
        grip = np.stack([-at(mid) * .92 + .27 * np.cos(a), np.zeros(32), mid + half * np.sin(a)], 1)
        parts.append(Part(tube(grip, .03, 14), "body"))
    return parts


def vase(rng, record):
    model = record["model"]
    h = rng.uniform(.85, 1.05)
    j = lambda x: x * rng.uniform(.90, 1.10)  # noqa: E731
    knots = {0: [(j(.14), .0), (j(.17), .02), (j(.33), .34 * h), (j(.26), .62 * h), (j(.09), .84 * h), (j(.13), h)],
             1: [(j(.16), .0), (j(.17), .02), (j(.15), .4 * h), (j(.19), .75 * h), (j(.25), h)],
             2: [(j(.12), .0), (j(.12), .03), (j(.20), .30 * h), (j(.31), .66 * h), (j(.20), .86 * h), (j(.17), .92 * h), (j(.21), h)]}[model]
    wave = None
    if rng.random() < .45:
        count, twist, depth = rng.integers(8, 26), rng.uniform(-3, 3) * (rng.random() < .4), rng.uniform(.012, .035)
        wave = lambda a, z: 1 + depth * np.cos(count * a + twist * z)  # noqa: E731
    parts = [Part(shell(smooth_profile(knots), .025, .05, 120, wave), "body")]
    if model == 2 and rng.random() < .5:
        for side in (0, 180):
            path = _line((.17, 0, .90 * h), (.34, 0, .95 * h), (.36, 0, .78 * h), (.29, 0, .70 * h))
            parts.append(Part(tube(path, .024, 12).turned("z", side), "body"))
    if record["material"] == "ceramic" and rng.random() < .3:
        curve = smooth_profile(knots)
        band = curve[(curve[:, 1] > .40 * h) & (curve[:, 1] < .50 * h)]
        parts.append(Part(lathe(band + [.004, 0], 96, wave), "cream"))
    return parts


def wallet(rng, record):
    model = record["model"]
    w, h = (rng.uniform(.92, 1.05), rng.uniform(.70, .80)) if model != 1 else (rng.uniform(1.05, 1.15), rng.uniform(.52, .60))
    t = rng.uniform(.05, .075)
    lower = rounded_box(w, h, t, .035, pillow=.012)
    upper = rounded_box(w * .995, h * .99, t, .035, pillow=.022).moved(z=t * .97)
    parts = [Part(merge([lower, upper]), "body")]
    top = 2 * t + .005
    seam = _frame(w * .93, h * .91, .04) + [0, 0, top]
    parts.append(Part(tube(seam, .0055, 6, closed=True), "stitch"))
    metal = "gold" if rng.random() < .5 else "steel"
    if model == 0:  # strap and press stud
        strap = rounded_box(w * .30, h * rng.uniform(.22, .30), .028, .02).moved(x=w * .40, z=top + .004)
        parts += [Part(strap, "body"), Part(cylinder(.035, .02, .008).moved(x=w * .32, z=top + .026), metal)]
    elif model == 1:  # zip round
        zip_line = tube(_frame(w * 1.005, h * 1.01, .05) + [0, 0, t], .016, 8, closed=True)
        pull = rounded_box(.10, .04, .015, .006).turned("z", rng.uniform(-30, 30)).moved(x=w * .52, y=h * .30, z=t)
        parts.append(Part(merge([zip_line, pull]), metal))
    else:  # card holder, cards peeping out
        for k in range(int(rng.integers(2, 4))):
            card = rounded_box(w * .84, h * .5, .008, .003).moved(y=h * (.30 - .045 * k), z=top + .005 + .012 * (2 - k))
            parts.append(Part(card, ("cream", "trim", "steel")[k]))
        pocket = rounded_box(w * .97, h * .62, .05, .024, pillow=.012).moved(y=-h * .17, z=top - .005)
        parts.append(Part(pocket, "body"))
        parts.append(Part(tube(_line((-w * .46, h * .125, top + .045), (0, h * .125, top + .055), (w * .46, h * .125, top + .045)), .006, 6), "stitch"))
    if model != 2 and rng.random() < .6:
        parts.append(Part(rounded_box(.16, .07, .004, .001).moved(x=-w * .28, y=-h * .28, z=top + .01), metal))
    return _stand_or_lie(parts, rng, record, h)


def watch(rng, record):
    r, t = rng.uniform(.24, .29), rng.uniform(.06, .085)
    square = record["model"] == 1
    metal = "gold" if rng.random() < .35 else "steel"
    case = rounded_box(2 * r * .92, 2 * r, t, .05) if square else cylinder(r, t, .02)
    face = rounded_box(2 * r * .76, 2 * r * .82, .006, .002) if square else cylinder(r * .84, .006, .002)
    dial = "dial" if rng.random() < .5 else "dark"
    ink = "dark" if dial == "dial" else "cream"
    marks = [rounded_box(.014, .05, .008, .002).moved(y=r * .66).turned("z", 30 * k) for k in range(12)]
    hour, minute = rng.uniform(0, 360, 2)
    hands = [rounded_box(.022, r * .42, .008, .003).moved(y=r * .18, z=.006).turned("z", hour),
             rounded_box(.016, r * .62, .008, .003).moved(y=r * .28, z=.012).turned("z", minute), cylinder(.02, .02, .004)]
    head = [Part(case, metal), Part(face.moved(z=t - .002), dial), Part(merge([*marks, *hands]).moved(z=t + .002), ink),
            Part(cylinder(.028, .05, .006).turned("y", 90).moved(x=r - .01, z=t / 2), metal)]
    if record["model"] == 2:
        head.append(Part(tube(np.stack([r * .93 * np.cos(np.linspace(0, 6.2832, 80)), r * .93 * np.sin(np.linspace(0, 6.2832, 80)), np.full(80, t)], 1), .02, 8, closed=True), "trim"))
    width = r * rng.uniform(.62, .78)
    n = 64
    if record["view"] == "above":  # laid out flat
        strap = [rounded_box(width * 2 * .62, .62, .03, .014).moved(y=s * (r + .27), z=.005) for s in (-1, 1)]
        straps = merge([m.bent(lambda p: np.stack([p[:, 0] * (1 - .25 * (np.abs(p[:, 1]) - r).clip(0) / .6), p[:, 1], p[:, 2]], 1)) for m in strap])
        return [*head, Part(straps, "body")]
    # Closed loop, watch lying on its side of the loop, dial up and tilted to the viewer.
    rx, rz = rng.uniform(.36, .42), rng.uniform(.25, .30)
    a = np.radians(np.linspace(90 + 24, 90 + 336, n))
    centre = np.stack([np.zeros(n), rx * np.cos(a), rz * np.sin(a)], 1)
    strap = tube(centre[:, [1, 0, 2]], np.full(n, .022), 12).turned("z", 90)
    strap = strap.bent(lambda p: p * [width / .022 * .55, 1, 1])
    loop = [Part(p.mesh.moved(z=rz - t * .4), p.look) for p in head] + [Part(strap, "body")]
    tilt = rng.uniform(38, 58) if record["view"] == "front" else rng.uniform(20, 40)
    loop = [Part(p.mesh.turned("x", tilt), p.look) for p in loop]
    low = min(p.mesh.points[:, 2].min() for p in loop)
    return [Part(p.mesh.moved(z=-low), p.look) for p in loop]


BUILDERS = {f.__name__: f for f in (apple, backpack, book, bottle, bowl, candle, handbag, headphones,
                                    lamp, mug, pen, perfume, teapot, vase, wallet, watch)}


def build(kind: str, rng: np.random.Generator, record: dict) -> list[Part]:
    """Build one product, longest side 1, standing on z = 0 and centred on the z axis."""
    parts = BUILDERS[kind](rng, record)
    points = np.concatenate([p.mesh.points for p in parts])
    low, high = points.min(0), points.max(0)
    size = 1.0 / float((high - low).max())
    x, y = -(low + high)[:2] / 2
    return [Part(p.mesh.moved(x, y, -low[2]).scaled(size), p.look) for p in parts]
