"""How bytes become samples, and commands become bytes.

    driver = UniversalDriver(compile_profile(load_profile("huawei_sun2000")), "192.168.8.1", 502)
    await driver.read_fast()                 # connects when needed; never raises for a sick device
    values, quality, times = driver.columns(now)
    outcome = await driver.write(command)    # a Command, which only the SafetyGuard issues

A driver owns one connection. It reads each poll class in few large blocks, splits a block that the device
refuses and remembers, repeats what was answered with busy, and reconnects by itself.
"""

from bessai.drivers.polling import Pace
from bessai.drivers.universal import UniversalDriver

__all__ = ["Pace", "UniversalDriver"]
