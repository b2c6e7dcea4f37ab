"""What a recognizer takes as a clip; what it does not, in one message that says what to change."""

from paddle import Tensor

from paddlevideo.utils.errors import DataError

_DTYPES = ("uint8", "float32", "float16", "bfloat16")
_AXES = "[batch, frames, 3, height, width]"


def check_clip(clip_BTCHW: Tensor, min_size: int = 1) -> None:
    """Raise `DataError` unless this is a batch of RGB clips of pixels in [0, 255].

    Args:
        min_size: least height and width that the network can halve as often as it does.
    """
    shape, dtype = list(clip_BTCHW.shape), dtype_name(clip_BTCHW)
    came = f"got shape {shape} ({dtype})"
    if len(shape) != 5 or shape[2] != 3:
        raise DataError(f"a clip batch is {_AXES} in RGB; {came}{_advice(shape)}")
    if dtype not in _DTYPES:
        raise DataError(
            f"pixels are uint8, or float32 in [0, 255]; {came}: convert it with "
            'clip.astype("uint8"), or "float32" for values that are not whole'
        )
    if 0 in shape:  # an exported program has -1 where a length is open
        raise DataError(f"a clip batch {_AXES} needs at least one of each; {came}")
    if any(0 < length < min_size for length in shape[3:]):
        raise DataError(f"this network needs frames of {min_size}x{min_size} at least; {came}")


def dtype_name(tensor: Tensor) -> str:
    """``float32`` and so on, whatever the mode Paddle is in calls it."""
    return str(tensor.dtype).rpartition(".")[2].lower()


def _advice(shape: list[int]) -> str:
    """What may be meant by a shape that is none of a clip."""
    if len(shape) == 4:
        return "; one clip is a batch of one: clip.unsqueeze(0)"
    if len(shape) != 5:
        return ""
    if shape[4] == 3:
        return "; the channels are last: clip.transpose([0, 1, 4, 2, 3])"
    if shape[1] == 3:
        return "; the channels come before the frames: clip.transpose([0, 2, 1, 3, 4])"
    if shape[2] == 4 or shape[4] == 4:
        return "; leave the fourth channel out"
    if shape[2] == 1 or shape[4] == 1:
        return "; repeat a grey channel three times"
    return ""
