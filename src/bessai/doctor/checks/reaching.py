"""Reaching others: names, connections and TLS, each with a time limit. Nothing is asked beyond the handshake."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

TIMEOUT = 4.0
"""Seconds for each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Somebody answers."""

    milliseconds: float
    """Until the connection stood, with TLS where there is some."""
    days: float | None = None
    """Until the other side's certificate ends; None without TLS."""


def reach(
    host: str,
    port: int,
    context: ssl.SSLContext | None = None,
    *,
    before: Callable[[socket.socket], None] | None = None,
) -> Reached:
    """Connect, shake hands where a context is given, and go.

    Args:
        host: name or address.
        port: of TCP.
        context: how the other side is checked; None: no TLS.
        before: what is said in plain before TLS begins.

    Raises:
        OSError: it cannot be reached, or is not who it should be.
    """
    started = time.perf_counter()
    with socket.create_connection((host, port), timeout=TIMEOUT) as plain:
        if before is not None:
            before(plain)
        if context is None:
            return Reached(milliseconds=(time.perf_counter() - started) * 1e3)
        with context.wrap_socket(plain, server_hostname=host) as secured:
            ends = (secured.getpeercert() or {}).get("notAfter")
            return Reached(
                milliseconds=(time.perf_counter() - started) * 1e3,
                days=_days(str(ends)) if ends is not None else None,
            )


def why(error: OSError) -> str:
    """In words, without the numbers of the system."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return "the name is not known (DNS)"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or str(error)


def resolve(host: str) -> list[str]:
    """Addresses of a name. Raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


def _days(text: str) -> float:
    end = dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(text), dt.UTC)
    return (end - dt.datetime.now(dt.UTC)).total_seconds() / 86_400
