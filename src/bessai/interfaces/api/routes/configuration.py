"""What the gateway is configured as, without secrets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from bessai.interfaces.api.answers import Answer
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.roles import Role, needs

router = APIRouter(tags=["configuration"], dependencies=[Depends(needs(Role.VIEWER))])


class Setting(Answer):
    """One setting; its name is that of the environment variable."""

    name: str
    value: Any
    """Secrets are `••••`, also inside addresses; null: unset."""
    default: Any
    description: str
    source: str
    """`environment`, `file` (config/.env) or `default`."""
    required: bool


class SiteInShort(Answer):
    """The plant."""

    name: str
    file: str | None
    """The site file; null: one device, told by the settings."""
    devices: int
    points: int
    plant_points: list[str]
    """Points that the gateway computes of the devices'."""
    commanded: list[str]
    """Devices that it may command."""
    scada: bool


class Limits(Answer):
    """The battery's limits in short."""

    chemistry: str
    soc_min: float
    """%, as is soc_max."""
    soc_max: float


class Configuration(Answer):
    """All settings."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "settings": [
                        {"name": "CYCLE_TIME", "value": 1.0, "default": 1.0,
                         "description": "Seconds of one control cycle.", "source": "default", "required": False}
                    ],
                    "site": {"name": "demo", "file": None, "devices": 1, "points": 71, "plant_points": [],
                             "commanded": [""], "scada": False},
                    "limits": {"chemistry": "lfp", "soc_min": 10.0, "soc_max": 95.0},
                }
            ]
        }
    )  # fmt: skip

    settings: list[Setting]
    site: SiteInShort
    limits: Limits


@router.get("/configuration")
async def configuration(context: Annotated[Context, Depends(of)]) -> Configuration:
    """The settings with which the gateway runs. They change with a restart."""
    told = await context.gateway.configuration()
    return Configuration(settings=told["settings"], site=told["site"], limits=told["limits"])
