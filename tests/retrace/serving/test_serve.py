"""A released model over HTTP: the numbers of evaluate, wrong requests, and another model without a pause."""

import asyncio
import http.client
import io
import json
import re
import shutil
import signal
import socket
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retrace.errors import UserError
from retrace.serving.serve import run as run_server
from retrace.table_files import read_table
from src.datasets import flights
from tests.conftest import IDENTITY, check, retrace, run
from tests.retrace.serving.conftest import Reply, Served, reply, rows_of, serving

# As evaluate predicts; in a process of its own, because retrace must be imported before NumPy.
PREDICT_HERE = """
import retrace, json
from pathlib import Path
from retrace.examples import Target, features
from retrace.table_files import read_table
from retrace.models import load_model
from retrace.params import read_params
data, model = read_params().data, load_model(Path("models/model.skops"))
valid = read_table(Path("data/split/valid.parquet"))
target = Target.of(model.classes_.tolist(), data) if data.task == "classification" else Target()
predicted = target.predict(model, valid[features(valid, data)])
names = [str(name) for name in target.classes]
print(json.dumps([dict(zip(names, row)) for row in predicted.tolist()] if predicted.ndim == 2 else predicted.tolist()))
"""


def evaluated(project: Path) -> list[Any]:
    """What the model predicts for each valid row where evaluate runs."""
    predictions: list[Any] = json.loads(check(sys.executable, "-c", PREDICT_HERE, cwd=project))
    return predictions


@pytest.fixture(scope="module")
def served_wine(released_wine: Path) -> Iterator[Served]:
    with serving(released_wine) as server:
        yield server


@pytest.fixture(scope="module")
def served_demo(released_demo: Path) -> Iterator[Served]:
    with serving(released_demo) as server:
        yield server


