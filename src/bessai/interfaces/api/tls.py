"""The page's certificate: the site's, or one of our own.

Our own names this machine, its addresses and HTTP_NAME, and lasts a year; it is made anew 30 days before its end and
when what it names has changed. Browsers do not know it: compare the fingerprint that the log shows.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import os
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bessai.interfaces.api.addresses import is_loopback
from bessai.interfaces.api.settings import ApiSettings

_log = logging.getLogger(__name__)

_LASTS = dt.timedelta(days=365)
_RENEWED = dt.timedelta(days=30)


class Certificate:
    """Gives the TLS context of new connections; reads the files again when they change.

    Args:
        settings: whose files, or that there are none.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        own = settings.data_dir / "tls"
        self.ours = settings.own_certificate
        self.certificate = settings.cert_file if settings.cert_file and not self.ours else own / "page.pem"
        self.key = settings.key_file if settings.key_file and not self.ours else own / "page.key"
        self._seen: tuple[int, ...] = ()
        self._context: ssl.SSLContext | None = None
        self._valid = (dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC))
        self._said = ""
        self.fingerprint = ""
        """SHA-256, as browsers show it."""

    def context(self) -> ssl.SSLContext:
        """The one in use.

        Raises:
            OSError: there is no certificate that can be used (ssl.SSLError among them).
        """
        if self._context is None:
            self.refresh()
        assert self._context is not None  # noqa: S101  refresh made it, or raised
        return self._context

    def refresh(self) -> None:
        """Make our own anew when it is time, and read changed files. What cannot be used leaves the old in place.

        Raises:
            OSError: there is no old one either.
        """
        try:
            if self.ours and not self._still_good():
                self._make()
            seen = tuple(path.stat().st_mtime_ns for path in (self.certificate, self.key))
            if seen == self._seen:
                self._check_dates()
                return
            context, found = self._load()
        except (OSError, ValueError) as error:
            why = self._why(error)
            if self._context is None:
                raise OSError(why) from error
            self._say(f"{why}; the one read before stays in use")
            return
        self._seen, self._context = seen, context
        self._valid = (found.not_valid_before_utc, found.not_valid_after_utc)
        self.fingerprint = found.fingerprint(hashes.SHA256()).hex(":").upper()
        _log.info(
            "certificate of the page until %s, SHA-256 %s",
            found.not_valid_after_utc.date().isoformat(),
            self.fingerprint,
        )
        self._check_dates()

    def _load(self) -> tuple[ssl.SSLContext, x509.Certificate]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(
            self.certificate, self.key, password=""
        )  # none: OpenSSL would ask the terminal
        return context, x509.load_pem_x509_certificates(self.certificate.read_bytes())[0]

    def _why(self, error: Exception) -> str:
        """What is wrong with which setting, and how to mend it."""
        if self.ours:
            return (
                f"the page's own certificate {self.certificate} cannot be made or read ({error}): "
                "let the gateway write DATA_DIR, or set HTTP_CERT_FILE and HTTP_KEY_FILE"
            )
        for name, path in (("HTTP_CERT_FILE", self.certificate), ("HTTP_KEY_FILE", self.key)):
            try:
                path.read_bytes()
            except OSError as refused:
                return f"{name}={path}: cannot be read ({refused.strerror}): let the gateway's user read it"
        try:
            x509.load_pem_x509_certificates(self.certificate.read_bytes())
        except ValueError:
            return (
                f"HTTP_CERT_FILE={self.certificate}: holds no certificate: give a PEM file, the site's first"
            )
        return (
            f"HTTP_KEY_FILE={self.key}: is not the key of HTTP_CERT_FILE={self.certificate} ({error}): "
            "give its private key as PEM without a passphrase"
        )

    def _check_dates(self) -> None:
        begins, ends = self._valid
        now = dt.datetime.now(dt.UTC)
        if not begins <= now <= ends:
            when = f"over since {ends:%Y-%m-%d}" if now > ends else f"valid only from {begins:%Y-%m-%d} on"
            self._say(
                f"the certificate {self.certificate} is {when}: browsers refuse it; renew it or set the clock"
            )

    def _say(self, problem: str) -> None:
        """Once, until it is another one."""
        if problem != self._said:
            self._said = problem
            _log.error("%s", problem)

    def names(self) -> list[str]:
        """What our own certificate names."""
        host = socket.gethostname()
        found = ["localhost", "127.0.0.1", "::1", host, f"{host.split('.')[0]}.local", *_addresses()]
        if self._settings.name:
            found.insert(0, self._settings.name)
        if self._settings.host not in {"0.0.0.0", "::"}:  # noqa: S104  compared, not bound
            found.append(self._settings.host)
        return list(dict.fromkeys(found))

    def _still_good(self) -> bool:
        try:
            found = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            if not self.key.exists():
                return False
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, x509.ExtensionNotFound):
            return False
        named = {str(name.value) for name in names}
        return found.not_valid_after_utc - dt.datetime.now(dt.UTC) > _RENEWED and named >= set(self.names())

    def _make(self) -> None:
        names = self.names()
        key = ec.generate_private_key(ec.SECP256R1())
        common = (self._settings.name or socket.gethostname())[:64]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + _LASTS)
            .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write(self.key, private, 0o600)
        _write(self.certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)


def encrypted(settings: ApiSettings, address: str) -> bool:
    """Whether connections to this address of ours are encrypted."""
    return settings.tls == "on" or (settings.tls == "auto" and not is_loopback(address))


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _addresses() -> list[str]:
    """The address that this machine has towards others, when it has one."""
    found = []
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:  # connecting sends nothing
                probe.connect((far, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue
    return found


def _write(path: Path, data: bytes, mode: int) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
