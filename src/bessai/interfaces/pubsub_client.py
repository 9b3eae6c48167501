"""The connection to Google Cloud Pub/Sub, and its errors as sentences that say what to do.

The generated client of google-cloud-pubsub is used, one request a batch, not the batching client on top of
it. That one starts a thread a batch, retries an ordered message for ever without saying why, and keeps one
batch a key in flight anyway. The journal is our queue: a request succeeds or fails once, within a time limit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

import google.auth
import grpc
from google.api_core import exceptions
from google.auth import environment_vars
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.pubsub_v1 import PublisherClient, PublishRequest, PubsubMessage
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from bessai.interfaces.courier import Batch, Message, Trouble

Compression = Literal["none", "gzip"]
"""Records of 60 points, 100 a request: 298 bytes each on the wire instead of 6,245, for about 67 µs of CPU."""

_OPTIONS: Final = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own pause between connection attempts grows to two minutes: too long after a short outage.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.min_reconnect_backoff_ms", 5000),  # time allowed for one connection attempt
    ("grpc.keepalive_time_ms", 30000),  # notices a connection that a router has forgotten
    ("grpc.keepalive_timeout_ms", 10000),
]

_REFUSALS: Final = ("invalid_grant", "invalid_client", "unauthorized_client", "disabled_client")
"""What Google's token service says when it does not accept a key."""
_NO_SUBJECT: Final = ("subject token", "subject_token", "' was not found", "Error code ", "trust chain")
"""What google-auth says when a workload identity has no proof of itself, or the pool does not accept it."""


_COMPRESSIONS: Final = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}


class PubSubCourier:
    """Publishes batches to one topic, each in one request. See `courier.Courier`."""

    def __init__(self, *, topic: str, emulator_host: str | None, compression: Compression) -> None:
        self._topic = topic
        self._emulator_host = emulator_host
        self._compression = compression
        self._connection: Connection | None = None

    def send(self, batch: Batch, timeout: float) -> None:  # noqa: D102
        connection = self._connection
        if connection is None:
            connection = self._connection = Connection(
                topic=self._topic, emulator_host=self._emulator_host, compression=self._compression
            )
        connection.publish(batch.messages, timeout)

    def explain(self, error: Exception) -> Trouble:  # noqa: D102
        return explain(error, topic=self._topic, host=self._emulator_host or "pubsub.googleapis.com")

    def close(self) -> None:  # noqa: D102
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class Connection:
    """A channel to Pub/Sub. Its calls block; closing it from another thread cancels them."""

    def __init__(self, *, topic: str, emulator_host: str | None, compression: Compression = "none") -> None:
        self._topic = topic
        squeeze = _COMPRESSIONS[compression]
        if emulator_host:
            channel = grpc.insecure_channel(emulator_host, options=_OPTIONS, compression=squeeze)
        else:
            channel = PublisherGrpcTransport.create_channel(
                credentials=credentials_for(topic), options=_OPTIONS, compression=squeeze
            )
        self._channel = channel
        self._client = PublisherClient(transport=PublisherGrpcTransport(channel=channel))

    def publish(self, messages: Sequence[Message], timeout: float) -> None:
        """Send messages in one request, in order, once.

        Raises:
            Exception: the server did not acknowledge all of them within `timeout` seconds; it may still have
                accepted them. `explain` says what it means.
        """
        request = PublishRequest.pb()(topic=self._topic)
        message_type = PubsubMessage.pb()
        request.messages.extend(
            message_type(data=m.data, attributes=dict(m.attributes), ordering_key=m.ordering_key)
            for m in messages
        )
        reply = self._client.publish(request=PublishRequest.wrap(request), retry=None, timeout=timeout)
        if len(reply.message_ids) != len(messages):
            raise RuntimeError(f"{len(reply.message_ids)} of {len(messages)} messages acknowledged")

    def close(self) -> None:
        """Cancel calls under way and let go of the connection."""
        self._channel.close()


