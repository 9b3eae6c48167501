"""The same FastAPI application behind uvicorn as it comes: its own accept loop, no limits, no times.

python -m benchmarks.page_peer PORT DATA_DIR SOCKET
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import uvicorn
import uvloop

from bessai.interfaces.api.app import create_app
from bessai.interfaces.api.server import build
from bessai.interfaces.api.settings import ApiSettings


async def serve(port: int, data: Path, gateway_socket: Path) -> None:
    """Serve until told to end."""
    context = build(ApiSettings(site="bench", data_dir=data, socket=gateway_socket))
    following = asyncio.create_task(context.live.run())
    config = uvicorn.Config(create_app(context), port=port, log_level="critical", lifespan="off")
    await uvicorn.Server(config).serve()
    following.cancel()


if __name__ == "__main__":
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)  # a line for each connection it cannot take
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
