"""The rows of a query: with which types, in which order and batches they are stored, and what is refused."""

import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrace.adopt import databases, snapshot
from retrace.adopt.databases import read_statement
from retrace.adopt.snapshot import Origin, taken
from retrace.errors import UserError
from tests.conftest import retrace
from tests.retrace.adopt.conftest import Table
from tests.retrace.adopt.test_adopt import snapshot as files_of

SECRET = "geheim-7391"


@pytest.fixture
def take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pa.Table]:
    """The snapshot of a query's result."""
    monkeypatch.chdir(tmp_path)

    def take(address: str, text: str, *key: str) -> pa.Table:
        query = Path("visits.sql")
        query.write_text(text, encoding="utf-8")
        with taken("visits.parquet", Origin(address, list(key)), query) as file:
            file.rename("visits.parquet")
        assert list(Path(".dvc/tmp").iterdir()) == []
        return pq.ParquetFile("visits.parquet").read()

    return take


def types(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type).replace("large_string", "string") for field in table.schema}


def test_types_of_postgresql(take, in_postgresql: Table):
    in_postgresql.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
    found = take(
        in_postgresql.address,
        """SELECT 1 AS whole, NULL::smallint AS small, 12345678901234567::bigint AS long, 1.10::numeric(10, 2) AS price,
        (1 / 3.0)::numeric AS share, sum(age) OVER () AS total, 0.5::real AS half, '-0'::float8 AS zero, true AS yes,
        NULL::bool AS unknown, 'a'::char(3) AS short, 'bad'::mood AS mood, date '2024-02-29' AS day,
        timestamp '2024-02-29 12:00:00.000001' AS moment, timestamptz '2024-02-29 12:00+02' AS instant,
        time '10:30' AS clock, gen_random_uuid()::text AS id FROM visits LIMIT 1""",
    )
    assert types(found) == {
        **{"whole": "int32", "small": "int16", "long": "int64", "price": "decimal128(10, 2)", "share": "double"},
        **{"total": "int64", "half": "float", "zero": "double", "yes": "bool", "unknown": "bool", "short": "string"},
        **{"mood": "string", "day": "date32[day]", "moment": "timestamp[us]", "instant": "timestamp[us, tz=UTC]"},
        **{"clock": "time64[us]", "id": "string"},
    }
    [row] = found.to_pylist()
    assert str(row["price"]) == "1.10"
    assert row["share"] == 1 / 3
    assert (row["small"], row["unknown"], row["long"]) == (None, None, 12345678901234567)
    assert str(row["zero"]) == "0.0"
    assert str(row["moment"]) == "2024-02-29 12:00:00.000001"
    assert str(row["instant"]) == "2024-02-29 10:00:00+00:00"


def test_types_of_sqlite_are_those_of_all_values(take, in_sqlite: Table):
    late = "CASE WHEN visit = 299 THEN {} END"  # empty in all other rows
    found = take(
        in_sqlite.address,
        f"SELECT visit, {late.format(5)} AS number, {late.format(0.5)} AS share, {late.format(repr('x'))} AS text, "
        "CASE WHEN visit < 299 THEN 1 ELSE 1.5 END AS both, NULL AS unknown, day FROM visits",
        "visit",
    )
    assert types(found) == {
        **{"visit": "int64", "number": "int64", "share": "double", "text": "string", "both": "double"},
        **{"unknown": "double", "day": "string"},
    }
    last = found.to_pylist()[-1]
    assert last == {
        **{"visit": 299, "number": 5, "share": 0.5, "text": "x", "both": 1.5, "unknown": None, "day": "2024-12-20"}
    }


