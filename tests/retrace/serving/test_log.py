"""The log: what was answered is stored, in SQLite and in PostgreSQL, and what can't be stored isn't answered."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sql
from cryptography.fernet import Fernet

from retrace.errors import UserError
from retrace.params import Data
from retrace.serving import log as log_module
from retrace.serving.log import REQUESTS, DuplicateIdError, Log, LogError, PredictedRequest, Prediction, utc_now
from retrace.serving.training_rows import training_row, training_table
from tests.conftest import ROLES, change_params, check, retrace, run
from tests.postgres import postgres
from tests.retrace.serving.conftest import Served, reply, rows_of, serving


def asked(*ids: str, private: list[str] | None = None, **values: Any) -> PredictedRequest:
    """A request with a row for each id."""
    request = PredictedRequest(
        ids=ids,
        time=utc_now(),
        model="m",
        version="v1.0.0",
        package="abc",
        request_type="rows",
        input=json.dumps([{"a": name} for name in ids]),
        private=None if private is None else json.dumps(private),
        output=json.dumps([number / 4 for number in range(len(ids))]),
        seconds=0.01,
    )
    return request._replace(**values)


def stored_ids(log: Log) -> list[str]:
    return [each.id for part in log.since(utc_now() - timedelta(days=100)) for each in part]


def test_what_is_stored_is_found(address: str):
    log = Log(address)
    request = asked("p1", 'p"2\u00e4\\', version=None, private=["x", "y"])
    log.store([asked("p0"), request])
    expected = Prediction(
        id='p"2\u00e4\\',
        time=request.time,
        model="m",
        version=None,
        package="abc",
        request_type="rows",
        input={"a": 'p"2\u00e4\\'},
        private="y",
        output=0.25,
        seconds=0.01,
    )
    assert log.find('p"2\u00e4\\') == expected
    assert log.find("p3") is None
    assert Log(address).find("p0") is not None, "another connection"


def test_a_group_with_an_id_that_is_taken_is_stored_not_at_all(address: str):
    log = Log(address)
    log.store([asked("p1")])
    with pytest.raises(DuplicateIdError):
        log.store([asked("p2", "p3"), asked("p4", "p1")])
    assert stored_ids(log) == ["p1"]
    with log.engine.begin() as connection:
        assert connection.scalar(sql.text("SELECT count(*) FROM requests")) == 1


def test_the_last_label_holds_and_the_earlier_ones_are_kept(address: str):
    log = Log(address)
    log.register("abc", {"classes": [False, True]})
    log.store([asked("p1", "p2")])
    assert log.add_labels({"p1": True, "p9": True}) == ["p9: the log has no prediction with this id"]
    assert log.labels_of("p1") == [], "all or nothing"
    assert log.add_labels({"p1": True, "p2": True}) == []
    assert log.add_labels({"p1": False}) == []
    assert [value for _, value in log.labels_of("p1")] == [True, False]
    assert log.latest_labels(["p1", "p2", "p3"]) == {"p1": "false", "p2": "true"}


@pytest.mark.parametrize("delete", ["forget", "forget_before"])
def test_a_label_that_arrives_while_its_prediction_is_deleted_is_not_kept(address: str, delete: str):
    log = Log(address)
    log.register("abc", {"classes": []})
    log.store([asked("p1", time=utc_now() - timedelta(days=9))])
    messages: list[str] = []
    deleting, labelling = (
        threading.Thread(target=getattr(log, delete), args=("p1" if delete == "forget" else utc_now(),)),
        threading.Thread(target=lambda: messages.extend(log.add_labels({"p1": 1}))),
    )
    with log.engine.begin() as connection:  # so that the deletion waits for the request
        connection.execute(sql.select(REQUESTS).with_for_update())
        deleting.start()
        time.sleep(0.5)
        labelling.start()
        time.sleep(0.5)
    deleting.join()
    labelling.join()
    assert messages == ["p1: the log has no prediction with this id"]
    assert log.labels_of("p1") == []


@pytest.mark.parametrize(
    ("classes", "label", "stored"),
    [
        ([False, True], True, True),
        ([False, True], 1, None),
        ([0, 1], True, None),
        (["a", "b"], "b", "b"),
        (["a", "b"], "c", None),
        ([], 3, 3),
        ([], 3.5, 3.5),
        ([], float("inf"), None),
        ([], True, None),
        ([], "3", None),
    ],
)
def test_a_label_must_be_one_that_the_model_can_have_predicted(
    address: str, classes: list[Any], label: Any, stored: Any
):
    log = Log(address)
    log.register("abc", {"classes": classes})
    log.store([asked("p1")])
    messages = log.add_labels({"p1": label})
    assert len(messages) == (stored is None)
    assert [value for _, value in log.labels_of("p1")] == ([] if stored is None else [stored])


@pytest.mark.parametrize(
    ("classes", "text", "stored"),
    [([False, True], "TRUE", True), ([0, 1], "1", 1), (["01", "1"], "01", "01"), ([], "1e3", 1000.0), ([], "x", None)],
)
def test_a_label_in_csv_means_the_class_or_the_number(address: str, classes: list[Any], text: str, stored: Any):
    log = Log(address)
    log.register("abc", {"classes": classes})
    log.store([asked("p1")])
    assert bool(log.add_labels({"p1": text}, from_text=True)) == (stored is None)
    assert [value for _, value in log.labels_of("p1")] == ([] if stored is None else [stored])


def test_servers_that_start_at_once_share_a_new_log(address: str):
    logs: list[Log] = []
    starts = [threading.Thread(target=lambda: logs.append(Log(address))) for _ in range(6)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len(logs) == 6
    with logs[0].engine.begin() as connection:
        assert connection.scalar(sql.text("SELECT count(*) FROM retrace_schema")) == 1


def test_a_server_waits_while_another_one_makes_the_file(tmp_path: Path):
    other = sqlite3.connect(tmp_path / "log.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    end = threading.Timer(0.5, lambda: other.execute("COMMIT"))
    end.start()
    Log(f"sqlite:///{tmp_path}/log.db").check()
    end.join()


def test_a_migration_that_fails_changes_nothing(address: str, monkeypatch: pytest.MonkeyPatch):
    Log(address).store([asked("p1")])
    monkeypatch.setattr(log_module, "VERSION", 2)
    statements = ["ALTER TABLE predictions ADD COLUMN place TEXT", "ALTER TABLE nothing ADD COLUMN place TEXT"]
    monkeypatch.setattr(log_module, "MIGRATIONS", {2: statements})
    with pytest.raises(UserError, match="nothing"):
        Log(address)
    monkeypatch.setattr(log_module, "MIGRATIONS", {2: statements[:1]})
    assert Log(address).find("p1") is not None


def test_what_another_program_still_reads_is_told(tmp_path: Path):
    log = Log(f"sqlite:///{tmp_path}/log.db")
    log.store([asked("p1", "p2")])
    reader = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM predictions").fetchone()
    with pytest.raises(LogError, match="deleted, but SQLite's write-ahead file"):
        log.forget("p1")


def test_predictions_come_in_parts_in_their_order(address: str):
    log, now = Log(address), utc_now()
    log.store([asked(f"p{number}", time=now - timedelta(days=10 - number)) for number in range(10)])
    parts = list(log.since(now - timedelta(days=8), size=3))
    assert [[each.id for each in part] for part in parts] == [["p2", "p3", "p4"], ["p5", "p6", "p7"], ["p8", "p9"]]


def test_the_predictions_of_a_request_stay_together(address: str):
    log = Log(address)
    log.store([asked("z", "b", "y"), asked("a"), asked("x", "c")])
    parts = list(log.since(utc_now() - timedelta(days=1), size=2))
    assert [[each.id for each in part] for part in parts] == [["z", "b", "y"], ["a", "x", "c"]]
    assert [[each.input["a"] for each in part] for part in parts] == [["z", "b", "y"], ["a", "x", "c"]]
    assert [each.output for part in parts for each in part] == [0, 0.25, 0.5, 0, 0, 0.25]


def test_what_is_forgotten_is_gone_with_its_labels(address: str, tmp_path: Path):
    log, now = Log(address), utc_now()
    log.store(
        [asked(f"p{number}", time=now - timedelta(days=number), input=f'["only-{number}-x"]') for number in range(5)]
    )
    log.register("abc", {"classes": [0, 1]})
    log.add_labels({"p1": 1, "p4": 1})
    assert (log.forget("p1"), log.forget("p1")) == (True, False)
    assert log.forget_before(now - timedelta(days=2.5)) == 2
    assert [each.id for part in log.since(now - timedelta(days=9)) for each in part] == ["p0", "p2"]
    assert log.labels_of("p1") == log.labels_of("p4") == []
    if address.startswith("sqlite"):
        stored = b"".join(file.read_bytes() for file in tmp_path.glob("log.db*"))
        assert b"only-0-x" in stored
        assert b"only-1-x" not in stored
        assert b"only-4-x" not in stored


def test_a_row_of_a_request_is_forgotten_without_the_others(address: str, tmp_path: Path):
    log = Log(address)
    log.store([asked("only-1-x", "only-2-x", "only-3-x", private=["secret-1-x", "secret-2-x", "secret-3-x"])])
    before = log.find("only-3-x")
    assert log.forget("only-2-x")
    assert stored_ids(log) == ["only-1-x", "only-3-x"]
    assert log.find("only-3-x") == before
    with log.engine.begin() as connection:
        content = connection.execute(sql.text("SELECT * FROM requests")).one()
        assert json.loads(content.input) == [{"a": "only-1-x"}, None, {"a": "only-3-x"}]
    if address.startswith("sqlite"):
        stored = b"".join(file.read_bytes() for file in tmp_path.glob("log.db*"))
        assert b"secret-1-x" in stored
        assert b"only-2-x" not in stored
        assert b"secret-2-x" not in stored
    assert log.forget("only-1-x")
    assert log.forget("only-3-x")
    with log.engine.begin() as connection:
        assert connection.scalar(sql.text("SELECT count(*) FROM requests")) == 0


def test_rows_of_a_request_that_are_forgotten_at_once_are_all_gone(address: str):
    log, names = Log(address), [f"only-{number}-x" for number in range(12)]
    log.store([asked(*names)])

    def forget(name: str) -> None:
        with suppress(LogError):  # SQLite's journal is in use
            Log(address).forget(name)

    commands = [threading.Thread(target=forget, args=(name,)) for name in names]
    for command in commands:
        command.start()
    for command in commands:
        command.join()
    with log.engine.begin() as connection:
        assert connection.scalar(sql.text("SELECT count(*) FROM predictions")) == 0
        assert connection.scalar(sql.text("SELECT count(*) FROM requests")) == 0


def test_a_log_of_an_earlier_version_is_brought_up_to_date(address: str, monkeypatch: pytest.MonkeyPatch):
    Log(address).store([asked("p1")])
    # As the next version will do it.
    monkeypatch.setattr(log_module, "VERSION", 2)
    monkeypatch.setattr(log_module, "MIGRATIONS", {2: ["ALTER TABLE predictions ADD COLUMN place TEXT"]})
    log = Log(address)
    assert log.find("p1") is not None
    with log.engine.begin() as connection:
        assert connection.scalar(sql.text("SELECT count(place) FROM predictions")) == 0
        assert connection.scalar(sql.text("SELECT version FROM retrace_schema")) == 2
    monkeypatch.undo()
    with pytest.raises(
        UserError,
        match="the log's tables have version 2, but this code supports only 1; update the code with `make update`",
    ):
        Log(address)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("mysql://a@b/c", "RETRACE_LOG: must be postgresql://USER@HOST/DATABASE or sqlite:///FILE"),
        ("nonsense", "RETRACE_LOG: must be postgresql://USER@HOST/DATABASE or sqlite:///FILE"),
        ("postgresql://me:secret@127.0.0.1:1/x", "RETRACE_LOG postgresql://me:***@127.0.0.1:1/x: connection failed"),
        ("sqlite:////dev/null/log.db", "RETRACE_LOG: /dev/null: File exists; name another file"),
    ],
)
def test_a_wrong_address_is_one_line(address: str, told: str):
    with pytest.raises(UserError) as error:
        Log(address)
    assert str(error.value).startswith(told)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_every_answered_prediction_is_there_after_a_kill_under_load(
    released_wine: Path, address: str, rounds: int, tmp_path: Path
):
    row = rows_of(released_wine, 1)[0]
    answered: set[str] = set()

    def ask(server: Served, client: str) -> None:
        connection = server.connect()
        for number in range(10_000):
            name = f"{client}-{number}"
            body = json.dumps({"rows": [row], "ids": [name]})
            try:
                connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
                replied = reply(connection.getresponse())
            except (OSError, ValueError, HTTPException):
                return
            if replied.status == 200:
                answered.add(name)

    for round_ in range(rounds):
        server = Served(released_wine, RETRACE_LOG=address)
        clients = [threading.Thread(target=ask, args=(server, f"{round_}-{client}")) for client in range(8)]
        for client in clients:
            client.start()
        before = len(answered)
        while len(answered) < before + 200:
            assert server.process.poll() is None
        server.stop(signal.SIGKILL)
        for client in clients:
            client.join()
    log = Log(address)
    stored = {each.id for part in log.since(utc_now() - timedelta(days=1)) for each in part}
    assert len(answered) >= 200 * rounds
    assert answered <= stored


def refused(server: Served, row: dict[str, Any]) -> str:
    answered = server.post("/predict", {"rows": [row]})
    assert answered.status == 503
    assert "predictions" not in answered.content
    [line] = answered.content["errors"]
    return str(line)


NOT_STORED = "the prediction can't be stored, so it isn't given; try again later"


def test_no_prediction_without_storing_it_while_sqlite_is_locked(released_wine: Path, tmp_path: Path):
    row = rows_of(released_wine, 1)[0]
    with serving(released_wine, RETRACE_LOG=f"sqlite:///{tmp_path}/log.db") as server:
        server.predict([row])
        other = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        assert refused(server, row) == NOT_STORED
        other.execute("ROLLBACK")
        server.predict([row])
    assert other.execute("SELECT count(*) FROM predictions").fetchone() == (2,)


def test_no_prediction_without_storing_it_on_a_full_disk(released_wine: Path, tmp_path: Path):
    row = rows_of(released_wine, 1)[0]
    full = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000)); "
    full += "sys.argv = ['retrace', *sys.argv[1:]]; runpy.run_module('retrace', run_name='__main__')"
    server = Served(released_wine, program=["-c", full], RETRACE_LOG=f"sqlite:///{tmp_path}/log.db")
    statuses = [server.post("/predict", {"rows": [row] * 100}).status for _ in range(30)]
    assert server.get("/live").status == 200
    server.stop()
    assert set(statuses) == {200, 503}
    stored = sqlite3.connect(tmp_path / "log.db").execute("SELECT count(*) FROM predictions").fetchone()[0]
    assert stored == 100 * statuses.count(200)


def test_no_prediction_without_storing_it_while_postgresql_is_away(released_wine: Path):
    row = rows_of(released_wine, 1)[0]
    with postgres() as database:
        with serving(released_wine, RETRACE_LOG=database.address) as server:
            server.predict([row])
            database.control("stop", "--mode=immediate")
            assert refused(server, row) == NOT_STORED
            assert server.get("/ready").status == 503
            assert server.get("/live").status == 200
            database.control("start")
            server.predict([row])
            assert server.get("/ready").status == 200
        with psycopg.connect(database.address) as connection:
            found = connection.execute("SELECT count(*) FROM predictions").fetchone()
    assert found == (2,)


def test_an_id_that_is_taken_is_refused_and_the_others_are_not(released_wine: Path, address: str):
    row, other = rows_of(released_wine, 2)
    with serving(released_wine, RETRACE_LOG=address) as server:
        server.predict([other], ids=["taken"])
        statuses: dict[str, int] = {}

        def ask(name: str) -> None:
            statuses[name] = server.post("/predict", {"rows": [row], "ids": [name]}).status

        clients = [threading.Thread(target=ask, args=(name,)) for name in ("a", "b", "taken", "c", "d")]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert statuses == {"a": 200, "b": 200, "taken": 409, "c": 200, "d": 200}


def test_a_request_that_is_sent_again_gets_its_stored_predictions(released_wine: Path, address: str):
    rows = rows_of(released_wine, 3)
    with serving(released_wine, RETRACE_LOG=address) as server:
        request = {"rows": rows, "ids": ["a", "b", "c"]}
        first = server.post("/predict", request)
        log = Log(address)
        with log.engine.begin() as connection:  # as if another version had answered
            changed = [{"0": 0.5, "1": 0.25, "2": 0.25}] * 3
            connection.execute(sql.update(REQUESTS).values(version="v0.9.0", output=json.dumps(changed)))
        again = server.post("/predict", request)
        others = [
            {"rows": rows[::-1], "ids": ["a", "b", "c"]},
            {"rows": rows[:2], "ids": ["a", "b"]},
            {"rows": [*rows, rows[0]], "ids": ["a", "b", "c", "d"]},
            {"rows": rows, "ids": ["d", "b", "c"]},
        ]
        replies = [server.post("/predict", other) for other in others]
        with log.engine.begin() as connection:
            connection.execute(sql.update(REQUESTS).values(model="of another project"))
        replies.append(server.post("/predict", request))
        metrics = server.get("/metrics").content
    assert first.status == again.status == 200
    assert again.content["version"] == "v0.9.0"
    assert [each["prediction"] for each in again.content["predictions"]] == changed
    assert [each["id"] for each in again.content["predictions"]] == ["a", "b", "c"]
    told = {"errors": ["ids: the log has another request with one of these ids"]}
    assert [(each.status, each.content) for each in replies] == [(409, told)] * 5
    assert stored_ids(log) == ["a", "b", "c"]
    assert 'retrace_predictions_total{version="v1.0.0"} 3.0' in metrics


def test_labels_arrive_over_http(released_wine: Path, address: str):
    row = rows_of(released_wine, 1)[0]
    with serving(released_wine, RETRACE_LOG=address) as server:
        server.predict([row, row], ids=["a", "b"])
        assert server.post("/labels", {"labels": [{"id": "a", "label": 2}]}).content == {"stored": 1}
        answered = server.post("/labels", {"labels": [{"id": "a", "label": 7}, {"id": "b", "label": "2"}]})
        assert answered.status == 422
        told = "the label must be one of 0, 1, 2"
        assert answered.content["errors"] == [f"labels: a: {told}", f"labels: b: {told}"]
        answered = server.post("/labels", {"labels": [{"id": "z", "label": 1}]})
        assert answered.content == {"errors": ["labels: z: the log has no prediction with this id"]}
        answered = server.post("/labels", {"labels": [{"id": "a", "label": 1}, {"id": "a", "label": 1}]})
        assert answered.content == {"errors": ["labels: ids must be unique"]}
    assert [value for _, value in Log(address).labels_of("a")] == [2]


@pytest.fixture(scope="module")
def private_wine(released_wine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with a private feature."""
    project = Path(shutil.copytree(released_wine, tmp_path_factory.mktemp("private") / "wine", symlinks=True))
    change_params(project, data={"private": ["alcohol"]})
    check("dvc", "repro", "--quiet", "--force", "--single-item", "release/dvc.yaml:package", cwd=project)
    return project


