"""A project in which nothing was adopted yet, and a table in each of the databases that adopt reads."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.conftest import copy_project, install


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project in which nothing was adopted or run."""
    return copy_project(tmp_path_factory.mktemp("started") / "project")


@pytest.fixture(scope="session")
def sql_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of requirements-sql.txt, which aren't part of the environment for development."""
    return install("requirements-sql.txt", tmp_path_factory.mktemp("packages"))


@pytest.fixture
def packages(sql_packages: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packages of requirements-sql.txt, which can be imported."""
    monkeypatch.syspath_prepend(sql_packages)
    return sql_packages


@pytest.fixture
def project(started: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of this project, which is the working directory."""
    project = Path(shutil.copytree(started, tmp_path / "project", symlinks=True))
    monkeypatch.chdir(project)
    return project


class Table:
    """A table `visits` in a database; `execute` changes it."""

    def __init__(self, address: str, execute: Callable[[str], object]) -> None:
        self.address, self.execute = address, execute


ROWS = [  # 300, in an order of their own
    f"({visit}, '2024-{1 + visit % 12:02}-{1 + visit % 28:02}', "
    f"{['NULL', repr('Bern'), repr('Chur'), repr('ähnlich')][visit % 4]}, "
    f"{'NULL' if visit % 7 == 0 else 20 + visit * 31 % 60}, {visit * 37 % 100 / 4}, {int(visit * 37 % 100 > 40)})"
    for visit in [number * 101 % 300 for number in range(300)]
]
VISITS = [
    "CREATE TABLE visits (visit INTEGER, day DATE, city VARCHAR(20), age INTEGER, cost DOUBLE PRECISION, late INTEGER)",
    f"INSERT INTO visits VALUES {', '.join(ROWS)}",
]


@contextmanager
def visits_in(kind: str, folder: Path, server: Callable[[], str]) -> Iterator[Table]:
    """The table in a new database of one of the three kinds."""
    if kind == "postgresql":
        import psycopg

        name = f"visits_{time.time_ns()}"
        with psycopg.connect(server(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        address = f"{server().rpartition('/')[0]}/{name}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(";".join(VISITS))
            yield Table(address, connection.execute)
        return
    file = folder / f"clinic.{kind}"
    if kind == "sqlite":
        import sqlite3 as driver
    else:
        import duckdb as driver

    def execute(statement: str) -> None:
        with closing(driver.connect(str(file))) as connection:  # DuckDB has either one writer, or readers
            connection.execute(statement)
            connection.commit()

    with closing(driver.connect(str(file))) as connection:
        for statement in VISITS:
            connection.execute(statement)
        connection.commit()
    yield Table(f"{kind}:///{file}", execute)


@pytest.fixture(params=["postgresql", "sqlite", "duckdb"])
def visits(request: pytest.FixtureRequest, packages: Path, tmp_path: Path) -> Iterator[Table]:
    """The table in each of the three databases."""
    with visits_in(request.param, tmp_path, lambda: str(request.getfixturevalue("postgres_address"))) as table:
        yield table


@pytest.fixture
def in_postgresql(packages: Path, tmp_path: Path, postgres_address: str) -> Iterator[Table]:
    with visits_in("postgresql", tmp_path, lambda: postgres_address) as table:
        yield table


@pytest.fixture
def in_sqlite(tmp_path: Path) -> Iterator[Table]:
    with visits_in("sqlite", tmp_path, str) as table:
        yield table
