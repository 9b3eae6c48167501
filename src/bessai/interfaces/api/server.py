"""The process: opens the door where it may, keeps the certificate fresh, ends within 1.5 s."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing

import uvloop
from starlette.types import ASGIApp

from bessai.interfaces import structured
from bessai.interfaces.api.addresses import is_loopback
from bessai.interfaces.api.app import create_app
from bessai.interfaces.api.connection import Patience
from bessai.interfaces.api.connections import Door
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.limits import Limits
from bessai.interfaces.api.live import Live
from bessai.interfaces.api.page import Page
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.settings import ApiSettings
from bessai.interfaces.api.tls import Certificate, encrypted
from bessai.interfaces.api.tracing import Traced
from bessai.interfaces.ending import Ending
from bessai.interfaces.tracing import Tracing
from bessai.logs import Levels, Origin

_log = logging.getLogger("bessai.page")

_HERE = "127.0.0.1"
_ALL = ("0.0.0.0", "::")  # noqa: S104  only when HTTP_HOST says so
_SETUP_LOOK = 0.5
_CERTIFICATE_LOOK = 30.0
_LEVELS_LOOK = 2.0
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)


def build(settings: ApiSettings) -> Context:
    """The parts of the server.

    Raises:
        OSError: the users' file cannot be used.
    """
    from bessai.interfaces.api.audit import Audit  # noqa: PLC0415  tests serve with parts of their own
    from bessai.interfaces.api.identity import Identity  # noqa: PLC0415  as above
    from bessai.interfaces.api.identity.database import IdentityError  # noqa: PLC0415  as above

    gateway = Gateway(settings.socket)
    try:
        identity = Identity(settings.data_dir / "identity.db")
    except IdentityError as error:
        raise OSError(str(error)) from error
    return Context(
        settings=settings,
        gateway=gateway,
        identity=identity,
        audit=Audit(settings.data_dir / "audit"),
        live=Live(settings.socket, settings.site, gateway),
        tracing=Tracing(settings.sampler, site=settings.site, exports=settings.otlp_endpoint is not None),
    )


def application(context: Context) -> ASGIApp:
    """Everything that answers a request: limits, guards, routes, and the page for the rest."""
    app = create_app(context)
    app.router.default = Page()
    return Traced(Limits(app), context.tracing, context.measured)


class Server:
    """Serves until cancelled.

    Args:
        context: its parts.
        patience: with slow connections.
        pauses: seconds before the port is tried again.
    """

    def __init__(
        self, context: Context, patience: Patience | None = None, pauses: Sequence[float] = _PAUSES
    ) -> None:
        self.context = context
        self.settings = context.settings
        self.door = Door(application(context), patience=patience)
        self.certificate = Certificate(self.settings)
        self.port = self.settings.port
        """The one that is listened on, once it is."""
        self._said = ""
        self._pauses = pauses

    async def run(self) -> None:
        """Open the door, and open it further when somebody has set the page up."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.context.live.run())
                group.create_task(self._keep_fresh())
                group.create_task(self._keep_levels())
                await self._serve()
        finally:
            await self.door.close()

    def hosts(self, *, set_up: bool) -> list[str]:
        """Where to listen."""
        host = self.settings.host if set_up else self.settings.setup_host
        if host == _HERE:
            return [_HERE]
        return [host] if host in _ALL or host == "localhost" else [_HERE, host]

    def link(self, host: str | None = None) -> str:
        """The page's address for people; for this machine alone before it is set up."""
        shown = host or self.settings.name
        if shown is None:
            shown = socket.gethostname() if self.settings.host in _ALL else self.settings.host
        address = _HERE if is_loopback(shown) else "192.0.2.1"  # a name that is not this machine's alone
        scheme = "https" if encrypted(self.settings, address) else "http"
        return f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{self.port}"

    async def _serve(self) -> None:
        identity = self.context.identity
        if identity.setup_needed:
            await self._listen(self.hosts(set_up=False), "HTTP_SETUP_HOST")
            _log.info("nobody has set the page up: open %s", identity.setup_link(self.link(_HERE)))
            while await self.context.read(lambda: identity.setup_needed):  # noqa: ASYNC110  `bessai user` may do it too
                await asyncio.sleep(_SETUP_LOOK)
            if self.hosts(set_up=True) == self.hosts(set_up=False):
                await asyncio.Event().wait()
            await self.door.unlisten()
        await self._listen(self.hosts(set_up=True))
        _log.info("the page: %s", self.link())
        await asyncio.Event().wait()

    async def _listen(self, hosts: list[str], setting: str = "HTTP_HOST") -> None:
        for host in hosts:
            attempt = 0
            while True:
                try:
                    self.port = self.door.listen(host, self.port, self._tls)
                    break
                except OSError as error:
                    self._say(_why(error, host, self.port, setting))
                await asyncio.sleep(self._pauses[min(attempt, len(self._pauses) - 1)])
                attempt += 1

    def _tls(self, address: str) -> ssl.SSLContext | None:
        return self.certificate.context() if encrypted(self.settings, address) else None

    async def _keep_fresh(self) -> None:
        since = _CERTIFICATE_LOOK
        while True:
            self.door.tell_time()
            if since >= _CERTIFICATE_LOOK and (
                self.settings.tls == "on" or not is_loopback(self.settings.host)
            ):
                since = 0.0
                if self.settings.tls != "off":
                    try:
                        await self.context.read(self.certificate.refresh)
                    except OSError as error:
                        self._say(str(error))
            await asyncio.sleep(1.0)
            since += 1.0

    async def _keep_levels(self) -> None:
        """Be as loud as the control plane says, see `bessai log-level`."""
        levels = Levels(self.settings.log_level)
        while True:
            await asyncio.sleep(_LEVELS_LOOK)
            with contextlib.suppress(Problem):
                answer = await self.context.gateway.ask({"op": "log_level"})
                levels.apply(answer["log"]["changed"])

    def _say(self, problem: str) -> None:
        """Once, until it is another one."""
        if problem != self._said:
            self._said = problem
            _log.error("%s", problem)