def batches(rows: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def test_every_row_alone_and_in_batches_gives_the_number_of_evaluate(served_wine: Served, released_wine: Path):
    rows, expected = rows_of(released_wine), evaluated(released_wine)
    assert [served_wine.predict([row])[0] for row in rows] == expected
    assert [each for batch in batches(rows, 7) for each in served_wine.predict(batch)] == expected
    assert served_wine.predict(rows) == expected


@pytest.mark.parametrize("count", [300, pytest.param(None, marks=pytest.mark.slow)])
def test_the_demo_too(served_demo: Served, released_demo: Path, count: int | None):
    rows, expected = rows_of(released_demo, count), evaluated(released_demo)[:count]
    connection = served_demo.connect()
    alone = []
    for row in rows:
        connection.request("POST", "/predict", json.dumps({"rows": [row]}), {"Content-Type": "application/json"})
        alone.append(json.loads(connection.getresponse().read())["predictions"][0]["prediction"])
    assert alone == expected
    assert [each for batch in batches(rows, 1000) for each in served_demo.predict(batch)] == expected


def known_delays(scheduled: pd.Series, raw: pd.DataFrame, question: pd.Timestamp) -> tuple[int, float]:
    """How many flights were scheduled in the three hours before a moment, and the sum of their delays known by then."""
    recent = raw[(scheduled > question - pd.Timedelta(minutes=flights.RECENT)) & (scheduled <= question)]
    waiting = (question - scheduled[recent.index]) / pd.Timedelta(minutes=1)
    return len(recent), float(recent["dep_delay"].where(recent["dep_delay"] <= waiting, waiting).sum())


def test_flights_are_asked_about_by_their_schedule_and_the_recent_totals(served_demo: Served, released_demo: Path):
    tables = flights.read(released_demo / "data/source/flights.sha256", first_month=9, last_month=9)
    raw, weather = tables["flights"], tables["weather"].set_index(["origin", "time_hour"])
    raw["name"] = pd.to_datetime(raw[["year", "month", "day"]]).dt.strftime("%Y-%m-%d") + (
        " " + raw["carrier"] + raw["flight"].astype(str) + " " + raw["origin"]
    )
    scheduled = raw["time_hour"] + pd.to_timedelta(raw["minute"], unit="min")
    valid = read_table(released_demo / "data/split/valid.parquet")
    # Later ones, because the first flights of the month also have recent flights in August.
    chosen = valid.iloc[2000:2100]
    rows, names = [], []
    for name in chosen["flight"]:
        flight = raw[raw["name"] == name].iloc[0]
        question = scheduled[flight.name] - flights.ASKED_BEFORE
        hour = (flight["origin"], flight["time_hour"] - flights.ASKED_BEFORE - pd.Timedelta(hours=1))
        if hour not in weather.index:
            continue  # then the last hour before it counts
        at_origin = raw["origin"] == flight["origin"]
        of_carrier = at_origin & (raw["carrier"] == flight["carrier"])
        airport = known_delays(scheduled[at_origin], raw[at_origin], question)
        carrier = known_delays(scheduled[of_carrier], raw[of_carrier], question)
        same_hour = at_origin & (raw["time_hour"] == flight["time_hour"])
        row = {
            "date": name[:10],
            **{column: int(flight[column]) for column in ("sched_dep_time", "sched_arr_time", "distance")},
            **{column: flight[column] for column in ("carrier", "origin", "dest")},
            "departures_that_hour": int(same_hour.sum()),
            "airport_flight_count": airport[0],
            "airport_delay_sum": airport[1],
            "carrier_flight_count": carrier[0],
            "carrier_delay_sum": carrier[1],
            **{
                column: None if pd.isna(value) else value
                for column, value in weather.loc[hour, flights.OBSERVED].items()
            },
        }
        rows.append(row)
        names.append(name)
    assert len(rows) > 80
    expected = dict(zip(valid["flight"], evaluated(released_demo), strict=True))
    answered = served_demo.post("/predict/raw", {"rows": rows})
    assert answered.status == 200, answered.content
    assert [each["prediction"] for each in answered.content["predictions"]] == [expected[name] for name in names]
    rows[1]["date"] = "03.09.2013"
    told = served_demo.post("/predict/raw", {"rows": rows}).content["errors"]
    assert told == ["row 2: column date: must be a date such as 2013-11-03"]


def test_a_data_set_without_prepare_request_takes_features_only(served_wine: Served):
    answered = served_wine.post("/predict/raw", {"rows": [{}]})
    assert answered.status == 404
    assert "/predict/raw" not in served_wine.get("/openapi.json").content["paths"]


def replaced(row: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {name: value for name, value in (row | values).items() if value != "absent"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"alcohol": "absent"}, "row 2: column alcohol: is missing; null is allowed"),
        ({"alcohl": 1}, "row 2: column alcohl: unknown; did you mean alcohol?"),
        ({"colour": "red"}, "row 2: column colour: unknown"),
        ({"alcohol": "strong"}, "row 2: column alcohol: must be a number or null"),
        ({"alcohol": True}, "row 2: column alcohol: must be a number or null"),
        ({"alcohol": float("inf")}, "row 2: column alcohol: must be a finite number or null"),
        ({"alcohol": float("nan")}, "row 2: column alcohol: must be a finite number or null"),
    ],
)
def test_wrong_values_are_told_by_row_and_column(
    served_wine: Served, released_wine: Path, change: dict[str, Any], told: str
):
    row = rows_of(released_wine, 1)[0]
    answered = served_wine.post("/predict", {"rows": [row, replaced(row, **change)]})
    assert (answered.status, answered.content) == (422, {"errors": [told]})


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b'{"rows": [', 422, "the body is not JSON: EOF while parsing a list at line 1 column 10"),
        (b"[]", 422, "the body: input should be an object"),
        (b"{}", 422, 'rows: missing; the body must be {"rows": [{…}]}, with an object for each row'),
        (b'{"rows": []}', 422, "rows: empty; there must be a row"),
        (b'{"rows": [{}], "id": 1}', 422, "id: unknown"),
        (b'{"rows": [7]}', 422, "rows: row 1: input should be an object"),
        (b'{"rows": [{}, {}], "ids": ["a"]}', 422, "ids: there must be one for each row"),
        (b'{"rows": [{}, {}], "ids": ["a", "a"]}', 422, "ids: must be unique"),
        (b'{"rows": [{}], "ids": [""]}', 422, "ids: row 1: must have 1 to 200 printable characters"),
        (b'{"rows": [' + b"{}," * 10_000 + b"{}]}", 413, "rows: there are more than 10,000; send fewer at a time"),
        (b" " * 20_000_001, 413, "the request has more than 20,000,000 bytes; send fewer rows at a time"),
    ],
)
def test_a_wrong_body_is_one_line(served_wine: Served, body: bytes, status: int, told: str):
    answered = served_wine.send("POST", "/predict", body)
    assert (answered.status, answered.content) == (status, {"errors": [told]})


