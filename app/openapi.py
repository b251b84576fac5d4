"""The description of the API: problems on every refusal, and links from 202 to what to follow."""

from typing import Any

from fastapi import FastAPI

from app.wire import Problem

REF = "#/components/schemas/{model}"


def improve(app: FastAPI) -> None:
    """Let `/openapi.json` say what FastAPI does not know by itself."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document["components"]["schemas"]
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            schemas["Problem"] = Problem.model_json_schema(ref_template=REF)
        return plain()

    app.openapi = described  # type: ignore[method-assign]


def follow(operation: str, parameter: str) -> dict[int | str, dict[str, Any]]:
    """The 202 of a path whose answer has an `id`, and the operation that shows how it goes on."""
    link = {"operationId": operation, "parameters": {parameter: "$response.body#/id"}}
    return {202: {"description": "Accepted; follow `Location`.", "links": {operation: link}}}
