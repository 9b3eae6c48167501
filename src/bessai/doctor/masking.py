"""What leaves a support bundle without secrets and names.

Three sieves, each on every text: the secrets that this machine is known to hold, word for word and as they are written
in JSON and addresses; what looks like one (keys, bearer tokens, passwords in addresses, `token=…`); and people's
names, which become the same sign throughout one bundle and another one in the next.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import shlex
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from bessai.model.masking import MASK, QUERY, in_text, is_secret

_SHORTEST = 4
"""Characters: shorter secrets would mask innocent text. Their settings are masked by name."""
_HOST = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}")
_CHANNEL_PART = 8
"""Characters of a part of a notification's address: shorter ones are words and hosts' endings."""
_PEM = re.compile(
    r"-----BEGIN ([A-Z0-9 ]*(?:PRIVATE KEY|NKEY SEED|USER JWT)[A-Z0-9 ]*)-----.*?-----END \1-----", re.DOTALL
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_NAMED = re.compile(
    r"(?i)(\\?[\"']?\b[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|private_key|credential)\w*\\?[\"']?"
    r"\s*[:=]\s*)(\\?[\"']?)([^\s\"'\\,;&}\]]+)"
)
_PATHS = re.compile(r"(_FILE|_PATH|_credentials_file|_file)\\?[\"']?\s*[:=]\s*$", re.IGNORECASE)
_USER_INFO = re.compile(r"//[^\s,]*@")
"""As far as the last @: here rather too much goes than too little."""
_HOME = re.compile(r"(/home/)([^/\s\"':]+)")
_BY = re.compile(
    r"\b(by )(?!user-)([^\s:;,()]{2,64})(?= \((?:viewer|operator|engineer|administrator|machine)\))"
    r"|(?<!limited )(?<!stopped )\b(by )(?!user-)([^\s:;,()]{2,64})(?=: )"
    r"|([,;] (?:asked )?by )(?!user-)([^\s:;,()]{2,64})"
)
"""As events tell who did something."""
_NAMES = frozenset({"user", "users", "by", "acknowledged_by", "shelved_by", "authorised_by"})
"""Members of plain data that hold a person's name."""
_COMMON = frozenset({
    "viewer", "operator", "engineer", "administrator", "machine", "root", "admin", "user", "test", "gateway", "bessai",
    "grid", "plant", "site", "local", "none", "info", "alarm", "warning", "power",
})  # fmt: skip
"""Names that are words of the gateway too: in free text they stay, as people's names in members they go."""


