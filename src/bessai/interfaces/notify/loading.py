"""Reads NOTIFY_FILE."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from bessai.interfaces.notify.addresses import Channel, kind_of, masked, read_address
from bessai.interfaces.notify.schema import (
    Address,
    Daily,
    Heartbeat,
    NotifyFile,
    Quiet,
    Recipient,
    Rule,
    Step,
)
from bessai.registry import Problem
from bessai.registry.problems import explain
from bessai.site.reading import SiteError, read_mapping

_FIELDS = sorted(
    {
        name
        for model in (NotifyFile, Recipient, Address, Quiet, Rule, Step, Daily, Heartbeat)
        for name in model.model_fields
    }
)


class NotifyError(ValueError):
    """A notification file that cannot be used. `problems` lists all that is wrong with it, without a secret."""

    def __init__(self, problems: Iterable[Problem], secret_files: Iterable[Path] = ()) -> None:
        self.secret_files = list(secret_files)
        """Files with addresses that it names: one of them may be what is wrong."""
        self.problems = [Problem(p.file, p.field, masked(p.value), masked(p.mend)) for p in problems]
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, kw_only=True)
class NotifyConfig:
    """A checked notification file, with the addresses that it names."""

    path: Path
    file: NotifyFile
    channels: tuple[Channel, ...]
    heartbeat_url: str | None = field(default=None, repr=False)
    """Secret."""

    @property
    def zone(self) -> ZoneInfo:
        """For quiet hours and for the times in messages."""
        return ZoneInfo(self.file.time_zone)

    def language(self, recipient: str) -> str:
        """Of a recipient."""
        return self.file.recipients[recipient].language or self.file.language

    def of(self, recipient: str) -> list[Channel]:
        """The channels of a recipient."""
        return [channel for channel in self.channels if channel.recipient == recipient]

    def addresses(self) -> dict[str, Address]:
        """Every address of the file, by the field in which it stands."""
        return _addresses(self.file)

    def literals(self) -> list[str]:
        """Fields in which an address stands itself."""
        return [f"{where}.url" for where, address in self.addresses().items() if address.literal]

    def secret_files(self) -> list[Path]:
        """Files that hold addresses."""
        return _secret_files(self.file, self.path)


def load_notify(path: Path | str, environment: Mapping[str, str]) -> NotifyConfig:
    """Read and check a notification file. Whether Apprise understands an address is not looked at here.

    Args:
        path: the file.
        environment: where `${NAME}` is looked up.

    Raises:
        NotifyError: with all problems.
    """
    path = Path(path)
    try:
        document = read_mapping(
            path, "notification file", "`recipients` and `rules`; see config/notify.example.yaml"
        )
    except SiteError as error:
        raise NotifyError(error.problems) from None
    try:
        file = NotifyFile.model_validate(document)
    except ValidationError as error:
        raise NotifyError(explain(error, str(path), document, _FIELDS)) from None
    problems: list[Problem] = []

    def address(where: str, given: Address) -> str:
        try:
            return read_address(given, environment, path.parent)
        except ValueError as error:
            name = "url" if given.url is not None else "url_file"
            value = given.url_file or (given.url if not given.literal else "") or ""
            problems.append(Problem(str(path), f"{where}.{name}", value, str(error)))
            return ""

    problems += _strangers(file, str(path))
    channels: list[Channel] = []
    for name, recipient in file.recipients.items():
        kinds: Counter[str] = Counter()
        for i, given in enumerate(recipient.channels):
            url = address(f"recipients.{name}.channels.{i}", given)
            kind = kind_of(url)
            kinds[kind] += 1
            number = f"-{kinds[kind]}" if kinds[kind] > 1 else ""
            channels.append(Channel(name=f"{name}/{kind}{number}", recipient=name, url=url))
    heartbeat = address("heartbeat", file.heartbeat) if file.heartbeat else None
    if heartbeat and kind_of(heartbeat) not in {"http", "https"}:
        problems.append(
            Problem(str(path), "heartbeat", "", "give a URL that begins with https:// or http://")
        )
    if problems:
        raise NotifyError(problems, _secret_files(file, path))
    return NotifyConfig(path=path, file=file, channels=tuple(channels), heartbeat_url=heartbeat or None)


def _addresses(file: NotifyFile) -> dict[str, Address]:
    found: dict[str, Address] = {
        f"recipients.{name}.channels.{i}": address
        for name, recipient in file.recipients.items()
        for i, address in enumerate(recipient.channels)
    }
    return found | ({"heartbeat": file.heartbeat} if file.heartbeat else {})


def _secret_files(file: NotifyFile, path: Path) -> list[Path]:
    return [path.parent / one.url_file for one in _addresses(file).values() if one.url_file is not None]


def stamps(*paths: Path) -> tuple[int, ...]:
    """What changes when one of some files does, or who may read it."""
    found: list[int] = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            found.append(0)
            continue
        found += (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
    return tuple(found)


def _strangers(file: NotifyFile, path: str) -> Iterator[Problem]:
    """Everybody who is to be told and whom the file does not know."""
    told = [(f"rules.{i}.tell", rule.tell) for i, rule in enumerate(file.rules)]
    for i, rule in enumerate(file.rules):
        told += [(f"rules.{i}.escalate.{j}.tell", step.tell) for j, step in enumerate(rule.escalate)]
    told += [("daily.tell", file.daily.tell)] if file.daily else []
    for where, names in told:
        for name in names:
            if name not in file.recipients:
                near = difflib.get_close_matches(name, file.recipients, 1)
                hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(file.recipients)}"
                yield Problem(path, where, name, f"the file has no such recipient; {hint}")
