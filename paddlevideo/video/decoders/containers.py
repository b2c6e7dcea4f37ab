"""Opening videos with FFmpeg: files and bytes, as video formats, within limits."""

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import av
from av.stream import Disposition

from paddlevideo.utils.errors import DataError, PaddleVideoError
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.source_names import without_secrets
from paddlevideo.video.decoders.sizes import check_frame_size
from paddlevideo.video.media import Media, as_media

# What a file may be. Playlists (hls, dash, concat, sdp) would open other files and addresses, and
# a single image (image2, png_pipe and the like) is no video.
FILE_FORMATS = (
    "aac,flac,mp3,wav,"  # sound: to say that there is no picture in it
    "3g2,3gp,amv,apng,asf,av1,avi,avr,avs,bink,cavsvideo,dhav,dirac,dnxhd,dv,dxa,evc,flic,flv,"
    "gif,gxf,h261,h263,h264,hevc,idcin,ingenient,ipmovie,ivf,ivr,kux,live_flv,lvf,m4v,matroska,mj2,"
    "mjpeg,mjpeg_2000,mov,mp4,mpeg,mpegts,mpegvideo,mpjpeg,mtv,mv,mxf,nsv,nut,nuv,obu,ogg,pva,rm,"
    "roq,smjpeg,smk,swf,thp,tmv,ty,vc1,vc1test,vivo,vvc,webm,wtv,xmv,yuv4mpegpipe"
)
_NO_PROTOCOL = "none"  # of a list of one name that is none: what is no file opens no file


def absolute(path: str) -> str:
    """The path as FFmpeg takes it for a file: ``12:30.mp4`` alone would be a protocol ``12``."""
    return str(Path(path).absolute())


def reason(error: Exception) -> str:
    """FFmpeg's words for an error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextlib.contextmanager
def decoding_errors(name: str, what: str = "not a readable video") -> Iterator[None]:
    """Turn whatever a library raises about the video ``name`` into a `DataError`.

    Broken files make them raise nearly everything: UnicodeDecodeError, MemoryError, ...
    """
    try:
        yield
    except PaddleVideoError:
        raise
    except Exception as error:  # noqa: BLE001 - broken files make FFmpeg's wrappers raise anything
        raise DataError(f"{name}: {what}: {without_secrets(reason(error), name)[:300]}") from None


def open_file(video: str | Media) -> av.container.InputContainer:
    """Open a local video file, or bytes from elsewhere; it can open no other file or address.

    Args:
        video: path of a file, or `Media`.

    Raises:
        DataError: it is no video, or opening it takes too long.
    """
    media = as_media(video)
    seconds = limit("open_seconds") / 2  # the header, then the search for streams
    try:
        if media.path is not None:
            return _open(absolute(media.path), "file", (seconds, None))
        return _open(_Named(media.open(), media.name), _NO_PROTOCOL, (seconds, None))
    except PaddleVideoError:
        raise
    except av.error.ExitError:
        raise DataError(
            f"{media.name}: opening it takes too long; {how_to_raise('open_seconds')}"
        ) from None
    except Exception as error:  # noqa: BLE001 - broken files make FFmpeg's wrappers raise anything
        why = _why(error, media.name)
        raise DataError(f"{media.name}: not a readable video: {why}") from None


class _Named:
    """What FFmpeg asks a file object for.

    The name's last part alone: its ending says something about the format, and it leads nowhere.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = PurePosixPath(name).name
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def open_pipe() -> av.container.InputContainer:
    """Open the video that comes through the standard input; raise as PyAV does."""
    return _open("pipe:0", "pipe", None)


def _open(
    address: str | _Named, protocol: str, timeout: tuple[float, float | None] | None
) -> av.container.InputContainer:
    return av.open(
        address,
        metadata_errors="ignore",
        timeout=timeout,
        options={"max_pixels": str(_max_pixels())},
        container_options={"protocol_whitelist": protocol, "format_whitelist": FILE_FORMATS},
    )


def _why(error: Exception, path: str) -> str:
    """FFmpeg says "Invalid argument" of a format that is not listed, and of huge pictures."""
    if isinstance(error, av.error.ArgumentError):
        return (
            "its format is none of a video (playlists and single images are not read), or its "
            f"pictures are too large: {how_to_raise('frame_pixels')}"
        )
    return without_secrets(reason(error), path)[:300]


def _max_pixels() -> int:
    """For FFmpeg's own check, in front of its memory; it counts padding to whole blocks too."""
    return int(min(1.05 * limit("frame_pixels") + 65536, 2**31 - 1))


def first_video_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first video stream that is not the cover of a music file; None where there is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def decodable_stream(
    container: av.container.InputContainer, name: str, where: str = "in the file"
) -> av.VideoStream:
    """The first video stream, ready to be decoded by one thread.

    Raises:
        DataError: there is none, nothing decodes its codec, or its pictures are too large.
    """
    stream = first_video_stream(container)
    if stream is None:
        raise DataError(f"{name}: there is no video stream {where}")
    context = stream.codec_context
    if context is None:
        raise DataError(f"{name}: its video is of a codec that FFmpeg does not know")
    check_frame_size(name, context.width, context.height)
    context.options = {**context.options, "max_pixels": str(_max_pixels())}
    # One thread: as fast as several on short clips, and workers are the parallelism.
    context.thread_count = 1
    if context.name == "vp8":
        # With one thread FFmpeg gives frames that depend on a lost one as if they were whole.
        context.thread_count, context.thread_type = 2, "SLICE"
    return stream