def test_types_of_duckdb(take, tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch):
    import duckdb

    duckdb.connect(str(tmp_path / "a.duckdb")).close()
    monkeypatch.setenv("TZ", "America/Lima")
    found = take(
        "duckdb:///a.duckdb",
        """SELECT 1::UTINYINT AS tiny, 12345678901234567890::HUGEINT AS huge, 1.10::DECIMAL(10, 2) AS price,
        true AS yes, 'a'::ENUM('a', 'b') AS letter, DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29 12:00:00' AS moment,
        TIMESTAMPTZ '2024-02-29 12:00:00+02' AS instant, uuid() AS id, '{}'::JSON AS document,
        NULL AS nothing,
        (TIMESTAMPTZ '2024-02-29 02:00:00+00')::DATE AS in_utc""",
    )
    assert types(found) == {
        **{"tiny": "uint8", "huge": "decimal128(38, 0)", "price": "decimal128(10, 2)", "yes": "bool"},
        **{"letter": "string", "day": "date32[day]", "moment": "timestamp[us]", "instant": "timestamp[us, tz=UTC]"},
        **{"id": "string", "document": "string", "nothing": "double", "in_utc": "date32[day]"},
    }
    assert str(found["instant"][0].as_py()) == "2024-02-29 10:00:00+00:00"
    assert str(found["in_utc"][0].as_py()) == "2024-02-29"


def test_the_order_of_the_database_does_not_matter(take, visits: Table):
    contents = set()
    for order in ("visit", "visit DESC", "age, city", "cost * visit"):
        take(visits.address, f"SELECT * FROM visits ORDER BY {order}", "visit")
        contents.add(Path("visits.parquet").read_bytes())
    assert len(contents) == 1


def test_without_a_key_rows_are_sorted_by_all_columns_and_equal_rows_stay(take, visits: Table):
    text = "SELECT city, late, 0.0 * (visit - 150) AS zero FROM visits ORDER BY {}"
    first = take(visits.address, text.format("visit"))
    content = Path("visits.parquet").read_bytes()
    take(visits.address, text.format("visit DESC"))
    assert Path("visits.parquet").read_bytes() == content
    assert len(first) == 300
    cities = first["city"].to_pylist()
    assert cities == sorted(cities, key=lambda city: (city is None, city)), "by code points: ä after Z"


def test_neither_the_size_of_batches_nor_of_row_groups_changes_the_rows(take, visits: Table, monkeypatch):
    text = "SELECT * FROM visits"
    whole = take(visits.address, text, "visit")
    monkeypatch.setattr(databases, "ROWS_IN_BATCH", 7)
    take(visits.address, text, "visit")
    monkeypatch.setattr(snapshot, "CELLS_IN_ROW_GROUP", 6 * 11)
    assert take(visits.address, text, "visit").equals(whole)
    assert pq.ParquetFile("visits.parquet").metadata.num_row_groups == 28
    with pytest.raises(UserError, match=r"visits.sql: several rows have the same visit, which is to identify a row"):
        take(visits.address, f"{text} UNION ALL {text} WHERE visit = 10", "visit")


def test_several_columns_may_identify_a_row_together(take, in_sqlite: Table):
    found = take(in_sqlite.address, "SELECT visit % 2 AS odd, visit / 2 AS half FROM visits", "odd", "half")
    assert found["odd"].to_pylist() == [0] * 150 + [1] * 150
    assert found["half"].to_pylist() == [*range(150)] * 2
    with pytest.raises(UserError, match="the same odd, half"):
        take(in_sqlite.address, "SELECT visit % 2 AS odd, visit / 4 AS half FROM visits", "odd", "half")
    with pytest.raises(UserError, match="column city is to identify a row, but 75 values are missing"):
        take(in_sqlite.address, "SELECT * FROM visits", "city")
    with pytest.raises(UserError, match="no column name, which is to identify a row"):
        take(in_sqlite.address, "SELECT * FROM visits", "name")


def test_a_query_sees_one_state_and_cannot_write(take, in_postgresql: Table):
    [row] = take(
        in_postgresql.address,
        "SELECT current_setting('transaction_read_only') AS a, current_setting('transaction_isolation') AS b, "
        "current_setting('timezone') AS c",
    ).to_pylist()
    assert row == {"a": "on", "b": "repeatable read", "c": "UTC"}


def test_comments_and_a_semicolon_may_surround_the_query(take, visits: Table):
    text = "\ufeff-- which; visits?\n/* all; */ SELECT 'a;b--c' AS \"x;y\", visit FROM visits; -- the end\n;\n"
    found = take(visits.address, text, "visit")
    assert found["x;y"].to_pylist() == ["a;b--c"] * 300
    assert len(take(visits.address, "WITH a AS (SELECT 1 AS b) SELECT b FROM a -- end")) == 1


