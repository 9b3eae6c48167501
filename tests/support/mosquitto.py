"""A real broker, and somebody who listens at it.

with Mosquitto.start_or_skip(tmp_path) as broker:
    with Observer(broker, "bessai/#") as observer:
        observer.wait_for(lambda seen: len(seen) == 3)
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PATIENCE = 30.0
"""Seconds that a test waits for what should come at once."""


class Mosquitto:
    """A mosquitto process on a free port of this machine, with persistence.

    Args:
        folder: for its files.
        tls: whether it speaks TLS; its certificate is of `ca` and for 127.0.0.1.
        users: name to password; None lets everybody in.
        lines: more of its configuration.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        *,
        tls: bool = False,
        users: Mapping[str, str] | None = None,
        lines: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.tls = tls
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._program = program
        config = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if users else 'true'}",
            "persistence true", f"persistence_location {folder}/", "autosave_interval 1",
            "max_queued_messages 0",  # else a slow observer misses some
            "log_type all",
        ]  # fmt: skip
        if os.getuid() == 0:
            config.append("user root")  # else it gives up the right to read the test's folder
        if tls:
            self.ca = trustme.CA()
            self.ca.cert_pem.write_to_path(folder / "ca.pem")
            certificate = self.ca.issue_cert("127.0.0.1")
            certificate.cert_chain_pems[0].write_to_path(folder / "broker.pem")
            certificate.private_key_pem.write_to_path(folder / "broker.key")
            config += [
                f"certfile {folder}/broker.pem",
                f"keyfile {folder}/broker.key",
                f"cafile {folder}/ca.pem",
            ]
        if users:
            self._write_passwords(users)
            config.append(f"password_file {folder}/passwords")
        (folder / "mosquitto.conf").write_text("\n".join([*config, *lines]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @classmethod
    def start_or_skip(cls, folder: Path, **options: Any) -> Mosquitto:
        """A running broker; skips the test, saying why, where there is none."""
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            pytest.skip("needs mosquitto, a broker")
        folder.mkdir(exist_ok=True)
        return cls(program, folder, **options)

    @property
    def url(self) -> str:
        """As in MQTT_URL."""
        return f"{'mqtts' if self.tls else 'mqtt'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process, again after `kill`, and wait until it answers."""
        log = (self.folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(
            [self._program, "-c", str(self.folder / "mosquitto.conf")],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        log.close()
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mosquitto did not start: {self.log()}")
            time.sleep(0.01)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; waits for the end unless the process is only paused."""
        assert self._process is not None
        self._process.send_signal(number)
        if number not in {signal.SIGSTOP, signal.SIGCONT}:
            self._process.wait()

    def log(self) -> str:
        """What it has written so far."""
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def leaf(self, name: str) -> tuple[Path, Path]:
        """A client certificate of the broker's authority, and its key."""
        certificate = self.ca.issue_cert(name)
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.cert_chain_pems[0].write_to_path(files[0])
        certificate.private_key_pem.write_to_path(files[1])
        return files

    def _write_passwords(self, users: Mapping[str, str]) -> None:
        program = shutil.which("mosquitto_passwd")
        if program is None:
            pytest.skip("needs mosquitto_passwd")
        for name, password in users.items():
            fresh = [] if (self.folder / "passwords").exists() else ["-c"]
            subprocess.run(
                [program, *fresh, "-b", str(self.folder / "passwords"), name, password],
                check=True, capture_output=True,
            )  # fmt: skip

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def __enter__(self) -> Mosquitto:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(OSError):
                self._process.send_signal(signal.SIGCONT)
            self.kill()


class Observer:
    """Keeps every message that the broker passes on, and may publish."""

    def __init__(self, broker: Mosquitto, *topics: str, user: tuple[str, str] | None = None) -> None:
        self.messages: list[paho.MQTTMessage] = []
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        if broker.tls:
            client.tls_set(str(broker.folder / "ca.pem"))
        if user is not None:
            client.username_pw_set(*user)
        self._topics = topics
        client.on_connect = self._subscribe
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message = self._take
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        assert self._ready.wait(PATIENCE), "the observer was not let in"

    def of(self, topic: str) -> list[paho.MQTTMessage]:
        """What came on one topic, in order."""
        with self._changed:
            return [message for message in self.messages if message.topic == topic]

    def wait_for(self, done: Callable[[list[paho.MQTTMessage]], bool]) -> list[paho.MQTTMessage]:
        """The messages, once they are what is wanted."""
        with self._changed:
            found = self._changed.wait_for(lambda: done(self.messages), PATIENCE)
            assert found, [(len(self.messages), m.topic, m.payload[:80]) for m in self.messages[-20:]]
            return list(self.messages)

    def wait_payload(self, topic: str, payload: bytes) -> None:
        """Returns when the newest message of a topic is this one."""
        self.wait_for(lambda _: [m.payload for m in self.of(topic)][-1:] == [payload])

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, **properties: Any
    ) -> None:
        """Publish, and wait until the broker has it."""
        found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for name, value in properties.items():
            setattr(found, name, value)
        self._client.publish(topic, payload, qos, retain, found).wait_for_publish(PATIENCE)

    def _subscribe(self, *_: Any) -> None:
        options = SubscribeOptions(qos=1, retainAsPublished=True)
        self._client.subscribe([(topic, options) for topic in self._topics])

    def _take(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
