"""The description of the API: what FastAPI finds, with roles, ways to sign in, and one form for all errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import RouteContext, iter_route_contexts
from pydantic import BaseModel

from bessai.interfaces.api.guarding import ADMIN, COOKIE, CSRF, OPEN, READING
from bessai.interfaces.api.problems import MEDIA, FieldProblem, ProblemBody
from bessai.interfaces.api.roles import Role

ERRORS = {
    401: "Nobody is signed in, or the token is none.",
    403: "The role or the token's scope is too low, the CSRF word is missing, or it is somebody else's.",
    404: "There is no such thing.",
    409: "It cannot be now; the detail says why, in the gateway's own words where it refuses.",
    413: "The request is too large.",
    421: "The Host header names another machine.",
    422: "Something in the request cannot be used; each field is named.",
    423: "Too many wrong passwords; Retry-After tells when to come again.",
    429: "Too many requests; Retry-After tells when to come again.",
    503: "The control plane, the users, the journal or the audit log cannot be used now: nothing was done.",
    504: "It took too long.",
}
"""What may come back instead of what was asked for."""
_ALWAYS = (401, 403, 421, 422, 429, 503, 504)
_PLAIN = frozenset({"/healthz", "/readyz"})
"""They answer 503 in their own form, and nobody needs a role."""


def install(app: FastAPI) -> None:
    """Let an application describe itself so."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's own way to extend it


def role_of(route: RouteContext) -> Role | None:
    """The role that a route needs, None when it is open."""
    dependant = getattr(route, "dependant", None)
    return None if dependant is None else max(_roles(dependant), default=None)


def scope_of(path: str, method: str) -> str:
    """The scope that a token needs."""
    if path.startswith(ADMIN):
        return "admin"
    return "read" if method.upper() in READING else "control"


def _describe(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary="Look at a battery plant and operate it.",
        description=(
            "Times come in as ISO 8601 or milliseconds since 1970, and go out as either; what is not known is null. "
            "Positive power discharges. Errors are `application/problem+json`; their `detail` and `message` are in "
            "the language of Accept-Language, else of the user (en or es), their `code` never changes."
        ),
        routes=app.routes,
    )
    roles = {
        (getattr(route, "path_format", route.path), method.lower()): role_of(route)
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
    }
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(operation, str(path), method, roles[path, method])
    parts = found["components"]
    for name, examples in _examples(BaseModel):
        if name in parts["schemas"]:
            parts["schemas"][name]["examples"] = examples  # FastAPI has left the nulls out
    parts["schemas"] |= {
        "Problem": ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    }
    parts["schemas"]["Problem"].pop("$defs", None)
    parts["schemas"]["FieldProblem"] = FieldProblem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError", "ProblemBody"):
        parts["schemas"].pop(unused, None)
    parts["responses"] = {str(status): _error(status) for status in ERRORS}
    parts["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Of POST /session."},
        "csrf": {"type": "apiKey", "in": "header", "name": CSRF,
                 "description": "The `csrf` of GET /session, for every change with a session."},
        "token": {"type": "http", "scheme": "bearer", "description": "Of POST /tokens: bessai_…"},
    }  # fmt: skip
    return found


def _complete(operation: dict[str, Any], path: str, method: str, role: Role | None) -> None:
    reads = method.upper() in READING
    if role is None:
        operation["security"] = []
        operation["x-role"] = None
    else:
        session: dict[str, list[str]] = {"session": []} if reads else {"session": [], "csrf": []}
        operation["security"] = [session, {"token": []}]
        operation["x-role"] = role.label
        operation["x-scope"] = scope = scope_of(path, method)
        told = f"Needs the role {role.label}; of a token also the scope {scope}."
        operation["description"] = f"{operation.get('description', '')}\n\n{told}".strip()
    if path in _PLAIN:
        return
    statuses = set(_ALWAYS) | {int(status) for status in operation["responses"] if int(status) >= 400}
    if path in OPEN and method == "get":
        statuses -= {422}
    if "requestBody" in operation:
        statuses |= {413}
    for status in sorted(statuses):
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}


def _examples(model: type[BaseModel]) -> Iterator[tuple[str, list[Any]]]:
    """Those of all models, by the two names that a model may have in the document."""
    for inner in model.__subclasses__():
        extra = inner.model_config.get("json_schema_extra")
        if inner.__module__.startswith(__package__) and isinstance(extra, dict) and "examples" in extra:
            examples: Any = extra["examples"]
            yield inner.__name__, examples
            yield f"{inner.__module__}.{inner.__name__}".replace(".", "__"), examples
        yield from _examples(inner)


def _error(status: int) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    answer: dict[str, Any] = {"description": ERRORS[status], "content": {MEDIA: body}}
    if status in {423, 429}:
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return answer


def _roles(dependant: Any) -> Iterator[Role]:
    own = getattr(dependant.call, "role", None)
    if own is not None:
        yield own
    for inner in dependant.dependencies:
        yield from _roles(inner)
