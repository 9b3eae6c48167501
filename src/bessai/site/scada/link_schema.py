"""How `scada.iec104` and `scada.dnp3` of a site file are written."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from bessai.registry.base import Strict

Seconds = Annotated[float, Field(gt=0, le=255)]


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("is no address or network; write 10.1.0.5 or 10.1.0.0/24") from None
    return text


Network = Annotated[str, AfterValidator(_network)]


class TlsEntry(Strict):
    """Encrypted links with mutual certificates (IEC 62351-3)."""

    port: int = Field(default=19998, ge=1, le=65535)
    ca: str
    """PEM file of the authority that signs the masters' certificates; relative paths start at the site file."""
    cert: str
    """PEM file of the outstation's certificate."""
    key: str
    """PEM file of its private key, without password."""


class LinkLossEntry(Strict):
    """What happens to the operator's set-points when no master in command is left."""

    after: float = Field(default=20.0, ge=1, le=86_400)
    """Seconds without one before it counts."""
    fallback: Literal["hold", "release", "value"] = "hold"
    """`hold`: the last set-points stand. `release`: they end, other sources count. `value`: `power` is requested."""
    power: float | None = None
    """kW, with `value`; + discharges."""

    @model_validator(mode="after")
    def _sound(self) -> LinkLossEntry:
        if (self.power is None) == (self.fallback == "value"):
            raise ValueError("`power` goes with `fallback: value`, and that needs it")
        return self


class Iec104Entry(Strict):
    """How the IEC 60870-5-104 controlled station talks."""

    listen: str = "0.0.0.0"  # noqa: S104 - masters are named one by one
    """Address to listen on."""
    port: int | None = Field(default=2404, ge=1, le=65535)
    """TCP port without encryption; null: TLS only."""
    tls: TlsEntry | None = None
    common_address: int = Field(default=1, ge=1, le=65534)
    masters: Annotated[list[Network], Field(min_length=1)]
    """Addresses and networks that may connect."""
    command: list[Network] = Field(default_factory=list)
    """Those of them that may command, in order of preference; none: nobody may."""
    max_masters: int = Field(default=4, ge=1, le=32)
    """Connections at once."""
    k: int = Field(default=12, ge=1, le=32767)
    """Unacknowledged frames sent at most."""
    w: int = Field(default=8, ge=1, le=32767)
    """Received frames after which an acknowledgement is sent at the latest."""
    t1: Seconds = 15.0
    """Seconds for the other side to acknowledge."""
    t2: Seconds = 10.0
    """Seconds after which received frames are acknowledged."""
    t3: Annotated[float, Field(gt=0, le=172_800)] = 20.0
    """Seconds of silence after which the link is tested."""
    cause_size: int = Field(default=2, ge=1, le=2)
    """Octets of the cause of transmission."""
    address_size: int = Field(default=2, ge=1, le=2)
    """Octets of the common address."""
    object_size: int = Field(default=3, ge=1, le=3)
    """Octets of the information object address."""
    originator: int = Field(default=0, ge=0, le=255)
    select_timeout: float = Field(default=10.0, gt=0, le=300)
    """Seconds between select and execute at most."""
    command_age: float = Field(default=10.0, gt=0, le=300)
    """Seconds: older commands with a time tag are refused."""
    buffer: int = Field(default=10_000, ge=100, le=1_000_000)
    """Events kept for masters that are away."""
    stale: float = Field(default=30.0, gt=0, le=3600)
    """Seconds without a new good value after which a point is not topical (NT)."""
    link_loss: LinkLossEntry = LinkLossEntry()

    @model_validator(mode="after")
    def _sound(self) -> Iec104Entry:
        if self.port is None and self.tls is None:
            raise ValueError("give `port`, `tls`, or both")
        if self.tls is not None and self.tls.port == self.port:
            raise ValueError("`tls.port` and `port` are the same; TLS usually has 19998")
        if self.w > self.k:
            raise ValueError("`w` is larger than `k`; take two thirds of it")
        if self.t2 >= self.t1:
            raise ValueError("`t2` must be shorter than `t1`, or links are closed for late acknowledgements")
        if self.address_size == 1 and self.common_address > 254:
            raise ValueError("a `common_address` of one octet is 1 … 254")
        known = [ipaddress.ip_network(text) for text in self.masters]
        for text in self.command:
            net = ipaddress.ip_network(text)
            if not any(net.version == n.version and net.subnet_of(n) for n in known):  # type: ignore[arg-type]
                raise ValueError(f"{text} may command but not connect; add it to `masters`")
        return self


class Dnp3Entry(Strict):
    """How the DNP3 outstation talks."""

    listen: str = "0.0.0.0"  # noqa: S104 - masters are named one by one
    """Address to listen on."""
    port: int = Field(default=20000, ge=1, le=65535)
    outstation: int = Field(default=10, ge=0, le=65519)
    """Link address of the outstation."""
    master: int = Field(default=1, ge=0, le=65519)
    """Link address of its master."""
    masters: Annotated[list[Network], Field(min_length=1)]
    """Addresses and networks that may connect."""
    commands: bool = False
    """True: its master may command."""
    select_timeout: float = Field(default=10.0, gt=0, le=300)
    """Seconds between select and operate at most."""
    silence: float = Field(default=120.0, ge=1, le=86_400)
    """Seconds without anything from the master after which its connection is closed."""
    buffer: int = Field(default=10_000, ge=100, le=1_000_000)
    """Events kept of each class for a master that is away."""
    stale: float = Field(default=30.0, gt=0, le=3600)
    """Seconds without a new good value after which a point is no longer on-line."""
    link_loss: LinkLossEntry = LinkLossEntry()

    @model_validator(mode="after")
    def _sound(self) -> Dnp3Entry:
        if self.outstation == self.master:
            raise ValueError("`outstation` and `master` need different link addresses")
        return self
