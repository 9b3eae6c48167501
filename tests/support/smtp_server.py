"""A real mail server of the smallest kind: takes mail, after a login where one is wanted, and keeps it."""

from __future__ import annotations

import base64
import email
import socketserver
import threading
from email import policy
from email.message import EmailMessage
from typing import Self


class SmtpServer:
    """Use as a context manager; `login` is `user:password`."""

    def __init__(self, login: str | None = None) -> None:
        self.mails: list[EmailMessage] = []
        self.receivers: list[str] = []
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 test")
                allowed = login is None
                while line := self.rfile.readline().decode().strip():
                    word, _, rest = line.partition(" ")
                    match word.upper():
                        case "EHLO":
                            self._say("250-test", "250-AUTH PLAIN", "250 SMTPUTF8")
                        case "AUTH":
                            told = base64.b64decode(rest.split(" ")[1]).decode().split("\0")
                            allowed = ":".join(told[1:]) == login
                            self._say("235 welcome" if allowed else "535 no")
                        case "DATA":
                            self._say("354 go on")
                            self._take()
                            self._say("250 kept")
                        case "RCPT":
                            server.receivers += [rest] * allowed
                            self._say("250 well" if allowed else "530 log in first")
                        case "QUIT":
                            self._say("221 bye")
                            return
                        case _:
                            self._say("250 well")

            def _take(self) -> None:
                lines = []
                while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                    lines.append(line.removeprefix(b"."))
                mail = email.message_from_bytes(b"".join(lines), policy=policy.default)
                assert isinstance(mail, EmailMessage)
                server.mails.append(mail)

            def _say(self, *lines: str) -> None:
                self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
