"""A loop that compiles in a moment, in place of the interpreter."""

import sys


def tiny(table, later, lists, addresses, strides, streams, part, parts, stages, states, others):
    addresses[0] += 7 * streams


if __name__ == "__main__":
    import logging

    import numpy as np

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    from paddlevideo.runtime.engines.compiled import kernel_loader
    from runtime.tiny_loop import tiny as loop

    kernel_loader.program_loop = loop
    given = np.zeros(1, np.int64)
    table = np.zeros(0, kernel_loader.OPERATION)
    later = np.zeros((0, 4), np.int64)
    kernel_loader.compiled_loop()(table, later, given, given, given, 6, *kernel_loader.ALONE)
    sys.stdout.write(f"{given[0]}\n")
