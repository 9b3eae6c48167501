"""The application in this process on a running control plane, with one person of each role."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bessai.core.socket_file import socket_path
from bessai.interfaces.api.app import create_app
from bessai.interfaces.api.audit import Audit
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.identity import Identity
from bessai.interfaces.api.identity.passwords import Hasher
from bessai.interfaces.api.roles import Role
from bessai.interfaces.api.settings import ApiSettings
from support.asgi_call import Answer, call

WHY = {"reason": "a test of the API"}


class Plant:
    """The application with one person of each role."""

    def __init__(self, data: Path) -> None:
        settings = ApiSettings(site="site-1", data_dir=data, socket=socket_path(data))
        self.identity = Identity(data / "identity.db", Hasher((1, 8)))
        self.audit = Audit(data / "audit")
        self.context = Context(
            settings=settings, gateway=Gateway(settings.socket), identity=self.identity, audit=self.audit,
            live=SimpleNamespace(),  # type: ignore[arg-type]  # nobody watches here
        )  # fmt: skip
        self.app = create_app(self.context)
        self.secrets: dict[str, str] = {}

    async def people(self) -> None:
        """Adds vic, ana, ben and eva, each with a token."""
        roles = {"vic": Role.VIEWER, "ana": Role.OPERATOR, "ben": Role.OPERATOR, "eva": Role.ENGINEER}
        for name, role in roles.items():
            await self.identity.add_user(name, role, "quite a long secret 7")
            _, secret = await self.identity.make_token(name, name, role, ["read", "control"], 1)
            self.secrets[name] = secret

    async def do(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """What one of them is answered."""
        token = {"authorization": f"Bearer {self.secrets[who]}"}
        return await call(self.app, method, f"/api/v1{path}", body, **token, **headers)

    async def audited(self) -> list[tuple[str, str, str]]:
        """User, action and outcome of every entry."""
        files = sorted(self.audit.directory.glob("*.jsonl"))
        lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [(one["user"], one["action"], one["outcome"]) for one in lines]
