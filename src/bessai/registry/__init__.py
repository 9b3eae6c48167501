"""Device profiles: one JSON file a model, checked against a schema, compiled once to read plans.

    from bessai.registry import compile_profile, load_profile

    profile = load_profile("registry/huawei_sun2000.json")   # ProfileError lists every problem at once
    compiled = compile_profile(profile)
    compiled.plans["fast"].blocks                            # few large reads
    compiled.encode("forced_charge_power", 2.5)              # the registers of one value

A profile says how a device is addressed, which points it has, how it is commanded to a power and how it falls
back by itself when the gateway stops. A new model needs a new file and no code.
"""

from bessai.registry.blocks import Block, build_block, group_points
from bessai.registry.compiled import NO_DEVICE, CompiledProfile, ReadPlan, compile_profile
from bessai.registry.golden import Golden, check_golden, golden_path, load_golden
from bessai.registry.loading import (
    ProfileError,
    find_profile,
    list_profiles,
    load_profile,
    profile_directory,
)
from bessai.registry.problems import Problem
from bessai.registry.schema import Profile, profile_json_schema

__all__ = [
    "NO_DEVICE",
    "Block",
    "CompiledProfile",
    "Golden",
    "Problem",
    "Profile",
    "ProfileError",
    "ReadPlan",
    "build_block",
    "check_golden",
    "compile_profile",
    "find_profile",
    "golden_path",
    "group_points",
    "list_profiles",
    "load_golden",
    "load_profile",
    "profile_directory",
    "profile_json_schema",
]
