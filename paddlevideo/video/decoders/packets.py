"""`VideoFrames`: packet by packet through a video, past what is damaged."""

import functools
import logging
import time
from collections.abc import Iterator

import av

from paddlevideo.utils.errors import DataError
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.video.decoders.containers import decodable_stream, reason
from paddlevideo.video.decoders.sizes import check_frame_size
from paddlevideo.video.decoders.times import DEFAULT_FRAME_RATE, FrameTimes
from paddlevideo.video.media import Media, as_media

logger = logging.getLogger(__name__)

# Failures in a row of reading the container itself, after which the rest is given up.
_MOST_READ_FAILURES = 20
# More than this in no packet is no header, index or padding of a small file.
_LARGEST_HEADER_BYTES = 16 * 2**10


@functools.lru_cache(maxsize=4096)
def warn_once(message: str) -> None:
    """Say it once per process, not once per epoch."""
    logger.warning("%s", message)


def check_count(name: str, num_frames: int) -> None:
    """Raise `DataError` for a video of too many frames."""
    if num_frames > limit("video_frames"):
        raise DataError(f"{name}: {num_frames} frames or more; {how_to_raise('video_frames')}")


def check_share(name: str, num_read: int, num_lost: int, damage: str | None = None) -> None:
    """Raise `DataError` where too large a share of a video's frames was lost."""
    if num_lost > limit("lost_share") * (num_read + num_lost):
        raise DataError(
            f"{name}: {_losses(num_read, num_lost, damage)}; {how_to_raise('lost_share')}"
        )


def _losses(num_read: int, num_lost: int, damage: str | None) -> str:
    because = f" ({damage})" if damage else ""
    return f"damaged: {num_lost} of {num_read + num_lost} frames cannot be decoded{because}"


class ReadingTime:
    """How long a local file may be decoded: a limit that grows with its size.

    Only decoding counts, over all passes; what is done with frames in between does not.

    Args:
        video: path of a file, or `Media`.

    Attributes:
        num_bytes: size of the file.

    Raises (when it is over):
        DataError: naming the limit.
    """

    def __init__(self, video: str | Media) -> None:
        media = as_media(video)
        self._path = media.name
        self.num_bytes = media.num_bytes
        megabytes = self.num_bytes / 1e6
        self._left = limit("read_seconds") + megabytes * limit("read_seconds_per_megabyte")

    def spend(self, seconds: float) -> None:
        """Count ``seconds`` of decoding."""
        self._left -= seconds
        if self._left < 0:
            raise DataError(
                f"{self._path}: decoding it takes too long for its size; "
                f"{how_to_raise('read_seconds')}"
            )


