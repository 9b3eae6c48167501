"""Simulated time: one seeded, single-threaded run steps the whole control plane against the twin.

The real `ControlCycle`, `SafetyGuard`, `Plant`, `UniversalDriver` and `ModbusClient` exchange real Modbus frames with
a `TwinDevice`; only time, sockets and disk are this package's:

* `bessai.twin.sim_loop`: an event loop without system calls, whose time jumps to the next timer; `sim_clock`: monotonic
  and wall time.
* `network`: sockets in memory that refuse, reset, delay, drop, cut and garble; `device`: the twin behind them.
* `assembly`: the control plane, put together by the gateway's own function; `disk`: what it records; `state`: the
  disk that survives it.
* `seat`: one device with its cable and who watches it; `sites`: one or several of them as a site.
* `people` reset trips, switch maintenance and test the dead-man, sometimes wrongly; `asking`: requests for power.
* `oracle` watches the wire and the plant from outside, `ledger` what must stand until somebody says otherwise,
  `records` what the gateway tells; `levels` are the limits, typed anew; `invariants` are the promises.
* `faults` is what a seed may let go wrong; `world` runs it all; `tally` counts days, faults and violations.

The same seed gives the same run, bit for bit: `World(Scenario(seed=7, profile=pack())).run(3600).trace`.
"""
