"""A table in a database is adopted, and later its new snapshot replaces the old one; or nothing changes."""

import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from retrace.adopt.refresh import compare_snapshots
from retrace.params import read_params
from tests.conftest import check, commit, retrace
from tests.retrace.adopt.conftest import Table
from tests.retrace.adopt.test_adopt import snapshot as files_of

SOURCE = Path("data/source/visits.parquet")
HEADER = """\
# Where visits.parquet comes from; the query is in visits.sql. `make refresh` takes a new snapshot.
# address: the database, without a password. key: the columns that identify a row; [] if none do.
"""


def adopt(project: Path, table: Table, *words: str, text: str = "SELECT * FROM visits\n") -> str:
    """What adopt prints about the table; the result is committed."""
    query = project.parent / "visits.sql"
    query.write_text(text)
    command = ("adopt", "--sql", table.address, "--query", str(query), "--target", "late")
    done = retrace(*command, *words, cwd=project)
    assert done.returncode == 0, done.stderr
    commit(project)
    return done.stdout


def refresh(project: Path, code: int = 0) -> str:
    """What refresh prints; if it fails, it's one line, and nothing has changed."""
    before = files_of(project)
    done = retrace("refresh", cwd=project)
    assert done.returncode == code, done.stdout + done.stderr
    if code:
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert files_of(project) == before
    return done.stdout + done.stderr


def test_a_table_in_a_database_is_adopted_and_refreshed(project: Path, in_postgresql: Table):
    printed = adopt(project, in_postgresql, "--id", "visit")
    assert "data/source/visits.parquet: under DVC" in printed
    assert "data/source/visits.sql, data/source/visits.yaml: where it comes from; `make refresh` reads them" in printed
    assert Path("data/source/visits.sql").read_text() == "SELECT * FROM visits\n"
    text = Path("data/source/visits.yaml").read_text()
    assert text == f"{HEADER}address: {in_postgresql.address}\nkey:\n- visit\n"
    assert check("git", "ls-files", "data/source/visits*", cwd=project).split() == [
        "data/source/visits.parquet.dvc",
        "data/source/visits.sql",
        "data/source/visits.yaml",
    ]
    assert read_params().data.source == SOURCE.as_posix()
    assert pd.read_parquet(SOURCE)["visit"].tolist() == list(range(300))

    first = SOURCE.read_bytes()
    before = files_of(project)
    assert refresh(project) == f"{SOURCE}: unchanged: the query gives the same rows\n"
    assert files_of(project) == before

    in_postgresql.execute("DELETE FROM visits WHERE visit < 10")
    in_postgresql.execute("UPDATE visits SET age = 99 WHERE visit IN (21, 22)")
    in_postgresql.execute("UPDATE visits SET cost = NULL WHERE visit = 22")
    in_postgresql.execute(
        "INSERT INTO visits SELECT visit + 1000, day, city, age, cost, late FROM visits WHERE visit < 13"
    )
    assert refresh(project) == (
        f"{SOURCE}: a new snapshot of {in_postgresql.address}\n"
        "rows: 300 before, 293 now; 3 new, 10 gone\n"
        "corrected rows, by visit: 2\n"
        "  age: 2\n"
        "  cost: 1\n\n"
        f"To go back: `git restore {SOURCE}.dvc` and `dvc checkout`.\n"
        "Next: `dvc repro`.\n"
    )
    assert check("git", "status", "--porcelain", cwd=project) == f" M {SOURCE}.dvc\n"
    check("dvc", "status", "--quiet", f"{SOURCE}.dvc", cwd=project)
    check("git", "restore", f"{SOURCE}.dvc", cwd=project)
    check("dvc", "checkout", f"{SOURCE}.dvc", cwd=project)
    assert SOURCE.read_bytes() == first