def _why(error: OSError, host: str, port: int, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"HTTP_PORT={port}: another program listens on {host}:{port}; end it, or set HTTP_PORT to a free port"
    if error.errno == errno.EACCES:
        return f"HTTP_PORT={port}: ports below 1024 need a privilege; set HTTP_PORT to 8080 or so"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{setting}={host}: this machine has no such address; set {setting} to one of its own"
    return f"{setting}={host}, HTTP_PORT={port}: cannot listen: {error.strerror}"


def main() -> int:
    """Run as `python -m bessai.interfaces.api`. Returns the exit code: 0 when told to end, 2 for bad settings."""
    try:
        settings = ApiSettings.from_environment(os.environ)
    except ValueError as error:
        print(f"bessai.interfaces.api: {error}", file=sys.stderr)
        return 2
    structured.set_up(settings.log_level, settings.log_format, Origin(settings.site, "page"))
    ready = threading.Event()
    ends: list[Callable[[], None]] = []
    handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []

    async def serve() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  it runs
        handles.append((asyncio.get_running_loop(), task))
        ready.set()
        try:
            context = build(settings)
        except OSError as error:
            _log.error("the page cannot be served: %s", error)
            os._exit(1)
        if settings.otlp_endpoint is not None:
            from bessai.interfaces.api import telemetry  # noqa: PLC0415  13 MB

            ends.append(
                telemetry.start(
                    endpoint=settings.otlp_endpoint, service_name=settings.service_name, site=settings.site,
                    tracing=context.tracing, measured=context.measured, page=context.page_figures,
                )
            )  # fmt: skip
        await Server(context).run()

    def work() -> None:
        try:
            uvloop.run(serve())
        except asyncio.CancelledError:
            pass
        except BaseException:  # noqa: BLE001  nothing else is left to do
            _log.exception("the page cannot be served")
            os._exit(1)

    with closing(Ending()) as ending:
        thread = threading.Thread(target=work, name="page", daemon=True)
        thread.start()
        ready.wait()
        _log.info("ending: %s", ending.wait())
        loop, task = handles[0]
        loop.call_soon_threadsafe(task.cancel)
        thread.join(0.8)
        for end in ends:
            end()
    sys.stderr.flush()
    os._exit(0)  # threads that read the disk are not waited for


__all__ = ["Server", "application", "build", "main"]
