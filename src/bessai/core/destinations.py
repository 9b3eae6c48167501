"""Where records go beside Pub/Sub: handed on to the service plane, which knows what the values mean."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class Destinations(BaseSettings):
    """Settings of MQTT, Kafka, NATS, Parquet files and the history."""

    mqtt_url: str | None = Field(
        default=None, description="Broker, mqtts://host:8883 (mqtt:// without encryption); unset: no MQTT."
    )
    mqtt_username: str | None = Field(default=None, description="User at the broker.")
    mqtt_password: str | None = Field(default=None, description="Password; better in a file.")
    mqtt_password_file: Path | None = Field(default=None, description="File with the password.")
    mqtt_ca_file: Path | None = Field(default=None, description="Authority to trust; unset: the system's.")
    mqtt_cert_file: Path | None = Field(default=None, description="Certificate of this client.")
    mqtt_key_file: Path | None = Field(default=None, description="Key of this client's certificate.")
    mqtt_client_id: str | None = Field(default=None, description="Client id; unset: made of the site's.")
    mqtt_topic_prefix: str = Field(default="bessai", description="First level of every topic.")
    mqtt_keepalive: int = Field(default=30, ge=5, le=3600, description="Seconds between signs of life.")
    mqtt_home_assistant: bool = Field(
        default=False, description="true: announce the points to Home Assistant."
    )
    mqtt_home_assistant_prefix: str = Field(default="homeassistant", description="Its discovery prefix.")
    mqtt_commands: bool = Field(default=False, description="true: take requests for power from the broker.")
    mqtt_sparkplug: bool = Field(default=False, description="true: publish as Sparkplug B too.")
    mqtt_sparkplug_group: str | None = Field(default=None, description="Sparkplug group id.")
    kafka_brokers: str | None = Field(default=None, description="host:port,host:port; unset: no Kafka.")
    kafka_topic: str = Field(default="bessai.records", description="Topic; it must exist.")
    kafka_tls: bool = Field(default=True, description="false: not encrypted.")
    kafka_ca_file: Path | None = Field(default=None, description="Authority to trust; unset: the system's.")
    kafka_cert_file: Path | None = Field(default=None, description="Certificate of this client.")
    kafka_key_file: Path | None = Field(default=None, description="Key of this client's certificate.")
    kafka_username: str | None = Field(default=None, description="SASL user.")
    kafka_password: str | None = Field(default=None, description="SASL password; better in a file.")
    kafka_password_file: Path | None = Field(default=None, description="File with the SASL password.")
    kafka_sasl_mechanism: str = Field(default="SCRAM-SHA-512", description="SASL mechanism.")
    kafka_compression: str = Field(default="gzip", description="Compression of the batches.")
    nats_url: str | None = Field(
        default=None, description="tls://host:4222, comma between several; unset: no NATS."
    )
    nats_subject: str | None = Field(default=None, description="Subject; unset: bessai.<site>.records.")
    nats_stream: str | None = Field(
        default=None, description="JetStream stream; unset: whichever has the subject."
    )
    nats_ca_file: Path | None = Field(default=None, description="Authority to trust; unset: the system's.")
    nats_cert_file: Path | None = Field(default=None, description="Certificate of this client.")
    nats_key_file: Path | None = Field(default=None, description="Key of this client's certificate.")
    nats_username: str | None = Field(default=None, description="User.")
    nats_password: str | None = Field(default=None, description="Password; better in a file.")
    nats_password_file: Path | None = Field(default=None, description="File with the password.")
    nats_token: str | None = Field(default=None, description="Token; better in a file.")
    nats_token_file: Path | None = Field(default=None, description="File with the token.")
    nats_credentials_file: Path | None = Field(default=None, description="Credentials file (.creds).")
    parquet_dir: Path | None = Field(
        default=None, description="Directory of hourly Parquet files; unset: none."
    )
    parquet_keep_days: int | None = Field(default=None, ge=1, description="Days of them to keep; unset: all.")
    history_max_mb: int = Field(
        default=512, ge=0, description="Largest size of the history in MB; 0: no history."
    )
    history_keep_years: str | None = Field(
        default=None,
        description="Years to keep by resolution, such as `10s=0.5 1min=3`; unset: the defaults.",
    )
    publish_format: Literal["records", "batch"] = Field(
        default="records",
        description="records: a message a record. batch: many records in one, for slow links (see docs/message.md).",
    )
