"""The log: each prediction with its input, and the labels that become known later, in SQLite or PostgreSQL.

The log is predictions/log.db, or what the variable RETRACE_LOG says, such as postgresql://user@host/database. Private
columns are encrypted with the key in RETRACE_LOG_KEY.
"""

import math
import os
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
PREDICTIONS = sql.Table(
    "predictions",
    METADATA,
    sql.Column("number", NUMBER, primary_key=True),
    sql.Column("id", sql.Text, nullable=False, unique=True),
    sql.Column("time", sql.DateTime, nullable=False, index=True),  # in UTC
    sql.Column("model", sql.Text, nullable=False),  # its name
    sql.Column("version", sql.Text),  # none if it was served from a file that no tag records
    sql.Column("package", sql.Text, nullable=False),  # the SHA-256 of model.zip
    sql.Column("request_type", sql.Text, nullable=False),  # rows or raw
    sql.Column("input", sql.Text, nullable=False),  # the row in JSON, without the private columns
    sql.Column("private", sql.LargeBinary),  # the private columns, encrypted
    sql.Column("output", sql.Text, nullable=False),  # in JSON
    sql.Column("seconds", sql.Float, nullable=False),  # from the request to the prediction
)
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
VERSION = 1  # of the tables
# The SQL statements that migrate the tables to a version from the one before it, by version.
MIGRATIONS: dict[int, list[str]] = {}


class LogError(Exception):
    """The log can't be read or written now; the message has no value of a row."""


class DuplicateIdError(LogError):
    """A prediction has this id already."""


class Prediction(NamedTuple):
    """A stored prediction, with the columns of the table `predictions`."""

    id: str
    time: datetime
    model: str
    version: str | None
    package: str
    request_type: str
    input: str
    private: bytes | None
    output: str
    seconds: float


COLUMNS = [PREDICTIONS.c[name] for name in Prediction._fields]


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
        # The statement in the driver's own form: SQLAlchemy's conversion of each cell takes longer than the driver.
        inserted = sql.insert(PREDICTIONS).inline().values({name: sql.bindparam(name) for name in Prediction._fields})
        self._insert = str(inserted.compile(dialect=self.engine.dialect))
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

    def store(self, predictions: Sequence[dict[str, Any]]) -> None:
        """Store predictions in one transaction; each has the columns of `Prediction`, with the time as text.

        Raises:
            LogError: it fails.
            DuplicateIdError: the log has one of the ids already; then none is stored.
        """
        with self._transaction() as connection:
            connection.exec_driver_sql(self._insert, list(predictions))

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
            package_of: dict[str, str] = {}
            for ids in batches(list(labels)):
                query = sql.select(PREDICTIONS.c.id, PREDICTIONS.c.package).where(PREDICTIONS.c.id.in_(ids))
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
        query = sql.select(*COLUMNS).where(PREDICTIONS.c.id == prediction_id)
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return Prediction(*row) if row else None

    def since(self, moment: datetime, size: int = BATCH_SIZE) -> Iterator[list[Prediction]]:
        """The predictions since a moment in UTC, in parts, in the order in which they were stored.

        Raises:
            LogError: the log can't be read.
        """
        with self._transaction() as connection:
            first = connection.scalar(
                sql.select(sql.func.min(PREDICTIONS.c.number)).where(PREDICTIONS.c.time >= moment)
            )
        while first is not None:
            query = sql.select(PREDICTIONS.c.number, *COLUMNS).where(PREDICTIONS.c.number >= first)
            query = query.where(PREDICTIONS.c.time >= moment).order_by(PREDICTIONS.c.number).limit(size)
            with self._transaction() as connection:
                rows = connection.execute(query).all()
            if rows:
                yield [Prediction(*row[1:]) for row in rows]
            first = rows[-1][0] + 1 if rows else None

    def forget(self, prediction_id: str) -> bool:
        """Delete a prediction and its labels; returns whether there was one.

        Raises:
            LogError: it fails, or SQLite's journal still has it.
        """
        with self._transaction() as connection:
            connection.execute(sql.delete(LABELS).where(LABELS.c.id == prediction_id))
            done = connection.execute(sql.delete(PREDICTIONS).where(PREDICTIONS.c.id == prediction_id))
        self._empty_journal()
        return bool(done.rowcount)

    def forget_before(self, moment: datetime) -> int:
        """Delete the predictions before a moment in UTC, and their labels; returns how many.

        A transaction deletes few of them, because a server that stores predictions waits for it.

        Raises:
            LogError: it fails, or SQLite's journal still has some.
        """
        old = sql.select(PREDICTIONS.c.id).where(PREDICTIONS.c.time < moment).limit(BATCH_SIZE)
        deleted = 0
        while True:
            with self._transaction() as connection:
                ids = connection.scalars(old).all()
                for some in batches(ids):
                    connection.execute(sql.delete(LABELS).where(LABELS.c.id.in_(some)))
                    connection.execute(sql.delete(PREDICTIONS).where(PREDICTIONS.c.id.in_(some)))
            deleted += len(ids)
            if len(ids) < BATCH_SIZE:
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
    for setting in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {setting}")


def reason(error: SQLAlchemyError) -> str:
    """Why the database failed, in one line; statements and values are left out."""
    return " ".join(str(getattr(error, "orig", None) or type(error).__name__).split())[:200]


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


def text_of(moment: datetime) -> str:
    """A moment as `Log.store` takes it."""
    return moment.isoformat(" ", "microseconds")


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


def stored_row(row: Mapping[str, Any], private: frozenset[str], key: Fernet | None) -> dict[str, Any]:
    """The columns `input` and `private` of a row that is predicted for.

    Args:
        row: the row.
        private: the names of the columns that must be encrypted.
        key: the key; it isn't None if a column must be encrypted.
    """
    if not private:
        return {"input": to_json(row).decode(), "private": None}
    assert key is not None
    shown = {name: value for name, value in row.items() if name not in private}
    hidden = {name: value for name, value in row.items() if name in private}
    return {"input": to_json(shown).decode(), "private": key.encrypt(to_json(hidden))}


def whole_row(prediction: Prediction, key: Fernet | None) -> dict[str, Any]:
    """The row that was predicted for, with its private columns.

    Raises:
        UserError: they are encrypted, and the key is missing or another one.
    """
    row: dict[str, Any] = from_json(prediction.input)
    if prediction.private is None:
        return row
    if key is None:
        raise UserError(f"its private columns are encrypted; set {KEY}")
    try:
        private: dict[str, Any] = from_json(key.decrypt(prediction.private))
    except InvalidToken:
        raise UserError(f"its private columns are encrypted with another key than {KEY}") from None
    return row | private
