"""The application: routes under `/api/v1`, health and metrics beside them, the page at `/`."""

from __future__ import annotations

import importlib
import pkgutil

from fastapi import APIRouter, FastAPI

import bessai
from bessai.interfaces.api import openapi, problems, routes
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.guarding import install_guards
from bessai.interfaces.api.strict_json import StrictJson
from bessai.interfaces.api.tracing import PREFIX


def create_app(context: Context) -> FastAPI:
    """Everything but the process. Each module of `routes` gives a `router`, and perhaps a `root` for `/`."""
    app = FastAPI(
        title="BESSAI Edge Gateway",
        version=bessai.__version__,
        openapi_url=None,  # `routes.openapi` gives it to viewers
        docs_url=None,  # its page would load scripts of a third party
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    problems.install(app)
    openapi.install(app)
    for found in pkgutil.iter_modules(routes.__path__):
        module = importlib.import_module(f"{routes.__name__}.{found.name}")
        app.include_router(module.router, prefix=PREFIX)
        root: APIRouter | None = getattr(module, "root", None)
        if root is not None:
            app.include_router(root)
    app.add_middleware(StrictJson)
    install_guards(app, context)
    return app
