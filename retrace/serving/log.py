"""The log: each prediction with its input, and the labels that become known later, in SQLite or PostgreSQL.

The log is predictions/log.db, or what the variable RETRACE_LOG says, such as postgresql://user@host/database. Private
columns are encrypted with the key in RETRACE_LOG_KEY.
"""

import math
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sql
from cryptography.fernet import Fernet, InvalidToken
from pydantic_core import from_json, to_json
from sqlalchemy.exc import SQLAlchemyError

from retrace.errors import UserError, one_line

ADDRESS, KEY = "RETRACE_LOG", "RETRACE_LOG_KEY"
HOW_TO_MAKE_A_KEY = (
    'this makes one: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)
FILE = Path("predictions/log.db")
TIMEOUT_SECONDS = 5  # the longest wait for a connection or a lock; in a server, also for a statement of PostgreSQL
BATCH_SIZE = 1000
LOCK = 7_383_738  # an arbitrary key of the lock in PostgreSQL that lets one process at a time change the tables

METADATA = sql.MetaData()
NUMBER = sql.BigInteger().with_variant(sql.Integer, "sqlite")
REQUESTS = sql.Table(
    "requests",
    METADATA,
    sql.Column("number", NUMBER, primary_key=True),
    sql.Column("time", sql.DateTime, nullable=False, index=True),  # in UTC
    sql.Column("model", sql.Text, nullable=False),  # its name
    sql.Column("version", sql.Text),  # none if it was served from a file that no tag records
    sql.Column("package", sql.Text, nullable=False),  # the SHA-256 of model.zip
    sql.Column("request_type", sql.Text, nullable=False),  # rows or raw
    sql.Column("rows", sql.Integer, nullable=False),  # how many
    # Each of the next three is a list in JSON with an entry for each row. The entries of a forgotten row are null.
    sql.Column("input", sql.Text, nullable=False),  # the rows, without the private columns
    sql.Column("private", sql.Text),  # the private columns, encrypted; none if no column is private
    sql.Column("output", sql.Text, nullable=False),
    sql.Column("seconds", sql.Float, nullable=False),  # from the request to the predictions
    sqlite_autoincrement=True,  # so that a number isn't used again after its request was deleted
)
PREDICTIONS = sql.Table(
    "predictions",
    METADATA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("request", NUMBER, nullable=False, index=True),  # its number
    sql.Column("position", sql.Integer, nullable=False),  # of the row in the request, from 0
    sqlite_with_rowid=False,
)
# The ids of a request are one list in JSON, because a list is inserted faster than its entries one by one.
INSERT_IDS = {
    "sqlite": "INSERT INTO predictions (id, request, position) SELECT value, :request, key FROM json_each(:ids)",
    "postgresql": "INSERT INTO predictions (id, request, position) SELECT value, %(request)s, ordinality - 1 "
    "FROM json_array_elements_text(%(ids)s::json) WITH ORDINALITY",
}
LABELS = sql.Table(
    "labels",
    METADATA,
    sql.Column("number", NUMBER, primary_key=True),
    sql.Column("id", sql.Text, nullable=False, index=True),  # of the prediction; the label with the last number counts
    sql.Column("time", sql.DateTime, nullable=False),  # when it was stored, in UTC
    sql.Column("label", sql.Text, nullable=False),  # in JSON
)
PACKAGES = sql.Table(
    "packages",
    METADATA,
    sql.Column("package", sql.Text, primary_key=True),  # the SHA-256
    sql.Column("description", sql.Text, nullable=False),  # the content of model.json
)
SCHEMA = sql.Table(
    "retrace_schema",
    METADATA,
    sql.Column("one", sql.Integer, primary_key=True),  # the table has one row
    sql.Column("version", sql.Integer, nullable=False),
)
REQUEST = (REQUESTS, PREDICTIONS.c.request == REQUESTS.c.number)  # the arguments that join a prediction's request
INSERT_REQUESTS = sql.insert(REQUESTS).returning(REQUESTS.c.number, sort_by_parameter_order=True)
VERSION = 1  # of the tables
# The SQL statements that migrate the tables to a version from the one before it, by version.
MIGRATIONS: dict[int, list[str]] = {}


class LogError(Exception):
    """The log can't be read or written now; the message has no value of a row."""


class DuplicateIdError(LogError):
    """A prediction has this id already."""


class PredictedRequest(NamedTuple):
    """A request with its predictions: the columns of the table `requests`, and the ids of the predictions."""

    ids: Sequence[str]
    time: datetime
    model: str
    version: str | None
    package: str
    request_type: str
    input: str
    private: str | None
    output: str
    seconds: float


class Prediction(NamedTuple):
    """A stored prediction, for one row of a request.

    Attributes:
        id: the client's, or the server's.
        time: when it was stored, in UTC.
        model: the name of the model.
        version: its version; None if it was served from a file that no tag records.
        package: the SHA-256 of model.zip.
        request_type: rows or raw.
        input: the row, without its private columns.
        private: the private columns, encrypted; None if no column is private.
        output: a number, or the probability of each class by its name.
        seconds: from the request to the predictions for all of its rows.
    """

    id: str
    time: datetime
    model: str
    version: str | None
    package: str
    request_type: str
    input: dict[str, Any]
    private: str | None
    output: Any
    seconds: float


class Log:
    """The database of the predictions.

    Attributes:
        engine: SQLAlchemy's.
        place: its address, without a password.
    """

    def __init__(self, address: str | None = None, *, limit_statements: bool = False) -> None:
        """Connect to the log, and make its tables if they aren't there yet.

        Args:
            address: the log's; by default what RETRACE_LOG says, or predictions/log.db.
            limit_statements: whether PostgreSQL cancels a statement after TIMEOUT_SECONDS, so that a server's clients
                don't wait.

        Raises:
            UserError: the address is wrong, there is no connection, or a later version of this code made the tables.
        """
        self.engine = make_engine(
            address or os.environ.get(ADDRESS) or f"sqlite:///{FILE}", limit_statements=limit_statements
        )
        url = self.engine.url
        self.place = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)
        try:
            with self.engine.begin() as connection:
                migrate(connection)
        except SQLAlchemyError as error:
            raise UserError(f"{ADDRESS} {self.place}: {reason(error)}") from None

    def close(self) -> None:
        """End the connections."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sql.Connection]:
        """A transaction that is on disk when it ends.

        Raises:
            LogError: it fails.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except sql.exc.IntegrityError:
            raise DuplicateIdError from None
        except SQLAlchemyError as error:
            self.engine.dispose()  # the next one gets a new connection
            raise LogError(reason(error)) from None

    def check(self) -> None:
        """Check that the log can be written.

        Raises:
            LogError: it can't.
        """
        with self._transaction() as connection:
            connection.execute(sql.update(SCHEMA).values(version=SCHEMA.c.version))

    def register(self, package_sha256: str, description: Mapping[str, Any]) -> None:
        """Store what a package says of itself, by which the labels of its predictions are checked.

        Args:
            package_sha256: the hash of the package.
            description: the content of its model.json.

        Raises:
            LogError: it fails.
        """
        with self._transaction() as connection:
            known = connection.scalar(sql.select(PACKAGES.c.package).where(PACKAGES.c.package == package_sha256))
        if known is None:
            try:
                with self._transaction() as connection:
                    row = {"package": package_sha256, "description": to_json(description).decode()}
                    connection.execute(sql.insert(PACKAGES).values(row))
            except DuplicateIdError:
                pass  # another server was faster

    def store(self, requests: Sequence[PredictedRequest]) -> None:
        """Store requests in one transaction.

        Raises:
            LogError: it fails.
            DuplicateIdError: the log has one of the ids already; then none is stored.
        """
        rows = [{**each._asdict(), "rows": len(each.ids)} for each in requests]
        with self._transaction() as connection:
            numbers = connection.scalars(INSERT_REQUESTS, rows)
            ids = [
                {"request": number, "ids": to_json(each.ids).decode()}
                for number, each in zip(numbers, requests, strict=True)
            ]
            connection.exec_driver_sql(INSERT_IDS[self.engine.dialect.name], ids)

    def add_labels(self, labels: Mapping[str, Any], *, from_text: bool = False) -> list[str]:
        """Store labels, by the id of their prediction. If one is invalid, none is stored.

        Args:
            labels: the actual outcomes, by the id of the prediction.
            from_text: whether they are the cells of a CSV file, from which the classes or numbers must be read.

        Returns:
            A message for each invalid label: there is no such prediction, or its model has no such class.

        Raises:
            LogError: it fails.
        """
        now, rows, messages = utc_now(), [], []
        with self._transaction() as connection:
            # Until the labels are stored, nobody can delete their predictions: SQLite has one writer at a time, and
            # PostgreSQL locks the rows that are selected `for update`.
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            package_of: dict[str, str] = {}
            for ids in batches(list(labels)):
                query = sql.select(PREDICTIONS.c.id, REQUESTS.c.package).join(*REQUEST).where(PREDICTIONS.c.id.in_(ids))
                query = query.with_for_update(read=True, key_share=True, of=PREDICTIONS)
                package_of |= {prediction: package for prediction, package in connection.execute(query)}  # noqa: C416
            query = sql.select(PACKAGES).where(PACKAGES.c.package.in_(set(package_of.values())))
            descriptions = {package: from_json(content) for package, content in connection.execute(query)}
            for prediction, label in labels.items():
                if prediction not in package_of:
                    messages.append(f"{one_line(prediction)}: the log has no prediction with this id")
                    continue
                description = descriptions[package_of[prediction]]
                value = label_from_text(label, description) if from_text else label
                if problem := label_problem(value, description):
                    messages.append(f"{one_line(prediction)}: {problem}")
                rows.append({"id": prediction, "time": now, "label": to_json(value).decode()})
            if rows and not messages:
                connection.execute(sql.insert(LABELS), rows)
        return messages

    def labels_of(self, prediction_id: str) -> list[tuple[datetime, Any]]:
        """The labels of a prediction, in the order in which they were stored: the last one counts."""
        query = sql.select(LABELS.c.time, LABELS.c.label).where(LABELS.c.id == prediction_id).order_by(LABELS.c.number)
        with self._transaction() as connection:
            return [(time, from_json(label)) for time, label in connection.execute(query)]

    def latest_labels(self, ids: Sequence[str]) -> dict[str, str]:
        """The label that counts, in JSON, for those of some predictions that have one."""
        found: dict[str, str] = {}
        for some in batches(ids):
            query = sql.select(LABELS.c.id, LABELS.c.label).where(LABELS.c.id.in_(some)).order_by(LABELS.c.number)
            with self._transaction() as connection:
                found |= {prediction: label for prediction, label in connection.execute(query)}  # noqa: C416
        return found

    def find(self, prediction_id: str) -> Prediction | None:
        """The prediction with an id.

        Raises:
            LogError: the log can't be read.
        """
        query = sql.select(PREDICTIONS, REQUESTS).join(*REQUEST).where(PREDICTIONS.c.id == prediction_id)
        with self._transaction() as connection:
            found = connection.execute(query).one_or_none()
        return predictions_of(found, [found])[0] if found else None

    def find_request(self, ids: Sequence[str]) -> list[Prediction]:
        """The predictions of the request that had these ids, in this order; none if there was no such request.

        Raises:
            LogError: the log can't be read.
        """
        first = sql.select(PREDICTIONS.c.request).where(PREDICTIONS.c.id == ids[0]).scalar_subquery()
        with self._transaction() as connection:
            request = connection.execute(sql.select(REQUESTS).where(REQUESTS.c.number == first)).one_or_none()
            query = sql.select(PREDICTIONS).where(PREDICTIONS.c.request == first).order_by(PREDICTIONS.c.position)
            predictions = connection.execute(query).all()
        if [each.id for each in predictions] != list(ids):
            return []
        return predictions_of(request, predictions)

    def times_of(self, package_sha256: str) -> tuple[datetime, datetime] | None:
        """When a package predicted for the first and for the last time, in UTC; None if it never did.

        Raises:
            LogError: the log can't be read.
        """
        times = sql.func.min(REQUESTS.c.time), sql.func.max(REQUESTS.c.time)
        with self._transaction() as connection:
            first, last = connection.execute(sql.select(*times).where(REQUESTS.c.package == package_sha256)).one()
        return None if first is None else (first, last)

    def since(
        self, moment: datetime, size: int = BATCH_SIZE, *, until: datetime | None = None, package: str | None = None
    ) -> Iterator[list[Prediction]]:
        """The predictions since a moment in UTC, in the order in which they were stored, in parts.

        Args:
            moment: in UTC.
            size: a part ends with the request with which it has that many predictions.
            until: a moment in UTC; later predictions are left out.
            package: the SHA-256 of a package; predictions of others are left out.

        Raises:
            LogError: the log can't be read.
        """
        wanted = REQUESTS.c.time >= moment
        if until is not None:
            wanted &= REQUESTS.c.time < until
        if package is not None:
            wanted &= REQUESTS.c.package == package
        last: int | None = 0
        while last is not None:
            with self._transaction() as connection:
                part, last = read_part(connection, wanted, last, size)
            if part:
                yield part

    def forget(self, prediction_id: str) -> bool:
        """Delete a prediction and its labels; returns whether there was one.

        Raises:
            LogError: it fails, or SQLite's journal still has it.
        """
        with self._transaction() as connection:
            # The prediction is deleted first: after that, no other transaction can store a label for it.
            delete = sql.delete(PREDICTIONS).where(PREDICTIONS.c.id == prediction_id).returning(PREDICTIONS)
            found = connection.execute(delete).one_or_none()
            connection.execute(sql.delete(LABELS).where(LABELS.c.id == prediction_id))
            if found is not None:
                forget_row(connection, found.request, found.position)
        self._empty_journal()
        return found is not None

    def forget_before(self, moment: datetime) -> int:
        """Delete the predictions before a moment in UTC, and their labels; returns how many.

        A transaction deletes few requests, because a server that stores predictions waits for it.

        Raises:
            LogError: it fails, or SQLite's journal still has some.
        """
        old = sql.select(REQUESTS.c.number, REQUESTS.c.rows).where(REQUESTS.c.time < moment).limit(BATCH_SIZE)
        deleted = 0
        while True:
            with self._transaction() as connection:
                numbers = first_requests(connection.execute(old).all(), BATCH_SIZE)
                delete = sql.delete(PREDICTIONS).where(PREDICTIONS.c.request.in_(numbers)).returning(PREDICTIONS.c.id)
                ids = connection.scalars(delete).all()
                for some in batches(ids):
                    connection.execute(sql.delete(LABELS).where(LABELS.c.id.in_(some)))
                deleted += len(ids)
                connection.execute(sql.delete(REQUESTS).where(REQUESTS.c.number.in_(numbers)))
            if not numbers:
                break
        self._empty_journal()
        return deleted

    def _empty_journal(self) -> None:
        """Remove what was deleted from SQLite's journal, too."""
        if self.engine.dialect.name != "sqlite":
            return
        with self.engine.connect() as connection:
            busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if busy:
            problem = (
                "deleted, but SQLite's write-ahead file (-wal) has a copy as long as another program reads the log"
            )
            raise LogError(f"{problem}; then `python -m retrace forget --older-than 36500` clears the file")


