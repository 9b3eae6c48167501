"""What a browser sees of the page: the first view, how smoothly it goes on, and what it keeps in memory."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.dashboard_plants import Site, Wire

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAGES = (
    "overview", "why", "trends", "cells", "alarms", "control", "devices", "grid", "system", "users", "audit",
)  # fmt: skip
FRAMES = 43_200
"""Twelve hours of cycles of one second."""
_EACH_PAGE = 120
"""Cycles that the page stays at one place in the soak."""

# Painted: the frame after the one in which the numbers came into the document has begun.
_WATCH = """window.seen = new Promise((done) => {
  const there = () => {
    const text = document.querySelector('main')?.textContent ?? '';
    return /\\d\\s*%/.test(text) && /\\d\\s*kW/.test(text);
  };
  const look = () => there()
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now())))
    : requestAnimationFrame(look);
  requestAnimationFrame(look);
})"""

_WEIGHT = """() => {
  const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  const sum = (some) => some.reduce((bytes, one) => bytes + one.transferSize, 0);
  return {
    kb: sum(all) / 1000, requests: all.length,
    script_kb: sum(all.filter((one) => /\\.m?js(\\?|$)/.test(one.name))) / 1000,
    painted: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null,
  };
}"""

_FRAMES = """(seconds) => new Promise((done) => {
  const long = [], times = [];
  let updates = 0, before = '';
  new PerformanceObserver((list) => long.push(...list.getEntries().map((one) => one.duration)))
    .observe({ type: 'longtask' });
  const means = document.querySelector('[data-group] dl');
  const tick = (now) => {
    if (means.textContent !== before) { updates++; before = means.textContent; }
    times.push(now);
    if (now - times[0] < seconds * 1000) requestAnimationFrame(tick);
    else done({ times, long, updates: updates - 1 });
  };
  requestAnimationFrame(tick);
})"""

# The page's own way from a response on; only where the response comes from is another.
_FEED = """(() => {
  const real = window.fetch.bind(window), open = new Set(), code = new TextEncoder();
  let first = '';
  window.fetch = (what, how) => {
    if (!String(what).includes('/stream')) return real(what, how);
    const body = new ReadableStream({
      start(one) {
        open.add(one);
        one.enqueue(code.encode(first));
        how.signal.addEventListener('abort', () => {
          if (open.delete(one)) one.error(new DOMException('', 'AbortError'));
        });
      },
    });
    return Promise.resolve(new Response(body, { headers: { 'Content-Type': 'text/event-stream' } }));
  };
  window.hello = (text) => { first = text; };
  window.feed = (text) => { const bytes = code.encode(text); for (const one of open) one.enqueue(bytes); };
})()"""


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Debian's Chromium without a screen.

    Raises:
        RuntimeError: there is none.
    """
    if CHROMIUM is None:
        raise RuntimeError("chromium is not installed (Debian: chromium)")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  only this benchmark needs it

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


