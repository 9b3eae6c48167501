"""`python -m bessai.interfaces.notify.send`: sends messages through Apprise, in a process that ends afterwards.

One JSON document on standard input, `{"jobs": [{"id", "url", "title", "body", "kind"}, …]}`; a job without `body` only
has its address looked at. One JSON line on standard output for each as soon as its outcome is known:
`{"id", "ok", "why", "sure"}`. `why` holds no secret; not `sure`: the message may have arrived.

Apprise and its many services take 80 MB, and some of them hang: in a process of its own neither matters.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from bessai.interfaces.notify.addresses import kind_of, scrubbed

MISSING: Final = "notifications need the package apprise; install open-bess-edge[notify]"
_THREADS: Final = 8
_SHORT: Final = 500
"""Characters: a service that takes fewer gets the beginning, which says what matters; others get all, in parts."""

_NEVER_LEFT = re.compile(
    r"refused|unreachable|not known|No address|name resolution|resolve|NewConnectionError|ConnectTimeout|"
    r"connect timeout|certificate|CERTIFICATE|No route|error=4\d\d|error=50[013]|Authentication|\(535"
)
"""What a library says when the other end cannot have taken the message."""
_REASON = re.compile(
    r"\[Errno -?\d+\] [A-Za-z ]+|Connection refused|timed out|certificate verify failed|"
    r"Remote end closed connection without response|\(\d{3}, b'[^']{0,120}"
)
"""Reasons that a library tells in its debug lines, which hold secrets otherwise."""


class _Heard(logging.Handler):
    """Keeps what Apprise says in each thread."""

    def __init__(self) -> None:
        super().__init__()
        self._local = threading.local()

    def start(self) -> None:
        self._local.lines = []

    @property
    def lines(self) -> list[tuple[int, str]]:
        return getattr(self._local, "lines", [])

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))


_heard = _Heard()


def set_up() -> None:
    """Load Apprise and keep its words to ourselves: its debug lines hold addresses.

    Raises:
        ImportError: it is not installed.
    """
    import apprise  # noqa: F401, PLC0415  only where something is sent

    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    if _heard not in logger.handlers:
        logger.addHandler(_heard)
    for chatty in ("urllib3", "requests"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)


def deliver(job: Mapping[str, Any]) -> dict[str, Any]:
    """Do one job; the outcome as plain data. `set_up` comes first. Never raises."""
    import apprise  # noqa: PLC0415  only where something is sent

    url = str(job["url"])
    asset = apprise.AppriseAsset(
        app_id="BESSAI",
        app_desc="BESSAI Edge Gateway",
        app_url="https://github.com/open-bess-edge/open-bess-edge",
        async_mode=False,
    )
    _heard.start()
    try:
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            why = f"Apprise does not understand this {kind_of(url)}:// address; compare it with docs/notifications.md"
            return _outcome(job, why=why)
        if job.get("body") is None:
            return _outcome(job)
        if "overflow=" not in url:  # too long for a service is cut or split, never refused for ever
            limit = service.body_maxlen
            mode = apprise.OverflowMode
            service.overflow_mode = mode.TRUNCATE if 0 < limit < _SHORT else mode.SPLIT
        done = service.notify(
            title=str(job["title"]),
            body=str(job["body"]),
            notify_type=apprise.NotifyType(str(job["kind"])),
            body_format=apprise.NotifyFormat.TEXT,
        )
    except Exception as error:  # noqa: BLE001  a service's own mistake is a failure like others
        return _outcome(job, why=f"{type(error).__name__}: {scrubbed(str(error), url)}", sure=False)
    if done:
        return _outcome(job)
    told = " | ".join(text for level, text in _heard.lines if level >= logging.WARNING) or "it gave no reason"
    debug = "\n".join(text for _, text in _heard.lines)
    reasons = [reason for reason in dict.fromkeys(_REASON.findall(debug)) if reason not in told]
    why = scrubbed(" | ".join([told, *reasons[:2]]), url)
    return _outcome(job, why=why[:300], sure=bool(_NEVER_LEFT.search(debug)))


def _outcome(job: Mapping[str, Any], *, why: str | None = None, sure: bool = True) -> dict[str, Any]:
    return {"id": job["id"], "ok": why is None, "why": why, "sure": sure}


def main() -> int:
    """Read the jobs, do them side by side, say what became of each."""
    jobs = json.load(sys.stdin)["jobs"]
    saying, out = threading.Lock(), sys.stdout
    sys.stdout = sys.stderr  # a service that prints must not spoil the outcomes

    def say(outcome: Mapping[str, Any]) -> None:
        with saying:
            print(json.dumps(outcome), file=out, flush=True)

    try:
        set_up()
    except ImportError:
        for job in jobs:
            say(_outcome(job, why=MISSING))
        return 1
    with ThreadPoolExecutor(_THREADS) as pool:
        for future in [pool.submit(lambda one: say(deliver(one)), job) for job in jobs]:
            future.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
