"""BESSAI Edge Gateway: reads a battery plant, keeps it safe, records and publishes it.

Rooms, lowest first: `model` (vocabulary), `registry` (device profiles), `drivers` (bytes to samples),
`journal` (the durable log), `core` (the control cycle), `interfaces` (the service plane), `twin`
(a simulated plant) and `cli`.
"""

__version__ = "0.1.0"