@contextlib.contextmanager
def opened(
    chromium: Any, site: Site | None, *, slower: float = 1, script: str = ""
) -> Iterator[tuple[Any, Any]]:
    """A page and its debugging session with nothing cached, signed in where there is a site."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    if site:
        name, value = site.cookie.split("=", 1)
        context.add_cookies([{"name": name, "value": value, "url": site.url}])
    if script:
        context.add_init_script(script)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    try:
        yield page, session
    finally:
        context.close()


def first_view(chromium: Any, site: Site, *, slower: float) -> dict[str, Any]:
    """From navigation to the first painted numbers of the plant, in ms, with what came over the wire until then."""
    with opened(chromium, site, slower=slower, script=_WATCH) as (page, session):
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(f"{site.url}/#/overview", wait_until="commit")
        numbers = page.evaluate("window.seen")
        used = _metrics(session)["TaskDuration"] * 1000
        return {"numbers": numbers, "cpu_ms": used, **page.evaluate(_WEIGHT)}


def bare_view(chromium: Any, url: str, *, slower: float) -> dict[str, Any]:
    """What a page without its server behind it asks for and paints first, until it asks for nothing more."""
    with opened(chromium, None, slower=slower) as (page, _):
        with contextlib.suppress(Exception):  # it may go on asking for its server
            page.goto(url, wait_until="networkidle", timeout=20_000)
        found: dict[str, Any] = page.evaluate(_WEIGHT)
        return found


def smoothness(chromium: Any, site: Site, seconds: float, *, slower: float) -> dict[str, Any]:
    """Frames of the page Cells while every cell changes each second."""
    with opened(chromium, site, slower=slower) as (page, session):
        page.goto(f"{site.url}/#/cells")
        page.wait_for_selector(".map canvas", timeout=60_000)
        page.wait_for_timeout(3000)
        shown = sum(int(one.get_attribute("aria-valuemax")) for one in page.query_selector_all(".map"))
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = _metrics(session)
        found = page.evaluate(_FRAMES, seconds)
        after = _metrics(session)
    times = found["times"]
    gaps = sorted(b - a for a, b in itertools.pairwise(times))
    lasted = (times[-1] - times[0]) / 1000
    return {
        "cells": shown,
        "fps": (len(times) - 1) / lasted,
        "gap_p99_ms": gaps[int(0.99 * len(gaps))],
        "gap_max_ms": gaps[-1],
        "long_tasks_per_s": len(found["long"]) / lasted,
        "long_task_max_ms": max(found["long"], default=0.0),
        "updates_per_s": found["updates"] / lasted,
        "task_ms_per_s": (after["TaskDuration"] - before["TaskDuration"]) / lasted * 1000,
        "script_ms_per_s": (after["ScriptDuration"] - before["ScriptDuration"]) / lasted * 1000,
    }


def soak(chromium: Any, site: Site, frames: int) -> dict[str, Any]:
    """Memory of the page at four points of `frames` cycles of a second, going through all pages meanwhile.

    The page's clock is ours: with each cycle its timers live through one second. The messages are those of the gateway,
    with new numbers and times; requests go to the gateway.
    """
    wire = Wire(site)
    with opened(chromium, site, script=_FEED) as (page, session):
        page.clock.install(time=time.time())
        page.goto(f"{site.url}/#/overview")
        page.evaluate("text => window.hello(text)", f"event: hello\ndata: {wire.newest['hello']}\n\n")
        page.reload()
        page.evaluate("text => window.hello(text)", f"event: hello\ndata: {wire.newest['hello']}\n\n")
        marks, begin = [], time.monotonic()
        quarter = frames // 4
        for cycle in range(frames + 1):
            if cycle % quarter == 0:
                marks.append(_memory(page, session))
            elif cycle % _EACH_PAGE == 0:
                there = PAGES[cycle // _EACH_PAGE % len(PAGES)]
                page.evaluate("where => { location.hash = `#/${where}`; }", there)
            page.evaluate("text => window.feed(text)", _message(wire, cycle))
            page.clock.run_for(1000)
        lasted = time.monotonic() - begin
    return {
        "marks": marks,
        "faster": frames / lasted,
        **{f"{what}_growth": marks[4][what] / marks[1][what] for what in marks[0]},
    }


def _message(wire: Wire, cycle: int) -> str:
    frame = json.loads(wire.newest["cycle"])
    frame["cycle"], frame["time"] = cycle, frame["time"] + 1000 * cycle
    text = f"event: cycle\ndata: {json.dumps(frame)}\n\n"
    if cycle % 2 == 0 and "status" in wire.newest:
        text += f"event: status\ndata: {wire.newest['status']}\n\n"
    return text


def _memory(page: Any, session: Any) -> dict[str, float]:
    """After a visit of the overview, and of the garbage collector."""
    page.evaluate("location.hash = '#/overview'")
    page.clock.run_for(1000)
    page.wait_for_selector("main h1")
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    counts = session.send("Memory.getDOMCounters")
    return {
        "heap_mb": session.send("Runtime.getHeapUsage")["usedSize"] / 1e6,
        "nodes": counts["nodes"],
        "listeners": counts["jsEventListeners"],
    }


def _metrics(session: Any) -> dict[str, float]:
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
