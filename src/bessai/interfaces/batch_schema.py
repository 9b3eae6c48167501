"""What is in a `bessai.batch/1`: the models that its JSON Schema is made from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from bessai.interfaces.batch_message import BATCH_SCHEMA_ID
from bessai.interfaces.envelope import DecisionPart, Device, EventPart, Gateway, Name, Time

Number = FiniteFloat | None
Micros = int | None
Index = Annotated[int, Field(ge=0)]


class Block(BaseModel):
    """Points that stand in the same records. A member that is no list holds for each of these records."""

    records: list[Index] | None = Field(
        None,
        description="Numbers of the records that these points are in; absent: every cycle of the message.",
    )
    names: list[str]
    units: list[str | None] = Field(description="One a name.")
    values: list[Number | list[Number]] = Field(
        description="One a name: a number or null, or a list of them."
    )
    quality: dict[str, Name | list[Name]] = Field(
        description="By name, where it is not `good` in every record of the block."
    )
    ages: list[Micros | list[Micros]] = Field(
        description="Microseconds between measurement and the time of the record; null: never measured."
    )
    age: Index | list[Index] = Field(description="Which of `ages` each name has.")
    meanings: dict[str, dict[str, str | list[str]]] | None = Field(
        None, description="By name of a state or bit field, then by its number: what it means."
    )


class BatchMessage(BaseModel):
    """Records of one site and lane, in order. A member that is no list holds for every record."""

    model_config = ConfigDict(title=BATCH_SCHEMA_ID)

    schema_id: Literal["bessai.batch/1"] = Field(alias="schema")
    site: str = Field(min_length=1, description="Unique id of the site.")
    epoch: int = Field(ge=0, description="Life of the journal; with `site` and a sequence it names a record.")
    gateway: Gateway
    first: int = Field(ge=0, description="Sequence of the first record.")
    last: int = Field(ge=0, description="Sequence of the last record.")
    count: int = Field(ge=1, description="Number of records.")
    sequence: list[Index] | None = Field(description="Sequence of each, less `first`; null: each one more.")
    start: Time = Field(description="Time of the first record.")
    time: list[int] = Field(description="Time of each record in microseconds after `start`.")
    kind: Name | list[Name] = Field(description="`cycle` or `event`.")
    verified: bool | list[bool | None] | None
    complete: bool | list[bool]
    device: list[tuple[Index, Device]] = Field(description="[record, device] wherever it changes.")
    texts: list[tuple[Index, dict[str, str]]] = Field(
        description="[record, texts] wherever they change; empty before the first."
    )
    decisions: list[tuple[Index, DecisionPart | None]] = Field(
        description="[record, decision] wherever it differs from that of the cycle before; null before the first. "
        "An event that is a record of its own has none."
    )
    events: list[tuple[Index, list[EventPart]]] = Field(
        description="[record, events] of records with events."
    )
    points: list[Block] = Field(description="The points of the cycles.")


def batch_json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a batch, as published in `docs/schemas/batch.schema.json`."""
    schema = BatchMessage.model_json_schema(by_alias=True, mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{BATCH_SCHEMA_ID}",
    } | schema
