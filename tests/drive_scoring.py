"""Scores blind with a real browser and the keyboard alone; run by test_score_browser.py.

``python drive_scoring.py CHROMIUM ADDRESS FOLDER`` prints a JSON line of what was seen, and leaves screenshots.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

SLOW = 240_000  # ms: machines under load are slow


def use(page: Page, folder: Path) -> dict:
    """Type the points of every picture, one too many, go back, and lock."""
    seen: dict = {}
    keys = page.get_by_placeholder("0, 1, 2 or b")
    keys.wait_for(timeout=SLOW)
    status = page.locator("div[role=status]")
    expect(status).to_contain_text("Picture 1 of 4, prompt adherence", timeout=SLOW)
    page.screenshot(path=folder / "score_1.png", full_page=True)
    keys.focus()
    for number, key in enumerate("2101", start=1):
        page.keyboard.press(key)
        expect(page.locator(".widget-toggle-buttons button.mod-active")).to_have_count(number % 4, timeout=SLOW)
    expect(status).to_contain_text("Picture 2 of 4", timeout=SLOW)
    page.keyboard.press("2")
    expect(status).to_contain_text("visual realism", timeout=SLOW)
    page.keyboard.press("b")
    expect(status).to_contain_text("prompt adherence", timeout=SLOW)
    page.screenshot(path=folder / "score_2.png", full_page=True)
    page.keyboard.type("0111")  # faster than the kernel answers
    expect(status).to_contain_text("Picture 3 of 4, prompt adherence", timeout=SLOW)
    for key in "2222" + "1010":
        asked = status.inner_text()
        page.keyboard.press(key)
        expect(status).not_to_have_text(asked, timeout=SLOW)  # the next point is asked for
    expect(status).to_contain_text("All are given", timeout=SLOW)
    page.get_by_role("button", name="Lock").focus()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("Locked", timeout=SLOW)
    page.screenshot(path=folder / "score_3.png", full_page=True)
    seen["disabled"] = keys.is_disabled()
    seen["alt"] = page.locator("img[alt^='Picture ']").first.get_attribute("alt")
    seen["title"], seen["script"] = page.title(), page.locator("img[src='x']").count()
    return seen


def main(chromium: str, address: str, folder: str) -> None:
    """Open the page, use it, and print what was seen."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address, timeout=SLOW)
        seen = use(page, Path(folder))
        browser.close()
    print(json.dumps({**seen, "errors": errors}))


if __name__ == "__main__":
    main(*sys.argv[1:])
