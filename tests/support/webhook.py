"""A real HTTP server that takes messages, refuses them, or lets their sender wait."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Webhook:
    """Keeps every document that was posted; use as a context manager."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.asked: list[str] = []
        """Paths that were asked for by GET."""
        self.status = 200
        self.let_go = threading.Event()
        """Answers leave once it is set."""
        self.let_go.set()
        self.changed = threading.Condition()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                with hook.changed:
                    hook.posts.append(json.loads(body) | {"path": self.path})
                    hook.changed.notify_all()
                self._answer()

            def do_GET(self) -> None:
                with hook.changed:
                    hook.asked.append(self.path)
                    hook.changed.notify_all()
                self._answer()

            def _answer(self) -> None:
                hook.let_go.wait(60)
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Tests look at what arrived."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def wait_for(self, count: int, seconds: float = 60.0) -> list[dict[str, Any]]:
        """The documents, once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.posts) >= count, seconds), self.posts
            return list(self.posts)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
