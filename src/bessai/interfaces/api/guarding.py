"""What stands before every route: host, origin, caller, CSRF, scopes, and the headers of every answer.

Pure ASGI, so that streams pass through untouched. `install_guards` puts it before the routes; a route's role is checked
by its own `needs(...)`.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bessai.interfaces.api import problems
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.identity import Caller
from bessai.interfaces.api.problems import Problem

API = "/api/v1"
COOKIE = "bessai_session"
CSRF = "x-csrf-token"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = frozenset({f"{API}/session", f"{API}/setup", "/healthz", "/readyz"})
"""Answered before the page is set up."""
_SIGN_IN = frozenset({("POST", f"{API}/session"), ("POST", f"{API}/setup")})
"""Changes that a page without a session's word may ask for: Origin guards them."""
ADMIN = (f"{API}/users", f"{API}/tokens", f"{API}/audit", f"{API}/log-level")
"""What a token needs the scope `admin` for."""

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
    "magnetometer=(), microphone=(), midi=(), payment=(), usb=(), serial=(), hid=()",
}
_HSTS = f"max-age={365 * 86400}"
"""Only with the site's certificate. Of our own a browser warns: it ignores the header (RFC 6797, 8.1), and one that was
told to trust it would show no way past the warning once the next one is made."""

log = logging.getLogger(__name__)


def install_guards(app: FastAPI, context: Context) -> None:
    """Put the guards before all routes of an application."""
    app.add_middleware(Guard, context=context)


def cookie_name(scheme: str) -> str:
    """The session's cookie; under TLS no other host and no plain connection can set it."""
    return f"__Host-{COOKIE}" if scheme == "https" else COOKIE


def cookie_of(headers: Headers, scheme: str) -> str | None:
    """The session's secret that a request holds."""
    name = cookie_name(scheme)
    for header in headers.getlist("cookie"):
        for part in header.split(";"):
            try:
                held = SimpleCookie(part.strip()).get(name)
            except CookieError:
                continue
            if held is not None and held.value:
                return held.value
    return None


def known_hosts(bound: str, name: str | None) -> frozenset[str]:
    """Names by which a browser may reach us, besides addresses.

    A page of a stranger can let its own name point to our address, and is then, for the browser, of our origin. It
    cannot do so with an address, with `localhost`, nor with the name of this machine.
    """
    own = socket.gethostname().lower()
    names = {"localhost", "ip6-localhost", bound.lower(), own, f"{own}.local", own.split(".")[0]}
    if name:
        names.add((urlsplit(f"//{name}").hostname or name).lower())
    return frozenset(names - {""})


class Guard:
    """The middleware.

    Args:
        app: what stands behind.
        context: of the server.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._hosts = known_hosts(context.settings.host, context.settings.name)
        self._hsts = None if context.settings.own_certificate else _HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # there are none
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sealed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _seal(MutableHeaders(scope=message), scope, self._hsts)
            await send(message)

        try:
            await self._let_in(scope)
        except Problem as problem:
            await problems.respond(problem, scope, receive, sealed)
            return
        except Exception:
            log.exception("no caller could be looked up")
            unreadable = Problem(
                503, "identity_unreadable", "users cannot be looked up: see the gateway's log"
            )
            await problems.respond(unreadable, scope, receive, sealed)
            return
        try:
            await self._app(scope, receive, sealed)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if begun:
                raise
            fault = Problem(500, "internal", "this is a fault of the gateway: see its log")
            await problems.respond(fault, scope, receive, sealed)

    async def _let_in(self, scope: Scope) -> None:
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        state = scope.setdefault("state", {})
        state["principal"] = state["caller"] = None
        changing = method not in READING
        self._check_host(headers)
        if changing:
            _check_origin(headers)
        if (path.startswith("/api") or path == "/metrics") and path not in OPEN:
            self._check_set_up()
        caller = await self._find(scope, headers)
        if caller is None:
            return
        if caller.scopes is not None:
            _check_scopes(caller.scopes, path, changing=changing)
        elif changing and (method, path) not in _SIGN_IN:
            shown = headers.get(CSRF, "")
            if not hmac.compare_digest(shown.encode("utf-8", "replace"), caller.csrf.encode()):
                raise Problem(403, "csrf", "X-CSRF-Token: send the csrf word of GET /api/v1/session")
        state["principal"], state["caller"] = caller.principal, caller

    def _check_set_up(self) -> None:
        if self._context.identity.setup_needed:
            raise Problem(
                403, "not_set_up", "nobody has set this gateway up: open the link of its log, "
                "or of `bessai user setup-link`",
            )  # fmt: skip

    def _check_host(self, headers: Headers) -> None:
        given = headers.getlist("host")
        try:
            host = (urlsplit(f"//{given[0]}").hostname or "") if len(given) == 1 else ""
        except ValueError:
            host = ""
        host = host.rstrip(".")
        if host in self._hosts or _is_address(host):
            return
        raise Problem(
            421,
            "unknown_host",
            f"host={host[:100]!r}: use the gateway's address, or set HTTP_NAME to this name",
        )

    async def _find(self, scope: Scope, headers: Headers) -> Caller | None:
        given = headers.get("authorization")
        if given is not None:
            kind, _, secret = given.partition(" ")
            caller = None
            if kind.lower() == "bearer" and 0 < len(secret.strip()) <= 256:
                caller = await self._context.identity.find(token=secret.strip())
            if caller is None:
                raise Problem(
                    401, "token_invalid", "the API token is unknown, over, or of a user who may not sign in",
                    headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
                )  # fmt: skip
            return caller
        cookie = cookie_of(headers, scope.get("scheme", "http"))
        if cookie is None or len(cookie) > 256:
            return None
        return await self._context.identity.find(session=cookie)


def _check_origin(headers: Headers) -> None:
    """A browser tells which page asks; programs send neither header."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise Problem(403, "cross_site", "another site's page asked for a change")
    origin = headers.get("origin")
    if origin is not None:
        try:
            same = urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
        except ValueError:
            same = False
        if not same:
            raise Problem(403, "cross_site", "another site's page asked for a change")


def _check_scopes(scopes: Iterable[str], path: str, *, changing: bool) -> None:
    if any(path == place or path.startswith(f"{place}/") for place in ADMIN):
        needed = "admin"
    else:
        needed = "control" if changing else "read"
    if needed not in scopes:
        raise Problem(
            403, "scope_missing", f"this needs the scope {needed}; the token has {', '.join(sorted(scopes))}"
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _seal(headers: MutableHeaders, scope: Scope, hsts: str | None) -> None:
    for name, value in _HEADERS.items():
        headers[name] = value
    if hsts is not None and scope.get("scheme") == "https":
        headers["strict-transport-security"] = hsts
    if scope["path"].startswith("/api"):
        headers["cache-control"] = "no-store"
    elif scope["path"] in {"/metrics", "/healthz", "/readyz"}:
        headers.setdefault("cache-control", "no-store")
