"""Modbus/TCP Security: mutual TLS, and what its failures mean."""

from __future__ import annotations

import os
import ssl

from bessai.drivers.modbus.errors import ConnectionFailed
from bessai.model import Endpoint

_ALERTS = {
    "ALERT_UNKNOWN_CA": "does not know the authority that signed the gateway's certificate",
    "ALERT_BAD_CERTIFICATE": "refuses the gateway's certificate",
    "ALERT_CERTIFICATE_EXPIRED": "says that the gateway's certificate has expired",
    "ALERT_CERTIFICATE_REVOKED": "says that the gateway's certificate was revoked",
    "ALERT_CERTIFICATE_UNKNOWN": "refuses the gateway's certificate",
    "ALERT_UNSUPPORTED_CERTIFICATE": "refuses this kind of certificate from the gateway",
    "CERTIFICATE_REQUIRED": "wants a certificate from the gateway",
    "ALERT_ACCESS_DENIED": "gives the gateway's certificate no access",
    "ALERT_HANDSHAKE_FAILURE": "refuses the gateway's certificate or ciphers",
}
_EXPIRED, _NOT_YET, _WRONG_NAMES = 10, 9, {62, 64}


def context(endpoint: Endpoint) -> ssl.SSLContext:
    """TLS 1.2 or newer; the device is verified against `ca` and its name, the gateway shows `cert`.

    Raises:
        ConnectionFailed: names the file that cannot be used.
    """
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and name
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    if endpoint.ca is None:
        raise ConnectionFailed(f"{endpoint}: ca is missing: give the certificate that signs the device's")
    try:
        found.load_verify_locations(cafile=endpoint.ca)
    except (OSError, ssl.SSLError) as error:
        raise ConnectionFailed(f"{endpoint.ca}: no usable certificate authority: {_reason(error)}") from None
    if endpoint.cert is not None:
        try:
            found.load_cert_chain(endpoint.cert, endpoint.key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            files = f"{endpoint.cert} with {endpoint.key or 'no key file'}"
            raise ConnectionFailed(f"{files}: no usable certificate and key: {_reason(error)}") from None
    return found


def explain(endpoint: Endpoint, error: BaseException) -> str:
    """One sentence on a failed handshake or a connection that TLS ended."""
    place = f"{endpoint.host} port {endpoint.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return f"{place}: the device's certificate has expired: renew it, or set the clocks"
        if error.verify_code == _NOT_YET:
            return f"{place}: the device's certificate is not valid yet: check the clocks"
        if error.verify_code in _WRONG_NAMES:
            name = endpoint.server_name or endpoint.host
            return f"{place}: the device's certificate is not for {name!r}: give server_name as it says there"
        return f"{place}: the device's certificate is not signed by {endpoint.ca}: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        for name, meaning in _ALERTS.items():
            if name in (error.reason or ""):
                return f"{place}: the device {meaning} ({endpoint.cert or 'none was given'})"
        if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
            return f"{place} does not speak TLS: plain Modbus TCP is tcp://, usually port 502"
        return f"{place}: TLS failed: {_reason(error)}"
    return f"{place} ended the TLS handshake: does it speak plain Modbus TCP (tcp://, usually port 502)?"


def _no_password() -> str:
    raise ValueError(
        "the key is protected by a password; the gateway starts unattended and needs one without"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
