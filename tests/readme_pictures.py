"""Makes the README's pictures: ``python tests/readme_pictures.py [grid] [strengths] [backgrounds] [report] [tool]``; all five where none is named.

The two last want Chromium. Pictures come from the embedded model, into notebooks/, each at most 150 kB.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright
from served import CHROMIUM, serving

from tp2lib import INPUTS, OUTPUTS, Ledger, Recipe, load, prepare_source, sweep
from tp2lib.evaluation import EXPERIMENTS, run_experiment
from tp2lib.paths import NOTEBOOKS
from tp2lib.plots import make_grid
from tp2lib.report import write_report

LIMIT = 150_000  # bytes
WAIT = 600_000  # ms: a picture on a busy machine


def keep(data: bytes, name: str) -> None:
    """Write a PNG as the best JPEG within the limit."""
    with Image.open(io.BytesIO(data)) as image:
        for quality in range(92, 40, -4):
            file = io.BytesIO()
            image.convert("RGB").save(file, "JPEG", quality=quality, optimize=True, progressive=True)
            if file.tell() <= LIMIT:
                break
    (NOTEBOOKS / f"{name}.jpg").write_bytes(file.getvalue())
    print(f"notebooks/{name}.jpg: {file.tell() / 1e3:.0f} kB, {image.width} x {image.height}")


def figure(made, name: str) -> None:
    file = io.BytesIO()
    made.savefig(file, format="png", dpi=100, facecolor="white")
    keep(file.getvalue(), name)


def grid() -> None:
    vase = Recipe(prompt="product photo of a blue vase on a white background, soft shadow", seed=42)
    study = sweep(vase, load("vitrine"), steps=[5, 15, 30], guidance=[1, 4, 7.5, 12], ledger=Ledger(OUTPUTS))
    figure(make_grid(study, rows="steps", cols="guidance"), "steps_and_guidance")


def strengths() -> None:
    model, ledger = load("vitrine"), Ledger(OUTPUTS)
    photo = prepare_source(INPUTS / "product.jpg", model.native_size, model.native_size)
    names = [name for name in EXPERIMENTS if name.startswith("i2i")]
    runs = [run_experiment(EXPERIMENTS[name], model, ledger) for name in names]
    figure(make_grid(runs, cols="strength", reference=photo.image, measures=("ssim", "perceptual_distance")), "strengths")


def backgrounds() -> None:
    """Six photos before eight sets, seed 0, as they came: see bench/surroundings.py, which measures them."""
    from bench.surroundings import PHOTOS, SETS, background

    side, head = 150, 18
    sheet = Image.new("RGB", (side * len(SETS), head + side * len(PHOTOS)), "white")
    for column, words in enumerate(SETS):
        ImageDraw.Draw(sheet).text((side * column + 4, 3), words, fill="black")
    for row, name in enumerate(PHOTOS):
        for column, run in enumerate(background(name, load("vitrine"), [0])):
            sheet.paste(run.image.resize((side, side), Image.Resampling.LANCZOS), (side * column, head + side * row))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    keep(file.getvalue(), "backgrounds")


def report(page: Page) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _, html = write_report(OUTPUTS, to=folder)
        page.goto(html.as_uri(), timeout=WAIT)
        page.get_by_role("heading", name="Image to image").first.evaluate("heading => heading.scrollIntoView()")
        keep(page.screenshot(timeout=WAIT), "report")


def tool(page: Page) -> None:
    def command(port: int) -> list[str]:
        return [sys.executable, "-c", f"from tp2lib.widgets.app import serve; serve(port={port}, browser=False)"]

    with tempfile.TemporaryDirectory() as folder, serving(command, Path(folder) / "log", cwd=folder) as port:
        page.goto(f"http://127.0.0.1:{port}/", timeout=WAIT)
        page.locator("button:has-text('Generate')").first.click(timeout=WAIT)
        page.wait_for_selector("img[alt^='Generated picture']", timeout=WAIT)
        page.get_by_text("Done in").first.wait_for(timeout=WAIT)
        keep(page.screenshot(timeout=WAIT), "tool")


def main(*names: str) -> None:
    chosen = names or ("grid", "strengths", "backgrounds", "report", "tool")
    for make in (one for one in (grid, strengths, backgrounds) if one.__name__ in chosen):
        make()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        for show in (one for one in (report, tool) if one.__name__ in chosen):
            show(page)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
