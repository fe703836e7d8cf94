"""What it costs to serve the demo's model, as ratios within one run: a part of `make bench`.

    OMP_NUM_THREADS=1 python -m tests.bench_serving [--minutes 10]

- one row and a thousand rows over HTTP, recorded, against the same preparation and prediction in this process;
- four times the rate that the server sustains: which requests are refused, how long the others take, and whether each
  answered prediction is in the log;
- the start of the server against the time that its imports take;
- `make watch` of a million recorded predictions: time and peak memory.
"""

import retrace  # isort: skip  # noqa: F401  # before NumPy, so that the predictions are the same

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic_core import to_json

from retrace.answers import Answers
from retrace.input_rows import as_table
from retrace.package import read_package
from retrace.serving.log import Log, utc_now
from retrace.table_files import read_table
from tests.bench import peak
from tests.conftest import ENVIRONMENT, check, copy_project, run_release
from tests.retrace.monitoring.conftest import store_served
from tests.retrace.serving.conftest import Served, rows_of, serving

WATCHED, WATCHED_DAYS = 1_000_000, 90  # predictions, and the days of these
BLOCK, WARM_UP = 10, 2  # requests in a block, and blocks that aren't counted
IMPORTS = {
    "the server": "retrace.serving.app, uvicorn",
    "the model": "retrace.answers, sklearn.ensemble, sklearn.compose",
}


def percentile(times: list[float], share: float) -> float:
    return float(np.quantile(times, share))