def first_requests(requests: Sequence[sql.Row[int, int]], rows: int) -> list[int]:
    """The numbers of the first requests that together have that many rows, or of all.

    Args:
        requests: the number and the rows of each.
        rows: how many rows are enough.
    """
    numbers, total = [], 0
    for number, size in requests:
        if total >= rows:
            break
        numbers.append(number)
        total += size
    return numbers


def read_part(
    connection: sql.Connection, wanted: sql.ColumnElement[bool], last: int, size: int
) -> tuple[list[Prediction], int | None]:
    """The predictions of the next requests.

    Args:
        connection: to the log.
        wanted: a condition of the requests.
        last: the number of the last request that has been read.
        size: how many predictions are enough.

    Returns:
        The predictions, and the number of the last request of these, or None if there is none.
    """
    later = sql.and_(REQUESTS.c.number > last, wanted)
    query = sql.select(REQUESTS.c.number, REQUESTS.c.rows).where(later).order_by(REQUESTS.c.number).limit(size)
    numbers = first_requests(connection.execute(query).all(), size)
    if not numbers:
        return [], None
    requests = connection.execute(sql.select(REQUESTS).where(later, REQUESTS.c.number <= numbers[-1]))
    order = (PREDICTIONS.c.request, PREDICTIONS.c.position)
    query = sql.select(PREDICTIONS).join(*REQUEST).where(later, REQUESTS.c.number <= numbers[-1]).order_by(*order)
    found: dict[int, list[Any]] = defaultdict(list)
    for prediction in connection.execute(query):
        found[prediction.request].append(prediction)
    ordered = sorted(requests, key=lambda request: request.number)
    return [each for request in ordered for each in predictions_of(request, found[request.number])], numbers[-1]


