"""One transaction for all requests that wait to be stored, because each transaction waits for the disk."""

import queue
import threading
from concurrent.futures import Future

from retrace.serving.log import DuplicateIdError, Log, LogError, PredictedRequest

MAX_ROWS = 10_000  # no further request joins a transaction that has this many rows

Waiting = tuple[PredictedRequest, Future[None]]


class GroupCommit:
    """A thread that stores requests in a log.

    Requests that come while a transaction is written share the next one. So under load, fewer transactions wait for the
    disk.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def store(self, request: PredictedRequest) -> Future[None]:
        """Store a request together with others.

        Returns:
            A future that is done when the request is on disk, or raises a LogError.
        """
        done: Future[None] = Future()
        self._waiting.put((request, done))
        return done

    def close(self) -> None:
        """Store what waits, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            group = [self._waiting.get()]
            rows = len(group[0][0].ids) if group[0] else 0
            while not self._waiting.empty() and rows < MAX_ROWS and group[-1] is not None:
                group.append(self._waiting.get())
                rows += len(group[-1][0].ids) if group[-1] else 0
            is_open = group[-1] is not None
            # A future whose request has been cancelled can't be set any more, so it's left out.
            self._store([each for each in group if each is not None and each[1].set_running_or_notify_cancel()])

    def _store(self, group: list[Waiting]) -> None:
        try:
            if group:
                self._log.store([request for request, _ in group])
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
