"""Operator, account and user of a NATS server that trusts signed tokens, made for one test."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_OPERATOR, _ACCOUNT, _USER, _SEED = 14 << 3, 0, 20 << 3, 18 << 3
_LIMITS: Final = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
_STREAMS: Final = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


class _Key:
    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.private = Ed25519PrivateKey.generate()
        self.public = _text(bytes([kind]) + self.private.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        first = bytes([_SEED | self.kind >> 5, (self.kind & 31) << 3])
        return _text(first + self.private.private_bytes_raw())

    def sign(self, subject: _Key, **claims: Any) -> str:
        parts = [
            {"typ": "JWT", "alg": "ed25519-nkey"},
            {"jti": "1", "iat": 1, "iss": self.public, "sub": subject.public, "name": "test",
             "nats": {"version": 2, **claims}},
        ]  # fmt: skip
        signed = ".".join(_part(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{_part(self.private.sign(signed.encode()))}"


def operator_config(credentials: Path) -> str:
    """Lines for the server's configuration. Writes the credentials of a user who may do all."""
    operator, account, system, user = (_Key(kind) for kind in (_OPERATOR, _ACCOUNT, _ACCOUNT, _USER))
    tokens = {
        account.public: operator.sign(account, type="account", limits=_LIMITS | _STREAMS),
        system.public: operator.sign(system, type="account", limits=_LIMITS),
    }
    preloaded = ", ".join(f'{public}: "{token}"' for public, token in tokens.items())
    jwt = account.sign(user, type="user", pub={}, sub={}, subs=-1, data=-1, payload=-1)
    credentials.write_text(
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )
    return (
        f'operator: "{operator.sign(operator, type="operator")}"\nsystem_account: {system.public}\n'
        f"resolver: MEMORY\nresolver_preload: {{ {preloaded} }}"
    )


def _text(data: bytes) -> str:
    checked = data + binascii.crc_hqx(data, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
