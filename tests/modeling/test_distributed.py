"""Processes that do not come together: one message in place of a trace of Paddle's."""

import pytest

from paddlevideo.modeling import distributed
from paddlevideo.utils.errors import DeviceError


@pytest.mark.parametrize(
    "error", [SystemError("(Fatal) _timeout:900\n"), RuntimeError("Unable to find address for: x")]
)
def test_what_paddle_says_is_one_message(error, monkeypatch):
    def fails():
        raise error

    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    monkeypatch.setattr(distributed.distributed, "init_parallel_env", fails)
    message = "process 1: the 3 processes of this launch did not come together; .*workerlog.N"
    with pytest.raises(DeviceError, match=message) as raised:
        distributed.setup_distributed()
    assert str(error).strip() in str(raised.value)


def test_a_single_process_joins_nobody(monkeypatch):
    monkeypatch.setattr(distributed.distributed, "init_parallel_env", pytest.fail)
    distributed.setup_distributed()
