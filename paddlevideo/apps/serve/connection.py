"""`StreamConnection`: one WebSocket: frames in, a line of JSON for each answer out.

A binary message is a frame. Text messages are ``time SECONDS`` (of the next frame), ``reset`` (the
next frame is the first of another stream) and ``end`` (answer what is left, then close).
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from paddlevideo.apps.serve.frames import FrameFormat
from paddlevideo.apps.serve.refusals import (
    CLOSING,
    FAILED,
    MALFORMED,
    TOO_LARGE,
    TOO_SLOW,
    TOOK_TOO_LONG,
    RefusedError,
)
from paddlevideo.apps.serve.service import Service
from paddlevideo.apps.serve.shown_frames import HeldFrame, Moment, ShownFrames, parse_seconds
from paddlevideo.apps.sources.following import once
from paddlevideo.runtime.class_scores import best_classes
from paddlevideo.runtime.streams.pool import PoolStream
from paddlevideo.runtime.streams.timeline import StreamResult
from paddlevideo.utils.errors import DataError, nearest_hint

_GOING = "the service is shutting down"
_OPTIONS = ("width", "height", "frame_rate", "recording", "top_k")
_END, _RESET, _TIME = "end", "reset", "time "
_MOST_TEXTS = 100  # without a frame
_CANCEL_SECONDS = 0.1


@dataclass(frozen=True)
class StreamRequest:
    """What the address of a stream asks for: ``/stream?width=640&height=480&frame_rate=25``.

    Attributes:
        raw_size: (width, height) of raw rgb24 frames; None: JPEG and PNG files.
        frame_rate: of frames without times; None: they come at the model's.
        is_recording: see `ShownFrames`.
        top_k: classes in an answer.
    """

    raw_size: tuple[int, int] | None
    frame_rate: float | None
    is_recording: bool
    top_k: int

    @classmethod
    def parsed(cls, query: Mapping[str, str], top_k: int, num_classes: int) -> "StreamRequest":
        """Read the query.

        Raises:
            RefusedError: an unknown option, or a value that cannot be.
        """
        for name in query:
            if name not in _OPTIONS:
                hint = nearest_hint(name[:50], _OPTIONS)
                raise RefusedError(MALFORMED, f'a stream has no option "{name[:50]}"; {hint}')
        if ("width" in query) != ("height" in query):
            raise RefusedError(MALFORMED, "raw frames need both width and height")
        raw_size = None
        if "width" in query:
            raw_size = (_whole(query, "width", 100_000), _whole(query, "height", 100_000))
        rate = None
        if "frame_rate" in query:
            rate = parse_seconds(query["frame_rate"])
            if not 0.001 <= rate <= 10_000:
                raise RefusedError(MALFORMED, f"frame_rate is {rate:g}, expected 0.001 to 10,000")
        recording = query.get("recording", "false").lower()
        if recording not in ("true", "false", "1", "0"):
            raise RefusedError(MALFORMED, f"recording is {recording[:50]}, expected true or false")
        if "top_k" in query:
            top_k = _whole(query, "top_k", num_classes)
        return cls(raw_size, rate, recording in ("true", "1"), top_k)


def _whole(query: Mapping[str, str], name: str, most: int) -> int:
    text = query[name]
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not 1 <= int(text) <= most:
        raise RefusedError(
            MALFORMED, f"{name} is {text[:50]!r}, expected a whole number from 1 to {most}"
        )
    return int(text)


async def _end_task(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait for its end.

    More than once: `asyncio.wait_for` of Python 3.11 and older loses a cancellation that comes
    together with what it waits for, and the task would wait for ever.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_SECONDS)


class _Gone:
    """Behind a client's last message: it has closed, or was cut."""


_Message = str | bytes | RefusedError | _Gone


