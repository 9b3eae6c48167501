"""The settings of MQTT, from the environment."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from bessai.model.masking import refused

_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """How to reach the broker, and what to do there; the names of the variables stand in `from_environment`."""

    host: str
    port: int
    tls: bool = True
    client_id: str
    """The Sparkplug connection adds `-sparkplug`."""
    username: str | None = None
    given_password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    """Read at every connection, so that a new password needs no restart."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's."""
    cert_file: Path | None = None
    """The client certificate, with its chain."""
    key_file: Path | None = None
    """Its private key; None: it is in `cert_file`."""
    keepalive: int = 30
    """Seconds; a broker that is silent for one and a half times as long is lost."""
    topic_prefix: str = "bessai"
    home_assistant: bool = False
    home_assistant_prefix: str = "homeassistant"
    commands: bool = False
    sparkplug_group: str | None = None
    """The Sparkplug group id; None: no Sparkplug."""

    @property
    def url(self) -> str:
        """The address as the user knows it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    def password(self) -> str | None:
        """The password as it is now.

        Raises:
            OSError: its file cannot be read.
        """
        if self.password_file is None:
            return self.given_password
        return self.password_file.read_text(encoding="utf-8").rstrip("\r\n")

    def tls_context(self) -> ssl.SSLContext:
        """The trust and the identity as the files have them now.

        Raises:
            OSError: a file cannot be read, or holds no certificate or key.
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self | None:
        """Read the settings; None when MQTT_URL is not set. A variable that is empty counts as not set.

        Raises:
            ValueError: with every mistake, one a line: variable, value, mend.
        """
        if not environment.get("MQTT_URL"):
            return None
        reading = _Reading(environment)
        host, port, tls = reading.address()
        settings = cls(
            host=host,
            port=port,
            tls=tls,
            client_id=reading.text("MQTT_CLIENT_ID") or f"bessai-{reading.text('SITE_ID')}",
            username=reading.text("MQTT_USERNAME"),
            given_password=reading.text("MQTT_PASSWORD"),
            password_file=reading.file("MQTT_PASSWORD_FILE"),
            ca_file=reading.file("MQTT_CA_FILE"),
            cert_file=reading.file("MQTT_CERT_FILE"),
            key_file=reading.file("MQTT_KEY_FILE"),
            keepalive=reading.seconds("MQTT_KEEPALIVE", 30),
            topic_prefix=reading.topic("MQTT_TOPIC_PREFIX", "bessai"),
            home_assistant=reading.flag("MQTT_HOME_ASSISTANT"),
            home_assistant_prefix=reading.topic("MQTT_HOME_ASSISTANT_PREFIX", "homeassistant"),
            commands=reading.flag("MQTT_COMMANDS"),
            sparkplug_group=reading.group() if reading.flag("MQTT_SPARKPLUG") else None,
        )
        reading.check_together(settings)
        if reading.problems:
            raise ValueError("\n".join(reading.problems))
        return settings


class _Reading:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._get = environment.get
        self.problems: list[str] = []

    def text(self, name: str) -> str | None:
        return self._get(name) or None

    def address(self) -> tuple[str, int, bool]:
        text = self._get("MQTT_URL", "")
        mend = "write mqtts://HOST:8883 (or mqtt://HOST:1883, which is not encrypted)"
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            self.problems.append(f"MQTT_URL={refused('MQTT_URL', text)} is not an address: {mend}")
            return "", 0, True
        if parts.username is not None or parts.password is not None:  # the value would show the password
            self.problems.append("MQTT_URL holds a user: use MQTT_USERNAME and MQTT_PASSWORD for that")
        elif parts.scheme not in {"mqtts", "mqtt"} or not host or parts.path.strip("/") or parts.query:
            self.problems.append(f"MQTT_URL={refused('MQTT_URL', text)} is not an address: {mend}")
        tls = parts.scheme != "mqtt"
        return host or "", port or (8883 if tls else 1883), tls

    def file(self, name: str) -> Path | None:
        text = self.text(name)
        if text is None:
            return None
        path = Path(text)
        try:
            path.open("rb").close()
        except OSError as error:
            self.problems.append(f"{name}={text} cannot be read: {error.strerror}")
        return path

    def flag(self, name: str) -> bool:
        text = self._get(name, "")
        if text.lower() not in _FLAGS:
            self.problems.append(f"{name}={text}: use true or false")
        return _FLAGS.get(text.lower(), False)

    def seconds(self, name: str, default: int) -> int:
        text = self._get(name) or str(default)
        if not re.fullmatch(r"[0-9]{1,5}", text) or not 5 <= int(text) <= 3600:
            self.problems.append(f"{name}={text}: give whole seconds from 5 to 3600")
            return default
        return int(text)

    def topic(self, name: str, default: str) -> str:
        text = self._get(name) or default
        if re.search(r"[+#\x00]|^[$/]|/$|//", text):
            self.problems.append(
                f"{name}={text}: use a topic without +, #, a leading $ or empty levels, such as {default}"
            )
        return text

    def group(self) -> str:
        text = self._get("MQTT_SPARKPLUG_GROUP", "")
        if not text or re.search(r"[+#/\x00]", text):
            self.problems.append(
                f"MQTT_SPARKPLUG_GROUP={text}: Sparkplug B needs a group id without +, # and /; set one"
            )
        return text

    def check_together(self, settings: MqttSettings) -> None:
        add = self.problems.append
        if settings.given_password is not None and settings.password_file is not None:
            add("MQTT_PASSWORD and MQTT_PASSWORD_FILE are both set: keep one")
        password = settings.given_password is not None or settings.password_file is not None
        if password and settings.username is None:
            add("MQTT_PASSWORD is set without MQTT_USERNAME: set the user name as well")
        if settings.key_file is not None and settings.cert_file is None:
            add("MQTT_KEY_FILE is set without MQTT_CERT_FILE: set the certificate as well")
        for name, path in (("MQTT_CA_FILE", settings.ca_file), ("MQTT_CERT_FILE", settings.cert_file)):
            if path is not None and not settings.tls:
                add(f"{name} is set but MQTT_URL is not encrypted: write mqtts:// in MQTT_URL")
        if settings.tls and not self.problems:
            try:
                settings.tls_context()
            except OSError:  # ssl.SSLError is one
                add(
                    "MQTT_CA_FILE, MQTT_CERT_FILE and MQTT_KEY_FILE: give PEM files, the key to the certificate"
                )
        if settings.commands:
            self._check_commands(settings, known=settings.username is not None and password)

    def _check_commands(self, settings: MqttSettings, *, known: bool) -> None:
        if not known and settings.cert_file is None:
            self.problems.append(
                "MQTT_COMMANDS=true needs authentication: set MQTT_USERNAME and MQTT_PASSWORD, or MQTT_CERT_FILE"
            )
        if not settings.tls and not _is_loopback(settings.host):
            self.problems.append(
                "MQTT_COMMANDS=true needs encryption: write mqtts:// in MQTT_URL (mqtt:// only for a broker on "
                "this machine)"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
