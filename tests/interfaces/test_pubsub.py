"""The publisher against a real gRPC server, over the wire."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import google.auth.transport.requests
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.auth.exceptions import GoogleAuthError

from bessai.core.settings import Settings
from bessai.interfaces.delivery import Pace
from bessai.interfaces.envelope import SCHEMA_ID, Envelope
from bessai.interfaces.pubsub import PubSubPublisher
from bessai.interfaces.pubsub_client import credentials_for, explain, topic_path
from bessai.interfaces.sink import keep_running
from support.entries import MemoryJournal, cycle_entry, event_entry
from support.fake_pubsub import FakePubSub
from support.pubsub_emulator import PubSubEmulator
from support.token_service import TokenService

TOPIC = "projects/plant/topics/telemetry"
QUICK = Pace(
    batch_records=50, poll=0.02, retry_first=0.05, retry_passing=0.2, retry_refused=0.2, split_after=1e6
)
"""One lane: an outage and lanes together are in test_delivery and test_cloud_faults."""


def make_publisher(journal: MemoryJournal, host: str | None, pace: Pace = QUICK) -> PubSubPublisher:
    return PubSubPublisher(
        site="plant-1", project="plant", topic="telemetry", emulator_host=host, pace=pace,
        open_reader=lambda: journal, open_cursors=lambda: journal,
    )  # fmt: skip


@contextmanager
def running(publisher: PubSubPublisher) -> Iterator[PubSubPublisher]:
    stop = threading.Event()
    thread = threading.Thread(target=keep_running, args=(publisher, stop), daemon=True)
    thread.start()
    try:
        yield publisher
    finally:
        stop.set()
        publisher.abort()
        thread.join(30)
        assert not thread.is_alive()


def wait_until(true: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"not reached: {what}"
        time.sleep(0.01)


def without_repeats(sequences: list[int]) -> list[int]:
    return list(dict.fromkeys(sequences))


@pytest.fixture
def server() -> Iterator[FakePubSub]:
    with FakePubSub(topics=[TOPIC]) as fake:
        yield fake


def journal_of(count: int) -> MemoryJournal:
    return MemoryJournal([cycle_entry(i) for i in range(1, count + 1)])


def test_everything_arrives_in_order_with_its_identity(server: FakePubSub) -> None:
    journal = journal_of(120)
    journal.append(event_entry(121))
    with running(make_publisher(journal, server.host)) as publisher:
        messages = server.wait_for(121)
        journal.append(cycle_entry(122))
        messages = server.wait_for(122)
        wait_until(lambda: journal.get("pubsub") == 122, "cursor")
        wait_until(lambda: publisher.status().backlog == 0, "no backlog")
    assert server.sequences() == list(range(1, 123))
    for message in messages:
        envelope = Envelope.model_validate_json(message.data)
        assert message.topic == TOPIC
        assert message.ordering_key == "plant-1"
        assert message.attributes == {
            "id": f"plant-1/0/{envelope.sequence}", "site": "plant-1", "epoch": "0",
            "sequence": str(envelope.sequence), "previous": str(envelope.sequence - 1), "lane": "live",
            "schema": SCHEMA_ID, "kind": envelope.kind,
        }  # fmt: skip
    assert messages[120].attributes["kind"] == "event"
    assert max(server.requests) == 50, "records are sent in batches"
    status = publisher.status()
    assert (status.state, status.cursor, status.delivered, status.failures) == ("ok", 122, 122, 0)


def test_a_batch_is_bounded_in_bytes(server: FakePubSub) -> None:
    pace = replace(QUICK, batch_bytes=10_000)
    with running(make_publisher(journal_of(40), server.host, pace)):
        messages = server.wait_for(40)
    assert server.sequences() == list(range(1, 41))
    assert 1 < max(server.requests) < 40
    assert max(len(message.data) for message in messages) * max(server.requests) <= 10_000


def test_an_outage_is_bridged_and_the_backlog_drained(
    server: FakePubSub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    journal = journal_of(60)
    with running(make_publisher(journal, server.host)) as publisher:
        server.wait_for(60)
        server.stop()
        for i in range(61, 561):
            journal.append(cycle_entry(i))
            time.sleep(0.005)
        wait_until(lambda: publisher.status().state == "retrying", "the outage is noticed")
        assert publisher.status().backlog > 0
        assert "cannot be reached" in (publisher.status().last_error or "")
        server.start()
        server.wait_until(lambda messages: int(messages[-1].attributes["sequence"]) == 560)
        wait_until(lambda: publisher.status().state == "ok", "recovery")
    assert without_repeats(server.sequences()) == list(range(1, 561))
    newest = 0
    for sequence in server.sequences():
        assert sequence <= newest + 1, "never ahead of one that is missing, also while repeating"
        newest = max(newest, sequence)
    assert publisher.status().last_error is None
    said = [record for record in caplog.records if "cannot be reached" in record.message]
    assert len(said) == 1, "the same trouble is said once"
    assert publisher.status().failures > 1


def test_a_lost_acknowledgement_repeats_the_same_ids(server: FakePubSub) -> None:
    server.lose_acks(times=2)
    journal = journal_of(70)
    with running(make_publisher(journal, server.host)) as publisher:
        server.wait_until(lambda messages: messages[-1].attributes["sequence"] == "70" if messages else False)
        wait_until(lambda: journal.get("pubsub") == 70, "cursor")
    assert server.sequences()[:51] == [*range(1, 51), 1], "the lost batch, and then again from its beginning"
    assert without_repeats(server.sequences()) == list(range(1, 71))
    assert len(server.sequences()) == 70 + publisher.status().doubtful, "what may come twice is counted"
    first, again = server.messages[3], [m for m in server.messages if m.attributes["sequence"] == "4"][1]
    assert first.attributes == again.attributes
    assert first.data == again.data


def test_the_cursor_moves_only_over_what_was_acknowledged(server: FakePubSub) -> None:
    journal = journal_of(100)
    server.delay = 0.3
    with running(make_publisher(journal, server.host)):
        server.wait_for(50)
        server.fail("UNAVAILABLE", times=1000)
        wait_until(lambda: journal.get("pubsub") == 50, "first batch acknowledged")
        wait_until(lambda: len(server.requests) >= 3, "second batch refused")
    assert journal.get("pubsub") == 50
    assert server.sequences() == list(range(1, 51))


def test_a_new_publisher_goes_on_after_the_cursor(server: FakePubSub) -> None:
    journal = journal_of(30)
    with running(make_publisher(journal, server.host)):
        wait_until(lambda: journal.get("pubsub") == 30, "first publisher done")
    journal.append(*(cycle_entry(i) for i in range(31, 61)))
    with running(make_publisher(journal, server.host)) as second:
        wait_until(lambda: journal.get("pubsub") == 60, "second publisher done")
    assert server.sequences() == list(range(1, 61))
    assert second.status().delivered == 30


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("PERMISSION_DENIED", "Grant the account the role roles/pubsub.publisher"),
        ("UNAUTHENTICATED", "refused the credentials"),
        ("UNAVAILABLE", "cannot be reached"),
        ("RESOURCE_EXHAUSTED", "quota"),
        ("INVALID_ARGUMENT", "rejects the messages"),
        ("INTERNAL", "failed with InternalServerError"),
    ],
)
def test_an_error_is_said_in_one_sentence_and_tried_again(
    server: FakePubSub, caplog: pytest.LogCaptureFixture, code: str, expected: str
) -> None:
    server.fail(code, times=3)
    with running(make_publisher(journal_of(5), server.host)) as publisher:
        wait_until(lambda: publisher.status().failures >= 1, "failure")
        server.wait_for(5)
    assert server.sequences() == [1, 2, 3, 4, 5]
    assert publisher.status().failures == 3
    assert len([record for record in caplog.records if expected in record.message]) == 1


def test_a_missing_topic_says_how_to_make_it_and_is_found_later(server: FakePubSub) -> None:
    server.topics.clear()
    with running(make_publisher(journal_of(5), server.host)) as publisher:
        wait_until(lambda: publisher.status().failures >= 2, "failures")
        error = publisher.status().last_error or ""
        assert TOPIC in error
        assert "does not exist. Create it" in error
        server.topics.add(TOPIC)
        server.wait_for(5)
        wait_until(lambda: publisher.status().state == "ok", "recovery")
    assert server.sequences() == [1, 2, 3, 4, 5]


def test_a_server_that_hangs_is_given_up_and_tried_again(server: FakePubSub) -> None:
    server.delay = 3.0
    pace = replace(QUICK, attempt_timeout=0.3)
    with running(make_publisher(journal_of(5), server.host, pace)) as publisher:
        wait_until(lambda: publisher.status().failures >= 1, "time-out")
        assert "does not answer in time" in (publisher.status().last_error or "")
        server.delay = 0.0
        wait_until(lambda: publisher.status().state == "ok", "recovery")
    assert publisher.status().cursor == 5
    assert without_repeats(server.sequences()) == [1, 2, 3, 4, 5]


def test_missing_credentials_say_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(missing))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "plant")
    with running(make_publisher(journal_of(5), None)) as publisher:
        wait_until(lambda: publisher.status().failures >= 2, "failures")
        error = publisher.status().last_error or ""
    assert str(missing) in error
    assert "Set GOOGLE_APPLICATION_CREDENTIALS" in error


def test_records_that_the_journal_dropped_are_counted(
    server: FakePubSub, caplog: pytest.LogCaptureFixture
) -> None:
    journal = MemoryJournal([cycle_entry(i) for i in range(41, 46)])
    journal.set("pubsub", 10)
    with running(make_publisher(journal, server.host)) as publisher:
        wait_until(lambda: publisher.status().missed == 30, "the missed ones are counted")
    assert "30 of the sequence numbers up to 45 have no readable record" in caplog.text


def test_a_journal_that_stays_behind_the_cursor_is_published_whole(server: FakePubSub) -> None:
    journal = journal_of(5)
    journal.set("pubsub", 900)
    with running(make_publisher(journal, server.host, replace(QUICK, ahead_patience=0.1))):
        wait_until(lambda: journal.get("pubsub") == 5, "cursor")
    assert server.sequences() == [1, 2, 3, 4, 5]


def test_a_recovered_journal_that_passes_the_cursor_is_not_repeated(server: FakePubSub) -> None:
    journal = journal_of(5)
    journal.set("pubsub", 900)
    with running(make_publisher(journal, server.host)) as publisher:
        wait_until(lambda: publisher.cursor == 900, "the cursor is known")
        journal.append(cycle_entry(1001))
        server.wait_for(1)
    assert server.sequences() == [1001]


def test_an_odd_record_does_not_hold_up_the_others(server: FakePubSub) -> None:
    odd = cycle_entry(2, decision={"state": "Not A Name"})
    journal = MemoryJournal([cycle_entry(1), odd, cycle_entry(3)])
    with running(make_publisher(journal, server.host)):
        messages = server.wait_for(3)
    assert server.sequences() == [1, 2, 3]
    event = Envelope.model_validate_json(messages[1].data).events[0]
    assert event.code == "record_unreadable"


def test_a_key_that_google_refuses_is_not_mistaken_for_a_bad_network() -> None:
    text = "Getting metadata from plugin failed with error: ('invalid_grant: Invalid JWT Signature.', {})"
    trouble = explain(ServiceUnavailable(text), topic=TOPIC, host="h")  # type: ignore[no-untyped-call]
    assert "refused the credentials" in trouble.sentence
    assert not trouble.passing
    assert trouble.reconnect, "a new key is read only by a new connection"


def test_a_workload_identity_is_accepted_and_its_troubles_are_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = tmp_path / "subject.token"
    with TokenService() as service:
        file = service.credentials_file(tmp_path / "identity.json", token)
        assert Settings(site_id="s", google_application_credentials=file).google_application_credentials
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "")
        monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
        credentials: Any = credentials_for(TOPIC)
        request = google.auth.transport.requests.Request()
        with pytest.raises(GoogleAuthError) as missing:
            credentials.refresh(request)
        token.write_text("bad")
        with pytest.raises(GoogleAuthError) as refused:
            credentials.refresh(request)
        token.write_text("good")
        credentials.refresh(request)
        assert credentials.token == "granted"
    for error, reason in ((missing.value, f"File '{token}' was not found."), (refused.value, "audience")):
        from_grpc = f"Getting metadata from plugin failed with error: {error}"
        for raised in (error, ServiceUnavailable(from_grpc)):  # type: ignore[no-untyped-call]
            trouble = explain(raised, topic=TOPIC, host="h")
            assert "The workload identity cannot be used: " in trouble.sentence
            assert reason in trouble.sentence
            assert "Check the token's source" in trouble.sentence
            assert not trouble.passing
            assert trouble.reconnect


def test_full_and_short_topic_names_mean_the_same() -> None:
    assert topic_path("plant", "telemetry") == topic_path("other", TOPIC) == TOPIC


def test_the_official_emulator_delivers_in_order_and_complete() -> None:
    import grpc
    from google.pubsub_v1 import PublisherClient, SubscriberClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    count = 250
    subscription = "projects/plant/subscriptions/reader"
    with PubSubEmulator.start_or_skip() as emulator, grpc.insecure_channel(emulator.host) as channel:
        PublisherClient(transport=PublisherGrpcTransport(channel=channel)).create_topic(name=TOPIC)
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        subscriber.create_subscription(
            request={"name": subscription, "topic": TOPIC, "enable_message_ordering": True}
        )
        journal = journal_of(count - 50)
        got: dict[str, list[Envelope]] = {"plant-1": [], "plant-1/backlog": []}
        with running(make_publisher(journal, emulator.host, replace(QUICK, split_after=5.0))):
            deadline = time.monotonic() + 120
            while (arrived := sum(map(len, got.values()))) < count:
                assert time.monotonic() < deadline, f"{arrived} of {count} received"
                reply = subscriber.pull(subscription=subscription, max_messages=100, timeout=30)
                for received in reply.received_messages:
                    envelope = Envelope.model_validate_json(received.message.data)
                    assert received.message.attributes["id"] == f"plant-1/0/{envelope.sequence}"
                    got[received.message.ordering_key].append(envelope)
                if reply.received_messages:
                    subscriber.acknowledge(
                        subscription=subscription, ack_ids=[m.ack_id for m in reply.received_messages]
                    )
                if journal.last_sequence() < count:
                    journal.append(cycle_entry(journal.last_sequence() + 1))
    live, backlog = got["plant-1"], got["plant-1/backlog"]
    assert [envelope.sequence for envelope in live] == list(range(count - 50, count + 1))
    assert [envelope.sequence for envelope in backlog] == list(range(1, count - 50))
    assert backlog[6].points["soc"].value == 57.0
    assert backlog[6].points["device_status"].meaning == "on_grid"