def test_many_mistakes_are_counted(served_wine: Served):
    told = served_wine.post("/predict", {"rows": [{}] * 100}).content["errors"]
    assert len(told) == 21
    assert told[-1] == "and more errors"


def test_another_kind_of_content_is_refused(served_wine: Served):
    answered = served_wine.post("/predict", {"rows": []}, Content_Type="text/plain")
    assert (answered.status, answered.content) == (
        415,
        {"errors": ["the header Content-Type must be application/json"]},
    )


def test_a_category_that_train_has_not_is_accepted_with_a_warning(served_demo: Served, released_demo: Path):
    row = rows_of(released_demo, 1)[0]
    answered = served_demo.post("/predict", {"rows": [row, row | {"dest": "XYZ"}, row | {"dest": None}]})
    assert answered.status == 200
    told = "row 2: column dest: fewer than 10 rows of train have this category"
    assert answered.content["warnings"] == [told]


def test_the_server_says_what_it_serves(served_wine: Served, released_wine: Path):
    found = served_wine.get("/model").content
    assert (found["name"], found["version"]) == ("late-flights", "v1.0.0")
    assert found["commit"] == check("git", "rev-parse", "late-flights@v1.0.0^{}", cwd=released_wine).strip()
    assert found["card"] == (released_wine / "release/MODEL_CARD.md").read_text()
    assert found["test"] == json.loads((released_wine / "release/test.json").read_text())
    assert served_wine.get("/live").status == served_wine.get("/ready").status == 200


def test_figures_for_prometheus(served_wine: Served, released_wine: Path):
    before = served_wine.get("/metrics").content
    served_wine.predict(rows_of(released_wine, 3))
    after = served_wine.get("/metrics").content

    def value(text: str, name: str) -> float:
        found = re.search(f"^{re.escape(name)} (.*)$", text, re.M)
        return float(found[1]) if found else 0

    predictions = 'retrace_predictions_total{version="v1.0.0"}'
    assert value(after, predictions) - value(before, predictions) == 3
    requests = 'retrace_requests_total{path="/predict",status="200"}'
    assert value(after, requests) - value(before, requests) == 1
    assert value(after, 'retrace_model_info{name="late-flights",version="v1.0.0"}') == 1
    assert value(after, "retrace_prediction_count") - value(before, "retrace_prediction_count") == 3


def test_the_documentation_has_the_columns_of_the_model_and_needs_no_network(served_demo: Served):
    content = served_demo.get("/openapi.json").content
    body = content["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    row = body["properties"]["rows"]["items"]
    assert "EWR" in row["properties"]["origin"]["description"]
    assert row["required"] == list(row["properties"])
    assert served_demo.post("/predict", body["example"]).status == 200
    page = served_demo.get("/docs").content
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    for asset in re.findall(r"(?:src|href)=\"(/[^\"]+)\"", page):
        assert served_demo.get(asset).status == 200


def test_nothing_of_a_request_is_printed(released_wine: Path, tmp_path: Path):
    server = Served(released_wine, RETRACE_LOG=f"sqlite:///{tmp_path}/log.db")
    row = rows_of(released_wine, 1)[0]
    secret = "Sec-ret-47-11"
    server.predict([row], ids=[secret])
    for rows in ([replaced(row, alcohol=secret)], [{secret: 1}], [secret], secret):
        assert server.post("/predict", {"rows": rows}).status == 422
    server.send("POST", "/predict", b'{"rows": [{"' + secret.encode())
    server.post("/labels", {"labels": [{"id": secret, "label": secret}]})
    printed = server.stop()
    assert printed.count("\n") == 1, printed
    assert secret not in printed


def add_release(project: Path, version: str) -> None:
    """Release the project's model once more, with other code, and deploy it."""
    (project / "src/datasets/table.py").open("a").write(f"\n# {version}\n")
    check("dvc", "repro", "--quiet", "--force", "--single-item", "release/dvc.yaml:package", cwd=project)
    check("git", "commit", "--quiet", "--all", "--message", "x", cwd=project, **IDENTITY)
    check("git", "tag", "--annotate", f"late-flights@{version}", "--message", "x", cwd=project, **IDENTITY)
    retrace("deploy", version, cwd=project, **IDENTITY)


class Clients:
    """Clients that ask for one prediction after the other, until they are stopped."""

    def __init__(self, server: Served, row: dict[str, Any], count: int = 3) -> None:
        self.replies: list[Reply] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(server, row)) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self, server: Served, row: dict[str, Any]) -> None:
        connection = server.connect()
        while not self._ended.is_set():
            connection.request("POST", "/predict", json.dumps({"rows": [row]}), {"Content-Type": "application/json"})
            self.replies.append(reply(connection.getresponse()))

    def stop(self) -> list[Reply]:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        return self.replies


