"""Commissioning: evidence, measured through the running gateway, that a plant does what it is told.

    session = Session(ask, Pace(), engineer, plan)      # ask: one message to the gateway's socket, its answer
    results = [session.run(step) for step in STEPS]

A step is a generator: it yields what it wishes the gateway to do and is sent the next sample, so that it can be fed
from a table, from a simulation in its own time, or from a plant. It never touches a device: the gateway stays in
control, and whatever a step asks for is a short lease that ends by itself when nobody renews it.
"""

from bessai.commissioning.deadman import deadman_test
from bessai.commissioning.device import Device, device_of
from bessai.commissioning.engineer import Engineer, Unattended
from bessai.commissioning.procedure import AbortedError, Ask, Plan, Wish
from bessai.commissioning.results import Check, StepResult, Verdict
from bessai.commissioning.runner import Ask as AskGateway
from bessai.commissioning.runner import Pace, Session
from bessai.commissioning.samples import Sample, Value, sample_of
from bessai.commissioning.steps import STEPS, Step

__all__ = [
    "STEPS",
    "AbortedError",
    "Ask",
    "AskGateway",
    "Check",
    "Device",
    "Engineer",
    "Pace",
    "Plan",
    "Sample",
    "Session",
    "Step",
    "StepResult",
    "Unattended",
    "Value",
    "Verdict",
    "Wish",
    "deadman_test",
    "device_of",
    "sample_of",
]
