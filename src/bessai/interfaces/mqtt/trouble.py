"""The errors of MQTT as sentences that say what to do."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from bessai.interfaces.courier import Trouble
from bessai.interfaces.mqtt.errors import BrokerError, ClosedError, TooLargeError
from bessai.interfaces.mqtt.settings import MqttSettings

_CREDENTIALS: Final = (0x86, 0x8C)
_NOT_AUTHORISED: Final = 0x87
_BUSY: Final = (0x88, 0x89, 0x8B, 0x9C, 0x9D, 0x9F)
_TAKEN_OVER: Final = 0x8E
_TOO_LARGE: Final = 0x95
_QUOTA: Final = (0x97, 0x96)
_CONTENT: Final = (0x99,)


def explain(error: Exception, settings: MqttSettings) -> Trouble:
    """What an error of a connection means and what to do about it."""
    url = settings.url
    match error:
        case BrokerError():
            return _refusal(error, settings)
        case TooLargeError():
            return Trouble(
                sentence=f"A message for {error.topic} is larger than the {error.limit} bytes that the broker at "
                f"{url} allows. Raise its maximum packet size.",
                reconnect=False,
                poison=True,
            )
        case ClosedError():
            return Trouble(sentence=f"The connection to {url} was closed.", passing=True)
        case TimeoutError():
            return Trouble(sentence=f"The broker at {url} does not answer in time.", passing=True)
        case ssl.SSLCertVerificationError():
            return Trouble(
                sentence=f"The certificate of the broker at {url} is not trusted: {error.verify_message}. Put the "
                "certificate of its authority into MQTT_CA_FILE, or the name in the certificate into MQTT_URL."
            )
        case ssl.SSLError():
            return Trouble(
                sentence=f"No encrypted connection to {url}: {error.reason or 'no reason given'}. Check the port in "
                "MQTT_URL, and MQTT_CERT_FILE when the broker wants a certificate."
            )
        case socket.gaierror():
            return Trouble(
                sentence=f"The name {settings.host} in MQTT_URL cannot be resolved. Check it and the name service.",
                passing=True,
            )
        case OSError() if error.filename is not None:
            return Trouble(sentence=f"{error.filename} cannot be read: {error.strerror}.")
        case ConnectionResetError() if settings.tls:
            return Trouble(
                sentence=f"{url} ended the connection before it was encrypted. Check the port in MQTT_URL: it may not "
                "speak TLS.",
                passing=True,
            )
        case OSError():
            return Trouble(
                sentence=f"The broker at {url} cannot be reached: {error.strerror or error}. Check the network and "
                "that the broker runs.",
                passing=True,
            )
        case _:
            return Trouble(sentence=f"Sending to {url} failed with {type(error).__name__}.", passing=True)


def _refusal(error: BrokerError, settings: MqttSettings) -> Trouble:
    url, code = settings.url, error.code
    user = f"the user {settings.username}" if settings.username else f"the client {settings.client_id}"
    if code in _CREDENTIALS:
        return Trouble(
            sentence=f"The broker at {url} does not accept the credentials. Check MQTT_USERNAME and MQTT_PASSWORD."
        )
    if code == _NOT_AUTHORISED and error.doing == "connect":
        return Trouble(
            sentence=f"The broker at {url} does not let {user} in. Check MQTT_USERNAME, MQTT_PASSWORD and the client "
            "certificate, and what the broker allows."
        )
    if code == _NOT_AUTHORISED:
        return Trouble(
            sentence=f"The broker at {url} does not allow {user} to {error.doing} to {error.topic}. Allow it in the "
            "broker's access list.",
            reconnect=False,
        )
    if code in _QUOTA:
        return Trouble(
            sentence=f"The quota at the broker {url} is used up. Raise it.", passing=True, reconnect=False
        )
    if code == _TOO_LARGE:
        return Trouble(
            sentence=f"A message is larger than the broker at {url} allows. Raise its maximum packet size.",
            poison=True,
        )
    if code in _CONTENT:
        return Trouble(
            sentence=f"The broker at {url} refuses the content of a message for {error.topic}: {error.name}.",
            reconnect=False,
            poison=True,
        )
    if code == _TAKEN_OVER:
        return Trouble(
            sentence=f"Another client has connected to {url} as {settings.client_id}. Give each gateway a site id, "
            "or a MQTT_CLIENT_ID, of its own."
        )
    if code in _BUSY:
        return Trouble(sentence=f"The broker at {url} is not available now: {error.name}.", passing=True)
    if error.doing == "lost":
        return Trouble(
            sentence=f"The connection to {url} was lost: {error.name}. When that goes on, look for another client "
            f"named {settings.client_id}.",
            passing=True,
        )
    if error.doing == "connect" and code is None:
        return Trouble(
            sentence=f"The broker at {url} ended the connection before it was accepted. Check that it speaks MQTT 5, "
            "that the port is right, and MQTT_CERT_FILE when it wants a certificate."
        )
    return Trouble(
        sentence=f"The broker at {url} refuses to {error.doing} {error.topic}: {error.name}.",
        reconnect=error.doing != "publish",
    )