def wait_for_version(server: Served, version: str) -> None:
    until = time.monotonic() + 60
    while server.get("/model").content["version"] != version:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_another_version_takes_over_without_a_failed_request(released_wine: Path, tmp_path: Path):
    project = Path(shutil.copytree(released_wine, tmp_path / "project", symlinks=True))
    add_release(project, "v1.1.0")
    retrace("rollback", cwd=project, **IDENTITY)
    with serving(project) as server:
        clients = Clients(server, rows_of(project, 1)[0])
        retrace("deploy", "1.1.0", cwd=project, **IDENTITY)
        server.process.send_signal(signal.SIGHUP)
        wait_for_version(server, "v1.1.0")
        retrace("rollback", cwd=project, **IDENTITY)
        said = server.post("/reload").content
        replies = clients.stop()
        said_again = server.post("/reload").content
        printed = server.stop()
    assert said == {"message": "now serving late-flights v1.0.0"}
    assert said_again == {"message": "still serving late-flights v1.0.0, which prod names"}
    assert {each.status for each in replies} == {200}
    assert {each.content["version"] for each in replies} == {"v1.0.0", "v1.1.0"}
    assert "now serving late-flights v1.1.0" in printed


def test_a_broken_model_does_not_take_over(released_wine: Path, tmp_path: Path):
    file = Path(shutil.copy(released_wine / "release/model.zip", tmp_path))
    good = file.read_bytes()
    row = rows_of(released_wine, 1)[0]
    with serving(released_wine, str(file), RETRACE_LOG=f"sqlite:///{tmp_path}/log.db") as server:
        assert server.get("/model").content["version"] == "v1.0.0", "the tag has the hash of this file"
        before = server.predict([row])
        file.write_bytes(good[:1000])
        answered = server.post("/reload")
        assert answered.status == 409
        assert answered.content["errors"] == [
            f"{file}: not a whole model package; get it again; still serving late-flights v1.0.0"
        ]
        changed(file, good, needs={"scikit-learn": "0.1"})
        [told] = server.post("/reload").content["errors"]
        assert told.startswith("model.zip: needs scikit-learn 0.1, and ")
        assert told.endswith("; still serving late-flights v1.0.0")
        assert server.predict([row]) == before
        changed(file, good, question="Another one?")
        assert server.post("/reload").status == 200
        assert server.get("/model").content["question"] == "Another one?"
        assert server.get("/model").content["version"] is None, "no tag has this file"


def changed(file: Path, good: bytes, **description: Any) -> Path:
    """Write a package with another description."""
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "model.json":
                content = json.dumps(json.loads(content) | description).encode()
            new.writestr(name, content)
    return file


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Origin"])
def test_neither_a_proxy_nor_a_page_in_a_browser_may_reload(served_wine: Served, header: str):
    answered = served_wine.send("POST", "/reload", None, **{header.replace("-", "_"): "http://192.0.2.1"})
    assert (answered.status, answered.content["errors"]) == (403, ["/reload is for programs on this machine only"])


