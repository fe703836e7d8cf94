"""Share data and models through the SSH storage: run a command while OpenSSH forwards a port to the server.

    python -m retrace.storage push
    python -m retrace.storage pull
    python -m retrace.storage verify
    python -m retrace.storage rerun --verify-only

The first two are commands of DVC, the others are those of `python -m retrace`. The last one is also run if the server
can't be reached: it says that the storage wasn't checked.

DVC's own SSH client accepts any server that answers, whatever its host key, and lets it use the SSH agent. So
.dvc/config names a port of this machine as the storage's address. The port is open only while OpenSSH forwards it, as
configured in .dvc/ssh_config, to a server whose host key is in known_hosts. DVC runs without the agent. It logs in with
the key file that `dvc remote modify --local storage keyfile` names, or with a default one.

Where there is no home folder with keys (on GitHub), two variables hold the content of such files: STORAGE_KEY and
STORAGE_KNOWN_HOSTS.
"""

import configparser
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrace.errors import UserError

SSH_CONFIG = Path(".dvc/ssh_config")
CONFIG = Path(".dvc/config.local")
REMOTE = "'remote \"storage\"'"  # a section's name, as DVC writes it


def written(folder: Path, name: str, content: str) -> Path:
    """Write a file that only its owner may read."""
    file = folder / name
    file.touch(mode=0o600)
    file.write_text(f"{content.rstrip()}\n", encoding="utf-8")
    return file


def key_file() -> str | None:
    """The private key that this clone's configuration names.

    Raises:
        UserError: the configuration can't be read.
    """
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read(CONFIG, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UserError(f"{CONFIG}: {' '.join(str(error).split())}") from None
    return config.get(REMOTE, "keyfile", fallback=None)


def ssh_options(folder: Path) -> list[str]:
    """OpenSSH's options besides .dvc/ssh_config: the key and the known hosts."""
    options = []
    key: str | Path | None = key_file()
    if content := os.environ.get("STORAGE_KEY"):
        key = written(folder, "key", content)
    if key:
        options += ["-i", str(key), "-o", "IdentitiesOnly=yes"]
    if content := os.environ.get("STORAGE_KNOWN_HOSTS"):
        known = written(folder, "known_hosts", content)
        options += ["-o", f'UserKnownHostsFile="{known}"', "-o", "GlobalKnownHostsFile=/dev/null"]
    return options


def dvc_environment(folder: Path) -> dict[str, str]:
    """The environment of a DVC command: without the agent and the secrets, and with the key's file."""
    hidden = ("SSH_AUTH_SOCK", "STORAGE_KEY", "STORAGE_KNOWN_HOSTS")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    if (folder / "key").exists():
        written(folder, "config", f"[{REMOTE}]\n    keyfile = {folder / 'key'}")
        environment["DVC_GLOBAL_CONFIG_DIR"] = str(folder)
    return environment


@contextmanager
def forwarded(options: list[str]) -> Iterator[None]:
    """Forward the port to the server until the block ends.

    Raises:
        UserError: OpenSSH isn't installed, can't reach the server, or refuses it.
    """
    host = re.findall(r"^Host (\S+)", SSH_CONFIG.read_text(encoding="utf-8"), re.MULTILINE)[0]
    # OpenSSH prints this line once it forwards the port. If it fails to, it ends without the line.
    ready = ["-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo ready"]
    command = ["ssh", "-F", str(SSH_CONFIG), "-N", *ready, *options, host]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        except FileNotFoundError:
            raise UserError("ssh: not found; install OpenSSH's client, or put it on PATH") from None
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                errors.seek(0)
                lines = errors.read().decode("utf-8", "replace").strip().splitlines()
                reason = lines[-1].strip() if lines else "OpenSSH ended"
                raise UserError(f"{host}: {reason} Nothing was sent or read.")
            yield
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    command = sys.argv[1:2]
    program = "retrace" if command in (["verify"], ["rerun"]) else "dvc"
    words = [sys.executable, "-m", program, *sys.argv[1:]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with forwarded(ssh_options(folder)):
                done = subprocess.run(words, env=dvc_environment(folder))
        except UserError as error:
            if command != ["rerun"]:
                raise
            done = subprocess.run(words, env=dvc_environment(folder) | {"STORAGE_ERROR": str(error)})
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
