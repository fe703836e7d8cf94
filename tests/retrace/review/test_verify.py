"""What dvc.lock and the .dvc files name is in the storage and in the cache, whole; or it's named, and what to do."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal

import pytest
import yaml

from retrace.review.verify import DAMAGED_CACHE, DAMAGED_STORE, NOT_CACHED, NOT_STORED
from tests.conftest import ROOT, check, commit, retrace, run
from tests.retrace.review.small import TWO, copied, new_project

FOLDER = {"cmd": "mkdir -p many && for n in 1 2 3; do echo $n > many/$n; done", "outs": ["many"]}
COUNTS = "7 of 7 objects, 206 bytes; the hash of 7 is right\n"
WHOLE = f"remote storage: {COUNTS}cache: {COUNTS}"
TABLE = "data/source/houses.csv"
ROWS = "price\n1\n"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two pipelines, a folder and a table under DVC; all is in a storage that is a folder."""
    folder = tmp_path_factory.mktemp("verify")
    project = new_project(
        folder / "project", TWO | {"c": FOLDER}, **{"a.in": "one\n", "release/z.in": "last\n", TABLE: ROWS}
    )
    (project / "release/dvc.yaml").write_text(yaml.safe_dump({"stages": {"z": copied("z")}}))
    check("dvc", "repro", "--quiet", "release/dvc.yaml", cwd=project)
    check("git", "rm", "--quiet", "--cached", TABLE, cwd=project)
    check("dvc", "add", "--quiet", TABLE, cwd=project)
    check("dvc", "remote", "add", "--quiet", "--default", "storage", "../store", cwd=project)
    check("dvc", "push", cwd=project)
    commit(project)
    return project


