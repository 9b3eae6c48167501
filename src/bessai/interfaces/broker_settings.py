"""What the couriers of Kafka and NATS are told by the environment. Their libraries are not needed to read it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from bessai.model.masking import refused

_ENCRYPTED: Final = "because a password may only cross a network encrypted"
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_COMPRESSIONS: Final = ("none", "gzip", "zstd", "lz4", "snappy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the broker proves who it is, and how we do."""

    ca_file: Path | None = None
    """Certificates of authorities that are trusted; None: the operating system's."""
    cert_file: Path | None = None
    """Our own certificate, with its chain; None: none is shown."""
    key_file: Path | None = None
    """Its key; None: it stands in `cert_file`."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], prefix: str) -> Tls:
        """Reads `<prefix>_CA_FILE`, `_CERT_FILE` and `_KEY_FILE`.

        Raises:
            ValueError: a file cannot be used, or there is a key without a certificate.
        """
        ca, cert, key = (_file(environment, f"{prefix}_{name}_FILE") for name in ("CA", "CERT", "KEY"))
        if key and not cert:
            raise ValueError(
                f"{prefix}_CERT_FILE is not set: set it to the certificate of {prefix}_KEY_FILE={key}"
            )
        tls = cls(ca_file=ca, cert_file=cert, key_file=key)
        for name, load in (
            (f"{prefix}_CA_FILE={ca}", tls.trusting),
            (f"{prefix}_CERT_FILE={cert}", tls.context),
        ):
            try:
                load()
            except (ssl.SSLError, OSError) as error:
                raise ValueError(
                    f"{name}: give PEM files, certificate and key of each other ({error})"
                ) from None
        return tls

    def trusting(self) -> ssl.SSLContext:
        """A context without our own certificate."""
        return ssl.create_default_context(cafile=self.ca_file)

    def context(self) -> ssl.SSLContext:
        """Verifies the broker's certificate and name; shows ours when there is one.

        Raises:
            OSError: a file cannot be read, or is none of its kind (ssl.SSLError).
        """
        context = self.trusting()
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file, password="")
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """See docs/kafka-nats.md."""

    brokers: tuple[str, ...]
    """`host:port` of some brokers of the cluster; the others are learnt from them."""
    topic: str
    tls: Tls | None
    """None: not encrypted."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: str = "SCRAM-SHA-512"
    """How the password is proven (SASL)."""
    compression: str | None = "gzip"
    """Of the batches; None: none."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> KafkaSettings | None:
        """None without `KAFKA_BROKERS`.

        Raises:
            ValueError: one clear sentence about the first mistake.
        """
        text = environment.get("KAFKA_BROKERS")
        if not text:
            return None
        brokers = tuple(part.strip() for part in text.split(","))
        shown = refused("KAFKA_BROKERS", text)
        for broker in brokers:
            found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})", broker)
            if found is None or not 1 <= int(found[2]) <= 65535:
                raise ValueError(
                    f"KAFKA_BROKERS={shown}: {refused('', broker)!r} is no host:port; give host:port,host:port"
                )
        topic = environment.get("KAFKA_TOPIC") or "bessai.records"
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", topic) or topic in {".", ".."}:
            raise ValueError(
                f"KAFKA_TOPIC={topic}: give up to 249 letters, digits, dots, dashes and underscores"
            )
        encrypted = _one_of(environment, "KAFKA_TLS", ("true", "false"), "true") == "true"
        username, password = _account(environment, "KAFKA")
        if username and not encrypted and not all(_is_here(broker.rpartition(":")[0]) for broker in brokers):
            raise ValueError(f"KAFKA_TLS=false: remove it, or KAFKA_USERNAME, {_ENCRYPTED}")
        compression = _one_of(environment, "KAFKA_COMPRESSION", _COMPRESSIONS, "gzip")
        return cls(
            brokers=brokers,
            topic=topic,
            tls=Tls.from_environment(environment, "KAFKA") if encrypted else None,
            username=username,
            password=password,
            mechanism=_one_of(environment, "KAFKA_SASL_MECHANISM", _MECHANISMS, "SCRAM-SHA-512"),
            compression=None if compression == "none" else compression,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsSettings:
    """See docs/kafka-nats.md."""

    servers: tuple[str, ...]
    """URLs of some servers of the cluster, without user and password."""
    subject: str
    stream: str | None = None
    """The stream that has to store the records; None: any that listens to the subject."""
    tls: Tls | None = None
    """None: not encrypted."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    credentials: Path | None = None
    """File with a user's JWT and seed, as `nsc generate creds` writes it."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], site: str) -> NatsSettings | None:
        """None without `NATS_URL`.

        Raises:
            ValueError: one clear sentence about the first mistake.
        """
        text = environment.get("NATS_URL")
        if not text:
            return None
        servers = tuple(part.strip() for part in text.split(","))
        shown = refused("NATS_URL", text)
        address = f"NATS_URL={shown}: give tls://host:4222, or nats://host:4222 without encryption"
        try:
            urls = [urlsplit(server) for server in servers]
            wrong = any(url.port == 0 for url in urls)
        except ValueError:  # brackets that do not match, a port that is none
            raise ValueError(address) from None
        for url in urls:
            if url.password or url.username:
                raise ValueError(
                    "NATS_URL holds a user or a password: move them to NATS_USERNAME and NATS_PASSWORD_FILE"
                )
            if wrong or url.scheme not in {"tls", "nats"} or not url.hostname or url.path.strip("/"):
                raise ValueError(address)
        encrypted = all(url.scheme == "tls" for url in urls)
        username, password = _account(environment, "NATS")
        token, credentials = _secret(environment, "NATS_TOKEN"), _file(environment, "NATS_CREDENTIALS_FILE")
        if sum(map(bool, (username, token, credentials))) > 1:
            raise ValueError("NATS_USERNAME, NATS_TOKEN and NATS_CREDENTIALS_FILE: set one of them")
        if (username or token) and not encrypted and not all(_is_here(url.hostname or "") for url in urls):
            raise ValueError(f"NATS_URL={shown}: give tls://, {_ENCRYPTED}")
        subject = environment.get("NATS_SUBJECT") or f"bessai.{subject_token(site)}.records"
        if not all(subject.split(".")) or re.search(r"[\s*>]", subject):
            raise ValueError(
                f"NATS_SUBJECT={subject}: give words with dots between them, without spaces, * and >"
            )
        stream = environment.get("NATS_STREAM") or None
        if stream and re.search(r"[\s.*>/\\]", stream):
            raise ValueError(f"NATS_STREAM={stream}: give a name without spaces, dots, slashes, * and >")
        return cls(
            servers=servers,
            subject=subject,
            stream=stream,
            tls=Tls.from_environment(environment, "NATS") if encrypted else None,
            username=username,
            password=password,
            token=token,
            credentials=credentials,
        )


def hint(tls: Tls | None, prefix: str) -> str:
    """A broker that misses our certificate says nothing and hangs up."""
    return f", and {prefix}_CERT_FILE when it wants a certificate" if tls and not tls.cert_file else ""


def subject_token(site: str) -> str:
    """A site as one word of a subject: what may not stand there is percent-encoded."""
    return quote(site, safe="").replace(".", "%2E")


def _account(environment: Mapping[str, str], prefix: str) -> tuple[str | None, str | None]:
    username, password = (
        environment.get(f"{prefix}_USERNAME") or None,
        _secret(environment, f"{prefix}_PASSWORD"),
    )
    if bool(username) != bool(password):
        missing = f"{prefix}_PASSWORD_FILE" if username else f"{prefix}_USERNAME"
        raise ValueError(f"{missing} is not set: set both user and password, or neither")
    return username, password


def _secret(environment: Mapping[str, str], name: str) -> str | None:
    """The value of `name`, or the content of the file that `<name>_FILE` names."""
    value, path = environment.get(name) or None, _file(environment, f"{name}_FILE")
    if value and path:
        raise ValueError(f"{name} and {name}_FILE are both set: remove one")
    if path is None:
        return value
    secret = path.read_text(encoding="utf-8").strip()
    if not secret:
        raise ValueError(f"{name}_FILE={path}: is empty")
    return secret


def _file(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name)
    if not text:
        return None
    try:
        with Path(text).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ValueError(f"{name}={text}: cannot be read: {error.strerror}") from None
    return Path(text)


def _one_of(environment: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    given = environment.get(name) or default
    for value in allowed:
        if given.lower() == value.lower():
            return value
    raise ValueError(f"{name}={given}: give one of {', '.join(allowed)}")


def _is_here(host: str) -> bool:
    """True for this machine's own addresses, which no network carries."""
    return host.strip("[]") in {"localhost", "::1"} or host.startswith("127.")
