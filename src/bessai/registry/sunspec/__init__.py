"""SunSpec: a device that describes itself by a chain of models needs no profile file.

    chain = yield from discover_chain()                   # sans-I/O, see `bessai.drivers.sunspec`
    profile = sunspec_profile(chain, memory)              # an ordinary `Profile`

The model definitions are the official ones, read as data from the `pysunspec2` package (Apache-2.0).
"""

from bessai.registry.sunspec.discovery import Chain, ModelAt, ReadStep, discover_chain
from bessai.registry.sunspec.models import GroupDef, ModelDef, PointDef, known_models, load_model
from bessai.registry.sunspec.profile import sunspec_profile

__all__ = [
    "Chain",
    "GroupDef",
    "ModelAt",
    "ModelDef",
    "PointDef",
    "ReadStep",
    "discover_chain",
    "known_models",
    "load_model",
    "sunspec_profile",
]
