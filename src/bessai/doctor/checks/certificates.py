"""The gateway's own certificates and the authorities that it trusts: when they end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, unknown, warn
from bessai.interfaces.certificates import OWN, in_settings, in_site

_SOON = 30.0
"""Days."""
_OWN_SOON = 28.0
"""Days: the gateway makes its own page's certificate anew 30 days before its end, so later means that it did not."""


def certificates(look: Look) -> Iterator[Finding]:
    """Every certificate file of settings, site file and DATA_DIR."""
    found = certificate_files(look)
    if not found:
        yield skipped()
    for name, path, key in found:
        yield from _judged(look, name, path, key)


def certificate_files(look: Look) -> list[tuple[str, Path, Path | None]]:
    """Name, certificate and, where it is the gateway's own, its key."""
    settings = {} if look.settings is None else look.settings.environment()
    found = [*in_settings(settings, look.data_dir), *(() if look.site is None else in_site(look.site))]
    return list({(one.path, one.key): (one.name, one.path, one.key) for one in found}.values())


def _judged(look: Look, name: str, path: Path, key: Path | None) -> Iterator[Finding]:
    facts = {"name": name, "file": str(path)}
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        yield unknown("unreadable", **facts, why=error.strerror or str(error))
        return
    except ValueError:
        yield bad("no_certificate", **facts)
        return
    now = dt.datetime.fromtimestamp(look.now(), dt.UTC)
    first = min(chain, key=lambda one: one.not_valid_after_utc)
    days = (first.not_valid_after_utc - now).total_seconds() / 86_400
    facts |= {"until": f"{first.not_valid_after_utc:%Y-%m-%d}"}
    if chain[0].not_valid_before_utc > now:
        yield bad("not_yet", **facts, since=f"{chain[0].not_valid_before_utc:%Y-%m-%d %H:%M}")
    elif days < 0:
        yield bad("over", **facts, days=-days)
    elif days < (_OWN_SOON if name == OWN else _SOON):
        yield warn("soon", **facts, days=days)
    else:
        yield ok(**facts, days=days)
    if key is not None:
        yield from _pair(chain[0], key, facts)


def _pair(certificate: x509.Certificate, key: Path, facts: dict[str, str]) -> Iterator[Finding]:
    """Nothing, or that the key is another certificate's."""
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except OSError as error:
        yield unknown("key_unreadable", **facts, key=str(key), why=error.strerror or str(error))
        return
    except (ValueError, TypeError):
        yield bad("no_key", **facts, key=str(key))
        return
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        yield bad("other_key", **facts, key=str(key))
