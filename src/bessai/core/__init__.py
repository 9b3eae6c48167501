"""The control plane: a scan cycle like a PLC's, in one small process.

    read -> process image -> requests -> guard -> write -> feed the dead-man -> record

* `settings`: configuration from the environment, checked at the start.
* `limits`: what the battery may be asked for, as curves over its state.
* `requests`: leases on power, and how their bounds narrow.
* `guard`: the `SafetyGuard`, the only issuer of commands.
* `latch`: what must survive a restart; `state_file`, `keeping`: its record on disk; `operations`: what people may do.
* `heartbeat`: the process's own heartbeat, and which cycle earns it.
* `deadman`: proof that the device falls back by itself when the gateway is silent.
* `cycle`: the loop that ties them together and never waits for a disk, a cloud or a slow device.
* `local_socket`: requests in and status out, for the other processes of this machine.
* `gateway`: everything assembled, from start to a clean stop; `start`: `python -m bessai.core`.
"""
