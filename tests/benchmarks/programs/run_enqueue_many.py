"""RQ's `Queue.enqueue_many` in batches of 500: the limit that all else is compared with."""

from jobs import work
from program import BATCH, QUEUE, main, measured_pass
from rq import Queue


def enqueue(connection, count):
    queue = Queue(QUEUE, connection=connection)
    _enqueue_many(queue, range(BATCH))  # warm
    return measured_pass(connection, count, lambda: _enqueue_many(queue, range(count)))


def _enqueue_many(queue, numbers):
    for start in range(0, len(numbers), BATCH):
        queue.enqueue_many(
            [
                Queue.prepare_data(work, args=(number,), timeout=180, result_ttl=500)
                for number in numbers[start : start + BATCH]
            ]
        )


main(enqueue)