def predictions_of(request: Any, predictions: Sequence[Any]) -> list[Prediction]:
    """Some predictions of a request.

    Args:
        request: a row of the table `requests`.
        predictions: rows of the table `predictions`.
    """
    rows, outputs = from_json(request.input), from_json(request.output)
    private = [None] * len(rows) if request.private is None else from_json(request.private)
    return [
        Prediction(
            each.id,
            request.time,
            request.model,
            request.version,
            request.package,
            request.request_type,
            rows[each.position],
            private[each.position],
            outputs[each.position],
            request.seconds,
        )
        for each in predictions
    ]


def forget_row(connection: sql.Connection, request: int, position: int) -> None:
    """Delete a row of a request: its entries become null, or the request goes if it has no other prediction.

    Args:
        connection: to the log.
        request: its number.
        position: of the row in the request.
    """
    its = REQUESTS.c.number == request
    columns = ("input", "private", "output")
    # For update, because two commands could forget two rows of a request at once.
    found = connection.execute(sql.select(*[REQUESTS.c[name] for name in columns]).where(its).with_for_update()).one()
    others = connection.scalar(sql.select(sql.func.count()).where(PREDICTIONS.c.request == request))
    if others == 0:
        connection.execute(sql.delete(REQUESTS).where(its))
        return
    changed = {}
    for name, content in zip(columns, found, strict=True):
        if content is not None:
            entries = from_json(content)
            entries[position] = None
            changed[name] = to_json(entries).decode()
    connection.execute(sql.update(REQUESTS).where(its).values(changed))


