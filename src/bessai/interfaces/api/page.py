"""The page's files, as Vite built them into `page/`; whatever no route answers ends here."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from bessai.interfaces.api import messages, problems
from bessai.interfaces.api.problems import Problem

DIRECTORY = Path(__file__).parent / "page"
_SEALED = (("br", ".br"), ("gzip", ".gz"))
_FOR_EVER = "public, max-age=31536000, immutable"
_MISSING = "The page is not built. In a checkout: `make page`, then load this again.\n"


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    etag: str
    stamp: int


class Page:
    """An ASGI application that serves the files of one directory, whole and from memory.

    Args:
        directory: built files; those below `assets/` have a hash in their names and never change.
    """

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory.resolve()
        self._held: dict[Path, _File] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await self._answer(scope["method"], scope["path"], Headers(scope=scope))(scope, receive, send)

    def _answer(self, method: str, path: str, headers: Headers) -> Response:
        language = messages.preferred(headers) or "en"
        if path == "/api" or path.startswith("/api/"):
            return problems.answer(
                Problem(404, "not_found", "there is no such route; see /api/v1/openapi.json"), language
            )
        if method not in {"GET", "HEAD"}:
            allowed = {"Allow": "GET, HEAD"}
            return problems.answer(
                Problem(405, "method_not_allowed", "the page is only read", headers=allowed), language
            )
        name = path.lstrip("/") or "index.html"
        if name == "index.html" and not (self._directory / name).is_file():
            return PlainTextResponse(_MISSING, 404)
        found = self._find(name)
        if found is None:
            return problems.answer(Problem(404, "not_found", "there is no such file"), language)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        sent = {
            "vary": "accept-encoding",
            "cache-control": _FOR_EVER if name.startswith("assets/") else "no-cache",
        }
        codings = accepted(headers.get("accept-encoding", ""))
        for coding, ending in _SEALED:
            packed = self._find(name + ending) if coding in codings else None
            if packed is not None:
                found = packed
                sent["content-encoding"] = coding
                break
        sent["etag"] = found.etag
        if found.etag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=sent)
        return Response(found.data, headers=sent, media_type=kind)

    def _find(self, name: str) -> _File | None:
        if "\0" in name or len(name) > 200:
            return None
        path = (self._directory / name).resolve()
        if not path.is_relative_to(self._directory) or not path.is_file():
            return None
        stamp = path.stat().st_mtime_ns
        held = self._held.get(path)
        if held is None or held.stamp != stamp:
            data = path.read_bytes()
            held = self._held[path] = _File(data, f'"{hashlib.sha256(data).hexdigest()[:20]}"', stamp)
        return held


def accepted(header: str) -> set[str]:
    """Codings that an `Accept-Encoding` header takes; one of weight 0 is a refusal."""
    found = (coding.partition(";") for coding in header.lower().replace(" ", "").split(","))
    return {name for name, _, weight in found if not re.fullmatch(r"q=0(?:\.0*)?", weight)}
