"""The addresses of the service: `create_app`."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from paddlevideo import __version__
from paddlevideo.apps.serve.access import Access, AccessCheck
from paddlevideo.apps.serve.client_addresses import AddressLimit
from paddlevideo.apps.serve.connection import StreamConnection
from paddlevideo.apps.serve.metrics import CONTENT_TYPE
from paddlevideo.apps.serve.refusals import (
    MALFORMED,
    NOT_ALLOWED,
    NOT_FOUND,
    TOO_LARGE,
    TOO_SLOW,
    WRONG_TYPE,
    RefusedError,
)
from paddlevideo.apps.serve.service import Service

_CLIENT_CLOSED = 499  # nobody reads it; of nginx


def create_app(service: Service, access: Access | None = None) -> FastAPI:
    """The application, for a server of ASGI, while `Service.running`.

    Args:
        access: which names and pages may be used to reach it; by default its addresses.
    """

    # The pages of FastAPI's own documentation fetch their scripts from elsewhere.
    app = FastAPI(title="paddlevideo serve", version=__version__, docs_url=None, redoc_url=None)

    _add_refusals(app, service)
    _add_pages(app, service)

    @app.post("/predict")
    async def predict(
        request: Request, top_k: Annotated[int, Query(ge=1)] = service.stream_options.top_k
    ) -> Response:
        """Classify the video that is the body."""
        return await _predict(service, request, top_k)

    @app.websocket("/stream")
    async def stream(socket: WebSocket) -> None:
        await StreamConnection(service, socket).run()

    @app.websocket("/{path:path}")
    async def no_stream(socket: WebSocket) -> None:
        await socket.send_denial_response(_answer(service, _not_found(socket.url.path)))

    # The last one added is asked first.
    most = service.limits.max_connections_per_address
    app.add_middleware(AccessCheck, access=access or Access(), metrics=service.metrics)
    app.add_middleware(AddressLimit, most=most, metrics=service.metrics)
    return app


def _add_refusals(app: FastAPI, service: Service) -> None:
    """Every refusal in one form, whoever refuses."""

    @app.exception_handler(RefusedError)
    async def refused(_request: Request, error: RefusedError) -> Response:
        return _answer(service, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        words = f"{first['loc'][-1]}: {first['msg']}"
        return _answer(service, RefusedError(MALFORMED, words))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        if error.status_code != NOT_ALLOWED.status:
            return _answer(service, _not_found(path))
        allowed = {name.lower(): value for name, value in (error.headers or {}).items()}
        words = f"{path} takes {allowed.get('allow', 'another method')}, not {request.method}"
        return _answer(service, RefusedError(NOT_ALLOWED, words))


def _answer(service: Service, error: RefusedError) -> Response:
    service.metrics.refusals.labels(error.refusal.name).inc()
    body, pairs = error.body_and_headers()
    headers = {name.decode(): value.decode() for name, value in pairs}
    return Response(body, error.refusal.status, headers)


def _not_found(path: str) -> RefusedError:
    return RefusedError(
        NOT_FOUND,
        f"there is no {path[:100]!r}; videos: POST /predict, frames: WebSocket /stream, all else: "
        "GET /",
    )


def _add_pages(app: FastAPI, service: Service) -> None:
    @app.get("/")
    async def about() -> dict[str, object]:
        """What is served, and where."""
        return describe(service)

    @app.get("/health")
    async def health() -> JSONResponse:
        """Whether work is taken: status 200, or 503."""
        is_healthy = service.is_healthy
        body = {
            "status": "ok" if is_healthy else "closing" if service.is_closing else "failed",
            "streams": service.num_streams,
            "videos": service.num_videos,
            "seconds": round(time.time() - service.started, 1),
        }
        return JSONResponse(body, 200 if is_healthy else 503)

    @app.get("/metrics")
    async def metrics() -> PlainTextResponse:
        """Counters, in Prometheus' format."""
        return PlainTextResponse(service.metrics.text(), media_type=CONTENT_TYPE)


def describe(service: Service) -> dict[str, object]:
    """What ``/`` says."""
    manifest = service.bundle.manifest
    described: dict[str, object] = {
        "model": manifest.model_name,
        "classes": service.num_classes,
        "labels": manifest.labels,
        "addresses": {
            "POST /predict": "a video as the body; ?top_k=5",
            "GET /health": "whether work is taken",
            "GET /metrics": "counters, in Prometheus' format",
        },
        "limits": vars(service.limits),
        "version": __version__,
    }
    if service.has_streams:
        described["frame_rate"] = service.frame_rate
        described["addresses"] = {
            **described["addresses"],  # type: ignore[dict-item]
            "WebSocket /stream": "frames as JPEG or PNG; ?width=W&height=H: raw rgb24; "
            "&frame_rate=R, &recording=true, &top_k=5",
        }
    return described


async def _predict(service: Service, request: Request, top_k: int) -> Response:
    begun = time.monotonic()
    outcome = "failed"
    try:
        with service.video_place() as path:
            await _receive(service, request, path)
            left = service.limits.request_seconds - (time.monotonic() - begun)
            result = await service.videos.classify(path, max(left, 0.001))
        outcome = "answered"
        answer = result.as_dict()
        del answer["file"]
        answer["predictions"] = [vars(item) for item in result.top[:top_k]]
        service.metrics.video_seconds.observe(time.monotonic() - begun)
        return JSONResponse(answer)
    except RefusedError as error:
        outcome = error.refusal.name
        raise
    except ClientDisconnect:
        outcome = "cut"
        return Response(status_code=_CLIENT_CLOSED)
    finally:
        service.metrics.videos.labels(outcome).inc()


async def _receive(service: Service, request: Request, path: Path) -> None:
    """Write the body to a file.

    Raises:
        RefusedError: it is too large, too slow, empty, or a form.
        ClientDisconnect: the client went away.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise RefusedError(
            WRONG_TYPE,
            "send the file itself as the body, no form: curl --data-binary @video.mp4 ...",
        )
    most = service.limits.upload_bytes
    stated = request.headers.get("content-length", "")
    too_large = RefusedError(
        TOO_LARGE, f"a video of more than {most} bytes is not taken (--max_upload_mb)"
    )
    if stated.isdigit() and int(stated) > most:
        raise too_large
    size = 0
    try:
        with path.open("wb") as file:
            async with _deadline(service.limits.request_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > most:
                        raise too_large
                    file.write(part)
    except asyncio.TimeoutError:
        raise RefusedError(
            TOO_SLOW, f"the video did not come within {service.limits.request_seconds:g} s"
        ) from None
    if not size:
        raise RefusedError(MALFORMED, "the body is empty; send a video as the body")


@contextlib.asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    """Raise `asyncio.TimeoutError` in the block after so much time (Python 3.10 has no timeout)."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("there is no task to be ended")
    is_late = False

    def end() -> None:
        nonlocal is_late
        is_late = True
        task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, end)
    try:
        yield
    except asyncio.CancelledError:
        if is_late:
            raise asyncio.TimeoutError from None
        raise
    finally:
        timer.cancel()
