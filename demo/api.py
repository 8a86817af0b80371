"""What the server offers beside the page: plain HTTP for programs, health, security headers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from demo.http_models import ExplainQuery, PredictQuery, openapi
from demo.serving import request_log
from demo.serving.analyses import Analyses
from demo.serving.gate import Forwarded, Gate, Login
from demo.serving.queue_full import QueueFull
from demo.serving.result_store import PAGE, Results
from demo.serving.visitors import Proxies
from demo.views import cards
from fashion_xai import ImageError
from fashion_xai.data import images
from fashion_xai.models.bundle import MODEL
from fashion_xai.viz import html

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"strict-origin-when-cross-origin",
    b"permissions-policy": b"geolocation=(), microphone=(), payment=()",
}
"""Nothing that forbids frames: a Space shows the page in one."""

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".png": "image/png",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
}
"""Of a result's files."""


def login(text: str | None) -> Login | None:
    """``user:password`` → both; None for none.

    Raises:
        ValueError: another form.
    """
    if not text:
        return None
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise ValueError("FASHION_AUTH: expected user:password. Received something else.")
    return user, password


def options(
    analyses: Analyses, results: Results, gate: Callable[[Any], Gate], proxies: Proxies
) -> dict[str, Any]:
    """What Gradio hands on to FastAPI: the routes below, and the middleware before all of them.

    Args:
        analyses: photos and their forward passes.
        results: files that ``/result/NAME`` and ``/result/NAME/FILE`` show again.
        gate: makes the gate of an app.
        proxies: whose word on where a request comes from is taken.
    """
    started = time.time()
    batcher = analyses.batcher
    classifier = batcher.classifier

    async def health(request: Request) -> JSONResponse:  # async: it waits for no thread
        return JSONResponse(
            {
                "status": "ok",
                "model": classifier.bundle.card["sha256"][MODEL],
                "provider": classifier.network.provider,
                "waiting": batcher.waiting,
                "seconds_up": round(time.time() - started, 1),
            }
        )

    async def result(request: Request) -> Response:
        file = request.path_params.get("file", PAGE)
        found = results.find(request.path_params["name"], file)
        if found is None:
            gone = html.paragraph("It was never there, or it was forgotten after its time.")
            return HTMLResponse(html.page("No such result", gone), 404)
        kind = TYPES.get(Path(file).suffix, "application/octet-stream")
        headers = {} if file == PAGE else {"content-disposition": f'attachment; filename="{file}"'}
        return Response(found, media_type=kind, headers=headers)

    async def predict(request: Request) -> JSONResponse:
        return await _reply(request, "predict")

    async def explain(request: Request) -> JSONResponse:
        return await _reply(request, "explain")

    async def _reply(request: Request, what: str) -> JSONResponse:
        with request_log.request(f"http {what}") as line:
            try:
                query = _parameters(request, what)
                data = await _body(request)
                line.facts["bytes"] = len(data)
                answer = await run_in_threadpool(_work, data, what, query, line)
            except (ImageError, ValueError) as error:
                return _refuse(line, 400, str(error))
            except QueueFull as error:
                return _refuse(line, 503, str(error))
            return JSONResponse(answer)

    def _work(
        data: bytes, what: str, query: ExplainQuery, line: request_log.Request
    ) -> dict[str, Any]:
        if what == "explain":
            cards.closed_form(query.method)
        analysis = analyses.read(data, line)
        with line.stage("answer"):
            if what == "predict":
                return cards.answer(classifier, analysis.forward_pass)
            maps = cards.explain(classifier, analysis, query.method)
            answer = cards.answer(classifier, analysis.forward_pass, maps)
            if query.pictures:
                for attribute, uri in cards.overlays(classifier, analysis, maps).items():
                    answer["maps"][attribute]["picture"] = uri
            return answer

    schema = openapi(classifier.attributes)

    async def described(request: Request) -> JSONResponse:
        return JSONResponse(schema)

    return {
        "routes": [
            Route("/health", health),
            Route("/api/openapi.json", described),
            Route("/result/{name}", result),
            Route("/result/{name}/{file}", result),
            Route("/api/predict", predict, methods=["POST"]),
            Route("/api/explain", explain, methods=["POST"]),
        ],
        "middleware": [
            Middleware(SecurityHeaders),
            Middleware(Forwarded, proxies),
            Middleware(gate),
        ],
    }


class SecurityHeaders:
    """ASGI middleware that adds :data:`HEADERS`."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def with_headers(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS.items()]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


QUERIES: dict[str, type[PredictQuery | ExplainQuery]] = {
    "predict": PredictQuery,
    "explain": ExplainQuery,
}
"""Route → what it takes in the query."""


def _parameters(request: Request, what: str) -> ExplainQuery:
    """The query; where the route takes none, what holds without one.

    Raises:
        ValueError: an unknown parameter, one given twice, or a word that is neither yes nor no.
    """
    given, known = request.query_params.multi_items(), [*QUERIES[what].model_fields]
    names = [name for name, _ in given]
    if wrong := [name for name in names if name not in known or names.count(name) > 1]:
        expected = f"{' and '.join(known)}, once each" if known else "none"
        raise ValueError(f"Expected parameters: {expected}. Received: {', '.join(wrong)}")
    try:
        return ExplainQuery.model_validate_strings(dict(given))
    except ValidationError:  # any text may name a method; only pictures can be wrong here
        word = dict(given)["pictures"]
        raise ValueError(f"pictures: expected true or false. Received: {word!r}") from None


async def _body(request: Request) -> bytes:
    """The photo as it was sent, or the first file of a form. No more than the cap is read.

    Raises:
        ImageError: no photo.
    """
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > images.MAX_BYTES:
            return b"".join(parts)  # images.load says by how much
    body = b"".join(parts)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return body

    async def again() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        async with Request(request.scope, again).form(max_files=1) as form:
            files = [x for x in form.values() if not isinstance(x, str)]
            if not files:
                raise ImageError("No photo arrived; expected a file in the form.")
            return await files[0].read()
    except (HTTPException, MultiPartException) as error:
        why = error.detail if isinstance(error, HTTPException) else error.message
        raise ImageError(f"The form cannot be read: {why}") from error


def _refuse(line: request_log.Request, status: int, text: str) -> JSONResponse:
    line.facts["refused"] = status
    return JSONResponse({"error": text}, status)