def test_a_semicolon_in_a_text_or_name_does_not_end_the_query(tmp_path: Path):
    file = tmp_path / "visits.sql"
    for text in (r"SELECT E'it\';s' AS a", "SELECT `a;b` FROM c", "SELECT $x$;$x$ AS a", "SELECT 'it''s;' AS a"):
        file.write_text(text)
        assert read_statement(file) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no query in it; write a SELECT"),
        ("-- nothing\n;", "no query in it; write a SELECT"),
        ("SELECT 1; SELECT 2", "several statements; write one query"),
        ("DROP TABLE visits", "not a query; write a SELECT, which only reads"),
        ("COPY visits TO 'file.csv'", "not a query; write a SELECT, which only reads"),
        (b"SELECT '\xff'", "not text in UTF-8; save it as such"),
    ],
)
def test_a_file_without_one_query_is_refused(tmp_path: Path, text: str | bytes, words: str):
    file = tmp_path / "visits.sql"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as refused:
        read_statement(file)
    assert str(refused.value) == f"{file}: {words}"


FAILING = [  # in all three databases: the query, and what the line says for PostgreSQL, SQLite and DuckDB
    ("SELECT * FROM nowhere", 'relation "nowhere" does not exist', "no such table: nowhere", "nowhere does not exist"),
    ("SELECT name FROM visits", 'column "name" does not exist', "no such column: name", '"name" not found'),
    ("SELECT visit AS a, age AS a FROM visits", *["two columns of the result are called a; rename one with AS"] * 3),
    ("SELECT * FROM visits WHERE visit < 0", *["the result has no rows; a table needs rows"] * 3),
    ("WITH a AS (SELECT 1) DELETE FROM visits", "read-only", "readonly", "read-only"),
    (
        "SELECT visit, CAST(city || '-7391' AS INTEGER) AS a FROM visits",
        "invalid input syntax",
        None,
        "Could not convert",
    ),
    (
        "SELECT visit, CAST('it''s' || visit || '-7391' AS INTEGER) AS a FROM visits",  # with a quote in it
        "invalid input syntax",
        None,
        "Could not convert",
    ),
    (
        "SELECT visit, CAST('ERROR: x, Failed to connect: 7391' || visit AS INTEGER) AS a FROM visits",
        "invalid input syntax",
        None,
        "Could not convert",
    ),
    ("SELECT 30000 * CAST(visit - 7391 AS SMALLINT) * 7391 AS a FROM visits", "integer out of range", None, "Out of"),
    ("SELECT sqrt(visit - 7391) AS a FROM visits", "cannot take square root", None, None),
]


@pytest.mark.parametrize("failing", FAILING, ids=lambda failing: failing[0])
def test_a_query_that_fails_is_one_line_without_values(take, visits: Table, failing: tuple[str, ...]):
    text, *words = failing
    expected = dict(zip(("postgresql", "sqlite", "duckdb"), words, strict=True))[visits.address.partition(":")[0]]
    if expected is None:
        return
    with pytest.raises(UserError) as refused:
        take(visits.address, text)
    message = str(refused.value)
    assert message.startswith("visits.sql: ")
    assert expected in message
    assert "\n" not in message
    assert "7391" not in message, "a value"
    assert not list(Path(".dvc/tmp").iterdir())


def test_what_a_function_says_of_a_value_is_not_shown(take, in_postgresql: Table):
    body = "BEGIN RAISE EXCEPTION 'no such city: geheim'; END"
    in_postgresql.execute(f"CREATE FUNCTION fail() RETURNS int LANGUAGE plpgsql AS $${body}$$")
    with pytest.raises(UserError, match="a function in it raises an error, whose text isn't shown") as refused:
        take(in_postgresql.address, "SELECT fail() AS a")
    assert "geheim" not in str(refused.value)


