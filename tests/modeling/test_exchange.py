"""The exchange of texts between processes, here threads: patient, in order, and no silent end."""

import logging
import queue
import socket
import threading
import time

import pytest

from paddlevideo.modeling import exchange as module
from paddlevideo.modeling.exchange import Exchange
from paddlevideo.utils.errors import DeviceError


def shares(count):
    """For each rank the function that gives all of them the text of the first."""
    waiting = [queue.SimpleQueue() for _ in range(count)]

    def of(rank):
        def share(text):
            if rank == 0:
                for each in waiting:
                    each.put(text)
            return waiting[rank].get(timeout=10)

        return share

    return [of(rank) for rank in range(count)]


def in_threads(count, work):
    """Run ``work(exchange)`` in a thread for each rank; its results, errors among them."""
    results = [None] * count
    share = shares(count)

    def run(rank):
        exchange = None
        try:
            exchange = Exchange(rank, count, "127.0.0.1", share[rank])
            results[rank] = work(exchange)
        except DeviceError as error:
            results[rank] = error
        finally:
            if exchange is not None:
                exchange.close()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return results


@pytest.mark.parametrize("count", [2, 5])
def test_all_get_the_texts_of_all_in_order(count):
    def work(exchange):
        found = []
        for number in range(20):
            time.sleep(0.001 * ((exchange.rank + number) % 3))
            found.append(exchange(f"{number} of {exchange.rank} \u00fc"))
        return found

    expected = [[f"{n} of {r} \u00fc" for r in range(count)] for n in range(20)]
    assert in_threads(count, work) == [expected] * count


@pytest.mark.parametrize("dead", [0, 1])
def test_the_end_of_one_is_an_error_for_the_others(dead):
    def work(exchange):
        exchange("here")
        if exchange.rank == dead:
            return "left"
        return exchange("still here")

    results = in_threads(3, work)
    assert results[dead] == "left"
    for rank in {0, 1, 2} - {dead}:
        assert isinstance(results[rank], DeviceError)
        assert "has ended" in str(results[rank]) and "workerlog" in str(results[rank])


def test_a_long_wait_is_told(monkeypatch, caplog):
    monkeypatch.setattr(module, "_WARN_SECONDS", 0.05)

    def work(exchange):
        if exchange.rank == 1:
            time.sleep(0.25)
        return exchange("x")

    with caplog.at_level(logging.WARNING, "paddlevideo"):
        assert in_threads(2, work) == [["x", "x"]] * 2
    told = [record.message for record in caplog.records]
    assert told[0].startswith("process 0 has waited 0 s for process 1") and len(told) in (2, 3)


def framed(content):
    return len(content).to_bytes(4, "big") + content


@pytest.mark.parametrize(
    "sent",
    [framed(b"0" * 32 + b" 1"), b"GET / HTTP/1.1\r\n\r\n", b"", b"\0", framed(b"\xff\xfe 1"),
     framed("\u00e9 1".encode())],
    ids=["another token", "a scan", "nothing", "half", "no text", "no ASCII"],
)  # fmt: skip
def test_a_stranger_is_not_listened_to(sent):
    found = []

    def work(exchange):
        return exchange(str(exchange.rank))

    share = shares(2)

    def first():
        def and_a_stranger(text):
            host, port, _ = text.split(" ")
            with socket.create_connection((host, int(port))) as stranger:
                stranger.sendall(sent)
            return share[0](text)

        exchange = Exchange(0, 2, "127.0.0.1", and_a_stranger)
        found.append(exchange("0"))
        exchange.close()

    thread = threading.Thread(target=first)
    thread.start()
    exchange = Exchange(1, 2, "127.0.0.1", share[1])
    assert work(exchange) == ["0", "1"]
    thread.join(10)
    exchange.close()
    assert found == [["0", "1"]]
