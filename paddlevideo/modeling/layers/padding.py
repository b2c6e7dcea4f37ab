"""TensorFlow's SAME padding, which follows the size of the input."""

Size = tuple[int, int]  # height, width


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis of ``size``; the odd one goes after (docs/movinet.md)."""
    out_size = -(-size // stride)
    total = max((out_size - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