def test_what_a_query_says_itself_of_a_value_is_not_shown(take, packages: Path, tmp_path: Path):
    import duckdb

    duckdb.connect(str(tmp_path / "a.duckdb")).close()
    for text in ("SELECT error('geheim') AS a", "SELECT chr(-7391 + CAST(random() AS INTEGER)) AS a"):
        with pytest.raises(UserError, match=r"the query fails in duckdb:///a.duckdb: Invalid Input Error: \.\.\.$"):
            take("duckdb:///a.duckdb", text)
    docs = sqlite3.connect(tmp_path / "a.sqlite")
    docs.executescript("CREATE VIRTUAL TABLE docs USING fts5(body); CREATE TABLE t AS SELECT 'geheim:foo' AS q;")
    with pytest.raises(UserError, match=r"no such column\.\.\.") as refused:
        take("sqlite:///a.sqlite", "SELECT * FROM t, docs WHERE docs MATCH t.q")
    assert "geheim" not in str(refused.value)


def test_a_query_does_not_read_our_variables(take, packages: Path, tmp_path: Path, monkeypatch):
    import duckdb

    duckdb.connect(str(tmp_path / "a.duckdb")).close()
    monkeypatch.setattr(databases, "in_memory", pa.table({"a": [1]}), raising=False)
    with pytest.raises(UserError, match="Table with name in_memory does not exist"):
        take("duckdb:///a.duckdb", "SELECT * FROM in_memory")


@pytest.mark.parametrize(
    ("column", "type_"),
    [("ARRAY[1]", "list"), ("interval '1 day'", "interval"), ("'a'::bytea", "binary"), ("gen_random_uuid()", "uuid"),
     ("'{}'::json", "json"), ("point(1, 2)", "point")],
)  # fmt: skip
def test_a_type_that_cannot_be_stored_is_refused(take, in_postgresql: Table, column: str, type_: str):
    with pytest.raises(
        UserError, match=rf"column a has the type .*{type_}.*, which can't be stored; convert it by CAST"
    ):
        take(in_postgresql.address, f"SELECT {column} AS a")


def test_a_value_that_cannot_be_stored_is_refused(take, in_postgresql: Table, in_sqlite: Table):
    with pytest.raises(UserError, match=r"column a: a value can't be stored as decimal128\(5, 2\); convert it by CAST"):
        take(in_postgresql.address, "SELECT 'NaN'::numeric(5, 2) AS a")
    with pytest.raises(UserError, match="column a is to identify a row, but 3 values are missing"):
        take(in_postgresql.address, "SELECT CASE WHEN visit > 2 THEN visit ELSE 'NaN'::float END AS a FROM visits", "a")
    with pytest.raises(UserError, match="column a: has numbers and text; convert it by CAST"):
        take(in_sqlite.address, "SELECT CASE WHEN visit = 5 THEN 'x' ELSE 1 END AS a FROM visits")
    with pytest.raises(UserError, match="column a has the type binary"):
        take(in_sqlite.address, "SELECT x'00' AS a")
    with pytest.raises(UserError, match="Could not decode to UTF-8 column") as refused:
        take(in_sqlite.address, "SELECT CAST(x'61ff37333931' AS TEXT) AS a")
    assert "7391" not in str(refused.value)