class StreamConnection:
    """Serves one WebSocket to its end.

    Messages are read by a task of their own into a queue of ``--queue_frames``. While it is full
    nothing is read, so a client that sends faster than it is served waits in TCP. One frame at a
    time is shown to the model, so nothing is dropped, and no client has more than one frame in a
    step.
    """

    def __init__(self, service: Service, socket: WebSocket) -> None:
        self._service = service
        self._socket = socket
        self._limits = service.limits
        self._messages: asyncio.Queue[_Message] = asyncio.Queue(service.limits.queue_frames)
        self._is_ending = False
        self._is_free = True  # nothing is owed to the client
        self._free_since = time.monotonic()
        self._received = 0
        self._seen = 0

    def end_soon(self) -> None:
        """Answer the frame at hand, then close with `CLOSING`."""
        self._is_ending = True
        with contextlib.suppress(asyncio.QueueFull):  # then the next message is looked at anyway
            self._messages.put_nowait(RefusedError(CLOSING, _GOING))

    async def run(self) -> None:
        """Accept the socket, answer its frames, close it with a code."""
        await self._socket.accept()
        stream = reader = None
        try:
            self._request = StreamRequest.parsed(
                self._socket.query_params, self._service.stream_options.top_k,
                self._service.num_classes,
            )  # fmt: skip
            self._format = self._frame_format()
            stream = await self._service.open_stream(self)
            self._shown = ShownFrames(
                self._service.frame_rate, self._request.is_recording, self._request.frame_rate
            )
            reader = asyncio.create_task(self._read())
            await self._answer_all(stream)
        except RefusedError as error:
            await self._refuse(error)
        except WebSocketDisconnect:
            return
        finally:
            self._service.close_stream(self, stream)
            if reader is not None:
                await _end_task(reader)

    def _frame_format(self) -> FrameFormat:
        given = FrameFormat(self._request.raw_size, self._limits.max_frame_pixels)
        if given.raw_size is not None:
            num_bytes = given.raw_size[0] * given.raw_size[1] * 3
            if num_bytes > self._limits.message_bytes:
                raise RefusedError(
                    TOO_LARGE,
                    f"a raw frame of {num_bytes} bytes; a message may have "
                    f"{self._limits.message_bytes} (--max_message_mb)",
                )
        return given

    async def _refuse(self, error: RefusedError) -> None:
        self._service.metrics.refusals.labels(error.refusal.name).inc()
        with contextlib.suppress(WebSocketDisconnect, RefusedError, RuntimeError):
            await self._send(error.as_dict())
            await self._socket.close(error.refusal.close_code, error.reason)

    async def _read(self) -> None:
        """Put messages into the queue until the client is gone, or silent for too long."""
        while True:
            event = await self._next_event()
            if event is None:
                message = f"nothing came for {self._limits.idle_seconds:g} s (--idle_seconds)"
                await self._messages.put(RefusedError(TOO_SLOW, message))
                return
            if event["type"] != "websocket.receive":
                await self._messages.put(_Gone())
                return
            data = event.get("bytes")
            await self._messages.put(event["text"] if data is None else data)

    async def _next_event(self) -> Message | None:
        """What comes next; None if nothing does, though the client has had all its answers."""
        idle = wait = self._limits.idle_seconds
        while True:
            try:
                return await asyncio.wait_for(self._socket.receive(), wait)
            except asyncio.TimeoutError:
                wait = idle
                if self._is_free:  # otherwise the client may well wait for us
                    wait = self._free_since + idle - time.monotonic()
                if wait <= 0:
                    return None

    async def _answer_all(self, stream: PoolStream) -> None:
        stated: float | None = None
        texts = 0
        while True:
            if self._is_ending:
                raise RefusedError(CLOSING, _GOING)
            self._is_free, self._free_since = True, time.monotonic()
            message = await self._messages.get()
            self._is_free = False
            if isinstance(message, RefusedError):
                raise message
            if isinstance(message, _Gone):
                return
            if isinstance(message, bytes):
                await self._take_frame(stream, message, stated)
                stated, texts = None, 0
                continue
            texts += 1
            if texts > _MOST_TEXTS:
                raise RefusedError(MALFORMED, f"more than {_MOST_TEXTS} texts without a frame")
            if message.startswith(_TIME):
                stated = parse_seconds(message.removeprefix(_TIME))
            elif message == _RESET:
                await self._show_all(stream, self._shown.end())
                stream.reset()
                self._shown.reset()
            elif message == _END:
                await self._end(stream)
                return
            else:
                raise RefusedError(
                    MALFORMED,
                    f'the text "{message[:50]}" is none of "time SECONDS", "reset" and "end"',
                )

    async def _end(self, stream: PoolStream) -> None:
        await self._show_all(stream, self._shown.end())
        await self._send(
            {"end": True, "frames": self._received, "steps": stream.counts.steps,
             "left_out": self._received - self._seen}
        )  # fmt: skip
        await self._socket.close(1000)

    async def _take_frame(self, stream: PoolStream, data: bytes, stated: float | None) -> None:
        self._received += 1
        self._service.metrics.frames.labels("received").inc()
        self._format.check(data)
        rgb = once(partial(self._format.decode, data))
        await self._show_all(stream, self._shown.offer(rgb, stated))

    async def _show_all(self, stream: PoolStream, moments: list[Moment]) -> None:
        for seconds, frame in moments:
            if self._is_ending:
                raise RefusedError(CLOSING, _GOING)
            begun = time.perf_counter()
            result = await self._show(stream, seconds, frame)
            if result is not None:
                self._service.metrics.frame_seconds.observe(time.perf_counter() - begun)
                await self._send(self._line(result, frame))

    async def _show(
        self, stream: PoolStream, seconds: float | None, frame: HeldFrame
    ) -> StreamResult | None:
        """The answer behind a frame; None where it is left out."""
        loop = asyncio.get_running_loop()
        show = partial(self._service.stepper.show, stream, frame.rgb, seconds)
        try:
            pending = await loop.run_in_executor(self._service.decoders, show)
            if pending is None:
                return None
            limit = self._limits.request_seconds
            result = await asyncio.wait_for(asyncio.wrap_future(pending), limit)
        except asyncio.TimeoutError:
            raise RefusedError(
                TOOK_TOO_LONG, "a frame was not answered in time (--request_seconds)"
            ) from None
        except RefusedError:
            raise
        except DataError as error:
            raise RefusedError(MALFORMED, str(error)) from None
        except Exception as error:
            raise RefusedError(FAILED, "the model failed at a frame; see the log") from error
        if not frame.was_seen:
            frame.was_seen = True
            self._seen += 1
            self._service.metrics.frames.labels("seen").inc()
        return result

    def _line(self, result: StreamResult, frame: HeldFrame) -> dict[str, object]:
        """What ``paddlevideo stream`` writes for a step."""
        top = result.top
        if result.probabilities is not None:
            labels = self._service.bundle.manifest.labels
            top = best_classes(result.probabilities, labels, self._request.top_k)
        stated = frame.time_seconds
        seconds = result.time_seconds if stated is None else stated
        return replace(result, top=top, time_seconds=seconds).as_dict()

    async def _send(self, line: Mapping[str, object]) -> None:
        """Send a line; a client that does not read its answers is refused."""
        text = json.dumps(line, ensure_ascii=False)
        try:
            await asyncio.wait_for(self._socket.send_text(text), self._limits.idle_seconds)
        except asyncio.TimeoutError:
            raise RefusedError(TOO_SLOW, "answers are not read (--idle_seconds)") from None
