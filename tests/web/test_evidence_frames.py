"""A report beside a question: whatever it holds, it runs, loads and reaches nothing, in Chromium."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from hitl.author import evidence
from tests.library.beside import png, stored
from tests.web.serving import Question, WebApp, run

BEFORE = "\n".join(f"line {number}" for number in range(30))


@dataclass
class Foreign:
    """A site that is not ours, and what reached it."""

    port: int
    connections: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def setup(self) -> None:
            found.connections.append("a connection")
            super().setup()

        def do_GET(self) -> None:
            found.connections.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>elsewhere</h1>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Foreign(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def hostile(site: str) -> str:
    return f"""<!doctype html><html><head><base href="{site}/base/">
<meta http-equiv="refresh" content="0;url={site}/refresh">
<link rel="stylesheet" href="{site}/sheet.css"><link rel="prefetch" href="{site}/prefetch">
<link rel="preload" as="image" href="{site}/preload.png"><link rel="preconnect" href="{site}">
<link rel="dns-prefetch" href="{site}"><link rel="icon" href="{site}/icon.png">
<link rel="modulepreload" href="{site}/module.js"><link rel="manifest" href="{site}/manifest.json">
<style>@import url({site}/import.css); body {{ background: url({site}/background.png); color: green }}
@font-face {{ font-family: far; src: url({site}/font.woff2) }} p {{ font-family: far }}</style>
<script>parent.document.title = 'stolen'; fetch('{site}/fetch'); top.location = '{site}/top'</script>
<script src="{site}/script.js"></script></head>
<body onload="top.location='{site}/onload'"><h1>The report</h1><p>words</p>
<img src="{site}/image.png" srcset="{site}/set.png 2x" onerror="parent.document.body.innerHTML=''">
<img src="/static/logo.png"><picture><source srcset="{site}/source.png"><img alt=""></picture>
<svg><image href="{site}/svg.png"/><script>top.location='{site}/svg'</script><use href="{site}/use.svg#a"/></svg>
<iframe src="{site}/iframe"></iframe><object data="{site}/object"></object><embed src="{site}/embed">
<video src="{site}/video.mp4" poster="{site}/poster.png" autoplay></video>
<audio src="{site}/audio" autoplay></audio>
<form action="{site}/form" method="post"><input name="q" value="1"><button autofocus>Send</button></form>
<a id="away" href="{site}/link" ping="{site}/ping" target="_top">away</a>
<a id="plain" href="{site}/plain">plain</a>
<input type="image" src="{site}/input.png"><portal src="{site}/portal"></portal></body></html>"""


def question(app: WebApp, shown: list[evidence.Shown]) -> Question:
    return app.ask(evidence=run(stored(app.store, "a-question", shown)))


def test_a_hostile_report_reaches_nobody_and_nothing(app: WebApp, browser: Browser, foreign: Foreign) -> None:
    asked_for = question(app, [evidence.html(hostile(foreign.url), name="Report")])
    context = browser.new_context()
    page = context.new_page()

    page.goto(asked_for.url, wait_until="networkidle")
    frame = page.frames[1]
    assert frame.locator("h1").inner_text() == "The report"
    assert frame.locator("p").evaluate("each => getComputedStyle(each).color") == "rgb(0, 128, 0)"
    assert foreign.connections == []
    frame.locator("form button").click()
    frame.locator("#away").click()
    frame.locator("#plain").click()
    page.wait_for_load_state("networkidle")

    assert page.url == asked_for.url
    assert "a question" in page.title()
    assert page.locator("form [name=value]").count() == 1
    # Chromium connects to where a person clicked before it asks the policy. It sends nothing.
    assert set(foreign.connections) <= {"a connection"}
    context.close()


def test_opened_directly_a_hostile_report_runs_nothing_and_loads_nothing(
    app: WebApp, browser: Browser, foreign: Foreign
) -> None:
    asked_for = question(app, [evidence.html(hostile(foreign.url), name="Report")])
    context = browser.new_context()
    page = context.new_page()
    page.goto(asked_for.url, wait_until="networkidle")
    address = page.locator(".evidence figcaption a").get_attribute("href")
    assert address is not None

    direct = context.new_page()
    direct.goto(app.url + address, wait_until="networkidle")

    assert direct.locator("h1").first.inner_text() == "The report"
    assert foreign.connections == []
    assert direct.evaluate("origin") == "null"
    context.close()


@pytest.mark.parametrize(("width", "scripts"), [(1400, True), (390, True), (320, False)])
def test_evidence_is_beside_the_form_on_a_desk_and_above_it_on_a_phone(
    app: WebApp, browser: Browser, width: int, scripts: bool
) -> None:
    table = [{f"column {column}": row for column in range(25)} for row in range(200)]
    shown = [
        evidence.image(png(40, 30), name="plot", alt="Loss by epoch"),
        evidence.table(table, name="metrics"),
        evidence.markdown("## Notes\n\n- [x] checked", name="Notes"),
        evidence.diff(BEFORE, BEFORE.replace("line 5\n", "line five\n"), name="config.yaml"),
        evidence.html("<p>fine</p>", name="Report"),
        evidence.file(b"%PDF-1.4", name="paper.pdf"),
        evidence.link("https://runs.example/1?x=y", name="the run"),
    ]
    asked_for = question(app, shown)
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts)
    page = context.new_page()
    violations: list[str] = []
    page.on(
        "console", lambda message: violations.append(message.text) if "Content Security" in message.text else None
    )
    page.goto(asked_for.url, wait_until="networkidle")

    beside, form = page.locator(".evidence").bounding_box(), page.locator("form").bounding_box()
    assert beside is not None
    assert form is not None
    if width > 960:
        assert beside["x"] > form["x"] + form["width"]
        # What is beside it leaves no gaps in the form.
        assert form["y"] < 400
        # The card does not touch the window's edge.
        card = page.locator("main").bounding_box()
        assert card is not None
        assert card["x"] > 20
    else:
        assert form["y"] > beside["y"] + beside["height"]
    assert violations == []
    text = page.locator(".evidence").inner_text()
    assert "200 rows and 25 columns; the first 50 rows and 20 columns" in text
    assert "1 line added, 1 line removed" in text
    assert "runs.example" in text
    assert page.locator("ins").inner_text() == "line five"
    assert page.locator("del").inner_text() == "line 5"
    assert page.locator(".evidence img").evaluate("each => each.naturalWidth") == 40 if scripts else True
    if scripts:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        found = Axe().run(page, options={"iframes": False})
        assert found.violations_count == 0, found.generate_report()
    context.close()
