"""Turned and blown things, fruit included: most of each is a surface of revolution."""

from __future__ import annotations

import numpy as np

from .shapes import Mesh, Part, arc, cylinder, lathe, merge, path_through, rounded_box, sheet, shell, smooth_profile, sphere, tube


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
    stem = tube(path_through((0, 0, foot - .02), (bend * .4, 0, foot + .10), (bend, 0, foot + rng.uniform(.17, .26))),
                np.linspace(.014, .022, 24), 10)
    parts = [Part(skin, "body"), Part(stem, "bark")]
    if rng.random() < .35:
        u, v = np.meshgrid(np.linspace(0, 1, 20), np.linspace(-1, 1, 9), indexing="ij")
        width = .085 * np.sin(np.pi * u ** .8)
        pts = np.stack([.03 + .30 * u, width * v, foot + .12 + .08 * np.sin(2.4 * u) - .05 * v**2 * width / .1], -1)
        leaf = sheet(pts, np.stack([u, v], -1)).turned("z", rng.uniform(0, 360))
        parts.append(Part(leaf, "leaf"))
    return parts


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
        path = path_through((at(top), 0, top), (reach + .05, 0, top + .01), (reach + .03, 0, (top + low) / 2), (reach + .01, 0, low), (at(low), 0, low))
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
    spout = path_through((at(h * .35) - .05, 0, h * .34), (r * 1.35, 0, h * .42), (r * 1.55, 0, h * .72), (reach, 0, h * rng.uniform(.92, 1.04)))
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
            path = path_through((.17, 0, .90 * h), (.34, 0, .95 * h), (.36, 0, .78 * h), (.29, 0, .70 * h))
            parts.append(Part(tube(path, .024, 12).turned("z", side), "body"))
    if record["material"] == "ceramic" and rng.random() < .3:
        curve = smooth_profile(knots)
        band = curve[(curve[:, 1] > .40 * h) & (curve[:, 1] < .50 * h)]
        parts.append(Part(lathe(band + [.004, 0], 96, wave), "cream"))
    return parts