def test_private_columns_are_encrypted(private_wine: Path, address: str, tmp_path: Path):
    key = Fernet.generate_key().decode()
    row = rows_of(private_wine, 1)[0] | {"alcohol": 12.34567}
    with serving(private_wine, "release/model.zip", RETRACE_LOG=address, RETRACE_LOG_KEY=key) as server:
        [predicted] = server.predict([row], ids=["a"])
    stored = Log(address).find("a")
    assert stored is not None
    assert "alcohol" not in stored.input
    assert "12.34567" not in str(stored.private)
    if address.startswith("sqlite"):
        assert b"12.34567" not in b"".join(file.read_bytes() for file in tmp_path.glob("log.db*"))
    again = [sys.executable, "-m", "retrace", "recompute", "a"]
    said = check(*again, cwd=private_wine, RETRACE_LOG=address, RETRACE_LOG_KEY=key)
    assert said.startswith(f"PASS  {json.dumps(predicted, separators=(',', ':'))}, the same to the last digit")
    done = run(*again, cwd=private_wine, RETRACE_LOG=address)
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        1,
        "FAIL  a: its private columns are encrypted; set RETRACE_LOG_KEY",
    )
    another = Fernet.generate_key().decode()
    done = run(*again, cwd=private_wine, RETRACE_LOG=address, RETRACE_LOG_KEY=another)
    assert "FAIL  a: its private columns are encrypted with another key than RETRACE_LOG_KEY" in done.stdout


