"""Uses the mini-product with a real browser, as a person does: by keyboard where it can; run by test_browser.py.

``python drive_browser.py CHROMIUM ADDRESS FOLDER lab|app`` prints a JSON line of what was seen, and leaves screenshots.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

SLOW = 240_000  # ms: machines under load are slow


def handle(page: Page, label: str, nth: int = 0):
    """The handle of the slider with that label."""
    return page.locator(".widget-slider:visible", has=page.get_by_text(label, exact=True)).nth(nth).locator(".noUi-handle")


def readout(page: Page, label: str) -> str:
    """The number beside that slider."""
    return page.locator(".widget-slider:visible", has=page.get_by_text(label, exact=True)).first.locator(".widget-readout").inner_text()


def to_the_least(page: Page, label: str, more: int = 0) -> None:
    """Move that slider to its least value by keyboard, and some steps up from there."""
    handle(page, label).focus()
    for key in ("Home", *["ArrowRight"] * more):
        page.keyboard.press(key)


def press(page: Page, name: str) -> None:
    """Focus a button and press Enter, without a mouse."""
    button = page.locator(f"button:visible:has-text('{name}')").first
    button.focus()
    page.keyboard.press("Enter")


def tab(page: Page, name: str) -> None:
    page.locator(".lm-TabBar-tab:visible", has_text=name).first.click()


def without_drafts(page: Page) -> None:
    """Switch off what starts a picture by itself when a slider rests: under load, it rests between two keys."""
    page.locator("label:visible", has_text="drafts while a slider moves").locator("input").first.uncheck()


def look_at(page: Page, mode: str) -> None:
    """Open a run of the gallery, which lists the latest first, and wait until it is the one on show."""
    buttons = page.locator(".tp2-studio button:visible:has-text('open ')")
    (buttons.first if mode == "image to image" else buttons.last).click()
    expect(page.locator(".tp2-studio b:visible", has_text=mode)).to_be_visible(timeout=SLOW)


# The notebook that JupyterLab has open, by the application's own interface (--LabApp.expose_app_in_browser)
PANEL = "const app = window.jupyterapp, panel = app?.shell?.currentWidget, context = panel?.sessionContext;"
CODE = "const code = panel.content.widgets.filter(cell => cell.model.type === 'code');"
KERNEL = (
    f"() => {{ {PANEL} if (document.querySelector('dialog.jp-Dialog, .jp-Dialog')) return 'asks';"
    " return context?.isReady && context.session?.kernel?.status === 'idle' ? 'idle' : null; }"
)


SECOND_FINGER = """canvas => {
  const { left, top } = canvas.getBoundingClientRect(), finger = { pointerId: 7, pointerType: "touch", isPrimary: false };
  for (const [name, by] of [["pointerdown", 40], ["pointermove", 80], ["pointerup", 80]])
    canvas.dispatchEvent(new PointerEvent(name, { ...finger, clientX: left + by, clientY: top + by }));
}"""


def run_all(page: Page) -> list[int | None]:
    """Run the notebook that JupyterLab has open, once its session has an idle kernel; return the execution counts of its cells."""
    while (state := page.wait_for_function(KERNEL, timeout=SLOW).json_value()) == "asks":  # which kernel: starting one failed, under load
        box = page.locator(".jp-Dialog")
        box.locator(".jp-mod-accept").click()
        box.wait_for(state="detached", timeout=SLOW)
    assert state == "idle"
    page.evaluate(f"() => {{ {PANEL} return app.commands.execute('notebook:run-all-cells'); }}")  # until every cell has had its reply
    return page.evaluate(f"() => {{ {PANEL} {CODE} return code.map(cell => cell.model.executionCount); }}")


def use(page: Page, folder: Path, photo: Path) -> dict:
    """Move, generate, stop, upload, recall, compare; return what was seen."""
    seen: dict = {}
    expect(page.locator("button:has-text('Generate')").first).to_be_visible(timeout=SLOW)
    seen["unknown_words"] = page.locator(".tp2-studio mark:visible").count()
    without_drafts(page)
    to_the_least(page, "steps", more=3)
    for label in ("width", "height"):
        to_the_least(page, label)
    seen["steps"], seen["width"] = readout(page, "steps"), readout(page, "width")
    press(page, "Generate")
    expect(page.locator(".tp2-studio div[role=status]:visible", has_text="Done in")).to_be_visible(timeout=SLOW)
    expect(page.locator("img[alt^='Generated picture']:visible").first).to_be_visible(timeout=SLOW)
    seen["alt"] = page.locator("img[alt^='Generated picture']:visible").first.get_attribute("alt")
    page.get_by_text("Configuration (JSON)").first.click()
    seen["configuration"] = json.loads(page.locator(".tp2-copy pre:visible").first.inner_text())["requested"]
    page.screenshot(path=folder / "1_text.png", full_page=True)

    prompt = page.locator("textarea:visible").first
    prompt.fill('a red unicorn <img src=x onerror="document.title=1">')
    expect(page.locator("mark:visible", has_text="unicorn")).to_be_visible(timeout=SLOW)
    handle(page, "steps").focus()
    page.keyboard.press("End")
    press(page, "Generate")
    expect(page.locator("div[role=status]:visible", has_text="step")).to_be_visible(timeout=SLOW)
    expect(page.locator("button:visible:has-text('Generate')").first).to_be_disabled(timeout=SLOW)
    press(page, "Stop")
    expect(page.locator("div[role=status]:visible", has_text="Stopped; nothing was kept")).to_be_visible(timeout=SLOW)
    seen["title"] = page.title()

    tab(page, "Image to image")
    page.locator("input[type=file]:visible").first.set_input_files(photo)
    expect(page.locator(".tp2-drop output:visible", has_text="taken")).to_be_visible(timeout=SLOW)
    without_drafts(page)
    for label in ("width", "height"):
        to_the_least(page, label)
    expect(page.locator("li:visible", has_text="scaled to")).to_be_visible(timeout=SLOW)
    press(page, "Generate")
    expect(page.locator("div[role=status]:visible", has_text="18 of 30 steps run")).to_be_visible(timeout=SLOW)
    page.screenshot(path=folder / "2_image.png", full_page=True)

    tab(page, "Gallery")
    expect(page.get_by_text("2 runs, page 1 of 1")).to_be_visible(timeout=SLOW)
    look_at(page, "text to image")
    press(page, "Export")
    expect(page.locator("a[download]:visible")).to_be_visible(timeout=SLOW)
    page.screenshot(path=folder / "3_gallery.png", full_page=True)
    press(page, "Compare as A")
    look_at(page, "image to image")
    press(page, "Compare as B")
    expect(page.locator("caption:visible", has_text="differ")).to_be_visible(timeout=SLOW)
    page.screenshot(path=folder / "4_compare.png", full_page=True)
    seen["differ"] = page.locator(".tp2-compare th[scope=row]:visible").all_inner_texts()

    tab(page, "Gallery")
    look_at(page, "text to image")
    press(page, "Use these settings")
    expect(page.locator("div[role=status]:visible", has_text="The settings are set.")).to_be_visible(timeout=SLOW)
    seen["recalled_steps"] = readout(page, "steps")

    tab(page, "New background")
    canvas = page.locator(".tp2-mask canvas:visible")
    page.locator(".tp2-mask[data-ready]:visible").wait_for(timeout=SLOW)
    found = page.locator(".tp2-mask output:visible")
    expect(found).to_contain_text("found by the cut-out network", timeout=SLOW)
    seen["found"] = found.inner_text()
    box = canvas.bounding_box()
    as_found = canvas.evaluate("canvas => canvas.toDataURL()")
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.9 * box["height"], button="right")
    canvas.evaluate(SECOND_FINGER)
    seen["painted_by_others"] = canvas.evaluate("canvas => canvas.toDataURL()") != as_found
    page.keyboard.press("Escape")  # the browser's own menu
    strokes = (("Box", (0.02, 0.02), (0.3, 0.1)), ("Erase", (0.25, 0.06), (0.3, 0.06)), ("Keep", (0.9, 0.9), (0.95, 0.9)))
    for tool, (left, top), (right, bottom) in (strokes[0], *strokes):
        page.locator(f".tp2-mask button:visible:has-text('{tool}')").click()
        before = found.inner_text()
        page.mouse.move(box["x"] + left * box["width"], box["y"] + top * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + right * box["width"], box["y"] + bottom * box["height"], steps=5)
        page.mouse.up()
        expect(found).not_to_have_text(before, timeout=SLOW)  # the kernel has this stroke
        if "redrawn" not in seen:  # after the first stroke: back to what was found, and begin anew
            expect(found).to_contain_text("corrected by hand", timeout=SLOW)
            seen["redrawn"] = canvas.evaluate("canvas => canvas.toDataURL()") != as_found
            page.locator(".tp2-mask button:visible:has-text('As found')").click()
            same = "found => [...document.querySelectorAll('.tp2-mask canvas')].some(canvas => canvas.toDataURL() === found)"
            page.wait_for_function(same, arg=as_found, timeout=SLOW)
            expect(found).not_to_contain_text("corrected by hand", timeout=SLOW)
    expect(found).to_contain_text("corrected by hand", timeout=SLOW)
    seen["drawn"] = found.inner_text()
    # and by keyboard alone: a line of the brush from the middle down, longer than any stroke before
    page.locator(".tp2-mask button:visible:has-text('Erase')").focus()
    page.keyboard.press("Enter")
    canvas.focus()
    for key in ("Space", *["ArrowDown"] * 12, "Space"):
        page.keyboard.press(key)
    less = "drawn => [...document.querySelectorAll('.tp2-mask output')].some(one => one.offsetParent && parseFloat(one.textContent.slice(6)) < drawn)"
    page.wait_for_function(less, arg=float(seen["drawn"].removeprefix("kept: ").partition("%")[0]), timeout=SLOW)
    seen["by_keyboard"] = found.inner_text()
    without_drafts(page)
    to_the_least(page, "steps", more=1)
    press(page, "Generate")
    expect(page.locator(".tp2-card:visible", has_text="0 of the kept pixels differ")).to_be_visible(timeout=SLOW)
    page.screenshot(path=folder / "5_background.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.querySelector('.tp2-mask canvas').getBoundingClientRect().right <= innerWidth", timeout=SLOW)
    page.screenshot(path=folder / "6_phone.png", full_page=True)
    page.set_viewport_size({"width": 1360, "height": 1000})
    seen["markup"] = page.locator("img[src=x]").count()
    return seen


def main(chromium: str, address: str, folder: str, front: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1360, "height": 1000})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            page.goto(address, timeout=SLOW)
            counts = run_all(page) if front == "lab" else None
            seen = use(page, Path(folder), Path(folder) / "photo.png")
        except Exception:
            page.screenshot(path=Path(folder) / "0_failed.png", full_page=True)
            raise
        finally:
            browser.close()
    print(json.dumps({**seen, "counts": counts, "errors": errors}))


if __name__ == "__main__":
    main(*sys.argv[1:])
