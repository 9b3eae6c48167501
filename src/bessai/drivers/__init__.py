"""How bytes become samples, and commands become bytes.

    driver = UniversalDriver(compile_profile(load_profile("huawei_sun2000")), "192.168.8.1", 502)
    await driver.read_fast()                 # connects when needed; never raises for a sick device
    values, quality, times = driver.columns(now)
    outcome = await driver.write(command)    # a Command, which only the SafetyGuard issues

A driver reads each poll class in few large blocks, splits a block that the device refuses and remembers, repeats what
was answered with busy, and marks what cannot be true. Its connection is a `Link`, which drivers of several units may
share; it reconnects by itself, and a silent unit rests without costing the others anything.
"""

from bessai.drivers.columns import Arrays, Pace
from bessai.drivers.link import Link
from bessai.drivers.telling import Registers
from bessai.drivers.universal import UniversalDriver

__all__ = ["Arrays", "Link", "Pace", "Registers", "UniversalDriver"]
