"""The shapes in which endpoints put what they refuse: where in the body it stands, and under which status."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.simulator.replies import ApiError, Reply

Told = dict[str, Any]


def _detail(told: Told) -> Any:
    place = {"loc": ["body", told["param"]], "msg": told["message"], "type": "value_error"}
    return {"detail": [place] if told["param"] else told["message"]}


def _behind_a_gateway(told: Told) -> Any:
    raw = json.dumps({"error": told})
    return {"error": {"message": "The provider answered with an error", "metadata": {"raw": raw}}}


SHAPES: dict[str, Callable[[Told], Any]] = {
    "openai": lambda told: {"error": told},
    "list": lambda told: [{"error": told}],
    "detail": _detail,
    "gateway": _behind_a_gateway,
    "string": lambda told: {"error": told["message"]},
    "flat": lambda told: {"object": "error", **told},
    "text": lambda told: told["message"],
    "html": lambda told: f"<html><body><h1>Error</h1><p>{told['message']}</p></body></html>",
    "opaque": lambda told: {"error": {"message": "The request was not accepted."}},
}
GONE = {
    "unknown": ApiError("model_gone", 404, "No model goes by this name.", code="model_not_found"),
    "retired": ApiError("model_gone", 400, "This model was retired and is no longer available."),
    "deployment": ApiError("model_gone", 404, "There is no such deployment.", code="DeploymentNotFound"),
    "address": ApiError("model_gone", 404, "Nothing is served under this address."),
    # As these word it, "{model}" being the name that was asked for.
    "openai": ApiError(
        "model_gone",
        404,
        "The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    ),
    "vllm": ApiError(
        "model_gone", 404, "The model `{model}` does not exist.", "NotFoundError", param="model"
    ),
    "ollama": ApiError("model_gone", 404, 'model "{model}" not found, try pulling it first', "api_error"),
    "llama.cpp": ApiError("model_gone", 400, "model not found: {model}"),
    "azure": ApiError(
        "model_gone",
        404,
        "The API deployment for this resource does not exist. If you created the deployment within the last "
        "5 minutes, please wait a moment and try again.",
        code="DeploymentNotFound",
    ),
}
FORMAT_FAILED = ApiError(
    "format_failed", 400, "The JSON that the model generated is not valid.", code="json_validate_failed"
)


def gone_error(what: str, body: bytes, model: str) -> ApiError:
    """The refusal of GONE. body: the request's, whose model some quote. model: of its address, if any."""
    error = GONE[what]
    try:
        model = model or str(json.loads(body)["model"])
    except (ValueError, LookupError, TypeError, RecursionError):
        model = ""
    return error._replace(message=error.message.replace("{model}", model))


def too_many_tokens(limit: int) -> ApiError:
    message = f"The maximum number of tokens has to lie in [1, {limit}]"
    return ApiError("refused_parameter", 400, message, param="max_tokens")


def reshaped(reply: Reply, shape: str, *, wait_in_body: bool = False, inside_200: bool = False) -> Reply:
    """An error of ours in another shape. wait_in_body: it tells there, and not in headers, how long to wait.

    inside_200: it comes with the status of an answer, its own as a code.
    """
    if reply.status == 200:
        return reply
    error = json.loads(reply.body)["error"]
    if inside_200:
        error["code"] = error["code"] or reply.status
    headers = dict(reply.headers)
    if wait_in_body and (wait_s := headers.pop("Retry-After", None)):
        headers = {}
        error["details"] = [{"retryDelay": f"{wait_s}s"}]
        error["message"] += f" Retry in {wait_s}s."
    value = SHAPES["openai" if shape == "opaque" and reply.outcome != "refused_parameter" else shape](error)
    body = value if isinstance(value, str) else json.dumps(value)
    return replace(reply, body=body.encode(), headers=headers, status=200 if inside_200 else reply.status)
