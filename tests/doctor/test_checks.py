"""Each check on machines as they are found in the field, made of the kernel's own files in a folder."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bessai.core.settings import Settings
from bessai.doctor import CHECKS, Check, Finding, Verdict, chosen, examine, exit_code
from bessai.doctor.checks import clock, configuration, disk, gateway, machine, network, realtime, rights, unit
from bessai.doctor.checks.clock import KernelClock, kernel_clock
from bessai.doctor.look import Look
from bessai.doctor.result import Checked, bad, ok
from support.findings import codes

Run = Callable[[Sequence[str]], str | None]


def look(
    folder: Path, files: Mapping[str, str] | None = None, run: Run = lambda _: None, **more: Any
) -> Look:
    root = folder / "root"
    root.mkdir(exist_ok=True)
    for name, text in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Look(data_dir=folder, root=root, run=run, **more)


def settings(**more: Any) -> Settings:
    return Settings(_env_file=None, site_id="a", inverter_ip="127.0.0.1", **more)


CHRONY = "Reference ID    : C0A80001 (192.168.0.1)\nLast offset     : +0.000012 seconds\nLeap status     : Normal\n"


@pytest.mark.parametrize(
    ("told", "run", "expected"),
    [
        (KernelClock(True, 2e-5, 0.02, 0), lambda _: None, ["ok ok"]),
        (KernelClock(True, 0.0, 3.0, 0), lambda _: None, ["warn vague"]),
        (KernelClock(False, 0.0, 16.0, 0), lambda _: None, ["bad nobody"]),
        (
            KernelClock(False, 0.0, 16.0, 0),
            lambda c: CHRONY if c[0] == "chronyc" else None,
            ["bad unsynchronised"],
        ),
        (
            KernelClock(False, 0.0, 16.0, 0),
            lambda c: "NTP=yes\n" if c[0] == "timedatectl" else None,
            ["bad unsynchronised"],
        ),
        (KernelClock(True, 0.0, 0.01, 1), lambda _: None, ["ok ok", "warn leap"]),
        (None, lambda _: None, ["unknown unknown"]),
    ],
)
def test_clock(tmp_path: Path, told: KernelClock | None, run: Run, expected: list[str]) -> None:
    assert codes(clock.synchronised(look(tmp_path, run=run), lambda: told)) == expected


def test_the_kernel_of_this_machine_is_understood() -> None:
    told = kernel_clock()
    assert told is not None
    assert abs(told.offset) < 1.0
    assert 0 <= told.max_error < 100
    if not told.synchronised:
        assert told.max_error > 0


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (None, "warn none"), (1000, "ok ok"), (1003, "ok ok"), (940, "warn off"), (1000 - 3 * 3600, "warn local"),
        (1000 + 19800, "warn local"), (1000 + 2 * 3600 + 900, "warn off"),
    ],
)  # fmt: skip
def test_hardware_clock(tmp_path: Path, epoch: float | None, expected: str) -> None:
    files = {} if epoch is None else {"sys/class/rtc/rtc0/since_epoch": f"{epoch}\n"}
    assert codes(clock.hardware(look(tmp_path, files, now=lambda: 1000.0))) == [expected]


MOUNTS = (
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 22 0:30 / {point} {options} - {kind} /dev/x {more}\n"
)


@pytest.mark.parametrize(
    ("kind", "options", "more", "expected"),
    [
        ("ext4", "rw,relatime", "rw,commit=60", ["ok ok"]),
        ("xfs", "rw", "rw", ["ok ok"]), ("f2fs", "rw", "rw", ["ok ok"]),
        ("overlay", "rw", "rw", ["bad gone"]), ("tmpfs", "rw", "rw", ["bad gone"]), ("vfat", "rw", "rw", ["bad plain"]),
        ("exfat", "rw", "rw", ["bad plain"]), ("nfs4", "rw", "rw", ["bad far"]), ("cifs", "rw", "rw", ["bad far"]),
        ("fuse.sshfs", "rw", "rw", ["bad far"]), ("ecryptfs", "rw", "rw", ["warn strange"]),
        ("ext4", "ro", "ro", ["bad read_only", "ok ok"]), ("ext4", "rw", "rw,nobarrier", ["ok ok", "bad unsafe"]),
        ("ext4", "rw,strictatime", "rw,data=writeback", ["ok ok", "bad unsafe", "warn wearing"]),
    ],
)  # fmt: skip
def test_file_system(tmp_path: Path, kind: str, options: str, more: str, expected: list[str]) -> None:
    point = str(tmp_path.resolve()).replace("_", r"\137")  # as the kernel writes what it must escape
    text = MOUNTS.format(point=point, options=options, kind=kind, more=more)
    assert codes(disk.file_system(look(tmp_path, {"proc/self/mountinfo": text}))) == expected


def test_the_nearest_mount_counts() -> None:
    table = (
        "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /var rw - xfs b rw\n3 1 8:3 / /var/lib/bess rw - vfat c rw\n"
    )
    for path, kind in (("/var/lib/bessai", "xfs"), ("/var/lib/bess", "vfat"), ("/opt", "ext4")):
        found = disk.mount_of(table, Path(path))
        assert found is not None
        assert found.kind == kind
    hidden = disk.mount_of(table + "4 1 8:4 / /var rw - tmpfs d rw\n", Path("/var/x"))
    assert hidden is not None
    assert hidden.kind == "tmpfs"


def test_room(tmp_path: Path) -> None:
    small = settings(journal_max_mb=16, history_max_mb=0, black_box_max_mb=8)
    (finding,) = disk.space(look(tmp_path, settings=small))
    assert finding.verdict is Verdict.OK
    assert finding.facts["caps_mb"] == pytest.approx(92.3, abs=0.1), "16 + 8 MB, and 64 MB of audit log"
    vast = settings(journal_max_mb=10**9)
    assert codes(disk.space(look(tmp_path, settings=vast))) == ["warn short"]
    forever = small.model_copy(update={"parquet_dir": tmp_path})
    assert codes(disk.space(look(tmp_path, settings=forever))) == ["ok ok", "warn parquet"]
    assert codes(disk.space(Look(data_dir=tmp_path / "nowhere"))) == ["skipped no_directory"]


def test_a_real_disk_is_sure_of_its_writes_and_keeps_no_file(tmp_path: Path) -> None:
    times = disk.sync_times(tmp_path, 3)
    assert len(times) == 3
    assert all(0 < seconds < 60 for seconds in times)
    assert list(tmp_path.iterdir()) == []
    assert codes(disk.sync(Look(data_dir=tmp_path / "nowhere"))) == ["skipped skipped"]
    assert codes(disk.inodes(Look(data_dir=tmp_path)))[0].startswith(("ok", "skipped", "bad"))


def test_slow_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, expected in ((0.02, "ok ok"), (0.3, "warn slow"), (2.0, "bad stuck")):
        monkeypatch.setattr(disk, "sync_times", lambda _, s=seconds: [s, s, 10 * s])
        assert codes(disk.sync(look(tmp_path))) == [expected]


NVME = {"smart_status": {"passed": True}, "nvme_smart_health_information_log": {"percentage_used": 85}}
SATA = {"smart_status": {"passed": True}, "ata_smart_attributes": {"table": [{"id": 177, "value": 98}]}}


@pytest.mark.parametrize(
    ("device", "told", "expected"),
    [
        ("nvme0n1", NVME, "warn worn"),
        ("sda", SATA, "ok ok"), ("sda", {"smart_status": {"passed": False}}, "bad failing"),
        ("sda", {"smart_status": {"passed": True}}, "ok healthy"), ("sda", {}, "unknown not_told"),
        ("nvme0n1", {**NVME, "nvme_smart_health_information_log": {"percentage_used": 110}}, "bad worn_out"),
        ("sda", None, "unknown no_smartctl"), ("vda", None, "skipped virtual"), ("mmcblk0", None, "warn card"),
    ],
)  # fmt: skip
def test_wear(tmp_path: Path, device: str, told: dict[str, Any] | None, expected: str) -> None:
    files = {"sys/block/mmcblk0/device/type": "SD\n"}
    found = look(tmp_path, files, run=lambda _: None if told is None else json.dumps(told))
    assert codes(disk.smart(found, device, {"device": device, "written_gb": 1.0})) == [expected]


def test_rights(tmp_path: Path) -> None:
    password, env = tmp_path / "mqtt", tmp_path / ".env"
    for file in (password, env):
        file.write_text("x")
        file.chmod(0o600)
    given = settings(mqtt_password_file=password)
    found = look(tmp_path, settings=given, env_file=env)
    assert codes(rights.secrets(found)) == ["ok ok"]
    password.chmod(0o644)
    env.chmod(0o660)
    assert codes(rights.secrets(found)) == ["warn group", "bad open"]
    env.chmod(0o640)
    password.chmod(0o440)
    (finding,) = rights.secrets(found)
    assert (finding.verdict, finding.facts["count"]) == (Verdict.OK, 2)
    for mode, expected in ((0o700, "ok ok"), (0o750, "ok ok"), (0o755, "warn open"), (0o777, "bad writable")):
        tmp_path.chmod(mode)
        assert codes(rights.data_dir(found)) == [expected], oct(mode)
    tmp_path.chmod(0o700)


def test_notifications_have_secrets_and_need_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, address = tmp_path / "notify.yaml", tmp_path / "ana.url"
    file.write_text("recipients: {ana: {channels: [{url_file: ana.url}]}}\nrules: [{tell: [ana]}]\n")
    address.write_text("json://h/secret\n")
    given = look(tmp_path, settings=settings(notify_file=file), env_file=tmp_path / ".env")
    for mode, expected in ((0o644, ["bad open"]), (0o600, ["ok ok"])):
        address.chmod(mode)
        assert codes(rights.secrets(given)) == expected
    file.write_text(file.read_text().replace("url_file: ana.url", 'url: "json://h/secret"'))
    file.chmod(0o604)
    assert codes(rights.secrets(given)) == ["bad open"]
    file.write_text("rules: []")
    assert codes(rights.secrets(given)) == []
    monkeypatch.setattr(configuration, "find_spec", lambda name: None if name == "apprise" else name)
    (finding,) = configuration.packages(given)
    assert (finding.text, finding.facts["extra"]) == ("missing", "notify")


ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"


def test_way_out(tmp_path: Path) -> None:
    way = {"proc/net/route": ROUTES + "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n"}
    assert codes(network.route(look(tmp_path, way))) == ["ok ok"]
    none = {"proc/net/route": ROUTES + "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n"}
    assert codes(network.route(look(tmp_path, none))) == ["warn none"]
    cloud = settings(gcp_project_id="p", gcp_pubsub_topic="t")
    assert codes(network.route(look(tmp_path, none, settings=cloud))) == ["bad needed"]


TCP = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 {far} {state} 0 0 0 0 0 1\n"


def test_ports_and_connections(tmp_path: Path) -> None:
    given = settings()
    listening = {"proc/net/tcp": TCP.format(far="00000000:0000", state="0A")}
    assert codes(network.ports(look(tmp_path, listening, settings=given))) == ["bad taken"]
    status = {"pid": 1}
    assert codes(network.ports(look(tmp_path, listening, settings=given, status=status))) == ["ok listening"]
    assert codes(network.ports(look(tmp_path, listening, settings=given, trouble="x"))) == ["skipped silent"]
    talking = look(tmp_path, {"proc/net/tcp": TCP.format(far="0108A8C0:01F6", state="01")}, settings=given)
    assert codes(network.ports(talking)) == ["ok free"]
    assert network.connected(talking, "192.168.8.1", 502)
    assert not network.connected(talking, "192.168.8.1", 503)
    assert not network.connected(talking, "192.168.8.2", 502)
    assert codes(network.ports(replace(talking, status=status))) == ["bad shut"]
    low = replace(talking, settings=settings(http_port=443))
    assert codes(network.ports(low)) == ["warn privileged"]


CPU = "sys/devices/system/cpu"


@pytest.mark.parametrize(
    ("check", "files", "expected"),
    [
        (machine.governor, {}, ["skipped skipped"]),
        (machine.governor, {f"{CPU}/cpufreq/policy0/scaling_governor": "ondemand"}, ["ok ok"]),
        (machine.governor, {f"{CPU}/cpufreq/policy0/scaling_governor": "powersave"}, ["warn slow"]),
        (
            machine.governor,
            {
                f"{CPU}/cpufreq/policy0/scaling_governor": "powersave",
                f"{CPU}/cpufreq/policy0/scaling_driver": "intel_pstate",
            },
            ["ok ok"],
        ),
        (machine.throttling, {}, ["skipped skipped"]),
        (machine.throttling, {"sys/devices/platform/soc/soc:firmware/get_throttled": "0"}, ["ok raspberry"]),
        (
            machine.throttling,
            {"sys/devices/platform/soc/soc:firmware/get_throttled": "50005"},
            ["bad now"],
        ),
        (
            machine.throttling,
            {"sys/devices/platform/soc/soc:firmware/get_throttled": "10000"},
            ["warn before"],
        ),
        (machine.throttling, {f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "3"}, ["warn counted"]),
        (machine.temperature, {"sys/class/thermal/thermal_zone0/temp": "52000"}, ["ok ok"]),
        (machine.temperature, {"sys/class/thermal/thermal_zone0/temp": "91000"}, ["bad hot"]),
        (
            machine.temperature,
            {
                "sys/class/thermal/thermal_zone0/temp": "72000",
                "sys/class/thermal/thermal_zone0/trip_point_0_type": "passive",
                "sys/class/thermal/thermal_zone0/trip_point_0_temp": "80000",
            },
            ["warn warm"],
        ),
        (machine.load, {"proc/loadavg": "0.1 0.2 0.1 1/9 9"}, ["ok ok"]),
        (machine.load, {"proc/loadavg": "9 999 9 1/9 9"}, ["warn busy"]),
        (machine.memory, {"proc/meminfo": "MemTotal: 1000000 kB\nMemAvailable: 600000 kB\n"}, ["ok ok"]),
        (
            machine.memory,
            {"proc/meminfo": "MemTotal: 1000000 kB\nMemAvailable: 150000 kB\n"},
            ["warn little"],
        ),
        (machine.memory, {"proc/meminfo": "MemTotal: 1000000 kB\nMemAvailable: 30000 kB\n"}, ["bad none"]),
    ],
)
def test_machine(
    tmp_path: Path, check: Callable[[Look], Iterator[Finding]], files: dict[str, str], expected: list[str]
) -> None:
    assert codes(check(look(tmp_path, files))) == expected


def test_limits_of_a_container(tmp_path: Path) -> None:
    base = "sys/fs/cgroup/a"
    files = {"proc/self/cgroup": "0::/a\n", f"{base}/cgroup.controllers": "cpu memory", f"{base}/memory.max": "max",
             f"{base}/cpu.max": "max 100000"}  # fmt: skip
    assert codes(machine.limits(look(tmp_path, files))) == ["ok free"]
    files |= {f"{base}/memory.max": "134217728", f"{base}/memory.current": "1", f"{base}/memory.events": "oom_kill 2\n",
              f"{base}/cpu.max": "50000 100000", f"{base}/cpu.stat": "nr_throttled 7\n"}  # fmt: skip
    assert codes(machine.limits(look(tmp_path, files))) == ["warn memory", "bad killed", "warn processor"]


def test_real_time(tmp_path: Path) -> None:
    files = {
        "proc/self/status": "CapEff:\t0000000000000000\n",
        "proc/self/limits": "Max realtime priority     50   50   \n",
    }
    (finding,) = realtime.scheduling(look(tmp_path, files))
    assert (finding.text, finding.facts["priority"]) == ("right", 50)
    files["proc/self/limits"] = "Max realtime priority     0     0    \n"
    assert codes(realtime.scheduling(look(tmp_path, files))) == ["ok no_right"]
    here = {"pid": os.getpid()}
    assert codes(realtime.scheduling(look(tmp_path, files, status=here, settings=settings()))) == [
        "ok ordinary_ok"
    ]
    fast = look(tmp_path, files, status=here, settings=settings(cycle_time=0.1))
    assert codes(realtime.scheduling(fast)) == ["warn ordinary"]
    counted = {"cycles": 1000, "missed": 0, "late_p50": 0.001, "late_p99": 0.3, "late_max": 1.0}
    late = look(tmp_path, status={"cycle": counted}, settings=settings())
    assert codes(realtime.punctual(late)) == ["warn late"]
    counted["late_p99"] = 0.01
    assert codes(realtime.punctual(late)) == ["ok ok"]
    few = {
        f"proc/{os.getpid()}/limits": "Max open files            64                   64                   files\n"
    }
    assert codes(realtime.open_files(look(tmp_path, few, status=here))) == ["bad few"]


UNIT = {
    "LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "Type": "notify",
    "WatchdogUSec": "30s", "Restart": "always", "NRestarts": "0", "User": "bessai", "NoNewPrivileges": "yes",
    "ProtectSystem": "strict", "PrivateTmp": "yes", "Result": "success",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ["ok ok"]), ({"WatchdogUSec": "0"}, ["bad no_watchdog"]),
        ({"WatchdogUSec": "infinity"}, ["bad no_watchdog"]),
        ({"WatchdogUSec": "2s"}, ["warn short_watchdog"]), ({"WatchdogUSec": "1min 30s"}, ["ok ok"]),
        ({"Restart": "no"}, ["bad no_restart"]), ({"UnitFileState": "disabled"}, ["warn not_enabled"]),
        ({"User": ""}, ["bad root"]), ({"ProtectSystem": "no", "NoNewPrivileges": "no"}, ["warn soft"]),
        ({"NRestarts": "4", "Result": "watchdog"}, ["warn restarted"]),
        ({"LoadState": "not-found"}, ["skipped not_installed"]),
    ],
)  # fmt: skip
def test_unit(tmp_path: Path, change: dict[str, str], expected: list[str]) -> None:
    text = "\n".join(f"{name}={value}" for name, value in {**UNIT, **change}.items())
    found = look(tmp_path, {"proc/1/comm": "systemd\n"}, run=lambda _: text, settings=settings())
    assert codes(unit.unit(found)) == expected


def test_the_unit_of_a_running_gateway_is_its_own(tmp_path: Path) -> None:
    files = {"proc/1/comm": "systemd", "proc/7/cgroup": "0::/system.slice/plant-7.service\n"}
    found = look(
        tmp_path,
        files,
        run=lambda c: "LoadState=not-found" if "plant-7.service" in c else None,
        status={"pid": 7},
    )
    assert codes(unit.unit(found)) == ["warn by_hand"]
    assert codes(unit.unit(look(tmp_path, run=lambda _: None, status={"pid": 7}))) == ["unknown no_systemctl"]


def test_the_gateway_that_does_not_answer(tmp_path: Path) -> None:
    assert codes(gateway.running(look(tmp_path))) == ["warn stopped"]
    assert codes(gateway.running(look(tmp_path, trouble="it hangs"))) == ["bad silent"]


def test_sinks_and_journal(tmp_path: Path) -> None:
    sink: dict[str, Any] = {
        "name": "mqtt",
        "state": "ok",
        "backlog": 3,
        "lag": 1.0,
        "last_error": None,
        "dead_letters": 0,
    }
    journal: dict[str, Any] = {
        "records": 9,
        "size_bytes": 1,
        "dropped_queue": 0,
        "lost": 0,
        "dropped_events": 0,
        "last_error": None,
    }
    status: dict[str, Any] = {
        "service_plane": {"running": True, "sinks": [sink]},
        "journal": journal,
        "version": "0.0.1",
    }
    found = look(tmp_path, status=status)
    assert codes(gateway.destinations(found)) == ["ok ok"]
    assert codes(gateway.journal(found)) == ["ok ok"]
    assert codes(gateway.version(found)) == ["warn other"]
    sink |= {"lag": 4000.0, "dead_letters": 2}
    journal |= {"lost": 5}
    assert codes(gateway.destinations(found)) == ["warn behind", "warn dead_letters"]
    assert codes(gateway.journal(found)) == ["warn lost", "ok ok"]
    sink |= {"last_error": "refused", "dead_letters": 0}
    journal |= {"last_error": "full"}
    assert codes(gateway.destinations(found)) == ["bad failing"]
    assert codes(gateway.journal(found)) == ["bad failing", "warn lost"]
    status["service_plane"]["running"] = False
    assert codes(gateway.destinations(found))[0] == "bad no_service_plane"


def test_a_check_that_breaks_or_hangs_is_told_and_holds_nobody_up(tmp_path: Path) -> None:
    def breaks(_: Look) -> Iterator[Finding]:
        yield ok()
        raise ZeroDivisionError("by nothing")

    gate = threading.Event()

    def hangs(_: Look) -> Iterator[Finding]:
        yield ok()
        gate.wait(60)
        yield bad("full")

    checks = [
        Check(name="load", group="machine", look=breaks),
        Check(name="disk_sync", group="disk", look=hangs, seconds=0.2),
        Check(name="memory", group="machine", look=lambda _: ()),
    ]
    began = time.monotonic()
    found = examine(look(tmp_path), checks)
    assert time.monotonic() - began < 30
    gate.set()
    assert [[f"{f.verdict} {f.text}" for f in one.findings] for one in found] == [
        ["ok ok", "unknown broke"], ["ok ok", "unknown too_slow"], ["ok nothing"],
    ]  # fmt: skip
    assert exit_code(found) == 1


def test_exit_codes() -> None:
    def one(verdict: Verdict) -> Checked:
        finding = Finding(verdict=verdict, text="ok")
        return Checked(name="load", group="machine", findings=(finding,), seconds=0.0)

    for verdicts, code in (
        ([], 0), ([Verdict.OK, Verdict.SKIPPED], 0), ([Verdict.WARN, Verdict.OK], 1), ([Verdict.UNKNOWN], 1),
        ([Verdict.OK, Verdict.BAD, Verdict.WARN], 2),
    ):  # fmt: skip
        assert exit_code([one(verdict) for verdict in verdicts]) == code


def test_what_is_chosen() -> None:
    assert chosen([]) == list(CHECKS)
    assert [c.name for c in chosen(["user,data_dir", "load"])] == ["user", "data_dir", "load"]
    assert {c.group for c in chosen(["disk"])} == {"disk"}
    with pytest.raises(ValueError, match=r"--only disc: use groups \(configuration, clock"):
        chosen(["disc"])
