"""One transaction for all predictions that wait to be stored, because each transaction waits for the disk."""

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from retrace.serving.log import DuplicateIdError, Log, LogError

MAX_ROWS = 10_000  # no further request joins a transaction that has this many rows

Predictions = Sequence[dict[str, Any]]


class GroupCommit:
    """A thread that stores predictions in a log.

    Requests that come while a transaction is written share the next one. So under load, fewer transactions wait for the
    disk.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: queue.SimpleQueue[tuple[Predictions, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def store(self, predictions: Predictions) -> Future[None]:
        """Store predictions together with those of other requests.

        Returns:
            A future that is done when the predictions are on disk, or raises a LogError.
        """
        done: Future[None] = Future()
        self._waiting.put((predictions, done))
        return done

    def close(self) -> None:
        """Store what waits, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            group = [self._waiting.get()]
            rows = len(group[0][0]) if group[0] else 0
            while not self._waiting.empty() and rows < MAX_ROWS and group[-1] is not None:
                group.append(self._waiting.get())
                rows += len(group[-1][0]) if group[-1] else 0
            is_open = group[-1] is not None
            # A future whose request has been cancelled can't be set any more, so it's left out.
            self._store([each for each in group if each is not None and each[1].set_running_or_notify_cancel()])

    def _store(self, group: list[tuple[Predictions, Future[None]]]) -> None:
        try:
            if group:
                self._log.store([row for predictions, _ in group for row in predictions])
        except DuplicateIdError as error:
            if len(group) == 1:
                group[0][1].set_exception(error)
            else:  # only the request that has the id must fail
                for each in group:
                    self._store([each])
        except Exception as error:  # whatever it is: nobody may wait forever
            for _, done in group:
                done.set_exception(error if isinstance(error, LogError) else LogError(type(error).__name__))
        else:
            for _, done in group:
                done.set_result(None)
