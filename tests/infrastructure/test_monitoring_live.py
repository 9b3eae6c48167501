"""Prometheus itself, with the configuration of `infrastructure/prometheus`, on the real page: TLS and a real token."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from bessai.interfaces.api.roles import Role
from support.page_server import PageServer, page_server, until
from support.processes import free_port

PROMETHEUS = Path(__file__).parents[2] / "infrastructure/prometheus"


def _installed(folder: Path, page: PageServer, token: str, certificate: Path) -> Path:
    """As docs/monitoring.md says; faster, and without Alertmanager."""
    copied = folder / "prometheus"
    shutil.copytree(PROMETHEUS, copied)
    (copied / "secrets").mkdir()
    (copied / "secrets/plant-1.token").write_text(token)
    shutil.copy(certificate, copied / "secrets/plant-1.pem")
    targets = [{"targets": [f"localhost:{page.port}"], "labels": {"site": "plant-1"}}]
    (copied / "targets/plant-1.yml").write_text(yaml.safe_dump(targets))
    config = yaml.safe_load((copied / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval", "scrape_timeout"), "1s")
    del config["alerting"]
    (copied / "prometheus.yml").write_text(yaml.safe_dump(config))
    return copied


@contextmanager
def _running(installed: Path) -> Iterator[str]:
    program = shutil.which("prometheus")
    assert program is not None
    address = f"127.0.0.1:{free_port()}"
    command = [
        program, f"--config.file={installed / 'prometheus.yml'}", f"--web.listen-address={address}",
        f"--storage.tsdb.path={installed.parent / 'tsdb'}", "--log.level=warn",
    ]  # fmt: skip
    with (installed.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def _asked(url: str, **query: str) -> Any:
    try:
        with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=5) as answer:
            return json.load(answer)["data"]
    except OSError:
        return None


async def _until(url: str, found: Any, **query: str) -> Any:
    async with asyncio.timeout(60):
        while not (value := found(await asyncio.to_thread(_asked, url, **query) or {})):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return value


def _with(name: str) -> Callable[[Any], dict[str, Any] | None]:
    """All alerts by name, once there is the one."""

    def found(said: Any) -> dict[str, Any] | None:
        alerts = {one["labels"]["alertname"]: one for one in said.get("alerts", ())}
        return alerts if name in alerts else None

    return found


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus (Debian: prometheus)")
def test_prometheus_reads_the_page_and_judges_it(tmp_path: Path) -> None:
    asyncio.run(_reads_and_judges(tmp_path))


async def _reads_and_judges(tmp_path: Path) -> None:
    async with page_server(tmp_path / "data", tls="on") as page:
        await page.context.identity.add_user("ana", Role.ADMINISTRATOR, "a long word of nobody")
        _, token = await page.context.identity.make_token("ana", "prometheus", Role.VIEWER, ("read",), 1)
        certificate = tmp_path / "data/tls/page.pem"
        await until(certificate.exists)
        installed = _installed(tmp_path, page, token, certificate)
        with _running(installed) as url:
            up = await _until(f"{url}/api/v1/query", lambda said: said.get("result"), query="bessai_up")
            (series,) = up
            assert series["metric"] == {
                "__name__": "bessai_up", "instance": f"localhost:{page.port}", "job": "bessai", "site": "plant-1",
            }  # fmt: skip
            assert series["value"][1] == "0", "nobody is behind this page"
            alerts = await _until(f"{url}/api/v1/alerts", _with("BessaiControlSilent"))
            assert (
                alerts["BessaiControlSilent"]["annotations"]["summary"]
                == "plant-1: the control plane is silent"
            )
            rules = await _until(f"{url}/api/v1/rules", lambda said: said.get("groups"))
            assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}
