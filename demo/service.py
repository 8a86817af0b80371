"""What the server offers beside the page: plain HTTP for programs, health, security headers."""

from __future__ import annotations

import base64
import hmac
import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from demo import handlers, log
from demo.crowd import Busy, Crowd
from demo.results import Results
from demo.uploads import NoAddresses
from fashion_xai import ImageError, images, methods, report
from fashion_xai.bundle import MODEL

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"strict-origin-when-cross-origin",
    b"permissions-policy": b"geolocation=(), microphone=(), payment=()",
}
"""Nothing that forbids frames: a Space shows the page in one."""


Login = tuple[str, str]
"""User and password."""


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


def options(crowd: Crowd, results: Results, wanted: Login | None = None) -> dict[str, Any]:
    """What Gradio hands on to FastAPI: the routes below, and the headers on every answer.

    Args:
        crowd: that reads the photos.
        results: pages that ``/result/NAME`` shows again.
        wanted: asked for by HTTP Basic authentication, /health excepted; None lets everybody in.
    """
    started = time.time()

    def health(request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "status": "ok",
                "model": crowd.classifier.bundle.card["sha256"][MODEL],
                "waiting": crowd.waiting,
                "seconds_up": round(time.time() - started, 1),
            }
        )

    def result(request: Request) -> HTMLResponse:
        page = results.find(request.path_params["name"])
        if page is None:
            gone = report.paragraph("It was never there, or it was forgotten after an hour.")
            return HTMLResponse(report.page("No such result", gone), 404)
        return HTMLResponse(page)

    async def predict(request: Request) -> JSONResponse:
        return await _reply(request, "predict")

    async def explain(request: Request) -> JSONResponse:
        return await _reply(request, "explain")

    async def _reply(request: Request, what: str) -> JSONResponse:
        with log.request(f"http {what}") as line:
            if wanted is not None and not _knows(request, wanted):
                refusal = _refuse(line, 401, "Log in with HTTP Basic authentication.")
                refusal.headers["www-authenticate"] = 'Basic realm="fashion_xai"'
                return refusal
            try:
                data = await _body(request)
                line.facts["bytes"] = len(data)
                method = request.query_params.get("method", methods.DEFAULT)
                pictures = request.query_params.get("pictures") == "true"
                answer = await run_in_threadpool(_work, data, what, method, pictures, line)
            except (ImageError, ValueError) as error:
                return _refuse(line, 400, str(error))
            except Busy as error:
                return _refuse(line, 503, str(error))
            return JSONResponse(answer)

    def _work(
        data: bytes, what: str, method: str, pictures: bool, line: log.Request
    ) -> dict[str, Any]:
        with line.stage("decode"):
            photo = images.load(data)
        line.facts["size"] = list(photo.shape[:2])
        with line.stage("network"):  # waiting for its turn included
            reading = crowd.read(photo)
        with line.stage("answer"):
            answer = handlers.answer(crowd.classifier, reading)
            if what == "explain":
                answer["maps"] = handlers.raw_maps(crowd.classifier, reading, method)
            if what == "explain" and pictures:
                drawn = handlers.overlays(crowd.classifier, photo, reading, method)
                for attribute, uri in drawn.items():
                    answer["maps"][attribute]["picture"] = uri
        return answer

    return {
        "routes": [
            Route("/health", health),
            Route("/result/{name}", result),
            Route("/api/predict", predict, methods=["POST"]),
            Route("/api/explain", explain, methods=["POST"]),
        ],
        "middleware": [Middleware(SecurityHeaders), Middleware(NoAddresses)],
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


def _knows(request: Request, wanted: Login) -> bool:
    """Whether a request carries the user and the password, compared in constant time."""
    kind, _, coded = request.headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(coded, validate=True)
    except ValueError:
        return False
    return kind.lower() == "basic" and hmac.compare_digest(given, ":".join(wanted).encode())


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
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return body

    async def again() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async with Request(request.scope, again).form(max_files=1, max_fields=4) as form:
        files = [x for x in form.values() if not isinstance(x, str)]
        if not files:
            raise ImageError("No photo arrived; expected a file in the form.")
        return await files[0].read()


def _refuse(line: log.Request, status: int, text: str) -> JSONResponse:
    line.facts["refused"] = status
    return JSONResponse({"error": text}, status)
