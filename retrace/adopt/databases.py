"""The rows of a query in PostgreSQL, SQLite or DuckDB, in batches of Arrow's types. No row is held longer than a batch.

PostgreSQL is read by ADBC, DuckDB by its own Arrow interface, and SQLite by Python's own module. For a million rows of
18 columns, ADBC took 13 seconds and 38 MB; psycopg, which SQLAlchemy uses, took 60 seconds and 142 MB. ADBC's driver of
SQLite infers the types from the first rows, and fails on text in a column that is empty in these.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from retrace.errors import UserError

ROWS_IN_BATCH = 50_000  # of SQLite and DuckDB; ADBC's batches have 16 MB
SECONDS_TO_CONNECT = "10"  # to PostgreSQL, unless the environment says otherwise
INSTALL = "`.venv/bin/uv pip install --requirements requirements-sql.txt` installs it"
ADDRESSES = "postgresql://user@host/database, sqlite:///file.db or duckdb:///file.duckdb"
FIRST_WORDS = ("select", "with", "values", "table", "from")  # of a query; DuckDB's may begin with `from`
# Parameters of PostgreSQL's addresses that never have a password or another secret.
PARAMETERS = {
    *("application_name", "channel_binding", "connect_timeout", "dbname", "gssencmode", "host", "hostaddr"),
    *("keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname", "load_balance_hosts"),
    *("passfile", "port", "require_auth", "service", "ssl_min_protocol_version", "sslcert", "sslcrl", "sslkey"),
    *("sslmode", "sslnegotiation", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout", "user"),
}
HOST = r"(\[[^]]*\]|[^][:,]*)(:\d*)?"  # in such an address, with its port
HOSTS = re.compile(rf"{HOST}(,{HOST})*")
# Text in quotes, comments, semicolons, words, and any other character.
TOKEN = re.compile(
    r"""(?P<quoted>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"""
    r"|(?P<blank>\s+|--[^\n]*|/\*.*?\*/)|(?P<end>;)|\w+|.",
    re.S,
)
# What DuckDB's error about the query itself begins with: it names tables and columns, and no value of a row.
ABOUT_THE_QUERY = ("Parser", "Catalog", "Binder", "IO", "Invalid Input Error: Cannot execute statement")
# What ADBC puts before PostgreSQL's own message, and its severity, which the server may have translated.
OF_ADBC = re.compile(r"^(?:[A-Z_]+: )?(?:\[libpq\] |Failed to )[^:]*: (?:could not [^:]*: )?(?:\w+: +)?")
# Where a value may begin in an error's message: at a quote, a colon or a number.
VALUE = re.compile(r"""["'`]|:\s|(?<![\w-])-*\d""")
SQLITE_TYPES: list[tuple[set[type], pa.DataType]] = [
    ({int}, pa.int64()),
    ({int, float}, pa.float64()),
    ({str}, pa.large_string()),
]


class InvalidQueryError(Exception):
    """A database can't prepare a query: the message names tables and columns, and no value of a row."""


def check_address(address: str, where: str) -> None:
    """Check that an address names a database that can be read, and no password.

    Args:
        address: of the database.
        where: the option, or the file and key, that it's from.

    Raises:
        UserError: it doesn't; the message has no part of an address with a password.
    """
    kind, _, rest = address.partition("://")
    # The name and password of a user come before an `@`. Whatever else has an `@` must be written as %40.
    if ":" in rest.rpartition("@")[0]:
        told = "has a password, which would be stored in Git; set the variable PGPASSWORD instead, or write ~/.pgpass"
        raise UserError(f"{where}: {told}")
    if kind not in READERS or not rest:
        raise UserError(f"{where}: not an address such as {ADDRESSES}")
    rest, _, parameters = rest.partition("?")
    if kind in ("sqlite", "duckdb"):
        if parameters or "#" in rest:
            told = f"a file's address has no parameters: {kind}:///file.db; write ? as %3F, and # as %23"
            raise UserError(f"{where}: {told}")
        if not rest.startswith("/") or rest == "/":
            raise UserError(f"{where} {address}: a file's address has three slashes, such as {kind}:///file.db")
        if not _file_of(address).is_file():
            raise UserError(f"{where} {address}: there is no file {_file_of(address)}; correct the address")
        return
    hosts = rest.rpartition("@")[2].partition("/")[0]
    if not HOSTS.fullmatch(hosts):  # it may be a user and a password without a host
        raise UserError(f"{where}: not an address such as {ADDRESSES}")
    for parameter in filter(None, parameters.split("&")):
        if unquote(parameter.partition("=")[0]) not in PARAMETERS:
            told = f"has a parameter that isn't stored in Git; allowed are {', '.join(sorted(PARAMETERS))}"
            raise UserError(f"{where}: {told}; set others by PostgreSQL's variables, such as PGPASSWORD")


def read_statement(file: Path) -> str:
    """The query in a file, without comments and a semicolon at its end.

    Raises:
        UserError: the file can't be read, or doesn't have one query.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{file}: not text in UTF-8; save it as such") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    end, is_over, first = 0, False, ""
    for token in TOKEN.finditer(text):
        if token["blank"]:
            continue
        if token["end"]:
            is_over = True
            continue
        if is_over:
            raise UserError(f"{file}: several statements; write one query")
        end = token.end()
        if not first and token[0] != "(":
            first = token[0].lower()
    if not first:
        raise UserError(f"{file}: no query in it; write a SELECT")
    if first not in FIRST_WORDS:
        raise UserError(f"{file}: not a query; write a SELECT, which only reads")
    return text[:end].rstrip(";").rstrip()


def read_batches(address: str, query: Path) -> Generator[pa.RecordBatch]:
    """Read the result of a query, which can't change the database.

    Args:
        address: of the database.
        query: the file with the query.

    Yields:
        The rows in batches, all with the same types; the first batch may have no rows.

    Raises:
        UserError: there is no connection, it's lost, the query fails, or a column has a type or a value that can't be
            stored. No message has a value of a row.
    """
    statement = read_statement(query)
    types: dict[str, pa.DataType] | None = None
    with closing(_told(READERS[_kind_of(address)](address, statement), address, query)) as batches:
        for batch in batches:
            if types is None:
                types = _types_of(batch.schema, query)
            columns = [_converted(batch.column(name), name, type_, query) for name, type_ in types.items()]
            yield pa.record_batch(columns, names=list(types))


def _told(batches: Generator[pa.RecordBatch], address: str, query: Path) -> Generator[pa.RecordBatch]:
    """The same batches; a database's error becomes one line."""
    try:
        yield from batches
    except ModuleNotFoundError as error:
        raise UserError(f"{address}: needs the package {error.name}; {INSTALL}") from None
    except Exception as error:
        of_a_driver = type(error).__module__.startswith(("adbc_driver_manager", "_duckdb"))  # they may not be installed
        if of_a_driver or isinstance(error, OSError | sqlite3.Error | pa.ArrowException | InvalidQueryError):
            raise UserError(_message(error, address, query)) from None
        raise


def _message(error: Exception, address: str, query: Path) -> str:
    """The line about a database's error while the query runs, without values of rows."""
    kind = _kind_of(address)
    if kind == "duckdb":
        reason = _of_duckdb(error)
    elif kind == "sqlite":
        reason = str(error) if isinstance(error, InvalidQueryError) else _without_values(str(error))
    else:
        reason = _of_postgresql(error)
    return f"{query}: the query fails in {address}: {_first_line(reason) or type(error).__name__}"


def _of_postgresql(error: Exception) -> str:
    """What PostgreSQL says of an error, without values of rows."""
    text = OF_ADBC.sub("", str(error), count=1)
    code = str(getattr(error, "sqlstate", None) or "")  # while rows are read, there is none
    if code.startswith("P0") or "PL/" in text:
        return "a function in it raises an error, whose text isn't shown, since it may have values"
    return text if code.startswith(("25", "42")) else _without_values(text)


def _of_duckdb(error: Exception) -> str:
    """What DuckDB says of an error, without values of rows."""
    reason = str(error).strip()
    if reason.startswith(ABOUT_THE_QUERY):
        return reason
    if reason.startswith("Invalid Input Error: "):  # which `error(...)` in a query raises, with any text
        return "Invalid Input Error: ..."
    kind, separator, text = reason.partition(" Error: ")
    return f"{kind}{separator}{_without_values(text)}" if separator else _without_values(reason)


def _without_values(text: str) -> str:
    """A message up to where a value of a row may begin."""
    found = VALUE.search(text)
    return f"{text[: found.start()]}..." if found else text


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _from_postgresql(address: str, statement: str) -> Generator[pa.RecordBatch]:
    """The rows from one transaction that can only read."""
    from adbc_driver_postgresql import dbapi  # noqa: PLC0415  # only who reads from PostgreSQL needs it

    os.environ.setdefault("PGCONNECT_TIMEOUT", SECONDS_TO_CONNECT)
    try:
        connection = dbapi.connect(address)
    except dbapi.Error as error:
        reason = _first_line(re.split(r"(?:FATAL|failed|Failed to connect): +", str(error))[-1])
        if "password" in reason:
            reason += "; set the variable PGPASSWORD, or correct ~/.pgpass"
        raise UserError(f"{address}: no connection: {reason}") from None
    with connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SET LOCAL TimeZone = 'UTC'")
        cursor.execute(statement)
        reader = cursor.fetch_record_batch()
        yield _without_rows(reader.schema)
        yield from reader


def _from_duckdb(address: str, statement: str) -> Generator[pa.RecordBatch]:
    import duckdb  # noqa: PLC0415  # only who reads from DuckDB needs it

    # Else a query may download an extension, or read a variable of this process as if it were a table.
    settings = {"autoinstall_known_extensions": False, "python_enable_replacements": False}
    with duckdb.connect(str(_file_of(address)), read_only=True, config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        reader = connection.sql(statement).to_arrow_reader(ROWS_IN_BATCH)
        yield _without_rows(reader.schema)
        yield from reader


def _from_sqlite(address: str, statement: str) -> Generator[pa.RecordBatch]:
    """The rows with the types that their values have: the query runs twice, the first time to see them."""
    file = f"{_file_of(address).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(file, uri=True, isolation_level=None)) as connection:
        try:
            connection.execute(f"EXPLAIN {statement}").close()
        except sqlite3.Error as error:
            raise InvalidQueryError(str(error)) from None
        connection.execute("BEGIN")  # so that both times see the same rows
        cursor = connection.execute(statement)
        names = [name for name, *_ in cursor.description]
        kinds: list[set[type]] = [set() for _ in names]
        for rows in iter(lambda: cursor.fetchmany(ROWS_IN_BATCH), []):
            for seen, values in zip(kinds, zip(*rows, strict=True), strict=True):
                seen.update(map(type, values))
        types = [_sqlite_type(name, seen) for name, seen in zip(names, kinds, strict=True)]
        schema = pa.schema(list(zip(names, types, strict=True)))
        yield _without_rows(schema)
        cursor = connection.execute(statement)
        for rows in iter(lambda: cursor.fetchmany(ROWS_IN_BATCH), []):
            columns = zip(*rows, strict=True)
            yield pa.record_batch(
                [pa.array(values, type_) for values, type_ in zip(columns, types, strict=True)], schema=schema
            )


READERS: dict[str, Callable[[str, str], Generator[pa.RecordBatch]]] = {
    "postgresql": _from_postgresql,
    "postgres": _from_postgresql,
    "sqlite": _from_sqlite,
    "duckdb": _from_duckdb,
}


def _kind_of(address: str) -> str:
    """What an address begins with, such as postgresql."""
    return address.partition("://")[0]


def _file_of(address: str) -> Path:
    """The file of a database of SQLite or DuckDB: sqlite:///a.db is in this folder, sqlite:////a.db isn't."""
    return Path(unquote(address.partition("://")[2])[1:])


def _without_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def _sqlite_type(name: str, seen: set[type]) -> pa.DataType:
    """The type of a column of SQLite, which has none of its own, by the types of its values."""
    seen = seen - {type(None)}
    if not seen:
        return pa.float64()
    for kinds, type_ in SQLITE_TYPES:
        if seen <= kinds:
            return type_
    if bytes in seen:
        return pa.binary()  # which is refused
    raise UserError(f"column {name}: has numbers and text; convert it by CAST in the query")


def _types_of(schema: pa.Schema, query: Path) -> dict[str, pa.DataType]:
    """The type in which each column is stored.

    Raises:
        UserError: a name is duplicated, or a type can't be stored.
    """
    if not schema.names:
        raise UserError(f"{query}: the result has no columns; write a SELECT")
    types: dict[str, pa.DataType] = {}
    for field in schema:
        if field.name in types:
            raise UserError(f"{query}: two columns of the result are called {field.name}; rename one with AS")
        types[field.name] = _stored_type(field, query)
    return types


def _stored_type(field: pa.Field, query: Path) -> pa.DataType:
    type_ = field.type
    if isinstance(type_, pa.OpaqueType) and type_.type_name == "numeric":
        return _numeric_type(int((field.metadata or {}).get(b"POSTGRESQL:typmod", -1)))
    if pa.types.is_dictionary(type_):  # DuckDB's enum
        type_ = type_.value_type
    if pa.types.is_null(type_):
        return pa.float64()
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return pa.large_string()
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    if any(is_kind(type_) for is_kind in (*plain, pa.types.is_date, pa.types.is_timestamp, pa.types.is_time)):
        return type_
    name = getattr(type_, "type_name", type_)
    raise UserError(f"{query}: column {field.name} has the type {name}, which can't be stored; convert it by CAST")


def _numeric_type(modifier: int) -> pa.DataType:
    """The type of PostgreSQL's numeric: decimals of its precision and scale, or floats if it's declared without.

    Args:
        modifier: PostgreSQL's code of both; -1 without.
    """
    precision, scale = (modifier - 4) >> 16, (modifier - 4) & 0x7FF  # a negative scale is a large one here
    return pa.decimal128(precision, scale) if modifier >= 0 and scale <= precision <= 38 else pa.float64()


def _converted(column: pa.Array, name: str, type_: pa.DataType, query: Path) -> pa.Array:
    """A column in the type in which it's stored."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    try:
        column = column.cast(type_)
    except pa.ArrowException:
        raise UserError(f"{query}: column {name}: a value can't be stored as {type_}; convert it by CAST") from None
    # -0.0 equals 0.0, so their order would be the server's.
    return pc.add(column, pa.scalar(0, type_)) if pa.types.is_floating(type_) else column
