"""Where settings come from, the environment and behind it `config/.env`: all problems reported at once."""

from __future__ import annotations

import difflib
import io
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import ValidationError

from bessai.core.settings import Settings
from bessai.model.masking import MASK, is_secret, refused

ENV_FILE = Path("config/.env")


class SettingsError(ValueError):
    """Settings that cannot be used. `problems` lists everything that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def load_settings(env_file: Path = ENV_FILE) -> Settings:
    """Settings from the environment and, behind it, from `env_file` if it exists.

    Raises:
        SettingsError: with every problem: missing, wrong, contradictory and misspelt variables.
    """
    known = [name.upper() for name in Settings.model_fields]
    from_file = _from_file(env_file)
    given = {name: given_value(name, env_file) for name in known}
    problems = [*_unknown(known, env_file, from_file), *_contradictions(given)]
    settings = None
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            name = str(item["loc"][0]).upper()
            where = str(env_file) if name in from_file and not os.environ.get(name) else "environment"
            if item["type"] == "missing":
                what = Settings.model_fields[name.lower()].description
                problems.append(f"{name} is missing. {what} Set it in the environment or in {env_file}")
            else:
                message = item["msg"].removeprefix("Value error, ").rstrip(".")
                problems.append(f"{where}: {name}={refused(name, given[name])}: {message}")
    if problems or settings is None:
        raise SettingsError(problems)
    return settings


def given_value(name: str, env_file: Path = ENV_FILE) -> str | None:
    """The unchecked text of a variable, from the environment or from the file."""
    return os.environ.get(name) or _from_file(env_file).get(name)


def readable(env_file: Path = ENV_FILE) -> bool:
    """False when the file exists and cannot be understood."""
    try:
        _from_file(env_file)
    except SettingsError:
        return False
    return True


def _from_file(env_file: Path) -> dict[str, str]:
    """The names and values of the file; empty when there is none.

    Raises:
        SettingsError: it cannot be read, or a line of it is no `NAME=value`.
    """
    try:
        text = env_file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except UnicodeDecodeError:
        raise SettingsError([f"{env_file}: is not UTF-8 text"]) from None
    except OSError as error:
        raise SettingsError([f"{env_file}: cannot be read: {error.strerror}"]) from None
    bad = [
        f"{env_file}: line {binding.original.line}: {_begin(binding.original.string)}: is no NAME=value"
        for binding in parse_stream(io.StringIO(text))
        if binding.error or (binding.key is not None and binding.value is None)
    ]
    if bad:
        raise SettingsError(bad)
    return {k: v for k, v in dotenv_values(stream=io.StringIO(text)).items() if v}


def _unknown(known: list[str], env_file: Path, from_file: Mapping[str, str]) -> Iterator[str]:
    """Every unknown name of the file; of the environment, which is shared, only near misses."""
    for name, value in from_file.items():
        if name not in known and not name.startswith("OTEL_"):
            near = difflib.get_close_matches(name.upper(), known, 1)
            hint = f"did you mean {near[0]}?" if near else "remove it"
            yield f"{env_file}: {name}={_strange(name, value, near)}: unknown variable; {hint}"
    for name, value in os.environ.items():
        near = difflib.get_close_matches(name.upper(), known, 1, cutoff=0.87)
        if near and name not in known and near[0] not in os.environ and not name.startswith("OTEL_"):
            shown = _strange(name, value, near)
            yield f"environment: {name}={shown}: unknown variable; did you mean {near[0]}?"


def _strange(name: str, value: str, near: list[str]) -> str:
    """The value of an unknown name, unless it may be a secret: nobody knows what was meant."""
    return refused(name, value) if near and not is_secret(near[0]) else MASK


def _contradictions(given: Mapping[str, str | None]) -> Iterator[str]:
    if not given["INVERTER_IP"] and not given["SITE_FILE"]:
        yield "INVERTER_IP is missing; set it to the address of the inverter, or SITE_FILE to a site file"
    if given["SITE_FILE"]:
        for name in ("INVERTER_IP", "INVERTER_PORT", "INVERTER_UNIT", "DRIVER_PROFILE_PATH"):
            if given[name]:
                yield f"{name}={refused(name, given[name])}: SITE_FILE says where the devices are; set one of the two"
    if bool(given["GCP_PROJECT_ID"]) != bool(given["GCP_PUBSUB_TOPIC"]):
        missing = "GCP_PUBSUB_TOPIC" if given["GCP_PROJECT_ID"] else "GCP_PROJECT_ID"
        yield f"{missing} is missing; set both GCP_PROJECT_ID and GCP_PUBSUB_TOPIC, or neither"
    if bool(given["HTTP_CERT_FILE"]) != bool(given["HTTP_KEY_FILE"]):
        missing = "HTTP_KEY_FILE" if given["HTTP_CERT_FILE"] else "HTTP_CERT_FILE"
        yield f"{missing} is missing; set both HTTP_CERT_FILE and HTTP_KEY_FILE, or neither"
    if given["HTTP_CERT_FILE"] and given["HTTP_TLS"] == "off":
        yield "HTTP_TLS=off: HTTP_CERT_FILE is set; set HTTP_TLS to auto or on, or unset the certificate"
    low, high = (
        float(given[name] or Settings.model_fields[name.lower()].default)
        if _is_number(given[name] or "0")
        else math.nan
        for name in ("SOC_MIN", "SOC_MAX")
    )
    if low >= high:
        yield f"SOC_MIN={low:g} must be below SOC_MAX={high:g}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _begin(line: str) -> str:
    """The setting that a line begins with; what else stands there may be a password that somebody forgot the = of."""
    word = re.match(r"\w*", line.strip())
    name = word[0] if word else ""
    return f"{name} …" if name.lower() in Settings.model_fields else "…"