def test_another_machine_may_not_reload(released_wine: Path, tmp_path: Path):
    [own] = check("hostname", "-I", cwd=tmp_path).split()[:1]
    with serving(released_wine, "--host", "0.0.0.0", RETRACE_LOG=f"sqlite:///{tmp_path}/log.db") as server:
        connection = http.client.HTTPConnection(own, server.port)
        connection.request("POST", "/reload")
        assert reply(connection.getresponse()).status == 403


def test_a_version_with_the_same_content_is_what_answers(released_wine: Path, tmp_path: Path):
    project = Path(shutil.copytree(released_wine, tmp_path / "project", symlinks=True))
    with serving(project) as server:
        check("git", "commit", "--quiet", "--allow-empty", "--message", "x", cwd=project, **IDENTITY)
        check("git", "tag", "--annotate", "late-flights@v1.1.0", "--message", "x", cwd=project, **IDENTITY)
        retrace("deploy", "1.1.0", cwd=project, **IDENTITY)
        assert server.post("/reload").content == {"message": "now serving late-flights v1.1.0"}
        assert server.get("/model").content["version"] == "v1.1.0"
        assert server.get("/openapi.json").content["info"]["version"] == "v1.1.0"


def project_whose_code(project: Path, folder: Path, code: str) -> Path:
    """A release whose data set's module has more code."""
    copy = Path(shutil.copytree(project, folder / "project", symlinks=True))
    (copy / "src/datasets/table.py").open("a").write(code)
    check("dvc", "repro", "--quiet", "--force", "--single-item", "release/dvc.yaml:package", cwd=copy)
    return copy


def test_code_that_prints_values_or_fails_with_them_shows_none(released_wine: Path, tmp_path: Path):
    code = """
print("imported")
REQUEST_COLUMNS = {"size": "number"}


def prepare_request(rows):
    import sys
    print(rows["size"].tolist() * 2000)
    print(rows["size"].tolist() * 2000, file=sys.stderr)
    raise RuntimeError(f"wrong: {rows['size'].tolist()}")
"""
    project = project_whose_code(released_wine, tmp_path, code)
    server = Served(project, "release/model.zip", RETRACE_LOG=f"sqlite:///{tmp_path}/log.db")
    for _ in range(20):  # more than a pipe holds
        answered = server.post("/predict/raw", {"rows": [{"size": 471147}]})
        assert answered.content == {"errors": ["the model can't predict for these rows (RuntimeError)"]}
    printed = server.stop()
    assert "471147" not in printed


def test_a_model_that_fails_to_load_is_one_line(released_wine: Path, tmp_path: Path):
    package = tmp_path / "model.zip"
    changed(package, (released_wine / "release/model.zip").read_bytes(), data_set="gone")
    done = run(sys.executable, "-m", "retrace", "serve", "--port", "0", str(package), cwd=released_wine)
    assert (done.returncode, done.stderr) == (1, "ModuleNotFoundError: No module named 'src.datasets.gone'\n")


def test_a_package_of_another_protocol_is_refused(released_wine: Path, tmp_path: Path):
    good = zipfile.ZipFile(released_wine / "release/model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as package:
        for name in good.namelist():
            content = good.read(name)
            package.writestr(name, content.replace(b"PROTOCOL = 1", b"PROTOCOL = 0"))
    done = run(sys.executable, "-m", "retrace", "serve", "--port", "0", f"{tmp_path}/model.zip", cwd=released_wine)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "its package was made by another version of this code; serve it from a checkout of its tag\n"
    )


def test_clients_that_send_nothing_stop_no_other_and_one_that_goes_is_no_failure(released_wine: Path, tmp_path: Path):
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    server = Served(released_wine, RETRACE_LOG=f"sqlite:///{tmp_path}/log.db")
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for connection in idle:
        connection.sendall(head)
    assert len(server.predict(rows_of(released_wine, 1))) == 1
    for connection in idle:
        connection.close()
    until = time.monotonic() + 30
    while 'status="499"} 20.0' not in server.get("/metrics").content:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert server.stop().count("\n") == 1


def test_a_request_that_is_wrong_at_the_top_takes_its_turn(served_wine: Served, released_wine: Path):
    """Otherwise the model would work on what the server has rejected already, and the others would wait."""
    many = {"rows": rows_of(released_wine) * 200, "ids": ["one"]}
    started = time.perf_counter()
    served_wine.post("/predict", {"rows": many["rows"]})
    valid = time.perf_counter() - started
    started = time.perf_counter()
    assert served_wine.post("/predict", many).status == 422
    assert time.perf_counter() - started > valid / 10


