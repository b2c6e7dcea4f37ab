"""What one process asks for, all do at the same step: here threads take the place of processes."""

import threading
import time

import pytest

from paddlevideo.tasks.agreement import Agreement, Stop, Stopped, WaitEnded


class Room:
    """Talk for several threads: each gives a text and gets those of all."""

    def __init__(self, count):
        self.texts = [""] * count
        self.barrier = threading.Barrier(count, timeout=10)

    def of(self, rank):
        def talk(text):
            self.texts[rank] = text
            self.barrier.wait()
            found = list(self.texts)
            self.barrier.wait()
            return found

        return talk


def together(count, work):
    room, results = Room(count), [None] * count

    def run(rank):
        results[rank] = work(rank, Agreement(room.of(rank)))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


def test_a_request_of_one_is_agreed_on_by_all_at_the_same_step():
    def work(rank, agreement):
        seen = []
        for step in range(6):
            if (rank, step) == (2, 1):
                agreement.ask_to_save()
            if (rank, step) in ((0, 3), (1, 3)):
                agreement.ask_to_stop(f"of {rank}", signal=15 * rank)
            facts = agreement.reach({"step": step, "rank": rank})
            assert facts == [{"step": step, "rank": r} for r in range(3)]
            seen.append((agreement.save, agreement.stop))
            agreement.saved()
        return seen

    stop = Stop("of 1", 15)  # a signal's goes first: it has an exit code
    expected = [(s == 1, stop if s >= 3 else None) for s in range(6)]
    assert together(3, work) == [expected] * 3
    assert (stop.exit_code, Stop("x").exit_code) == (143, 0)


def test_one_process_agrees_with_itself():
    agreement = Agreement()
    agreement.ask_to_save()
    assert agreement.reach() == [{}] and agreement.save
    agreement.saved()
    agreement.reach()
    assert not agreement.save


@pytest.mark.parametrize("group", [1, 3])
def test_a_stop_waits_for_the_end_of_a_group(group):
    def work(rank, agreement):
        taken = []
        for batch in agreement.batches(iter(range(20)), lambda: len(taken) % group == 0):
            taken.append(batch)
            if (rank, len(taken)) == (1, 4):
                agreement.ask_to_stop("enough")
        return len(taken)

    assert together(2, work) == [4 if group == 1 else 6] * 2


def test_a_wait_that_a_signal_ended_ends_all():
    def batches(rank):
        yield 0
        if rank == 1:  # what a handler does in the middle of a wait
            time.sleep(0.05)
            agreements[rank].ask_to_stop("signal", 15)
            raise WaitEnded
        yield 1

    agreements = {}

    def work(rank, agreement):
        agreements[rank] = agreement
        found = list(agreement.batches(batches(rank), lambda: True))
        return found, agreement.stop, agreement.waits

    assert together(2, work) == [([0], Stop("signal", 15), False)] * 2


def test_a_stop_within_a_validation():
    """Whoever has fewer batches, or waits for one, raises it at the same point."""

    def work(rank, agreement):
        taken = []
        with pytest.raises(Stopped):
            for batch in agreement.until_stopped(iter(range(3 - rank)), 3):
                taken.append(batch)
                if (rank, batch) == (0, stop_at):
                    agreement.ask_to_stop("signal", 15)
        return taken

    for stop_at in (0, 1, 2):
        results = together(2, work)
        assert results[0] == list(range(stop_at + 1))

    def whole(rank, agreement):
        return list(agreement.until_stopped(iter(range(3 - rank)), 3))

    assert together(2, whole) == [[0, 1, 2], [0, 1]]
