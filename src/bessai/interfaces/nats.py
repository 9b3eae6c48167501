"""Carries records to a stream of NATS JetStream.

Every record of a batch is under way at once, in order, and each is acknowledged when the stream has stored it.
The stream drops what comes twice within its duplicate window: `Nats-Msg-Id` is the record's id.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import random
import re
import ssl
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bessai.interfaces.broker_settings import NatsSettings, hint
from bessai.interfaces.courier import Message, Trouble
from bessai.interfaces.loop_courier import LoopCourier

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js.client import JetStreamContext

_log = logging.getLogger(__name__)

IN_FLIGHT: Final = 256
"""Records that wait for their acknowledgement at once."""
SHORTEST_WINDOW: Final = 120.0
"""Seconds; a stream with a shorter duplicate window stores twice what was sent again after an outage."""

_FAREWELL: Final = 0.2

# Numbers of JetStream's own errors.
_WRONG_STREAM: Final = 10060
_TOO_LARGE: Final = {10054, 10097}
_FULL: Final = {10077, 10110, 10122, 10023, 10047, 10028}


class NatsCourier(LoopCourier):
    """See `Courier`. Headers: `Nats-Msg-Id` and the attributes. Data: the message."""

    def __init__(self, settings: NatsSettings, site: str) -> None:
        super().__init__("nats")
        self._settings = settings
        self._client_name = f"bessai {site}"
        self._checked = False

    async def connect(self, limit: float) -> _Connection:
        """See `LoopCourier`. Tries every server once."""
        servers = list(self._settings.servers)
        random.shuffle(servers)
        while True:
            server = servers.pop()
            try:
                connection = await _Connection.open(
                    server, self._options(limit / (2 * len(self._settings.servers))), self._settings
                )
            except (OSError, TimeoutError):
                if not servers:
                    raise
            else:
                break
        if self._settings.stream and not self._checked:
            try:
                await self._check(connection, self._settings.stream, limit / 4)
            except BaseException:
                await connection.close()
                raise
            self._checked = True
        return connection

    def _options(self, seconds: float) -> dict[str, Any]:
        settings = self._settings
        options: dict[str, Any] = {
            "name": self._client_name,
            "connect_timeout": max(1, round(seconds)),
            "allow_reconnect": False,
            "tls": settings.tls.context() if settings.tls else None,
            "user": settings.username,
            "password": settings.password,
            "token": settings.token,
        }
        if settings.credentials:
            jwt, sign = credentials(settings.credentials)
            options |= {"user_jwt_cb": lambda: jwt, "signature_cb": sign}
        return options

    async def _check(self, connection: _Connection, stream: str, seconds: float) -> None:
        """The stream exists and keeps ids long enough. Not every user may ask: then it is not known."""
        window = None
        with contextlib.suppress(TimeoutError):
            window = await asyncio.wait_for(connection.duplicate_window(stream), seconds)
        if window is not None and window < SHORTEST_WINDOW:
            _log.warning(
                "nats: the stream %s forgets ids after %.0f s: records that are sent again later come twice; "
                "set a longer one (nats stream edit %s --dupe-window=1h)",
                stream, window, stream,
            )  # fmt: skip

    def explain(self, error: Exception) -> Trouble:
        """See `Courier`."""
        if isinstance(error, ImportError):
            return Trouble(
                sentence=f"NATS needs a package more ({error.name}): pip install 'open-bess-edge[nats]'."
            )
        from nats import errors  # noqa: PLC0415  an optional library
        from nats.js.errors import APIError, NoStreamResponseError, NotFoundError  # noqa: PLC0415

        where, subject = ", ".join(self._settings.servers), self._settings.subject
        match error:
            case errors.MaxPayloadError():
                return Trouble(
                    sentence=f"A record is larger than NATS at {where} takes. Raise max_payload there.",
                    poison=True,
                )
            case NoStreamResponseError() | NotFoundError():
                stream = self._settings.stream or "BESSAI"
                return Trouble(
                    sentence=f"No stream at {where} stores the subject {subject}. Create it: nats stream add {stream} "
                    f"--subjects='{subject}' --storage=file --discard=new --dupe-window=1h --defaults."
                )
            case APIError():
                return self._explain_refusal(error.err_code or 0, error.description or str(error), where)
            case ssl.SSLCertVerificationError():
                return Trouble(
                    sentence=f"The certificate of NATS at {where} is not trusted: {error.verify_message}. Check "
                    "NATS_URL and NATS_CA_FILE."
                )
            case ssl.SSLError() | errors.SecureConnWantedError() | errors.SecureConnRequiredError():
                return Trouble(
                    sentence=f"No TLS with NATS at {where}. Check NATS_URL (tls:// or nats://) and NATS_CERT_FILE."
                )
            case errors.Error() if "permissions violation" in str(error).lower():
                return Trouble(
                    sentence=f"NATS at {where} does not let this user publish to {subject}. Grant it publishing "
                    "there and subscribing to _INBOX.>."
                )
            case errors.AuthorizationError():
                return self._refused(where)
            case errors.Error() if "authorization" in str(error).lower():
                return self._refused(where)
            case TimeoutError():
                return Trouble(sentence=f"NATS at {where} does not answer in time.", passing=True)
            case ValueError():
                return Trouble(sentence=str(error))
            case OSError() | errors.Error():
                return Trouble(
                    sentence=f"NATS at {where} cannot be reached. Check NATS_URL, the network and the name service"
                    f"{hint(self._settings.tls, 'NATS')}.",
                    passing=True,
                )
            case _:
                return Trouble(
                    sentence=f"Publishing to {subject} at {where} failed with {type(error).__name__}.",
                    passing=True,
                )

    def _explain_refusal(self, code: int, text: str, where: str) -> Trouble:
        stream = self._settings.stream or "for the records"
        if code in _TOO_LARGE:
            return Trouble(
                sentence=f"A record is larger than the stream {stream} at {where} takes. Raise its max_msg_size.",
                poison=True,
            )
        if code in _FULL:
            return Trouble(
                sentence=f"The stream {stream} at {where} is full ({text}). Consume it, or raise its limits.",
                passing=True,
                reconnect=False,
            )
        if code == _WRONG_STREAM:
            return Trouble(
                sentence=f"Another stream than NATS_STREAM={stream} stores the subject {self._settings.subject}. "
                "Correct NATS_STREAM, or the subjects of the streams."
            )
        return Trouble(sentence=f"The stream {stream} at {where} refused a record: {text}.", passing=True)

    def _refused(self, where: str) -> Trouble:
        return Trouble(
            sentence=f"NATS at {where} refused this user. Check NATS_USERNAME and NATS_PASSWORD, NATS_TOKEN or "
            "NATS_CREDENTIALS_FILE."
        )


class _Connection:
    """A connected client. See `loop_courier.Connection`."""

    def __init__(self, client: Client, settings: NatsSettings, failure: asyncio.Future[None]) -> None:
        self._client = client
        self._settings = settings
        self._failure = failure
        self._stream: JetStreamContext = client.jetstream(publish_async_max_pending=IN_FLIGHT)

    @classmethod
    async def open(cls, server: str, options: dict[str, Any], settings: NatsSettings) -> _Connection:
        """Connect to one server."""
        from nats.aio.client import Client  # noqa: PLC0415  an optional library

        failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        # The library hands refusals to this function too, and leaves who waits for the record waiting.
        async def fail(error: Exception | None = None) -> None:
            if not failure.done():
                failure.set_exception(error or ConnectionResetError("the connection was lost"))
                failure.exception()  # retrieved: nobody may be waiting

        client = Client()
        address = server.replace("tls://", "nats://")
        connecting = client.connect(address, error_cb=fail, disconnected_cb=fail, closed_cb=fail, **options)
        connection = cls(client, settings, failure)
        try:
            await connection._unless_failed(connecting)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def send(self, messages: Sequence[Message]) -> None:
        """See `Connection`. The first refusal ends it."""
        await self._unless_failed(self._publish(messages))

    async def _unless_failed(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Await it, or raise what the library reports meanwhile: it would go on trying."""
        task = asyncio.create_task(coroutine)
        try:
            await asyncio.wait({task, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
            await task
        finally:
            task.cancel()

    async def _publish(self, messages: Sequence[Message]) -> None:
        acknowledgements = []
        for message in messages:
            acknowledgement = await self._stream.publish_async(
                self._settings.subject,
                message.data,
                stream=self._settings.stream,
                headers={"Nats-Msg-Id": message.id, **message.attributes},
            )
            acknowledgements.append(acknowledgement)
        await asyncio.gather(*acknowledgements)

    async def duplicate_window(self, stream: str) -> float | None:
        """Seconds that a stream remembers ids.

        Raises:
            nats.js.errors.NotFoundError: there is no such stream.
        """
        return (await self._stream.stream_info(stream)).config.duplicate_window

    async def close(self) -> None:
        """See `Connection`. After a failed handshake the library waits for an end that does not come."""
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._client.close(), _FAREWELL)


def credentials(path: Path) -> tuple[bytearray, Any]:
    """The JWT of a credentials file, and a function that signs what the server asks to be signed with its seed.

    Raises:
        ValueError: it is no credentials file.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  as above

    text = path.read_text(encoding="utf-8")
    jwt = re.search(r"BEGIN NATS USER JWT-+\s+(\S+)", text)
    seed = re.search(r"BEGIN USER NKEY SEED-+\s+(SU[A-Z2-7]{56})\s", text)
    if not jwt or not seed:
        raise ValueError(
            f"NATS_CREDENTIALS_FILE={path} is no credentials file: it needs a user's JWT and seed (nsc generate creds)."
        )
    # Two bytes that say what it is, 32 bytes of seed, two of a checksum.
    key = Ed25519PrivateKey.from_private_bytes(base64.b32decode(seed[1] + "======")[2:34])
    return bytearray(jwt[1].encode()), lambda nonce: base64.b64encode(key.sign(nonce.encode()))
