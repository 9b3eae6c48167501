"""What is secret in a setting: never shown, logged or told, not even by the sentence that says what is wrong."""

from __future__ import annotations

import re
from typing import Any

MASK = "••••"

_SECRET = re.compile(r"(?i)(PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET|API_?KEY)S?$")
_NEARLY = re.compile(r"(?i)PASS|TOK|SECR|CRED|KEY|AUTH")
"""A misspelt name: MQTT_PASSWRD holds a password all the same."""
_USER_INFO = re.compile(r"//(?:(?!,[A-Za-z][A-Za-z0-9+.-]*://)\S)*@")
"""As far as the last @ of each address: a password may have a slash or a comma that somebody forgot to escape."""
_IN_TEXT = re.compile(r"""//(?:[^/@:\["'\s]*:(?!\d{1,5}/)(?:(?!://)[^"'\s])*|[^/"'\s]*)@""")
"""In a text what follows the first slash is a path, unless `user:` begins it; what looks like a port is one."""
QUERY = re.compile(r"(?i)([?&][^=&\s]*(?:password|token|secret|key)[^=&\s]*=)[^&\s,]*")


def is_secret(name: str) -> bool:
    """Whether the value of a setting of this name is a secret itself; a file that holds one is none."""
    return _SECRET.search(name) is not None


def masked(name: str, value: Any, mask: str = MASK) -> Any:
    """A value as it may be shown: no secret, and no user or password inside an address."""
    if value is None:
        return None
    if is_secret(name):
        return mask
    return address(value, mask) if isinstance(value, str) else value


def address(text: str, mask: str = MASK) -> str:
    """An address, or several, without user, password, and secrets of the query."""
    return QUERY.sub(rf"\g<1>{mask}", _USER_INFO.sub(f"//{mask}@", text))


def in_text(text: str, mask: str = MASK) -> str:
    """A text that people or libraries wrote, without users and passwords inside its addresses."""
    return _IN_TEXT.sub(f"//{mask}@", text) if "@" in text else text


def refused(name: str, value: object, mask: str = MASK) -> str:
    """A value that cannot be used, as the complaint may show it: its name may be misspelt, its address broken."""
    text = str(value)
    if _NEARLY.search(name) and not name.upper().endswith(("_FILE", "_CREDENTIALS")):
        return mask
    if "@" in text:  # before it may be a password, whether or not this reads as an address
        scheme, separator, rest = text.partition("://")
        host = (rest if separator else text).rpartition("@")[2]
        text = f"{scheme}{separator}{mask}@{host}" if separator else f"{mask}@{host}"
    text = address(text, mask)
    return text if len(text) <= 60 else text[:57] + "…"