def credentials_for(topic: str) -> Credentials:
    """What the environment says: a service account's key, a workload identity, or the machine's own account.

    Raises:
        GoogleAuthError: there are none that can be used.
    """
    # Else a workload identity first asks another service for its project, which a firewall may not let through.
    os.environ.setdefault(environment_vars.PROJECT, topic.split("/")[1])
    credentials, _ = google.auth.default(scopes=PublisherGrpcTransport.AUTH_SCOPES)
    return credentials


def explain(error: Exception, *, topic: str, host: str) -> Trouble:
    """What an error of `Connection` means and what to do about it."""
    text = str(error)
    trouble = _explain(error, text, topic=topic, host=host)
    return replace(trouble, sentence=f"{trouble.sentence} Records are kept in the journal and sent later.")


def _explain(error: Exception, text: str, *, topic: str, host: str) -> Trouble:
    if any(sign in text for sign in _NO_SUBJECT):
        return Trouble(
            sentence=f"The workload identity cannot be used: {_reason(text)} Check the token's source in the file "
            "of GOOGLE_APPLICATION_CREDENTIALS and what the identity pool accepts."
        )
    if any(sign in text for sign in _REFUSALS) or isinstance(error, exceptions.Unauthorized):
        return Trouble(
            sentence="Google Cloud refused the credentials. Check that the key in "
            "GOOGLE_APPLICATION_CREDENTIALS is still valid and that this machine's clock is right."
        )
    match error:
        case DefaultCredentialsError():
            return Trouble(
                sentence=f"No usable Google Cloud credentials: {_first_sentence(text)} Set "
                "GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account with the role "
                "roles/pubsub.publisher, or to the file of a workload identity."
            )
        case exceptions.NotFound():
            return Trouble(
                sentence=f"The topic {topic} does not exist. Create it (gcloud pubsub topics create) or "
                "correct GCP_PROJECT_ID and GCP_PUBSUB_TOPIC.",
                reconnect=False,
            )
        case exceptions.Forbidden():
            return Trouble(
                sentence=f"No permission to publish to {topic}. Grant the account the role "
                "roles/pubsub.publisher on the topic."
            )
        case exceptions.InvalidArgument():
            return Trouble(
                sentence=f"Pub/Sub rejects the messages for {topic}: {_first_sentence(text)} Check the topic's "
                "schema and its limits.",
                reconnect=False,
                poison=True,
            )
        case exceptions.TooManyRequests():
            return Trouble(
                sentence="The project's Pub/Sub quota is used up. Raise it.", passing=True, reconnect=False
            )
        case exceptions.DeadlineExceeded():
            return Trouble(sentence=f"Pub/Sub at {host} does not answer in time.", passing=True)
        case exceptions.ServiceUnavailable() | GoogleAuthError():
            return Trouble(
                sentence=f"Pub/Sub at {host} cannot be reached. Check the network, the name service and "
                "any proxy.",
                passing=True,
                reconnect=isinstance(error, GoogleAuthError),
            )
        case _:
            return Trouble(
                sentence=f"Publishing to {topic} failed with {type(error).__name__}.", passing=True
            )


def topic_path(project: str, topic: str) -> str:
    """The full name of a topic; one that is already full stays as it is."""
    return topic if topic.startswith("projects/") else f"projects/{project}/topics/{topic}"


def _first_sentence(text: str) -> str:
    line = next(iter(text.strip().splitlines()), "no reason given")
    return line.split(". ")[0].rstrip(".") + "."


def _reason(text: str) -> str:
    """What google-auth said, without what gRPC has wrapped around it."""
    text = re.sub(r".*Getting metadata from plugin failed with error: ", "", text)
    quoted = re.match(r"""\(?(['"])(.*?)\1(?=[,)]|$)""", text)
    return _first_sentence(quoted[2] if quoted else text)