def test_without_a_key_no_private_column_is_served(private_wine: Path):
    serve = [sys.executable, "-m", "retrace", "serve", "--port", "0", "release/model.zip"]
    done = run(*serve, cwd=private_wine)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("RETRACE_LOG_KEY: not set, and alcohol is private (data.private); this makes one: ")
    done = run(*serve, cwd=private_wine, RETRACE_LOG_KEY="short")
    assert done.stderr.startswith("RETRACE_LOG_KEY: not a key; this makes one: ")


def test_the_commands_for_the_log(released_wine: Path, address: str, tmp_path: Path):
    rows = rows_of(released_wine, 3)
    with serving(released_wine, RETRACE_LOG=address) as server:
        server.predict(rows, ids=["a", "b", "c"])

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return retrace(*words, cwd=released_wine, RETRACE_LOG=address)

    (tmp_path / "labels.csv").write_text("id,label\na,1\nb,2\n")
    assert command("label", f"{tmp_path}/labels.csv").stdout == "2 labels stored\n"
    (tmp_path / "wrong.csv").write_text("id,label\na,0\nz,2\n")
    done = command("label", f"{tmp_path}/wrong.csv")
    assert done.stderr.splitlines() == [
        f"{tmp_path}/wrong.csv: z: the log has no prediction with this id",
        f"{tmp_path}/wrong.csv: nothing is stored, because of these mistakes",
    ]
    assert command("forget", "c").stdout == "c: deleted, with its labels\n"
    assert "has no prediction with this id" in command("forget", "c").stderr
    assert command("export", "--out", f"{tmp_path}/log.parquet").stdout == f"{tmp_path}/log.parquet: 2 predictions\n"
    exported = pq.read_table(tmp_path / "log.parquet").to_pylist()
    assert [(each["id"], each["label"], each["version"]) for each in exported] == [
        ("a", "1", "v1.0.0"),
        ("b", "2", "v1.0.0"),
    ]
    assert json.loads(exported[0]["input"]) == rows[0]
    # The same labelled predictions as rows of the table, to train on; the table has the target as its last column.
    assert (
        command("export", "--as-rows", "--out", f"{tmp_path}/rows.parquet").stdout
        == f"{tmp_path}/rows.parquet: 2 rows\n"
    )
    as_rows = pq.read_table(tmp_path / "rows.parquet")
    assert as_rows.schema.equals(pq.read_schema(released_wine / "data/raw/table.parquet"))
    assert as_rows.to_pylist() == [rows[0] | {"target": 1}, rows[1] | {"target": 2}]
    assert command("forget", "--older-than", "1").stdout == "0 predictions deleted\n"
    assert command("forget", "--older-than", "0").stdout == "2 predictions deleted\n"


