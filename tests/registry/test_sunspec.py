"""SunSpec: definitions, discovery of the chain, and the profile made from it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bessai.model import Quality
from bessai.registry import Profile, compile_profile
from bessai.registry.checks import cross_check
from bessai.registry.commands import DurationDeadMan
from bessai.registry.sequences import exponent_of, fill
from bessai.registry.sunspec import Chain, ModelAt, discover_chain, known_models, load_model, sunspec_profile
from bessai.registry.sunspec.discovery import BASES, MODELS_MAX
from bessai.registry.sunspec.types import snake
from support.sunspec import DER, LEGACY, chain, demo_profile, length_of, registers


def _discover(words: dict[int, int], *, single: bool = False) -> tuple[Chain | None, int]:
    """Play a device with these words; `single`: it refuses more than one register, the marker apart."""
    steps = discover_chain()
    address, count = next(steps)
    reads = 0
    while True:
        reads += 1
        span = [words.get(address + i) for i in range(count)]
        refused = None in span or (single and count > 1 and address not in BASES)
        try:
            address, count = steps.send(None if refused else [word or 0 for word in span])
        except StopIteration as end:
            return end.value, reads


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("first", [65, 66])
@pytest.mark.parametrize("single", [False, True])
def test_a_chain_is_found_at_every_base(base: int, first: int, single: bool) -> None:
    found, _ = _discover(registers([(1, first), (64999, 7), (701, 200), (713, 3)], base), single=single)
    assert found is not None
    assert (found.base, found.problem) == (base, None)
    assert [(at.id, at.length) for at in found.models] == [(1, first), (64999, 7), (701, 200), (713, 3)]
    assert found.models[1].address == base + 2 + 2 + first


def test_no_marker_is_no_chain() -> None:
    assert _discover({40000: 0x5375, 40001: 0})[0] is None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({40069: None}, "where a model should begin"),
        ({40070: None}, "length of model 701"),
        ({40070: 0}, "has length 0"),
        ({40069: 0}, "model 0"),
        ({40070: 60000}, "beyond address 65535"),
    ],
)
def test_a_chain_that_breaks_off_keeps_what_came_before(spoil: dict[int, int | None], said: str) -> None:
    words = registers([(1, 65), (701, 153)])
    for address, word in spoil.items():
        words.pop(address)
        if word is not None:
            words[address] = word
    found, _ = _discover(words)
    assert found is not None
    assert [at.id for at in found.models] == [1]
    assert said in (found.problem or "")


def test_an_endless_chain_ends() -> None:
    words = dict.fromkeys(range(65536), 1) | {40000: 0x5375, 40001: 0x6E53}
    found, reads = _discover(words)
    assert found is not None
    assert len(found.models) == MODELS_MAX
    assert "more than" in (found.problem or "")
    assert reads <= 2 * MODELS_MAX + 2


@pytest.mark.parametrize("number", sorted(known_models()))
def test_every_official_model_makes_a_valid_profile(number: int) -> None:
    model = load_model(number)
    assert model is not None
    assert [point.name for point in model.group.points[:2]] == ["ID", "L"]
    profile = demo_profile({number: None})
    assert list(cross_check(profile, "sunspec")) == []
    last = max(point.address + point.registers for point in profile.points.values())
    assert last == 40000 + 2 + 2 + length_of(number) + 1  # the end mark
    compile_profile(profile)


def test_chains_of_many_models_make_a_valid_profile() -> None:
    assert {1, 103, 124, 701, 704, 802, 805} <= known_models()
    for models in (DER, LEGACY, {803: 26 + 3 * 32}, {804: 46 + 5 * 20}, {805: 42 + 9 * 4}):
        assert list(cross_check(demo_profile(models), "sunspec")) == []


def test_a_device_may_be_shorter_or_longer_than_its_definition() -> None:
    short = demo_profile({701: 20})
    assert "m701_w_sf" not in short.points
    assert "active_power" not in short.points  # no exponent, no meaning
    assert short.points["m701_alrm"].address == 40002 + 2 + 4
    long = demo_profile({713: 12, 802: None})
    assert long.points["m802_id"].address == 40002 + 14
    assert long.points["soc"].address == 40002 + 2 + 2


def test_unknown_models_are_skipped_and_named() -> None:
    found = Chain(
        base=0,
        models=(ModelAt(id=64999, address=2, length=5), ModelAt(id=713, address=9, length=7)),
        problem="cut",
    )
    profile = sunspec_profile(found)
    assert "64999 at address 2" in profile.caveats[0].text
    assert "cut" in profile.caveats[1].text
    assert profile.points["m64999_id"].address == 2
    assert "sunspec_end" not in profile.points
    with pytest.raises(ValueError, match="no model with an official definition"):
        sunspec_profile(Chain(base=0, models=found.models[:1]))


def test_groups_repeat_as_often_as_told() -> None:
    strings = {803: 26 + 3 * 32}
    assert "m803_string_3_str_soc" in demo_profile(strings).points
    told = sunspec_profile(chain(strings), {40004: 2})
    assert "m803_string_2_str_soc" in told.points
    assert "m803_string_3_str_soc" not in told.points
    first, second = (told.points[f"m803_string_{i}_str_soc"] for i in (1, 2))
    assert second.address - first.address == 32
    assert first.scale == "m803_soc_sf"
    assert {"m803_id", "m803_l", "m803_n_str"} <= {
        check.point for check in told.fingerprint if check.identity
    }


def test_a_second_model_of_the_same_id_has_its_own_names() -> None:
    at = [ModelAt(id=713, address=2 + 9 * i, length=7) for i in range(2)]
    profile = sunspec_profile(Chain(base=0, models=tuple(at)))
    assert profile.points["soc"].scale == "m713_pct_sf"
    assert profile.points["m713_2_soc"].scale == "m713_2_pct_sf"


def test_optional_points_that_the_device_does_not_implement_are_left_out() -> None:
    memory = dict.fromkeys(range(40002, 40400), 0x8000)
    profile = sunspec_profile(chain({701: None, 713: None}), memory | {40012: 0x8000})
    assert "m701_a_sf" not in profile.points
    assert "m701_tmp_amb" not in profile.points
    assert "m701_ac_type" in profile.points  # mandatory


def test_shared_names_units_and_signs() -> None:
    points = demo_profile().points
    power = points["active_power"]
    assert (power.type, power.unit, power.gain, power.scale, power.sentinel) == (
        "i16", "kW", 0.001, "m701_w_sf", -0x8000,
    )  # fmt: skip
    assert points["energy_capacity"].unit == "kWh"
    assert points["m802_w"].unit == "kW"  # the definition gives no sign: no shared name
    assert points["m802_soc"].unit == "%"  # 713 came first
    assert points["device_status"].enum is not None
    assert points["device_status"].enum["3"] == "running"
    assert points["m701_alrm"].bits is not None
    assert points["manufacturer"].type == "text"
    legacy = demo_profile(LEGACY).points
    assert legacy["m103_wh"].sentinel == 0
    assert legacy["m124_in_w_rte"].access == "rw"
    assert legacy["m160_module_2_dcw"].scale == "m160_dcw_sf"


def test_texts_of_model_1_name_the_device() -> None:
    memory = dict.fromkeys(range(40002, 40071), 0) | {40004: 0x4142, 40005: 0x4300}
    profile = sunspec_profile(chain({1: 66, 701: None}), memory)
    assert profile.manufacturer == "ABC"
    assert "device with models 1, 701" in profile.model


def test_control_with_everything_that_it_rests_on() -> None:
    profile = demo_profile()
    assert profile.control is not None
    assert profile.control.measured == "active_power"
    assert profile.control.running_states["m715_loc_rem_ctl"] == [0]
    assert profile.points["m704_w_set_sf"].poll == "fast"
    assert isinstance(profile.dead_man, DurationDeadMan)
    assert profile.alive is not None
    assert profile.alive.point == "m715_der_hb"


def _written(profile: Profile, reactive: float, exponent: int) -> list[tuple[str, str]]:
    """The reactive sequence as register words."""
    assert profile.control is not None
    assert profile.control.reactive is not None
    compiled = compile_profile(profile)
    known = {"m704_var_set_sf": float(exponent)}
    steps = fill(profile.control.reactive, profile.points, 0.0, 60.0, known.get, reactive)
    return [
        (name, compiled.encode(name, value, exponent_of(profile.points[name], known.get, value)).hex(" ", 2))
        for name, value in steps
    ]


@pytest.mark.parametrize(
    ("reactive", "exponent", "words"),
    [
        (2.5, 0, "0000 09c4"), (-2.5, 0, "ffff f63c"), (2.5, 2, "0000 0019"), (2.59, 2, "0000 0019"),
        (0.0, 2, "0000 0000"),
    ],
)  # fmt: skip
def test_vars_are_written_with_their_timer_and_enabled_last(
    reactive: float, exponent: int, words: str
) -> None:
    assert _written(demo_profile(), reactive, exponent) == [
        ("m704_var_set_mod", "0004"),
        ("m704_var_set_ena_rvrt", "0000"),
        ("m704_var_set", words),
        ("m704_var_set_rvrt_tms", "0000 003c"),
        ("m704_var_set_ena", "0001"),
    ]


def test_vars_end_with_the_power() -> None:
    profile = demo_profile()
    assert profile.control is not None
    assert [step.point for step in profile.control.stop] == ["m704_var_set_ena", "m704_w_set_ena"]
    assert isinstance(profile.dead_man, DurationDeadMan)
    assert profile.dead_man.feed == ["m704_w_set_rvrt_tms", "m704_var_set_rvrt_tms"]
    assert profile.points["m704_var_set_sf"].poll == "fast", "a stale exponent would write ten times the vars"


@pytest.mark.parametrize("missing", ["m704_var_set_rvrt_tms", "m704_var_set"])
def test_no_vars_without_what_they_rest_on(missing: str) -> None:
    whole = demo_profile()
    point = whole.points[missing]
    memory = {
        point.address + i: (0x8000 if point.type == "i32" and not i else 0) for i in range(point.registers)
    }
    if point.type.startswith("u"):
        memory = dict.fromkeys(memory, 0xFFFF)
    at = whole.points["m704_w_set_rvrt_rem"].address
    control = sunspec_profile(chain(DER), memory | {at: 0, at + 1: 0}).control
    assert control is not None
    assert (control.reactive, control.apparent_power_max, len(control.stop)) == (None, None, 1)


@pytest.mark.parametrize("missing", [701, 702, 704, (713, 802)])
def test_no_control_without_what_it_rests_on(missing: int | tuple[int, ...]) -> None:
    gone = missing if isinstance(missing, tuple) else (missing,)
    profile = demo_profile({number: length for number, length in DER.items() if number not in gone})
    assert (profile.control, profile.dead_man) == (None, None)


def test_no_control_when_the_timer_cannot_prove_itself() -> None:
    found = chain(DER)
    at = demo_profile().points["m704_w_set_rvrt_rem"].address
    assert sunspec_profile(found, {at: 0, at + 1: 0}).control is not None
    assert sunspec_profile(found, {at: 0xFFFF, at + 1: 0xFFFF}).control is None
    assert sunspec_profile(found, {40002: 1}).control is None  # never read


def test_a_rating_stands_in_for_a_setting_that_is_not_there() -> None:
    setting = demo_profile({702: None}).points["charge_power_max"]
    memory = {setting.address: 0xFFFF}
    points = sunspec_profile(chain({702: None}), memory).points
    assert points["charge_power_max"].access == "r"
    assert points["charge_power_max"].address == setting.address - 24
    assert points["discharge_power_max"].access == "rw"


def test_no_control_by_rate_limits_alone() -> None:
    assert demo_profile(LEGACY).control is None


def _place(profile: Profile, **raw: float) -> tuple[dict[str, float], dict[str, Quality]]:
    compiled = compile_profile(profile)
    values = np.full(len(compiled.layout), np.nan)
    quality = np.full(len(compiled.layout), Quality.MISSING, np.uint8)
    plan = compiled.plans["fast"]
    names = [compiled.layout.names[column] for column in plan.columns]
    plan.place(np.array([raw.get(name, 0.0) for name in names]), values, quality)
    return dict(zip(compiled.layout.names, values.tolist(), strict=True)), {
        name: Quality(int(q)) for name, q in zip(compiled.layout.names, quality, strict=True)
    }


def test_a_scale_factor_may_change_or_be_missing() -> None:
    profile = demo_profile()
    assert profile.points["m701_w_sf"].poll == profile.points["active_power"].poll == "fast"
    assert _place(profile, active_power=-1234, m701_w_sf=0)[0]["active_power"] == pytest.approx(-1.234)
    assert _place(profile, active_power=-1234, m701_w_sf=2)[0]["active_power"] == pytest.approx(-123.4)
    for bad in (-0x8000, 11):
        values, quality = _place(profile, active_power=-1234, m701_w_sf=bad)
        assert np.isnan(values["active_power"])
        assert quality["active_power"] is not Quality.GOOD


def test_names_are_readable() -> None:
    names = {"WSetRvrtTms": "w_set_rvrt_tms", "SoC": "soc", "DERHb": "der_hb", "StorCtl_Mod": "stor_ctl_mod"}
    assert {name: snake(name) for name in names} == names
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in demo_profile().points)
