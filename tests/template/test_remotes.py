"""Data and models are shared through a folder, S3 or SSH: pushed, pulled, and not lost when something is in the way."""

import getpass
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sklearn.datasets import load_wine

from retrace import storage
from tests.conftest import ENVIRONMENT, IDENTITY, boosting, change_params, check, commit, run
from tests.template.conftest import make
from tests.workflows.github import GitHub
from tests.workflows.project import RELEASE, Project, publish
from tests.workflows.test_workflows import needs_tools, report_in

pytestmark = pytest.mark.slow
RCLONE = str(Path(sys.executable).parent / "rclone")
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")  # it must be called by its whole path
# The project's own environment, not that of the tests.
PLAIN = {key: value for key, value in ENVIRONMENT.items() if key != "VIRTUAL_ENV"} | IDENTITY
SMALL_DISK = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
SEES = 'import os\n    from pathlib import Path\n\n    Path("{file}").write_text(str(dict(os.environ)))\n\n    '


SSHD_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/server
AuthorizedKeysFile {folder}/key.pub
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PidFile none
Subsystem sftp internal-sftp
"""


@dataclass
class Remote:
    """A remote storage: where it keeps its files, how it's served, what a project says of it, and who may in."""

    store: Path
    port: int
    url: str
    config: dict[str, str] = field(default_factory=dict)
    server: list[str] = field(default_factory=list)
    right: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)  # what GitHub knows
    known: dict[str, str] = field(default_factory=dict)  # environment variables

    @contextmanager
    def served(self, full: bool = False) -> Iterator[None]:
        """Its server, for as long as it's needed; on a disk of 2 MB if it's to be full."""
        if not self.server:
            yield
            return
        with subprocess.Popen(
            self.on_a_small_disk(*self.server) if full else self.server,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            for _ in range(100):
                with socket.socket() as client:
                    if client.connect_ex(("127.0.0.1", self.port)) == 0:
                        break
                time.sleep(0.1)
            try:
                yield
            finally:
                process.terminate()

    def on_a_small_disk(self, *command: str) -> list[str]:
        """The command, with 2 MB of memory in the store's place."""
        mount = f'mount -t tmpfs -o size=2m tmpfs {self.store} && mkdir {self.store}/bucket && exec "$@"'
        return [*SMALL_DISK, mount, "sh", *command]


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def remote_of(kind: str, folder: Path) -> Remote:
    store, port = folder / "store", free_port()
    (store / "bucket").mkdir(parents=True)
    if kind == "folder":
        return Remote(store, port, str(store / "wines"))
    if kind == "s3":
        known = ["--var", "AWS_ROLE=arn:aws:iam::1:role/reads", "--var", "AWS_REGION=eu-west-1"]
        server = [RCLONE, "serve", "s3", "--auth-key", "key,a-secret", "--addr", f"127.0.0.1:{port}", str(store)]
        return Remote(
            *(store, port, "s3://bucket/wines", {"endpointurl": f"http://127.0.0.1:{port}"}),
            *(server, {"access_key_id": "key", "secret_access_key": "a-secret"}),
            *({"secret_access_key": "wrong"}, known),
        )
    for name in ("key", "other", "server", "impostor"):
        check("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name, cwd=folder)
    (folder / "sshd_config").write_text(SSHD_CONFIG.format(folder=folder, port=port))
    return Remote(
        *(store, port, f"ssh://{getpass.getuser()}@127.0.0.1:{port}{store}/wines", {}),
        *([str(SSHD), "-D", "-f", str(folder / "sshd_config")], {"keyfile": str(folder / "key")}),
        {"keyfile": str(folder / "other")},
        [
            *("--secret", f"STORAGE_KEY={(folder / 'key').read_text()}"),
            *("--var", f"STORAGE_KNOWN_HOSTS={known_host(folder / 'server', port)}"),
        ],
        {"STORAGE_KNOWN_HOSTS": known_host(folder / "server", port)},
    )


def known_host(key: Path, port: int) -> str:
    """The line of known_hosts that says that the server has this key."""
    return f"[127.0.0.1]:{port} {' '.join(key.with_suffix('.pub').read_text().split()[:2])}"


def configure(project: Path, *options: str, **keys: str) -> None:
    for pair in keys.items():
        check("dvc", "remote", "modify", "--quiet", *options, "storage", *pair, cwd=project, **path_of(project))


def path_of(project: Path) -> dict[str, str]:
    return {"PATH": f"{project / '.venv/bin'}{os.pathsep}{ENVIRONMENT['PATH']}"}


needs_sshd = pytest.mark.skipif(SSHD is None, reason="an SSH storage is tested with OpenSSH's server")


@pytest.fixture(scope="module", params=["folder", "s3", pytest.param("ssh", marks=needs_sshd)])
def shared(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Remote]:
    """A project with results, packages of its own lock files, 8 MB more of data, and a remote that has nothing yet."""
    folder = tmp_path_factory.mktemp(request.param)
    remote = remote_of(request.param, folder)
    project = make(template, folder / "wines", demo=False, remote=request.param, remote_url=remote.url)
    subprocess.run(["make", "start"], cwd=project, env=PLAIN, check=True, capture_output=True)
    configure(project, "--local", **remote.right)
    if remote.config:
        configure(project, **remote.config)
        commit(project)
    load_wine(as_frame=True).frame.to_csv(folder / "wine.csv", index=False)
    check("python", "-m", "retrace", "adopt", "../wine.csv", "--target", "target", cwd=project, **path_of(project))
    (project / "data/more").mkdir()
    for number in range(16):
        (project / f"data/more/{number}").write_bytes(os.urandom(500_000))
    check("dvc", "add", "--quiet", "data/more", cwd=project, **path_of(project))
    check("dvc", "repro", cwd=project, **path_of(project))
    commit(project)
    return project, remote


def clone_of(project: Path, remote: Remote, folder: Path) -> Path:
    """A clone with the project's packages, which may use the remote."""
    clone = folder / "clone"
    check("git", "clone", "--quiet", str(project), str(clone), cwd=folder)
    shutil.copytree(project / ".venv", clone / ".venv", symlinks=True)
    configure(clone, "--local", **remote.right)
    return clone


def run_make(project: Path, target: str, remote: Remote, **more: str) -> subprocess.CompletedProcess[str]:
    return run("make", target, cwd=project, **path_of(project) | remote.known | more)


def says_what_is_wrong(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode != 0
    assert re.search(words, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert "`make push` goes on from there" in done.stderr


def is_whole(file: Path) -> bool:
    """Whether an object of a storage has the content that its name is the hash of."""
    content = file.read_bytes()
    return hashlib.md5(content).hexdigest() == f"{file.parent.name}{file.name.removesuffix('.dir')}"


def test_what_is_in_the_way_is_told_in_a_line_and_the_next_try_goes_on(shared: tuple[Path, Remote]):
    project, remote = shared
    if remote.server:
        with remote.served():
            configure(project, "--local", **remote.wrong)
            says_what_is_wrong(run_make(project, "push", remote), "Forbidden|Permission denied")
            configure(project, "--local", **remote.right)
        says_what_is_wrong(run_make(project, "push", remote), "[Cc]onnect")
    # A user namespace is too little for OpenSSH's server.
    if "keyfile" not in remote.right and not run(*SMALL_DISK, "true", cwd=project).returncode:
        with remote.served(full=True):
            push = ["make", "push"] if remote.server else remote.on_a_small_disk("make", "push")
            says_what_is_wrong(run(*push, cwd=project, **path_of(project)), "No space left|failed to push")
    with remote.served():
        pushing = subprocess.Popen(
            ["make", "push"], cwd=project, env=PLAIN | path_of(project) | remote.known, start_new_session=True
        )
        while not any(remote.store.rglob("files/md5/*/*")):
            time.sleep(0.01)
        os.killpg(pushing.pid, 9)
        pushing.wait()
        arrived = {file: file.stat().st_mtime_ns for file in remote.store.rglob("files/md5/*/*") if is_whole(file)}
        assert run_make(project, "push", remote).returncode == 0
        assert all(file.stat().st_mtime_ns == when for file, when in arrived.items()), "it began anew"
        named = [
            file for file in remote.store.rglob("files/md5/*/*") if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", file.name)
        ]
        assert all(is_whole(file) for file in named), "a part of a file has the name of the whole"
        assert "Everything is up to date" in run_make(project, "push", remote).stdout
    assert not re.search("secret|key", (project / ".dvc/config").read_text())
    assert check("git", "status", "--porcelain", cwd=project) == ""


def test_an_object_that_was_swapped_in_the_storage_is_not_taken(shared: tuple[Path, Remote], tmp_path: Path):
    project, remote = shared
    clone = clone_of(project, remote, tmp_path)
    with remote.served():
        assert run_make(project, "push", remote).returncode == 0
        digest = hashlib.md5((project / "models/model.skops").read_bytes()).hexdigest()
        [stored] = remote.store.rglob(f"files/md5/{digest[:2]}/{digest[2:]}")
        content = stored.read_bytes()
        stored.chmod(0o644)
        stored.write_bytes((project / "models/linear.skops").read_bytes())
        stored.chmod(0o444)  # which DVC takes for a sign that nobody has changed it
        try:
            pulled = run_make(clone, "pull", remote)
        finally:
            stored.chmod(0o644)
            stored.write_bytes(content)
    assert pulled.returncode != 0, pulled.stdout
    assert not (clone / "models/model.skops").exists()
    assert not (clone / f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}").exists()


def test_it_is_said_whether_the_storage_has_everything_whole(shared: tuple[Path, Remote], tmp_path: Path):
    project, remote = shared
    clone = clone_of(project, remote, tmp_path)
    with remote.served():
        assert run_make(project, "push", remote).returncode == 0
        done = run_make(clone, "verify", remote)
        assert done.returncode == 0, done.stderr
        told = re.search(r"remote storage: (\d+) of (\d+) objects, [\d,]+ bytes; the hash of (\d+) ", done.stdout)
        present, recorded, hashed = map(int, told.groups())
        assert present == recorded > 20
        assert hashed == (2 if remote.known else present), "SSH tells no hash: only the lists of two folders are read"
        assert "\ncache: 0 of" in done.stdout
        if remote.server:
            configure(clone, "--local", **remote.wrong)
            done = run_make(clone, "verify", remote)
            assert done.returncode != 0
            assert re.search(r"^remote storage: .*(Forbidden|Permission denied)", done.stderr, re.M), done.stderr
            assert "Traceback" not in done.stderr
            configure(clone, "--local", **remote.right)
    if remote.server:
        done = run_make(clone, "verify", remote)
        assert re.search("[Cc]onnect", done.stderr)
        assert "Traceback" not in done.stderr
    digest = hashlib.md5((project / "models/model.skops").read_bytes()).hexdigest()
    [stored] = remote.store.rglob(f"files/md5/{digest[:2]}/{digest[2:]}")
    content = stored.read_bytes()
    stored.chmod(0o644)
    for other, finding in ((content[::-1], "another content"), (b"less", "4 bytes in place of"), (None, "missing")):
        if other is None:
            stored.unlink()
        else:
            stored.write_bytes(other)
        with remote.served():  # anew, since the server remembers sizes
            done = run_make(clone, "verify", remote)
        if other is None or not (remote.known and len(other) == len(content)):
            assert done.returncode != 0
            assert re.search(rf"^models/model.skops +train +{finding}", done.stdout, re.M), done.stdout
    stored.write_bytes(content)


def test_nothing_is_sent_to_a_server_with_another_host_key(shared: tuple[Path, Remote]):
    project, remote = shared
    if not remote.known:
        pytest.skip("of an SSH storage")
    folder = remote.store.parent
    before = sorted(remote.store.rglob("*"))
    for known in (known_host(folder / "impostor", remote.port), "[127.0.0.2]:1 ssh-ed25519 AAAA"):
        with remote.served():
            done = run_make(project, "push", remote, STORAGE_KNOWN_HOSTS=known)
        assert done.returncode != 0
        assert done.stderr.splitlines()[0] == "127.0.0.1: Host key verification failed. Nothing was sent or read."
        assert sorted(remote.store.rglob("*")) == before
    # DVC itself finds no server: the port is closed but for `make push` and `make pull`.
    with remote.served():
        done = run("dvc", "push", cwd=project, **path_of(project))
    assert done.returncode != 0
    assert "20022" in done.stderr
    # Nor is what listens at the port instead taken for the server.
    with socket.socket() as other, remote.served():
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections block it for a minute
        other.bind(("127.0.0.1", 20022))
        other.listen()
        says_what_is_wrong(run_make(project, "push", remote), "Could not request local forwarding")
    assert sorted(remote.store.rglob("*")) == before


def test_dvc_gets_neither_the_agent_nor_the_key_by_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent")
    monkeypatch.setenv("STORAGE_KEY", "a key")
    monkeypatch.chdir(tmp_path)
    assert ["-i", str(tmp_path / "key")] == storage.ssh_options(tmp_path)[:2]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    environment = storage.dvc_environment(tmp_path)
    assert not {"SSH_AUTH_SOCK", "STORAGE_KEY"} & set(environment)
    assert environment["DVC_GLOBAL_CONFIG_DIR"] == str(tmp_path)


def test_what_openssh_needs_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/ssh_config").write_text("Host far\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="ssh: not found; install OpenSSH's client"), storage.forwarded([]):
        pass
    (tmp_path / ".dvc/config.local").write_text("[a]\nkeyfile = x\nkeyfile = y\n")
    with pytest.raises(SystemExit, match=r"\.dvc/config\.local: .*'keyfile'.*already exists"):
        storage.key_file()


def test_verifying_goes_on_without_the_server_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/ssh_config").write_text("Host far\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    started: list[tuple[list[str], dict[str, str]]] = []

    def start(words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        started.append((words, env))
        return subprocess.CompletedProcess(words, 1)

    monkeypatch.setattr(storage.subprocess, "run", start)
    for command in ("verify", "pull", "rerun"):
        monkeypatch.setattr(sys, "argv", ["storage", command])
        with pytest.raises(SystemExit):
            storage.main()
    [(words, environment)] = started
    assert words[1:] == ["-m", "retrace", "rerun"]
    assert environment["STORAGE_ERROR"].startswith("ssh: not found")


@needs_tools
def test_a_pull_request_pulls_where_it_is_trusted_and_stages_see_no_credentials(
    shared: tuple[Path, Remote], tmp_path: Path
):
    made, remote = shared
    author = tmp_path / "author"
    check("git", "clone", "--quiet", str(made), str(author), cwd=tmp_path)
    publish(tmp_path)
    with remote.served(), GitHub(tmp_path / "git") as github:
        assert run_make(made, "push", remote).returncode == 0
        project = Project(tmp_path, github, prefix=str(made / ".venv"), given=remote.given)
        main = project.pushed(project.main)
        assert main.step("the committed results") == "success", main.output
        [runs] = project.caches("refs/heads/main").values()
        assert not any(len(name) == 32 for name in runs), "hashes of runs alone, and no data"

        project.given = [*remote.given, "--var", "VERIFY_ONLY=true"]
        verified = project.pushed(project.main)
        assert verified.step("Verify the results") == "success", verified.output
        assert "\nverified, not rerun\n" in verified.output
        assert verified.step("Run the pipeline") == ""
        project.given = remote.given

        stage = author / "src/stages/evaluate.py"
        before = "    params = read_params()\n"
        assert before in stage.read_text()
        stage.write_text(
            stage.read_text().replace(before, f"    {SEES.format(file=tmp_path / 'seen')}{before.strip()}\n")
        )
        project.push()
        pipeline, comment = project.review()
        assert comment.succeeded, comment.output
        [body] = project.github.bodies(7)
        assert "1 stage ran, 6 came from a cache." in body, body
        seen = (tmp_path / "seen").read_text()
        assert "GITHUB_SHA" in seen
        assert not re.search("a-secret|PRIVATE KEY", seen)
        assert not [*Path(tmp_path).rglob("config.local"), *Path(tmp_path).rglob("_temp/key")]

        if remote.server:
            project.push(number=8, fork=True)
            pipeline, comment = project.review(number=8, fork=True)
            assert comment.succeeded, comment.output
            assert not pipeline.succeeded
            assert report_in(project.github.bodies(8)[0]).startswith("## The data isn't here: `data/source/wine.csv`\n")


@needs_tools
@pytest.mark.slow
def test_a_release_pulls_what_no_stage_makes_and_its_stages_see_no_credentials(
    shared: tuple[Path, Remote], tmp_path: Path
):
    made, remote = shared
    author = Path(shutil.copytree(made, tmp_path / "author", symlinks=True))
    stage = author / "src/stages/evaluate.py"
    before = "    params = read_params()\n"
    assert before in stage.read_text()
    stage.write_text(stage.read_text().replace(before, f"    {SEES.format(file=tmp_path / 'seen')}{before.strip()}\n"))
    commit(author)
    check("dvc", "repro", cwd=author, **path_of(author))
    commit(author)
    check("python", "-c", RELEASE, cwd=author, **path_of(author), **IDENTITY)
    publish(tmp_path)
    with remote.served(), GitHub(tmp_path / "git") as github:
        assert run_make(made, "push", remote).returncode == 0
        (tmp_path / "seen").unlink()
        project = Project(tmp_path, github, prefix=str(made / ".venv"), given=remote.given)
        [tag] = github.git("tag").splitlines()
        ran = project.tagged(tag)
    assert ran
    assert ran.succeeded, ran.output
    [release] = github.published()
    assert release["assets"]["model.zip"] == (author / "release/model.zip").read_bytes()
    seen = (tmp_path / "seen").read_text()
    assert "GITHUB_SHA" in seen
    assert not re.search("a-secret|PRIVATE KEY", seen)


def test_a_fresh_clone_pulls_and_has_nothing_to_run(shared: tuple[Path, Remote], tmp_path: Path):
    project, remote = shared
    clone = clone_of(project, remote, tmp_path)
    with remote.served():
        assert run_make(project, "push", remote).returncode == 0
        pulled = run_make(clone, "pull", remote)
    assert pulled.returncode == 0, pulled.stderr
    assert "up to date" in check("dvc", "repro", cwd=clone, **path_of(clone))
    assert check("git", "status", "--porcelain", cwd=clone) == ""


@pytest.mark.slow
@pytest.mark.parametrize("shared", ["s3"], indirect=True)
def test_a_table_in_a_bucket_is_a_source_that_grows(shared: tuple[Path, Remote]):
    project, remote = shared
    parts = remote.store / "bucket/tables/wine"
    parts.mkdir(parents=True)
    wine = load_wine(as_frame=True).frame
    for number in range(2):
        wine[number * 60 : (number + 1) * 60].to_parquet(parts / f"{number}.parquet", row_group_size=20)
    path = path_of(project)
    check("dvc", "remote", "add", "--quiet", "tables", "s3://bucket/tables", cwd=project, **path)
    keys = remote.config | remote.right
    for pair in keys.items():
        check("dvc", "remote", "modify", "--quiet", "--local", "tables", *pair, cwd=project, **path)
    with remote.served():
        check("dvc", "import-url", "--quiet", "remote://tables/wine", "data/source/wine", cwd=project, **path)
        change_params(project, data={"source": "data/source/wine"})
        check("dvc", "repro", "--quiet", cwd=project, **path)
        assert rows_of(project) == 120
    wine[120:].to_parquet(parts / "2.parquet")
    with remote.served():  # anew, since the server remembers which files a folder has
        check("dvc", "update", "--quiet", "data/source/wine.dvc", cwd=project, **path)
        check("dvc", "repro", "--quiet", cwd=project, **path)
        assert rows_of(project) == len(wine)


def rows_of(project: Path) -> int:
    return int(json.loads((project / "metrics/source.json").read_text())["tables"]["table"]["rows"])


@needs_tools
def test_a_forks_pull_request_makes_again_what_it_may_not_pull(template: Path, tmp_path: Path):
    author = make(template, tmp_path / "author", remote="s3", remote_url="s3://nowhere/demo")
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=author)
    change_params(
        author,
        data={"read": {"first_month": 10, "last_month": 10}, "group": None},
        split={"by": "random", "valid": 0.25, "test": 0.1, "seed": 1},
        train=boosting(),
        evaluate={"resamples": 100, "slices": []},
        gate={"floor": 0.6, "slice_floor": None, "baselines": ["prior"]},
    )
    commit(author)
    check("dvc", "repro", cwd=author)
    commit(author)
    publish(tmp_path)
    with GitHub(tmp_path / "git") as github:
        project = Project(tmp_path, github)
        (author / "README.md").write_text("A stranger's text.\n")
        project.push(fork=True)
        pipeline, comment = project.review(fork=True)
        assert pipeline.succeeded, pipeline.output
        assert pipeline.step("Pull data") == ""
        assert comment.succeeded, comment.output
        [body] = project.github.bodies(7)
        assert "7 stages ran, 0 came from a cache." in body
        assert "**Reproduced:**" in body
        project.push(number=8)
        assert project.pipeline(number=8, by="dependabot[bot]").step("Pull data") == ""
        assert project.pipeline(number=8).step("Pull data") == "success"