@contextmanager
def open_log() -> Iterator[Log]:
    """The log, for a command: its errors are told in one line.

    Raises:
        UserError: there is no connection, or the log fails.
    """
    log = Log()
    try:
        yield log
    except LogError as error:
        raise UserError(f"{log.place}: {error}") from None
    finally:
        log.close()


def make_engine(address: str, *, limit_statements: bool) -> sql.Engine:
    """The connections to a database; for the arguments, see `Log`.

    Raises:
        UserError: the address is wrong.
    """
    try:
        url = sql.make_url(address)
    except sql.exc.ArgumentError:
        raise UserError(WRONG_ADDRESS) from None
    if url.get_backend_name() == "postgresql":
        options = "-c synchronous_commit=on -c timezone=UTC"  # a commit is on disk, whatever the server's default
        if limit_statements:
            options += f" -c statement_timeout={TIMEOUT_SECONDS}s -c lock_timeout={TIMEOUT_SECONDS}s"
        arguments = {
            "connect_timeout": TIMEOUT_SECONDS,
            "options": options,
            # These detect a database server that disappears without closing the connection.
            "keepalives_idle": TIMEOUT_SECONDS,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": TIMEOUT_SECONDS * 1000,
        }
        url = url.set(drivername="postgresql+psycopg")
        return sql.create_engine(url, connect_args=arguments, pool_pre_ping=True)
    if url.drivername != "sqlite" or not url.database:
        raise UserError(WRONG_ADDRESS)
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{ADDRESS}: {folder}: {error.strerror}; name another file") from None
    arguments = {"timeout": TIMEOUT_SECONDS, "check_same_thread": False}
    engine = sql.create_engine(url, connect_args=arguments, paramstyle="named")
    sql.event.listen(engine, "connect", _set_up_sqlite)
    return engine