def test_unknown_paths_are_told_in_the_same_form(served_wine: Served):
    answered = served_wine.get("/nothing")
    assert (answered.status, answered.content) == (404, {"errors": ["no such path; /docs lists the paths"]})
    answered = served_wine.get("/predict")
    assert (answered.status, answered.content) == (405, {"errors": ["Method Not Allowed"]})


def test_a_model_that_ends_is_started_again(released_wine: Path, tmp_path: Path):
    row = rows_of(released_wine, 1)[0]
    with serving(released_wine, RETRACE_LOG=f"sqlite:///{tmp_path}/log.db") as server:
        before = server.predict([row])
        check("pkill", "-KILL", "-P", str(server.process.pid), cwd=tmp_path)
        statuses = []
        while not statuses or statuses[-1] != 200:
            statuses.append(server.post("/predict", {"rows": [row]}).status)
            time.sleep(0.1)
        assert set(statuses) == {503, 200}
        assert server.predict([row]) == before


def test_surplus_requests_are_told_to_come_back(served_wine: Served, released_wine: Path):
    body = json.dumps({"rows": rows_of(released_wine) * 200}).encode()  # takes a while
    replies: list[Reply] = []

    def ask() -> None:
        replies.append(served_wine.send("POST", "/predict", body))

    clients = [threading.Thread(target=ask) for _ in range(40)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    statuses = [each.status for each in replies]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 16
    refused = next(each for each in replies if each.status == 503)
    assert refused.headers["retry-after"] == "1"
    assert refused.content == {"errors": ["the server is busy; try again in a second"]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["staging"], "staging: no version of late-flights is in this stage; `make deploy VERSION=1.0.0 STAGE="),
        (["9.0.0"], "VERSION v9.0.0: late-flights has no such version; it has v1.0.0"),
        (["none.zip"], "none.zip: no such file; `make release VERSION=1.0.0` makes release/model.zip"),
        (["--port", "TAKEN"], "127.0.0.1:TAKEN: Address already in use; --port names another one"),
        (["--host", "nowhere.invalid"], "nowhere.invalid:0: "),
    ],
)
def test_what_cannot_be_served_is_one_line(released_wine: Path, words: list[str], told: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = [word.replace("TAKEN", port) for word in words]
        done = run(sys.executable, "-m", "retrace", "serve", "--port", "0", *words, cwd=released_wine)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert told.replace("TAKEN", port) in done.stderr


def test_the_package_of_a_version_is_fetched_from_the_storage(released_wine: Path, tmp_path: Path):
    project = Path(shutil.copytree(released_wine, tmp_path / "project", symlinks=True))
    check("dvc", "remote", "add", "--default", "storage", str(tmp_path / "storage"), cwd=project)
    check("git", "commit", "--quiet", "--all", "--message", "x", cwd=project, **IDENTITY)
    for tag in ("late-flights@v1.0.0", "late-flights#prod#1"):
        check("git", "tag", "--force", "--annotate", tag, "--message", "x", cwd=project, **IDENTITY)
    check("dvc", "push", "--quiet", "release/dvc.yaml", cwd=project)
    shutil.rmtree(project / ".dvc/cache")
    (project / "release/model.zip").unlink()
    rows = rows_of(project, 2)
    with serving(project, "1.0.0") as server:
        assert len(server.predict(rows)) == 2
    shutil.rmtree(project / "predictions")
    shutil.rmtree(tmp_path / "storage")
    shutil.rmtree(project / ".dvc/cache", ignore_errors=True)
    done = run(sys.executable, "-m", "retrace", "serve", "--port", "0", cwd=project)
    assert done.stderr.startswith("late-flights@v1.0.0: release/model.zip is neither in DVC's cache nor in its storage")
    assert done.stderr.count("\n") == 1


def test_the_server_starts_on_a_system_that_has_no_sighup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.delattr(signal, "SIGHUP")
    with socket.socket() as listening, pytest.raises(UserError, match=r"absent\.zip"):
        asyncio.run(run_server("absent.zip", listening))
