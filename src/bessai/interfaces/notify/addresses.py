"""Addresses are secrets: where they come from, and what may be shown of them, which is their kind alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from bessai.interfaces.notify.schema import Address, expand

_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]{0,31})://.")
_AFTER_SCHEME = re.compile(r"(?<=://).*", re.DOTALL)
_PARTS = re.compile(r"[/:@?&=#,+]+")
HIDDEN: Final = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One address of a recipient."""

    name: str
    """Recipient and kind, for example `ana/mailto`; a second one of a kind is `ana/mailto-2`. No secret."""
    recipient: str
    url: str = field(repr=False)
    """Secret."""


def read_address(address: Address, environment: Mapping[str, str], folder: Path) -> str:
    """The URL of an address; a relative `url_file` is beside the notification file.

    Raises:
        ValueError: there is none, and what to do about it. The message holds nothing of the URL.
    """
    if address.url is not None:
        url = expand(address.url, environment)
    else:
        path = folder / str(address.url_file)
        try:
            url = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError("is not UTF-8 text; write the URL into it and nothing else") from None
    if not _SCHEME.match(url) or "\n" in url:
        raise ValueError("holds no URL such as mailto://… or tgram://…; see docs/notifications.md")
    return url


def kind_of(url: str) -> str:
    """What may be shown of a URL: its scheme. Of a service's own web address that is `https`."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else "unknown"


def masked(text: str) -> str:
    """A text in which everything behind the first `://` is hidden."""
    return _AFTER_SCHEME.sub(HIDDEN, text, count=1)


def scrubbed(text: str, url: str) -> str:
    """What a library said, without anything of the URL beyond its scheme and host."""
    rest = url.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, _, host = authority.rpartition("@")
    behind = rest[len(authority) :]
    secrets = {url, rest, login, behind, *_PARTS.split(login), *_PARTS.split(behind)}
    # The "host" of tgram://TOKEN/… and the like is a secret too, and that of USER:PASS/WORD@HOST is no host.
    if not login and ("." not in host or "@" in behind):
        secrets |= {host, *host.split(":")}
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST and secret.lower() != "localhost":
            text = text.replace(secret, HIDDEN)
    return text


_SHORTEST: Final = 4
"""Characters of a part that counts as a secret: shorter ones are ports and switches, and occur in any sentence."""