WRONG_ADDRESS = f"{ADDRESS}: must be postgresql://USER@HOST/DATABASE or sqlite:///FILE"


def _set_up_sqlite(connection: Any, _record: object) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # While two servers set this for a new file, SQLite fails for one of them instead of waiting.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
    for setting in ("synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {setting}")


def reason(error: SQLAlchemyError) -> str:
    """Why the database failed, in one line; statements and values are left out."""
    cause = getattr(error, "orig", None)
    # The detail of a PostgreSQL message may contain a row's values, so only the primary message is used.
    diagnosis = getattr(cause, "diag", None)
    message = getattr(diagnosis, "message_primary", None) or str(cause or type(error).__name__)
    return " ".join(message.split())[:200]


def migrate(connection: sql.Connection) -> None:
    """Make the tables, or bring them to the present version, while no other process does so.

    Raises:
        UserError: a later version of this code has made them.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sql.select(sql.func.pg_advisory_xact_lock(LOCK)))
    METADATA.create_all(connection)
    present = connection.scalar(sql.select(SCHEMA.c.version))
    if present is None:
        connection.execute(sql.insert(SCHEMA).values(one=1, version=VERSION))
        return
    if present > VERSION:
        problem = f"the log's tables have version {present}, but this code supports only {VERSION}"
        raise UserError(f"{ADDRESS}: {problem}; update the code with `make update`")
    for version in range(present + 1, VERSION + 1):
        for statement in MIGRATIONS[version]:
            connection.exec_driver_sql(statement)
        connection.execute(sql.update(SCHEMA).values(version=version))


def utc_now() -> datetime:
    """The current time in UTC, as the log stores it."""
    return datetime.now(UTC).replace(tzinfo=None)


def batches(ids: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    """Ids in parts that fit into a query."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def label_problem(label: Any, description: Mapping[str, Any]) -> str | None:
    """What is wrong with the label of a prediction, without its value.

    Args:
        label: the actual outcome.
        description: the content of model.json of the package that predicted.
    """
    classes = description["classes"]
    if classes and not any(label == each and isinstance(label, bool) == isinstance(each, bool) for each in classes):
        return f"the label must be one of {', '.join(to_json(each).decode() for each in classes[:20])}"
    if not classes and (not isinstance(label, int | float) or isinstance(label, bool) or not math.isfinite(label)):
        return "the label must be a finite number"
    return None