class Sieve:
    """Takes secrets and names out of texts and plain data.

    Args:
        known: secrets, as they are.
        names: of people.
    """

    def __init__(self, known: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        self._salt = secrets.token_bytes(16)  # never kept: no name can be tried against a sign afterwards
        forms = {form for secret in known if len(secret) >= _SHORTEST for form in _forms(secret)}
        self._known = _any_of(forms)
        self._people = _any_of({n for n in names if len(n) >= 3 and n.lower() not in _COMMON}, words=True)

    def text(self, text: str) -> str:
        """A text without them."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = _PEM.sub(f"{MASK} \\1", text)
        text = _BEARER.sub(rf"\1 {MASK}", text)
        text = in_text(_USER_INFO.sub(f"//{MASK}@", text))
        text = _NAMED.sub(_masked_value, QUERY.sub(rf"\g<1>{MASK}", text))
        text = _HOME.sub(lambda found: found[1] + self.sign(found[2]), text)
        text = _BY.sub(
            lambda found: (found[1] or found[3] or found[5]) + self.sign(found[2] or found[4] or found[6]),
            text,
        )
        if self._people is not None:
            text = self._people.sub(lambda found: self.sign(found[0]), text)
        return text

    def plain(self, data: Any, name: str = "") -> Any:
        """Plain data without them; members with a person's name become signs, members with a secret's name go."""
        if isinstance(data, dict):
            return {key: self.plain(value, str(key)) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.plain(value, name) for value in data]
        if not isinstance(data, str):
            return data
        if is_secret(name):
            return MASK
        return self.sign(data) if name in _NAMES and data else self.text(data)

    def sign(self, name: str) -> str:
        """What stands for a name in this bundle."""
        return f"user-{hmac.new(self._salt, name.encode(), hashlib.sha256).hexdigest()[:8]}"


def _masked_value(found: re.Match[str]) -> str:
    """The names of files with secrets are no secrets; neither is that there is none."""
    value = found[3].lower()
    harmless = _PATHS.search(found[1]) or value in {"null", "none", "unset", "true", "false", "***", MASK}
    return found[0] if harmless else f"{found[1]}{found[2]}{MASK}"


def _any_of(texts: Iterable[str], *, words: bool = False) -> re.Pattern[str] | None:
    """The longest first: one may be the beginning of another."""
    escaped = [re.escape(text) for text in sorted(texts, key=len, reverse=True)]
    if not escaped:
        return None
    either = "|".join(escaped)
    return re.compile(rf"\b(?:{either})\b" if words else either)


def _forms(secret: str) -> set[str]:
    """As it is, as JSON writes it, and as addresses do."""
    written = json.dumps(secret)[1:-1]
    return {
        secret,
        written,
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote(secret),
    }


def known_secrets(given: Mapping[str, str]) -> set[str]:
    """Every secret that the settings hold, or that a file they name does, also where they cannot be used.

    Args:
        given: the unchecked texts by variable name. A file that cannot be read holds nothing that is known.
    """
    found: set[str] = set()
    for name, value in given.items():
        if is_secret(name):
            found.add(value)
        elif name.startswith("NOTIFY_"):
            found |= _of_channels(value) if "://" in value else _of_notify_file(Path(value))
        elif "://" in value or "@" in value:
            found |= _of_address(value)
        elif name.endswith(("_PASSWORD_FILE", "_TOKEN_FILE")):
            found.add(_read(Path(value)).strip())
        elif name.endswith(("_KEY_FILE", "_CREDENTIALS_FILE")):
            found |= set(_lines(_read(Path(value))))
        elif name == "GOOGLE_APPLICATION_CREDENTIALS":
            found |= _of_json(_read(Path(value)))
    return {secret for secret in found if len(secret) >= _SHORTEST}


def _of_address(value: str) -> set[str]:
    found = set()
    for part in value.split(","):
        try:
            url = urlsplit(part.strip())
        except ValueError:
            continue
        found |= {secret for raw in (url.username, url.password) if raw for secret in (raw, unquote(raw))}
    return found


def _of_channels(text: str) -> set[str]:
    """What follows each `://`, and its parts: notifications' addresses hold tokens anywhere, also where hosts stand."""
    found: set[str] = set()
    for rest in re.findall(r"://([^\s\"']+)", text):
        parts = [part for part in re.split(r"[/:@?&=#,+]+", rest) if not _HOST.fullmatch(part)]
        found |= {rest, *(part for part in parts if len(part) >= _CHANNEL_PART)}
    return found


def _of_notify_file(path: Path) -> set[str]:
    """By looking at the text: the file may be one that cannot be used."""
    text = _read(path)
    found = _of_channels(text)
    for name in re.findall(r"url_file[\"']?\s*:\s*[\"']?([^\s\"',}]+)", text):
        found |= _of_channels(_read(path.parent / name))
    for name in re.findall(r"\$\{(\w+)\}", text):
        value = os.environ.get(name, "")
        found |= _of_channels(value) if "://" in value else {value}
    return found


def without_strange_variables(unit: str, known: Collection[str]) -> str:
    """A systemd unit without the values of variables that are no settings: they may be addresses of notifications."""

    def told(line: re.Match[str]) -> str:
        try:
            pairs = [word.partition("=") for word in shlex.split(line[2].replace("\\\n", " "))]
        except ValueError:  # a quotation mark that nothing ends
            return f"{line[1]}{MASK}"
        return line[1] + " ".join(f"{name}={value if name in known else MASK}" for name, _, value in pairs)

    return re.sub(r"(?m)^([ \t]*Environment=)((?:[^\n]*\\\n)*[^\n]*)$", told, unit)


def _lines(text: str) -> list[str]:
    """The lines of a key, which are secret each; its frame is not."""
    return [line.strip() for line in text.splitlines() if len(line.strip()) >= 16 and "-----" not in line]


def _of_json(text: str) -> set[str]:
    try:
        document = json.loads(text)
    except ValueError:
        return set()
    wanted = ("private_key", "private_key_id", "client_secret", "refresh_token", "client_id")
    members = {str(document[name]) for name in wanted if isinstance(document, dict) and document.get(name)}
    return members | {line for member in members for line in _lines(member)}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
