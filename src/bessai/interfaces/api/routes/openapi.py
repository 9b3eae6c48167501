"""The API's description, for who may look: a stranger need not learn what there is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from bessai.interfaces.api.roles import Principal, Role, needs

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False)
async def openapi(
    request: Request, _caller: Annotated[Principal, Depends(needs(Role.VIEWER))]
) -> JSONResponse:
    """OpenAPI 3.1."""
    description: dict[str, Any] = request.app.openapi()
    return JSONResponse(description)
