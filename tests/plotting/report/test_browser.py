"""Reports in a real browser, where there is one: Chromium, headless, driven by playwright."""

from __future__ import annotations

import os
import shutil

import fake_results
import pytest

from kmc.plotting.report import report

pytestmark = pytest.mark.slow

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser():
    """Chromium of the system, or the one that `playwright install chromium` has fetched."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=found, args=options)
        except sync_api.Error as problem:
            pytest.skip(f"no Chromium that starts: {str(problem).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return {
        kind: report(make(folder), folder / f"{kind}.html")
        for kind, make in fake_results.KINDS.items()
    }


@pytest.mark.parametrize("kind", fake_results.KINDS)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1100), ("dark", 400)])
def test_a_page_in_a_browser(browser, pages, kind, scheme, width):
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said, asked, errors = [], [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[kind].as_uri())
    assert (said, errors) == ([], [])
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    images = page.evaluate(
        "[...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth, i.clientHeight])"
    )
    assert len(images) >= 1
    assert all(done and min(sizes) > 50 for done, *sizes in images)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # On a wide screen no table of pairs or parameters has to be scrolled, nor a name in it broken.
    if width == 1100:
        hidden = "[...document.querySelectorAll('.pairs, .notes')].map(t => t.parentElement)"
        assert page.evaluate(f"{hidden}.every(e => e.scrollWidth <= e.clientWidth)")
        lines = page.evaluate(
            "[...document.querySelectorAll('.pairs th, .notes tbody th')]"
            ".filter(e => /^[^ -]+$/.test(e.textContent.trim()))"
            ".map(e => { const r = document.createRange(); r.selectNodeContents(e);"
            " return r.getClientRects().length; })"
        )
        assert set(lines) <= {1}
    text, back = (
        page.evaluate(f"getComputedStyle(document.body).{name}")
        for name in ("color", "backgroundColor")
    )
    assert _contrast(_rgb(text), _rgb(back)) >= 7  # of WCAG, level AAA
    assert (_luminance(_rgb(back)) < 0.1) == (scheme == "dark")
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('p, td, th, li, pre, h1, h2, figcaption')]"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert smallest >= 12
    page.close()


def _rgb(colour: str) -> list[float]:
    return [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]


def _luminance(rgb: list[float]) -> float:
    """Relative luminance, WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: list[float], other: list[float]) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