def refused_by_adopt(project: Path, address: str, **environment: str) -> str:
    """The line with which adopt refuses an address; no file has changed."""
    query = project.parent / "visits.sql"
    if not query.exists():
        query.write_text("SELECT * FROM visits")
    before = files_of(project)
    done = retrace("adopt", "--sql", address, "--query", str(query), "--target", "late", cwd=project, **environment)
    assert done.returncode == 1
    assert done.stdout == ""
    assert SECRET not in done.stderr
    assert done.stderr.count("\n") == 1
    assert files_of(project) == before
    return done.stderr.strip()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"postgresql://ada:{SECRET}@localhost/x", "--sql: has a password, which would be stored in Git"),
        (f"postgresql://ada:{SECRET}#1@localhost/x", "--sql: has a password, which would be stored in Git"),
        (f"postgresql://ada?1:{SECRET}@localhost/x", "--sql: has a password, which would be stored in Git"),
        (f"postgresql://ada:a/{SECRET}@localhost/x", "--sql: has a password, which would be stored in Git"),
        (f"mysql://ada:{SECRET}@localhost/x", "--sql: has a password, which would be stored in Git"),
        (f"postgresql://ada:{SECRET}", "--sql: not an address such as"),
        (f"host=localhost password={SECRET}", "--sql: not an address such as"),
        (f"postgresql://localhost/x?password={SECRET}", "set others by PostgreSQL's variables, such as PGPASSWORD"),
        (f"postgresql://localhost/x?p%61ssword={SECRET}", "--sql: has a parameter that isn't stored in Git"),
        (f"postgresql://localhost/x#?password={SECRET}", "--sql: has a parameter that isn't stored in Git"),
        (f"postgresql://localhost/x?sslmode=require&{SECRET}", "--sql: has a parameter that isn't stored in Git"),
        (f"duckdb:///a.db?encryption_key={SECRET}", "a file's address has no parameters: duckdb:///file.db"),
        ("mysql://localhost/x", "--sql: not an address such as postgresql://user@host/database"),
        ("postgresql://[bad", "--sql: not an address such as"),
        ("sqlite://clinic.db", "a file's address has three slashes, such as sqlite:///file.db"),
        ("sqlite:///nowhere.db", "there is no file nowhere.db; correct the address"),
        ("duckdb:///nowhere.db", "there is no file nowhere.db; correct the address"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused(project: Path, address: str, words: str):
    assert words in refused_by_adopt(project, address)


def test_a_server_that_does_not_let_us_in_is_one_line(project: Path, in_postgresql: Table, packages: Path):
    in_postgresql.execute(f"CREATE ROLE locked LOGIN PASSWORD '{SECRET}'")
    address = in_postgresql.address.replace("retrace@", "locked@")
    try:
        wrong = refused_by_adopt(project, address, PGPASSWORD=f"{SECRET}-not")
        advice = "set the variable PGPASSWORD, or correct ~/.pgpass"
        assert wrong == f'{address}: no connection: password authentication failed for user "locked"; {advice}'
        assert refused_by_adopt(project, address).endswith(f"no password supplied; {advice}")
        denied = refused_by_adopt(project, address, PGPASSWORD=SECRET)
        assert denied.endswith(f"the query fails in {address}: permission denied for table visits")
    finally:
        in_postgresql.execute("DROP ROLE locked")
    assert refused_by_adopt(project, f"{in_postgresql.address}x").endswith('x" does not exist')


def test_a_server_that_is_not_there_is_one_line(project: Path, packages: Path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert refused_by_adopt(project, f"postgresql://127.0.0.1:{port}/x").endswith("no connection: Connection refused")
    assert "could not translate host name" in refused_by_adopt(project, "postgresql://nowhere.invalid/x")


def test_a_connection_that_is_lost_is_one_line(project: Path, in_postgresql: Table):
    query = project.parent / "visits.sql"
    query.write_text(
        "SELECT repeat('x', 1000) AS a, * FROM visits, generate_series(1, 100) WHERE pg_sleep(0.001) IS NOT NULL"
    )

    def end_it() -> None:
        with psycopg.connect(in_postgresql.address, autocommit=True) as connection:
            running = "FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'"
            while not connection.execute(f"SELECT pg_terminate_backend(pid) {running}").fetchall():
                time.sleep(0.1)

    killer = threading.Thread(target=end_it)
    killer.start()
    line = refused_by_adopt(project, in_postgresql.address)
    killer.join()
    assert "terminating connection" in line or "server closed the connection" in line
    assert not (project / ".dvc/tmp/visits.parquet.arrow").exists()


def test_without_the_packages_it_is_one_line_that_says_how_to_install_them(project: Path, monkeypatch):
    advice = "`.venv/bin/uv pip install --requirements requirements-sql.txt` installs it"
    (project.parent / "a.duckdb").touch()
    for name, address in (("adbc_driver_postgresql", "postgresql://x/x"), ("duckdb", "duckdb:///../a.duckdb")):
        monkeypatch.setitem(sys.modules, name, None)
        assert refused_by_adopt(project, address) == f"{address}: needs the package {name}; {advice}"