def latency(project: Path, server: Served, size: int, rounds: int) -> None:
    """Print how long requests of some rows take over HTTP, and in this process; blocks of ten alternate.

    In this process, once from rows to predictions, and once from the JSON of a request to that of its answer. Single
    requests don't alternate, because each way would find the processor's caches full of another one's data.
    """
    with chdir(project):
        answers = Answers(read_package(Path("release/model.zip")))
    rows = rows_of(project, 3000)
    connection = server.connect()
    times: dict[str, list[float]] = {"served": [], "predicted": [], "answered": []}

    def predict(some: list[Any], _body: bytes) -> None:
        answers.package.predict(as_table(some, answers.package.columns))

    def answer(_some: list[Any], body: bytes) -> None:
        to_json(answers.answer("rows", body))

    def request(_some: list[Any], body: bytes) -> None:
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        assert connection.getresponse().read().startswith(b'{"version"')

    for number in range(rounds // BLOCK + WARM_UP):
        requests = []
        for start in range(number * BLOCK, (number + 1) * BLOCK):
            some = [rows[(start * size + row) % len(rows)] for row in range(size)]
            requests.append((some, json.dumps({"rows": some}).encode()))
        for name, call in (("predicted", predict), ("answered", answer), ("served", request)):
            for some, body in requests:
                begin = time.perf_counter()
                call(some, body)
                if number >= WARM_UP:
                    times[name].append(time.perf_counter() - begin)
    for name, share in (("median", 0.5), ("99th percentile", 0.99)):
        served, predicted, answered = (percentile(times[which], share) * 1e3 for which in times)
        print(
            f"| {size:,} rows, {name} | {served:.1f} ms | {predicted:.1f} ms | {served / predicted:.2f} "
            f"| {answered:.1f} ms | {served / answered:.2f} |",
            flush=True,
        )


async def load(port: int, bodies: list[bytes], rate: float, seconds: float) -> list[tuple[int, float]]:
    """Send requests at a rate, each when its time has come, whatever became of the others: status and duration."""
    found: list[tuple[int, float]] = []
    free: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []  # connections, since when they are idle

    async def ask(number: int) -> None:
        start = time.perf_counter()
        try:
            while free and free[0][0] < start - 3:  # the server closes a connection that is idle for five seconds
                free.pop(0)[2].close()
            if free:
                _, reader, writer = free.pop()
            else:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = bodies[number % len(bodies)]
            head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            writer.write(head.encode() + b"\r\n\r\n" + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(lines.partition("content-length: ")[2].partition("\r\n")[0])
            await reader.readexactly(length)
            free.append((time.perf_counter(), reader, writer))
            found.append((int(lines.split()[1]), time.perf_counter() - start))
        except (OSError, asyncio.IncompleteReadError):
            found.append((0, time.perf_counter() - start))

    begin, tasks = time.perf_counter(), set()
    number = 0
    while (now := time.perf_counter() - begin) < seconds:
        while number < now * rate:
            task = asyncio.create_task(ask(number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    return found


def sustained(server: Served, bodies: list[bytes]) -> float:
    """How many requests a second the server answers to a few clients that wait for each answer."""
    rate = 50.0
    while True:
        found = asyncio.run(load(server.port, bodies, rate, 5))
        if any(status != 200 for status, _ in found):
            return rate / 1.15
        rate *= 1.15


def memory(server: Served) -> int:
    """The resident memory of the server and of the model's process, in MiB."""
    children = check("pgrep", "-P", str(server.process.pid), cwd=Path("/")).split()
    sizes = check("ps", "-o", "rss=", "-p", ",".join([str(server.process.pid), *children]), cwd=Path("/")).split()
    return sum(map(int, sizes)) // 1024


def overload(server: Served, bodies: list[bytes], minutes: float, log: Path) -> None:
    """Print what becomes of four times the rate that the server sustains."""
    rate = sustained(server, bodies)
    usual = [took for status, took in asyncio.run(load(server.port, bodies, rate / 2, 10)) if status == 200]
    median = percentile(usual, 0.5) * 1e3
    print(f"\nSustained: {rate:.0f} requests of one row a second. At half of that rate the median is {median:.1f} ms.")
    print("\n| minute | accepted | refused (503) | failed | median | 99th percentile | memory |")
    print("|---|---|---|---|---|---|---|")
    before = Log(f"sqlite:///{log}")
    first = sum(len(part) for part in before.since(utc_now().replace(year=2000)))
    accepted = 0
    for minute in range(round(minutes)):
        found = asyncio.run(load(server.port, bodies, 4 * rate, 60))
        times = [took for status, took in found if status == 200]
        refused = sum(status == 503 for status, _ in found)
        accepted += len(times)
        print(
            f"| {minute + 1} | {len(times):,} | {refused:,} | {len(found) - len(times) - refused} "
            f"| {percentile(times, 0.5) * 1e3:.0f} ms | {percentile(times, 0.99) * 1e3:.0f} ms "
            f"| {memory(server)} MiB |",
            flush=True,
        )
    last = sum(len(part) for part in before.since(utc_now().replace(year=2000)))
    print(f"\nAnswered: {accepted:,}. New in the log: {last - first:,}.")


def start(project: Path) -> None:
    """Print how long the server takes until it answers, against the imports of its two processes."""
    served, imported = [], []
    for _ in range(5):
        begin = time.perf_counter()
        server = Served(project, "release/model.zip")
        assert server.port
        served.append(time.perf_counter() - begin)
        server.stop()
        begin = time.perf_counter()
        both = [
            subprocess.Popen([sys.executable, "-c", f"import {names}"], cwd=project, env=ENVIRONMENT)
            for names in IMPORTS.values()
        ]
        assert not any(process.wait() for process in both)
        imported.append(time.perf_counter() - begin)
    ratio = statistics.median(one / other for one, other in zip(served, imported, strict=True))
    one, other = statistics.median(served), statistics.median(imported)
    print(f"Start: {one:.2f} s. The imports of both processes, side by side: {other:.2f} s. Ratio {ratio:.2f}.\n")


def watch(project: Path, log: Path) -> None:
    """Print how long `watch` takes for a million recorded predictions, half of which have a label, and its memory."""
    address = f"sqlite:///{log}"
    rows = read_table(project / "data/split/test.parquet").sample(WATCHED, replace=True, random_state=0)
    rows = rows.reset_index(drop=True)
    days = np.arange(WATCHED) * WATCHED_DAYS // WATCHED
    times = pd.Series(pd.Timestamp("2013-11-01 12:00") + pd.to_timedelta(days, "D"))
    ids = [f"prediction-{number}" for number in range(WATCHED)]
    stored = store_served((project, address), rows, times, ids)
    some = range(0, WATCHED, 2)
    assert not stored.add_labels({ids[number]: bool(rows["late"].iloc[number]) for number in some})
    stored.close()
    words = ("watch", "--model", "release/model.zip", "--until", "2014-02-01")
    took, memory = peak("-m", "retrace", *words, cwd=project, RETRACE_LOG=address)
    columns = len(read_package(project / "release/model.zip", trusted=True).columns)
    print(f"\nWatch: {WATCHED:,} predictions of {columns} columns: {took:.1f} s, {memory:,} MiB.")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10, help="of overload")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        demo, project = Path(name) / "demo", Path(name) / "released"
        demo.mkdir()
        copy_project(demo)
        check("dvc", "repro", "--force", cwd=demo)
        run_release(demo, project)
        start(project)
        print(
            "| | served | rows to predictions | ratio | JSON to JSON | ratio |\n|---|---|---|---|---|---|", flush=True
        )
        log = Path(name) / "log.db"
        with serving(project, "release/model.zip", RETRACE_LOG=f"sqlite:///{log}") as server:
            latency(project, server, 1, 2000)
            latency(project, server, 1000, 200)
            bodies = [json.dumps({"rows": [row]}).encode() for row in rows_of(project, 500)]
            overload(server, bodies, minutes, log)
        watch(project, Path(name) / "watched.db")


if __name__ == "__main__":
    main()