@pytest.fixture
def project(stored: Path, tmp_path: Path) -> Path:
    shutil.copytree(stored.parent, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy/project"


def without_storage(project: Path) -> Path:
    check("dvc", "remote", "remove", "storage", cwd=project)
    return project


def verify(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return retrace("verify", *words, cwd=project)


def object_in(place: Path, content: str) -> Path:
    """The object with this content in a storage or a cache, which may be changed."""
    md5 = hashlib.md5(content.encode()).hexdigest()
    file = place / "files/md5" / md5[:2] / md5[2:]
    file.chmod(0o644)
    return file


def replaced_by(content: str) -> Callable[[Path], object]:
    """A change of an object; what DVC takes for a sign that nobody changed it stays."""

    def change(file: Path) -> None:
        file.write_text(content)
        file.chmod(0o444)

    return change


def the_list(place: Path) -> Path:
    [file] = place.rglob("*.dir")
    file.chmod(0o644)
    return file


@dataclass
class Served:
    """A storage that is read by HTTP, as it may be.

    Attributes:
        folder: What it serves.
        url: Where.
        etag: What it says of an object: its MD5, as S3 does; another MD5, as S3 does where it encrypts; or nothing.
        tells_size: Whether it says how large an object is.
        status: What it answers to every request, if not what is asked for.
        files_left: How many files it sends before it ends each connection without an answer; None: it never does.
        read: The paths whose content was sent.
    """

    folder: Path
    url: str = ""
    etag: Literal["md5", "another", ""] = ""
    tells_size: bool = True
    status: int | None = None
    files_left: int | None = None
    read: list[str] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.files_left == 0:
            return
        file = self.folder / request.path.lstrip("/")
        status = self.status or (200 if file.is_file() else 404)
        content = file.read_bytes() if status == 200 else b""
        request.send_response(status)
        if self.tells_size or status != 200:
            request.send_header("Content-Length", str(len(content)))
        if self.etag and status == 200:
            secret = b"" if self.etag == "md5" else b"encrypted"
            request.send_header("ETag", f'"{hashlib.md5(content + secret).hexdigest()}"')
        request.end_headers()
        if request.command == "GET" and status == 200:
            self.read.append(request.path)
            if self.files_left and re.search("files/md5/../[0-9a-f]{30}$", request.path):
                self.files_left -= 1
            request.wfile.write(content)


@pytest.fixture
def served(project: Path) -> Iterator[Served]:
    """The project's storage, by HTTP."""
    storage = Served(project.parent / "store")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            storage.answer(self)

        def do_HEAD(self) -> None:
            storage.answer(self)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        storage.url = f"http://127.0.0.1:{server.server_port}"
        check("dvc", "remote", "modify", "storage", "url", storage.url, cwd=project)
        yield storage
        server.shutdown()


def findings(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The rows of the table, without the last column."""
    assert done.returncode == 1
    header, *rows = done.stdout.split("\n\n")[1].splitlines()
    return [" ".join(row[: header.index("delete")].split()) for row in rows]


def delete_what_is_named(project: Path, done: subprocess.CompletedProcess[str]) -> None:
    for name in set(re.findall(r"\S+files/md5/\S+", done.stdout)):
        (project / name).unlink()


def test_all_pipelines_and_dvc_files_are_whole(project: Path):
    done = verify(project)
    assert (done.stdout, done.returncode) == (WHOLE, 0)
    assert check("git", "status", "--porcelain", cwd=project) == ""


def test_the_page_shows_what_is_printed(project: Path):
    page = (ROOT / "docs/template.md").read_text(encoding="utf-8")
    object_in(project / "../store", ROWS).unlink()
    done = verify(project)
    assert f"```text\n{done.stdout}{done.stderr}```\n" in page
    check("dvc", "push", cwd=project)
    damaged = object_in(project / "../store", ROWS)
    damaged.write_text(ROWS[:3])
    done = verify(project)
    assert f"```text\n{done.stdout}{done.stderr}```\n" in page
    [named] = re.findall(r"```console\n\$ rm (\S+)\n\$ make push\n\$ make verify\n```\n", page)
    assert (project / named).resolve() == damaged.resolve()
    (project / named).unlink()
    check("dvc", "push", cwd=project)
    assert verify(project).returncode == 0


@pytest.mark.slow
def test_an_output_that_nobody_has_any_more_is_made_again(project: Path):
    shutil.rmtree(project / ".dvc/cache")
    object_in(project / "../store", "last\n").unlink()
    assert "`dvc repro --force STAGE`" in verify(project).stderr
    check("dvc", "repro", "--force", "release/dvc.yaml:z", cwd=project)
    check("dvc", "push", "release/dvc.yaml", cwd=project)
    assert verify(project).returncode == 0


def test_a_clone_without_data_needs_only_the_storage(project: Path):
    shutil.rmtree(project / ".dvc/cache")
    done = verify(project)
    assert done.stdout.splitlines() == [
        f"remote storage: {COUNTS.strip()}",
        "cache: 0 of 7 objects, 0 bytes; the hash of 0 is right",
    ]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("content", "change", "found", "advice"),
    [
        pytest.param(ROWS, Path.unlink, [f"{TABLE} {TABLE}.dvc missing"], NOT_STORED, id="a table"),
        pytest.param(
            *("last\n", replaced_by("lasting\n"), ["release/z.out release/dvc.yaml:z 8 bytes in place of 5"]),
            *(DAMAGED_STORE,),
            id="longer",
        ),
        pytest.param(
            *("one\n", replaced_by("two\n"), ["a.out a another content", "b.out b another content"], DAMAGED_STORE),
            id="swapped",
            marks=pytest.mark.slow,
        ),
        pytest.param("2\n", Path.unlink, ["many/2 c missing"], DAMAGED_STORE, id="of a folder"),
        pytest.param(
            *("2\n", replaced_by("3\n"), ["many/2 c another content"], DAMAGED_STORE),
            id="swapped in a folder",
            marks=pytest.mark.slow,
        ),
        pytest.param("", Path.unlink, ["many/ c missing"], NOT_STORED, id="a list", marks=pytest.mark.slow),
        pytest.param(
            *("", replaced_by("[]"), ["many/ c another content"], DAMAGED_STORE),
            id="another list",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_the_storage_lacks_is_named_and_the_advice_brings_it_back(
    project: Path, content: str, change: Callable[[Path], object], found: list[str], advice: str
):
    """The empty content stands for a folder's list. `dvc status --cloud` says of most that all is in sync."""
    store = project / "../store"
    change(object_in(store, content) if content else the_list(store))
    done = verify(project)
    assert findings(done) == found
    assert done.stderr == f"{advice}\n"
    delete_what_is_named(project, done)
    check("dvc", "push", cwd=project)
    assert verify(project).stdout == WHOLE


@pytest.mark.parametrize(
    ("content", "file", "has_storage"),
    [
        pytest.param("one\n", "b.out", True, marks=pytest.mark.slow),
        ("one\n", "b.out", False),
        ("2\n", "many/2", True),
        pytest.param("2\n", "many/2", False, marks=pytest.mark.slow),
    ],
)
def test_an_object_of_the_cache_that_was_changed_is_found_and_the_advice_replaces_it(
    project: Path, content: str, file: str, has_storage: bool
):
    """DVC doesn't look at the content of what is in its cache, and copies it into the project."""
    if not has_storage:
        without_storage(project)
    replaced_by("bad\n")(object_in(project / ".dvc/cache", content))
    done = verify(project)
    assert any(finding.startswith(f"{file} ") and finding.endswith(" another content") for finding in findings(done))
    assert done.stderr == f"{DAMAGED_CACHE}\n"
    delete_what_is_named(project, done)
    (project / file).unlink()
    check("dvc", *(["pull"] if has_storage else ["repro"]), cwd=project)
    assert verify(project).returncode == 0
    assert (project / file).read_text() == content


def test_without_a_storage_the_cache_must_have_everything(project: Path):
    without_storage(project)
    for content in ("one\n", ROWS):
        object_in(project / ".dvc/cache", content).unlink()
    done = verify(project)
    assert done.stdout.startswith("cache: 5 of 7 objects")
    assert findings(done) == ["a.out a missing", "b.out b missing", f"{TABLE} {TABLE}.dvc missing"]
    assert done.stderr == f"{NOT_CACHED}\n"
    check("dvc", "add", TABLE, cwd=project)
    check("dvc", "repro", cwd=project)
    assert verify(project).stdout == f"cache: {COUNTS}"


def test_an_output_with_a_storage_of_its_own_is_looked_for_there(project: Path):
    check("dvc", "remote", "add", "--quiet", "other", "../other", cwd=project)
    with (project / f"{TABLE}.dvc").open("a") as file:
        file.write("  remote: other\n")
    done = verify(project)
    assert "remote other: 0 of 1 objects" in done.stdout
    assert findings(done) == [f"{TABLE} {TABLE}.dvc missing"]
    assert verify(project, "--remote", "storage").stdout.startswith("remote storage: 6 of 6 objects")
    check("dvc", "push", cwd=project)
    assert verify(project).returncode == 0


@pytest.mark.parametrize(
    ("words", "configured", "line"),
    [
        (["--remote", "none"], [], "none: no remote has this name; `dvc remote list` shows those of this project"),
        (
            [],
            ["remote", "default", "--unset"],
            "no remote is the default one: add --remote NAME; `dvc remote list` shows",
        ),
        ([], ["remote", "modify", "storage", "url", "a.in"], "remote storage: NotADirectoryError: "),
    ],
)
def test_a_remote_that_cannot_be_asked_is_one_line(project: Path, words: list[str], configured: list[str], line: str):
    if configured:
        check("dvc", *configured, cwd=project)
    done = verify(project, *words)
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_what_the_storage_says_of_an_object_is_enough_if_it_is_its_md5(project: Path, served: Served):
    served.etag = "md5"
    assert verify(project).stdout == WHOLE
    assert {path for path in served.read if not path.endswith(".dir")} == set()
    replaced_by("two\n")(object_in(served.folder, "one\n"))
    done = verify(project)
    assert findings(done) == ["a.out a another content", "b.out b another content"]


def test_a_storage_that_encrypts_is_not_called_damaged(project: Path, served: Served):
    """What looks like an MD5 is that of what the storage keeps. One object is read to find that out."""
    served.etag = "another"
    done = verify(project)
    assert done.stdout.startswith("remote storage: 7 of 7 objects, 206 bytes; the hash of 2 is right\n")
    assert done.returncode == 0
    assert len({path for path in served.read if not path.endswith(".dir")}) == 1


def test_the_only_object_of_a_storage_is_judged_if_its_md5_is_another(project: Path, served: Served):
    """No other object shows whether this storage tells MD5s: each storage is judged by its own objects."""
    address = check("dvc", "remote", "list", cwd=project).split()[1]
    check("dvc", "remote", "add", "--quiet", "other", f"{address}/other", cwd=project)
    with (project / f"{TABLE}.dvc").open("a") as file:
        file.write("  remote: other\n")
    shutil.copytree(served.folder / "files", served.folder / "other/files")
    replaced_by("price\n2\n")(object_in(served.folder / "other", ROWS))
    served.etag = "md5"
    done = verify(project)
    assert "remote other: 1 of 1 objects, 8 bytes; the hash of 0 is right\n" in done.stdout
    assert findings(done) == [f"{TABLE} {TABLE}.dvc another content"]


@pytest.mark.parametrize("damage", [False, True])
def test_a_size_that_the_storage_does_not_say_is_neither_wrong_nor_compared(
    project: Path, served: Served, damage: bool
):
    served.tells_size = False
    if damage:
        object_in(served.folder, ROWS).unlink()
    done = verify(project)
    if damage:
        assert findings(done) == [f"{TABLE} {TABLE}.dvc missing"]
    else:
        assert done.stdout.startswith("remote storage: 7 of 7 objects, 0 bytes and 7 of unknown size; ")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (500, "message='Internal Server Error'"),
        (403, "message='Forbidden'"),
        (None, "Cannot connect to host"),
    ],
)
def test_a_server_that_does_not_answer_has_not_lost_the_objects(
    project: Path, served: Served, status: int | None, line: str
):
    served.status = status
    if status is None:
        check("dvc", "remote", "modify", "storage", "url", "http://127.0.0.1:9", cwd=project)
    done = verify(project)
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.startswith("remote storage: Client")
    assert line in done.stderr
    assert done.stderr.endswith("; check its address, the network and your credentials\n")
    assert done.stderr.count("\n") == 1


def test_one_storage_that_cannot_be_asked_hides_nothing_of_the_others(project: Path):
    check("dvc", "remote", "add", "--quiet", "other", str(project / "a.in"), cwd=project)
    with (project / f"{TABLE}.dvc").open("a") as file:
        file.write("  remote: other\n")
    object_in(project / "../store", "last\n").unlink()
    done = verify(project)
    assert findings(done) == ["release/z.out release/dvc.yaml:z missing"]
    first, second = done.stderr.splitlines()
    assert first.startswith("remote other: NotADirectoryError: ")
    assert second == NOT_STORED


def test_a_file_of_a_folder_that_is_cut_off_is_named(project: Path, served: Served):
    """dvc.lock has only the sum of the sizes, and this storage tells no hash: the folder's files are read."""
    replaced_by("2")(object_in(served.folder, "2\n"))
    done = verify(project)
    assert findings(done) == ["many/2 c another content"]
    assert done.stderr == f"{DAMAGED_STORE}\n"


def test_a_wrong_size_in_dvc_lock_is_no_damage(project: Path, served: Served):
    """DVC doesn't compare it, and nothing that is pushed would make it right."""
    lock = project / "release/dvc.lock"
    assert "size: 5\n" in lock.read_text()
    lock.write_text(lock.read_text().replace("size: 5\n", "size: 6\n"))
    assert verify(project).returncode == 0


def test_a_folder_that_disappeared_is_named_and_the_advice_makes_it_again(project: Path):
    shutil.rmtree(project.parent / "store")
    done = verify(project)
    assert len(findings(done)) == 8
    assert all(finding.endswith(" missing") for finding in findings(done))
    assert done.stderr == f"{NOT_STORED}\n"
    check("dvc", "push", cwd=project)
    assert verify(project).stdout == WHOLE


def test_a_server_that_disappears_while_a_clone_pulls_loses_nothing(project: Path, served: Served):
    clone = project.parent / "clone"
    check("git", "clone", "--quiet", str(project), str(clone), cwd=project)
    check("dvc", "remote", "modify", "--local", "storage", "url", served.url, cwd=clone)
    served.files_left = 2
    done = run("dvc", "pull", cwd=clone)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    kept = [file for file in (clone / ".dvc/cache").rglob("*") if re.fullmatch("[0-9a-f]{30}", file.name)]
    assert all(hashlib.md5(file.read_bytes()).hexdigest() == f"{file.parent.name}{file.name}" for file in kept)
    assert check("git", "status", "--porcelain", cwd=clone) == ""
    done = verify(clone)
    assert (done.stdout, done.returncode) == ("", 1)
    assert re.fullmatch("remote storage: .*; check its address, the network and your credentials\n", done.stderr)
    served.files_left = None
    check("dvc", "pull", cwd=clone)
    assert check("dvc", "status", cwd=clone) == "Data and pipelines are up to date.\n"
    assert verify(clone).stdout.startswith("remote storage: 7 of 7 objects, 206 bytes; the hash of 1 is right\n")
    object_in(project.parent / "store", ROWS).unlink()
    assert findings(verify(clone)) == [f"{TABLE} {TABLE}.dvc missing"]
