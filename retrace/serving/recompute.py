"""Compute stored predictions again, and compare them with what was served: `python -m retrace recompute`."""

import asyncio
import hashlib
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of_package
from pathlib import Path
from typing import Any

from pydantic_core import to_json
from tqdm import tqdm

from retrace import registry
from retrace.command_line import make_parser, utc_time
from retrace.errors import UserError, one_line
from retrace.serving.log import Prediction, open_log, read_key, whole_row
from retrace.serving.model_process import ModelExitedError, ModelProcess
from retrace.serving.outputs import named_outputs
from retrace.serving.packages import PACKAGE, Released, from_file, from_version


def recompute(words: list[str]) -> None:
    """Compute served predictions again from the log and their releases, and compare them to the last digit."""
    parser = make_parser("recompute", str(recompute.__doc__))
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", metavar="ID", help="of the prediction")
    which.add_argument("--since", metavar="TIME", type=utc_time, help="all since then (UTC), such as 2026-01-31T12:00")
    parser.add_argument("--model", metavar="FILE", type=Path, help="the package, if neither DVC nor release/ has it")
    arguments = parser.parse_args(words)
    with open_log() as log:
        if arguments.id is None:
            parts = log.since(arguments.since)
        else:
            found = log.find(arguments.id)
            if found is None:
                raise UserError(f"{arguments.id}: the log {log.place} has no prediction with this id")
            parts = iter([[found]])
        failed = asyncio.run(compare(parts, arguments.model))
    sys.exit(1 if failed else 0)


async def compare(parts: Iterator[list[Prediction]], file: Path | None) -> int:
    """Compute predictions again, and print what differs, or how many are the same.

    Args:
        parts: lists of predictions.
        file: a package to use for those predictions that come from it.

    Returns:
        How many differ or can't be computed.

    Raises:
        UserError: there are no predictions.
    """
    rows = failed = 0
    last: Prediction | None = None
    async with running_packages(file) as packages:
        with tqdm(unit=" predictions", disable=None, leave=False) as progress:
            for part in parts:
                for prediction, difference in await compare_part(part, packages):
                    rows, last = rows + 1, prediction
                    if difference is not None:
                        failed += 1
                        progress.write(one_line(f"FAIL  {prediction.id}: {difference}"), file=sys.stdout)
                progress.update(len(part))
    if last is None:
        raise UserError("the log has no predictions since then")
    if failed:
        print(f"{failed:,} of {rows:,} predictions are not the same")
    elif rows == 1:
        by = f"{last.model} {last.version or last.package[:12]}"
        output = to_json(last.output).decode()
        print(f"PASS  {output}, the same to the last digit; {by} served it at {last.time} UTC")
    else:
        print(f"PASS  {rows:,} predictions are the same to the last digit")
    return failed


Compared = list[tuple[Prediction, str | None]]


async def compare_part(part: list[Prediction], packages: "Packages") -> Compared:
    """What differs and why, or None, for each prediction."""
    together: dict[tuple[str, str], list[tuple[Prediction, dict[str, Any]]]] = defaultdict(list)
    compared: Compared = []
    for prediction in part:
        try:
            row = whole_row(prediction, packages.key)
            together[prediction.package, prediction.request_type].append((prediction, row))
        except UserError as error:
            compared.append((prediction, str(error)))
    for predictions in together.values():
        try:
            process = await packages.process_of(predictions[0][0])
            compared += await compare_rows(process, predictions)
        except (UserError, ModelExitedError) as error:
            compared += [(prediction, str(error) or "the model's process has ended") for prediction, _ in predictions]
    return compared


async def compare_rows(process: ModelProcess, predictions: list[tuple[Prediction, dict[str, Any]]]) -> Compared:
    """What differs for predictions of one package and kind, with their rows."""
    kind = predictions[0][0].request_type
    answer = await process.ask(kind, to_json({"rows": [row for _, row in predictions]}))
    if "errors" in answer:
        if len(predictions) == 1:
            return [(predictions[0][0], "the package rejects this row now")]
        middle = len(predictions) // 2  # bisection: an invalid row is found in few requests, and the rest is compared
        return await compare_rows(process, predictions[:middle]) + await compare_rows(process, predictions[middle:])
    compared: Compared = []
    outputs = named_outputs(answer["predictions"], process.greeting["description"]["classes"])
    for (prediction, _), output in zip(predictions, outputs, strict=True):
        served, now = to_json(prediction.output).decode(), to_json(output).decode()
        difference = None
        if now != served:
            difference = f"{served} was served, and {now} comes out; {version_differences(process.package)}"
        compared.append((prediction, difference))
    return compared


@asynccontextmanager
async def running_packages(file: Path | None) -> AsyncIterator["Packages"]:
    """Packages that are started when they are needed, and end with the context."""
    packages = Packages(file)
    try:
        yield packages
    finally:
        await packages.stop()


class Packages:
    """The packages that served predictions, each of which is started once.

    Attributes:
        key: of the private columns.
    """

    def __init__(self, file: Path | None) -> None:
        self.key = read_key()
        self._files = [] if file is None else [file]
        self._processes: dict[str, ModelProcess | UserError] = {}

    async def process_of(self, prediction: Prediction) -> ModelProcess:
        """The process of the package that served a prediction.

        Raises:
            UserError: the package isn't available, or can't be loaded.
        """
        sha256 = prediction.package
        if sha256 not in self._processes:
            try:
                process = await ModelProcess.start(self._find(prediction))
                await process.ready()
                self._processes[sha256] = process
            except UserError as error:
                self._processes[sha256] = error
        found = self._processes[sha256]
        if isinstance(found, UserError):
            raise found
        return found

    def _find(self, prediction: Prediction) -> Released:
        for file in self._files:
            package = from_file(file)
            if package.sha256 == prediction.package:
                return package
        problem = f"no version has the package that served it (SHA-256 {prediction.package[:12]}…)"
        # It has no version if it was served where the repository isn't, as from an image.
        versions = [prediction.version] if prediction.version else registry.versions(prediction.model)
        for version in versions:
            try:
                package = from_version(prediction.model, version)
            except UserError as error:
                problem = str(error)
                continue
            if package.sha256 == prediction.package:
                return package
        local = Path(PACKAGE)
        if local.is_file() and hashlib.sha256(local.read_bytes()).hexdigest() == prediction.package:
            return from_file(local)
        raise UserError(f"{problem}; --model names its file")

    async def stop(self) -> None:
        """End the processes."""
        for process in self._processes.values():
            if isinstance(process, ModelProcess):
                await process.stop()


def version_differences(package: Released) -> str:
    """Which packages have another version than the release lists."""
    with zipfile.ZipFile(package.path) as archive:
        listed = re.findall(r"^(\S+)==(\S+)$", archive.read("requirements.txt").decode(), re.M)
    others = []
    for name, wanted in listed:
        try:
            present = version_of_package(name)
        except PackageNotFoundError:
            present = "none"
        if present != wanted:
            others.append(f"{name} {wanted} (installed: {present})")
    if others:
        return f"the release lists {', '.join(others)}"
    return "all packages have the versions that the release lists; the processor or operating system may differ"