@pytest.mark.slow
def test_each_database_is_adopted_and_refreshed_and_the_pipeline_runs(project: Path, visits: Table):
    adopt(project, visits, "--time", "day")
    assert yaml.safe_load(Path("data/source/visits.yaml").read_text()) == {"address": visits.address, "key": []}
    check("dvc", "repro", cwd=project)
    commit(project)
    visits.execute("UPDATE visits SET age = 99 WHERE visit IN (21, 22)")
    printed = refresh(project)
    assert "rows: 300 before, 300 now; 2 new, 2 gone\na row with another value counts as" in printed
    check("dvc", "repro", cwd=project)
    assert pd.read_parquet("data/prepared.parquet")["age"].eq(99).sum() == 2


def test_what_cannot_be_refreshed_is_one_line_and_changes_nothing(project: Path, in_sqlite: Table):
    line = "not a snapshot of a database: there is no data/source/flights.yaml, which `adopt --sql` writes"
    assert line in refresh(project, code=1)
    adopt(project, in_sqlite, "--id", "visit")
    in_sqlite.execute("ALTER TABLE visits RENAME COLUMN late TO later")
    line = "data/source/visits.sql: its result has no column late, which params.yaml names in data.target"
    assert refresh(project, code=1).startswith(line)
    in_sqlite.execute("ALTER TABLE visits RENAME COLUMN later TO late")
    in_sqlite.execute("INSERT INTO visits SELECT * FROM visits WHERE visit = 7")
    assert "several rows have the same visit" in refresh(project, code=1)
    in_sqlite.execute("DELETE FROM visits")
    assert "the result has no rows" in refresh(project, code=1)
    in_sqlite.execute("DROP TABLE visits")
    assert "no such table: visits" in refresh(project, code=1)
    origin = Path("data/source/visits.yaml")
    text = origin.read_text()
    for change, words in (
        (
            ("address: sqlite", "address: postgresql://ada:geheim@x/y#"),
            "data/source/visits.yaml: address: has a password",
        ),
        (("- visit", "- name: 1"), "key must be a list of columns"),
        (("key:\n- visit", "key: visit"), "key must be a list of columns"),
        (("address: ", "address: 1 #"), "address must be text"),
        (("key:", "keys:"), "must have the keys address and key, and no others"),
    ):
        origin.write_text(text.replace(*change))
        assert words in (printed := refresh(project, code=1))
        assert "geheim" not in printed
    origin.write_text(text)
    content = SOURCE.read_bytes()
    SOURCE.unlink()
    SOURCE.write_bytes(content + b"edited")
    advice = f"dvc checkout --force {SOURCE}.dvc"
    line = f"{SOURCE}: not the snapshot that {SOURCE}.dvc names; `{advice}` puts that one in its place"
    assert line in refresh(project, code=1)
    check(*advice.split(), cwd=project)
    assert SOURCE.read_bytes() == content
    Path("data/source/visits.sql").unlink()
    assert "data/source/visits.sql: cannot be read: No such file" in refresh(project, code=1)
    SOURCE.unlink()
    assert "the snapshot isn't here; `dvc checkout` or `dvc pull` may bring it" in refresh(project, code=1)


