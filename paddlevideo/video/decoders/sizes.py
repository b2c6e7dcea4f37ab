"""How large a picture and a clip may be: asked before memory is taken for them."""

from paddlevideo.utils.errors import DataError
from paddlevideo.utils.limits import how_to_raise, limit


def check_frame_size(name: object, width: int, height: int) -> None:
    """Raise `DataError` for a picture that is too large or too long; ``name`` is its file."""
    if width * height > limit("frame_pixels"):
        raise DataError(
            f"{name}: a picture of {width}x{height} pixels; {how_to_raise('frame_pixels')}"
        )
    if max(width, height) > limit("frame_aspect") * max(min(width, height), 1):
        raise DataError(
            f"{name}: a picture of {width}x{height} pixels, one side much longer than the other; "
            f"{how_to_raise('frame_aspect')}"
        )


def check_clip_size(name: object, num_frames: int, height: int, width: int) -> None:
    """Raise `DataError` for a clip that is too large to be held."""
    if num_frames * height * width > limit("clip_pixels"):
        raise DataError(
            f"{name}: a clip of {num_frames} frames of {width}x{height} pixels; "
            f"{how_to_raise('clip_pixels')}"
        )
