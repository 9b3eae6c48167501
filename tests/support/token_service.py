"""A security token service over HTTP: exchanges a subject token for an access token, or refuses."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs


class TokenService:
    """Use as a context manager. Accepts the subject token `good` only."""

    def __enter__(self) -> TokenService:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                accepted = form["subject_token"] == ["good"]
                self.send_response(200 if accepted else 400)
                self.end_headers()
                reply = (
                    {"access_token": "granted", "token_type": "Bearer", "expires_in": 3600}
                    if accepted
                    else {"error": "invalid_grant", "error_description": "The audience does not match."}
                )
                self.wfile.write(json.dumps(reply).encode())

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def credentials_file(self, path: Path, subject_token: Path) -> Path:
        """A workload identity whose proof is the token in a file."""
        document = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"http://127.0.0.1:{self._server.server_address[1]}/v1/token",
            "credential_source": {"file": str(subject_token)},
        }
        path.write_text(json.dumps(document), encoding="utf-8")
        return path