def test_the_old_snapshot_stays_if_dvc_does_not_take_the_new_one(project: Path, in_sqlite: Table, monkeypatch):
    adopt(project, in_sqlite, "--id", "visit")
    in_sqlite.execute("DELETE FROM visits WHERE visit = 7")
    python = project.parent / "python"  # it adds the present snapshot, and fails at the next one
    python.write_text(f'#!/bin/sh\nmkdir "{project.parent}/first" 2>/dev/null && exec {sys.executable} "$@"\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    before = [SOURCE.read_bytes(), Path(f"{SOURCE}.dvc").read_bytes()]
    assert f"{SOURCE}: `dvc add` fails" in retrace("refresh", cwd=project).stderr
    assert [SOURCE.read_bytes(), Path(f"{SOURCE}.dvc").read_bytes()] == before
    assert not [*Path(".dvc/tmp").glob("visits*"), *SOURCE.parent.glob("*.part")]


def test_one_can_go_back_even_if_the_cache_was_deleted(project: Path, in_sqlite: Table):
    adopt(project, in_sqlite, "--id", "visit")
    content = SOURCE.read_bytes()
    shutil.rmtree(".dvc/cache")
    in_sqlite.execute("DELETE FROM visits WHERE visit = 7")
    assert f"To go back: `git restore {SOURCE}.dvc` and `dvc checkout`." in refresh(project)
    check("git", "restore", f"{SOURCE}.dvc", cwd=project)
    check("dvc", "checkout", f"{SOURCE}.dvc", cwd=project)
    assert SOURCE.read_bytes() == content


def test_a_snapshot_in_git_is_replaced_only_if_it_is_committed(project: Path, in_sqlite: Table):
    adopt(project, in_sqlite, "--id", "visit")
    check("dvc", "remove", f"{SOURCE}.dvc", cwd=project)
    check("git", "add", "--force", str(SOURCE), cwd=project)
    commit(project)
    in_sqlite.execute("DELETE FROM visits WHERE visit = 7")
    content = SOURCE.read_bytes()
    SOURCE.write_bytes(content + b"edited")
    assert f"{SOURCE}: changed since the last commit; `git commit` or `git stash` first" in refresh(project, code=1)
    SOURCE.write_bytes(content)
    assert f"To go back: `git restore {SOURCE}`." in refresh(project)
    check("git", "restore", str(SOURCE), cwd=project)
    assert SOURCE.read_bytes() == content


def test_a_file_that_takes_the_place_of_a_snapshot_is_not_refreshed(project: Path, in_sqlite: Table):
    adopt(project, in_sqlite)
    done = retrace("adopt", str(SOURCE), "--target", "late", cwd=project)  # with other options
    assert "deleted" not in done.stdout
    assert Path("data/source/visits.yaml").is_file()
    other = project.parent / "visits.parquet"
    pd.read_parquet(SOURCE).iloc[:200].to_parquet(other)
    done = retrace("adopt", str(other), "--target", "late", cwd=project)
    for suffix in ("yaml", "sql"):
        assert f"visits.{suffix}: deleted, since the table doesn't come from a database any more" in done.stdout
    assert "not a snapshot of a database" in refresh(project, code=1)


def written(folder: Path, name: str, table: dict[str, list[object]]) -> Path:
    pd.DataFrame(table).to_parquet(folder / name, index=False)
    return folder / name


def test_rows_are_compared_by_their_key(tmp_path: Path):
    old = written(
        tmp_path, "old.parquet", {"a": [1, 1, 2, 3], "b": ["x", "y", "x", "x"], "c": [1, 2, 3, 4], "d": [0] * 4}
    )
    new = written(tmp_path, "new.parquet", {"b": ["y", "x", "x"], "a": [1, 2, 4], "c": [2.0, None, 4], "e": ["1"] * 3})
    found = compare_snapshots(old, new, ["a", "b"])
    assert found[:5] == (4, 3, 1, 2, 1)
    assert found.by_column == {"c": 1}
    assert found.columns == ["new column: e (large_string)", "column gone: d", "column c: int64 before, double now"]


@pytest.mark.parametrize(
    "key", [[], ["c"], ["b"]], ids=["no key", "the old rows have no such column", "not unique before"]
)
def test_rows_without_a_key_are_compared_as_a_whole(tmp_path: Path, key: list[str]):
    old = written(tmp_path, "old.parquet", {"a": [1, 1, 2, 3], "b": ["x", "x", "x", "y"]})
    new = written(tmp_path, "new.parquet", {"a": [1, 2, 2, 9], "b": ["x", "x", "x", "z"], "c": [1, 2, 3, 4]})
    found = compare_snapshots(old, new, key)
    assert found[:6] == (4, 4, 2, 2, None, {})


@pytest.mark.parametrize("key", [[], ["a"]], ids=["without a key", "by the text"])
def test_text_is_compared_to_the_letter(tmp_path: Path, key: list[str]):
    old = written(tmp_path, "old.parquet", {"a": ["7", "a", None, "true"], "b": [1, 2, 3, 4]})
    new = written(tmp_path, "new.parquet", {"a": ["007", "a ", "", "1"], "b": [1.0, 2.0, 3.0, 4.0]})
    found = compare_snapshots(old, new, key)
    assert found[:4] == (4, 4, 4, 4)
