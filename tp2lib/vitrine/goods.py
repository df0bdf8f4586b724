"""Sewn, bound, jointed and machined things, built from boxes, tubes and discs."""

from __future__ import annotations

import numpy as np

from .shapes import Part, arc, cylinder, lathe, merge, path_through, rounded_box, rounded_frame, smooth_profile, sphere, tube


def _stand_or_lie(parts, rng, record, height):
    """Flat things lie on the table, but stand up, leaning back, when seen from the front."""
    if record["view"] != "front":
        return parts
    return [Part(p.mesh.moved(y=height / 2).turned("x", 80 + rng.uniform(-4, 4)), p.look) for p in parts]


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
        zip_line = path_through((-pw * .46, front - .03, ph * .86 + h * .07), (0, front - .075, ph * .89 + h * .07), (pw * .46, front - .03, ph * .86 + h * .07))
        parts.append(Part(tube(zip_line, .012, 8), "steel"))
        rim = arc((0, 0, h * .50), w * .47 * (1 - arch * .4), h * .42, 12, 168) + [0, front * .72, 0]
        parts.append(Part(tube(rim, .012, 8), "strap"))
        if model == 2:
            band = rounded_box(w * 1.005, d * 1.02, .10, .04, pillow=.05).moved(z=h * .56)
            parts.append(Part(band, "trim"))
    handle = tube(arc((0, .04, h * .96), .10, rng.uniform(.10, .15), 0, 180), .022, 12, flat=1.6)
    parts.append(Part(handle, "strap"))
    for side in (-1, 1):
        path = path_through((side * w * .26, d * .42, h * .92), (side * w * .42, d * .80, h * .60), (side * w * .36, d * .45, h * .06))
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
        parts.append(Part(tube(rounded_frame(w * .86, h * .88, .03) + [.015, 0, t], .006, 6, closed=True), ink))
    if record["model"] == 1:
        for yy in (-.32, -.12, .12, .32):
            parts.append(Part(rounded_box(.045, .03, t + .012, .014).moved(x=-w / 2 + .002, y=yy * h, z=-.006), "body"))
    if rng.random() < .5:
        parts.append(Part(rounded_box(.03, .16, .003, .001).moved(x=.05, y=-h / 2 - .03, z=t / 2), "ribbon"))
    return _stand_or_lie(parts, rng, record, h)


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
        parts.append(Part(tube(rounded_frame(w * (1 - slope) * .95, d * .52, .05) + [0, 0, h * .985], .014, 8, closed=True), "strap"))
        if model == 1:
            parts.append(Part(rounded_box(.11, .02, .06, .008).moved(y=-d * .40, z=h * .58), metal))
        else:
            parts.append(Part(tube(rounded_frame(w * 1.04, d * 1.06, .08) + [0, 0, h * .28], .012, 8, closed=True), "trim"))
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


def wallet(rng, record):
    model = record["model"]
    w, h = (rng.uniform(.92, 1.05), rng.uniform(.70, .80)) if model != 1 else (rng.uniform(1.05, 1.15), rng.uniform(.52, .60))
    t = rng.uniform(.05, .075)
    lower = rounded_box(w, h, t, .035, pillow=.012)
    upper = rounded_box(w * .995, h * .99, t, .035, pillow=.022).moved(z=t * .97)
    parts = [Part(merge([lower, upper]), "body")]
    top = 2 * t + .005
    seam = rounded_frame(w * .93, h * .91, .04) + [0, 0, top]
    parts.append(Part(tube(seam, .0055, 6, closed=True), "stitch"))
    metal = "gold" if rng.random() < .5 else "steel"
    if model == 0:  # strap and press stud
        strap = rounded_box(w * .30, h * rng.uniform(.22, .30), .028, .02).moved(x=w * .40, z=top + .004)
        parts += [Part(strap, "body"), Part(cylinder(.035, .02, .008).moved(x=w * .32, z=top + .026), metal)]
    elif model == 1:  # zip round
        zip_line = tube(rounded_frame(w * 1.005, h * 1.01, .05) + [0, 0, t], .016, 8, closed=True)
        pull = rounded_box(.10, .04, .015, .006).turned("z", rng.uniform(-30, 30)).moved(x=w * .52, y=h * .30, z=t)
        parts.append(Part(merge([zip_line, pull]), metal))
    else:  # card holder, cards peeping out
        for k in range(int(rng.integers(2, 4))):
            card = rounded_box(w * .84, h * .5, .008, .003).moved(y=h * (.30 - .045 * k), z=top + .005 + .012 * (2 - k))
            parts.append(Part(card, ("cream", "trim", "steel")[k]))
        pocket = rounded_box(w * .97, h * .62, .05, .024, pillow=.012).moved(y=-h * .17, z=top - .005)
        parts.append(Part(pocket, "body"))
        parts.append(Part(tube(path_through((-w * .46, h * .125, top + .045), (0, h * .125, top + .055), (w * .46, h * .125, top + .045)), .006, 6), "stitch"))
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