class VideoFrames:
    """The frames of the first video stream of an open container, each with its time.

    A packet that does not decode is skipped and counted, and the next one is tried; after
    ``bad_packets`` of them in a row the rest is given up. A frame that the decoder repairs and
    gives is a frame.

    Args:
        container: open; it is left open.
        name: of the source, for messages.
        times: gives each frame its time.
        reading_time: of a local file; reported the seconds of decoding of each packet.
        ends: exceptions that end the reading and are raised, such as a lost connection's.

    Attributes:
        rate: average frames per second by the header, None where it does not say.
        frames_read: frames given so far.
        frames_lost: packets so far that gave none, because they are damaged; at the end also those
            that the index lists and that never came, and in a local file most of whose bytes are
            in no packet, those that its header promises.
        damage: FFmpeg's words for the last damage; None: there was none.

    Raises:
        DataError: no video stream that can be decoded, or too many or too large pictures.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        name: str,
        times: FrameTimes,
        reading_time: ReadingTime | None = None,
        ends: tuple[type[Exception], ...] = (),
    ) -> None:
        self._container = container
        self._name = name
        self._times = times
        self._reading_time = reading_time
        self._packet_bytes = 0  # of all streams
        self._ends = ends
        self._stream = decodable_stream(container, name, "in it")
        rate = self._stream.average_rate
        self.rate = float(rate) if rate else None
        self._bad_in_row = 0
        self._packets = 0
        self.frames_read = 0
        self.frames_lost = 0
        self.damage: str | None = None

    def __iter__(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """Yield each frame and its time in seconds."""
        most_frames = limit("video_frames")
        # Of the stream: a frame's own is the same, and costs a new Fraction each time.
        numerator, denominator = self._stream.time_base.as_integer_ratio()
        width = height = 0
        begin = time.perf_counter()
        for packet in self._packets_to_the_end():
            frames = self._decode(packet)
            if self._reading_time is not None:
                self._reading_time.spend(time.perf_counter() - begin)
            for frame in frames:
                self.frames_read += 1
                if self.frames_read > most_frames:
                    check_count(self._name, self.frames_read)
                if frame.width != width or frame.height != height:
                    width, height = frame.width, frame.height
                    check_frame_size(self._name, width, height)
                pts = frame.pts
                if pts is None:
                    yield frame, self._times.count(self.rate)
                else:
                    yield frame, self._times.at(pts * numerator / denominator, self.rate)
            begin = time.perf_counter()
        self._count_the_rest()

    def _packets_to_the_end(self) -> Iterator[av.Packet | None]:
        """Packets that hold something, then None, which empties the decoder."""
        stream = self._stream
        packets = self._container.demux()  # of all streams: what is in none of them is damage
        failures = 0
        most_bad = limit("bad_packets")
        while True:
            if self._bad_in_row > most_bad:
                yield None
                return
            try:
                packet = next(packets, None)
            except self._ends:
                raise
            except Exception as error:  # noqa: BLE001 - a broken container raises anything
                failures += 1
                self.damage = reason(error)
                if failures > _MOST_READ_FAILURES:
                    yield None
                    return
                packets = self._container.demux()
                continue
            if packet is None:
                return
            failures = 0
            self._packet_bytes += packet.size
            if packet.stream is not stream:
                continue
            if packet.size:
                self._packets += 1
                yield packet
            elif packet.dts is None and packet.pts is None:
                yield None
            else:  # AVI's way of repeating a frame; to the decoder it would be the end
                self._packets += 1

    def _decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        try:
            if packet is None:
                return self._stream.codec_context.decode(None)
            frames = packet.decode()
        except Exception as error:  # noqa: BLE001 - damaged packets raise nearly everything
            if packet is not None:
                self._note_bad(packet, error)
            return []
        self._bad_in_row = 0
        return frames

    def _note_bad(self, packet: av.Packet, error: Exception) -> None:
        self.damage = reason(error)
        self.frames_lost += 1
        self._bad_in_row += 1
        if packet.pts is not None and packet.time_base is not None:
            self._times.lost(float(packet.pts * packet.time_base))
        if isinstance(error, EOFError):  # the decoder believes to be at its end
            self._stream.codec_context.flush_buffers()

    def _count_the_rest(self) -> None:
        """Count as lost what the container's index lists and what never came."""
        if len(self._stream.index_entries) > self._packets:
            listed = sum(entry.size > 0 for entry in self._stream.index_entries)
            missing = max(0, listed - self._packets)
            self._add_missing(missing)
        self._add_missing(self._unreadable() - self.frames_lost)

    def _add_missing(self, num_frames: int) -> None:
        if num_frames > 0:
            self.frames_lost += num_frames
            self.damage = self.damage or "there is no packet of them"

    def _unreadable(self) -> int:
        """About how many frames were in the part of a file where no packet is found.

        Some containers go on silently at the next thing they know, often the end. A header says
        more than there is in sound files too, so it counts only where most bytes are in no packet.
        """
        if self._reading_time is None:
            return 0
        outside = self._reading_time.num_bytes - self._packet_bytes
        if outside <= self._packet_bytes:
            return 0
        if self._stream.frames:
            promised = int(min(self._stream.frames, limit("video_frames")))
        elif outside > _LARGEST_HEADER_BYTES:
            promised = self._by_duration()
        else:
            return 0
        return promised - self._packets if promised > 2 * self._packets else 0

    def _by_duration(self) -> int:
        """Frames by the header's duration and rate."""
        stream = self._stream
        if stream.duration:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (self._container.duration or 0) / 1e6
        return int(min(seconds * (self.rate or DEFAULT_FRAME_RATE), limit("video_frames")))

    def check_losses(self) -> None:
        """Raise `DataError` if nothing could be decoded, or too much was lost; for recordings."""
        if self.frames_read == 0:
            raise DataError(
                f"{self._name}: not one frame can be decoded: {self.damage or 'no packets'}"
                f"{self._perhaps_too_large()}"
            )
        check_share(self._name, self.frames_read, self.frames_lost, self.damage)

    def losses(self) -> str:
        """In words: how many frames were lost, and why."""
        return _losses(self.frames_read, self.frames_lost, self.damage)

    def _perhaps_too_large(self) -> str:
        context = self._stream.codec_context
        if self.damage is None or context.width * context.height:
            return ""
        return f"; or its pictures are too large: {how_to_raise('frame_pixels')}"