def test_a_row_to_train_on_has_the_time_and_the_id_of_its_prediction():
    roles = ROLES | {"source": "x", "read": {}, "target": "y", "task": "regression", "time": "when", "id": "name"}
    prediction = Prediction("p1", utc_now(), "m", None, "abc", "rows", {"a": 2}, None, 0.5, 0.01)
    row = training_row(prediction, "7.5", Data(**roles), None)
    assert row == {"a": 2, "y": 7.5, "when": prediction.time, "name": "p1"}

    types = {"name": pa.string(), "a": pa.float64(), "more": pa.string(), "when": pa.timestamp("us"), "y": pa.float64()}
    [written] = training_table([row], pa.schema(types)).to_pylist()
    expected = {"name": "p1", "a": 2.0, "more": None, "when": prediction.time.replace(tzinfo=None), "y": 7.5}
    assert written == expected


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"a": 1, "born (month)": 2}, r"born \(month\): an input column of the model, but", id="column"),
        pytest.param({"a": 1.5}, "a: a value in the log isn't of the type int64", id="a fraction"),
        pytest.param({"a": "secret"}, "a: a value in the log isn't of the type int64", id="text"),
    ],
)
def test_rows_that_do_not_fit_the_table_are_refused_without_a_value(row: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message) as refused:
        training_table([row], pa.schema({"a": pa.int64()}))
    assert "secret" not in str(refused.value)