def label_from_text(text: str, description: Mapping[str, Any]) -> Any:
    """The class or the number that a text means; the text itself if it means none."""
    for name in description["classes"]:
        if text == str(name) or (isinstance(name, bool) and text.lower() == str(name).lower()):
            return name
    try:
        return text if description["classes"] else float(text)
    except ValueError:
        return text


def read_key() -> Fernet | None:
    """The key for private columns from RETRACE_LOG_KEY, if it is set.

    Raises:
        UserError: it isn't a key.
    """
    key = os.environ.get(KEY)
    if not key:
        return None
    try:
        return Fernet(key)
    except ValueError:
        raise UserError(f"{KEY}: not a key; {HOW_TO_MAKE_A_KEY}") from None


def private_columns(kind: str, greeting: Mapping[str, Any]) -> frozenset[str]:
    """The columns of a request's rows that must be encrypted.

    Args:
        kind: rows or raw. A raw row has other columns than the model; if any column of the data is private, they are
            all encrypted.
        greeting: what the package says of itself.
    """
    description = greeting["description"]
    if kind == "raw":
        return frozenset(greeting["schemas"]["raw"]["properties"] if description["private_raw"] else ())
    return frozenset(description["private"])


def encrypt_private(
    rows: Sequence[Mapping[str, Any]], private: frozenset[str], key: Fernet | None
) -> tuple[str, str | None]:
    """The columns `input` and `private` of a request.

    Each row has a ciphertext of its own, so that it can be forgotten without the key.

    Args:
        rows: the rows.
        private: the names of the columns that must be encrypted.
        key: the key; it isn't None if a column must be encrypted.
    """
    if not private:
        return to_json(rows).decode(), None
    assert key is not None
    shown, encrypted = [], []
    for row in rows:
        shown.append({name: value for name, value in row.items() if name not in private})
        hidden = {name: value for name, value in row.items() if name in private}
        encrypted.append(key.encrypt(to_json(hidden)).decode())
    return to_json(shown).decode(), to_json(encrypted).decode()


def whole_row(prediction: Prediction, key: Fernet | None) -> dict[str, Any]:
    """The row that was predicted for, with its private columns.

    Raises:
        UserError: they are encrypted, and the key is missing or another one.
    """
    if prediction.private is None:
        return prediction.input
    if key is None:
        raise UserError(f"its private columns are encrypted; set {KEY}")
    try:
        private: dict[str, Any] = from_json(key.decrypt(prediction.private))
    except InvalidToken:
        raise UserError(f"its private columns are encrypted with another key than {KEY}") from None
    return prediction.input | private
