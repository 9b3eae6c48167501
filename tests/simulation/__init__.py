"""Simulated time: one seeded, single-threaded run steps the whole control plane against the twin.

The real `ControlCycle`, `SafetyGuard`, `Plant`, `UniversalDriver` and `ModbusClient` exchange real Modbus frames with
a `TwinDevice`; only time, sockets and disk are this package's:

* `loop`: an event loop without system calls, whose time jumps to the next timer; `clock`: monotonic and wall time.
* `network`: sockets in memory that refuse, reset, delay, drop, cut and garble; `device`: the twin behind them.
* `assembly`: the control plane, put together in one function; `disk`: what it records.
* `oracle` watches the wire and the plant from outside; `invariants` are the promises, one small function each.
* `faults` is what a seed may let go wrong; `world` runs it all; `tally` counts days, faults and violations.

The same seed gives the same run, bit for bit: `World(Scenario(seed=7)).run(3600).trace`.
"""
