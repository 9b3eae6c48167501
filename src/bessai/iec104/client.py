"""A small controlling station: for tests, the command line and measurements.

async with await Client.connect("10.1.0.7", 2404, address=1) as client:
    await client.start()
    points = await client.interrogate()
    answer = await client.command(TypeId.C_SE_NC_1, 6001, 500.0, select=True)
"""

from __future__ import annotations
