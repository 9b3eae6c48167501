"""The real gateway on a simulated plant, and people who hear of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bessai.registry import load_profile
from bessai.twin import TwinServer
from support.gateway import GatewayProcess, typed
from support.processes import free_port
from support.smtp_server import SmtpServer
from support.webhook import Webhook

SECRET = "hunter2secret"
TITLE = "ALARMA site-1: evidence_lost soc"
FILE = """
time_zone: America/Santiago
language: es
gather_seconds: 1
recipients:
  turno: {{channels: [{{url: "json://127.0.0.1:{hook}/"}}, {{url_file: mail.url}}]}}
  jefa: {{language: en, channels: [{{url: "json://127.0.0.1:{refused}/hunter2secret"}}]}}
rules: [{{severity: alarm, codes: [evidence_lost], points: [soc], tell: [turno, jefa]}}]
"""


def test_an_alarm_of_the_plant_reaches_people_and_a_broken_channel_is_an_alarm_too(tmp_path: Path) -> None:
    async def run() -> None:
        with SmtpServer(f"gw:{SECRET}") as mail, Webhook() as hook:
            (tmp_path / "mail.url").write_text(
                f"mailto://gw:{SECRET}@127.0.0.1:{mail.port}?from=gw@x.cl&to=turno@x.cl"
            )
            file = tmp_path / "notify.yaml"
            file.write_text(FILE.format(hook=hook.port, refused=free_port()))
            async with TwinServer(load_profile("huawei_sun2000"), seed=3) as twin:
                gateway = GatewayProcess(
                    tmp_path / "data", INVERTER_PORT=str(twin.port), NOTIFY_FILE=str(file)
                )
                with gateway:
                    await gateway.until(lambda s: s["control"]["state"] == "normal")
                    await twin.stop()
                    await gateway.until(lambda _: any(one["title"] == TITLE for one in hook.posts))
                    status = await gateway.until(
                        lambda s: (
                            not s["healthy"]
                            and any(c["code"] == "notifications_failing" for c in s["conditions"])
                        )
                    )
                    await gateway.until(lambda _: any(one["Subject"] == TITLE for one in mail.mails))
                    shown = await asyncio.to_thread(
                        typed, "notify", "show", "--json", DATA_DIR=str(gateway.data), NOTIFY_FILE=str(file)
                    )
                    assert gateway.end() == 0
        post = next(one for one in hook.posts if one["title"] == TITLE)
        assert "Qué hacer:" in post["message"]
        message = next(c["message"] for c in status["conditions"] if c["code"] == "notifications_failing")
        assert message.startswith("jefa/json: ")
        assert shown.returncode == 1, shown.stderr
        told = json.loads(shown.stdout)
        assert {one["name"]: one["why"] is None for one in told["channels"]} == {
            "turno/json": True, "turno/mailto": True, "jefa/json": False,
        }  # fmt: skip
        kept = (gateway.data / "notify" / "state.json").read_text()
        assert SECRET not in json.dumps(status) + shown.stdout + kept + gateway.log.read_text()

    asyncio.run(run())
