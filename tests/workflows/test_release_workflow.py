"""What the push of a version's tag publishes: release.yml, as it is, on tags that reproduce and on others.

`GH=/path/to/gh pytest tests/workflows` runs it with the real gh in the place of its stand-in.
"""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.conftest import IDENTITY, ROOT, check, commit, run
from tests.workflows.project import RELEASE, Host, Project, Run, matches
from tests.workflows.test_workflows import needs_tools

WORKFLOW = ROOT / ".github/workflows/release.yml"
TAG = "late-flights@v1.0.0"
ASSETS = ["DATA_CARD.md", "MODEL_CARD.md", "model.zip", "sbom.json"]


def push(project: Project, tag: str) -> None:
    """Push what the author has committed, and a tag."""
    check("git", "push", "--quiet", str(project.origin), "HEAD:main", f"refs/tags/{tag}", cwd=project.author)


def contents(artifact: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(artifact) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def hashes(assets: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in assets.items()}


def publishes_nothing(ran: Run) -> None:
    assert not ran.succeeded
    assert ran.step("Upload") == ran.step("Attest") == ran.step("Create the release") == ""
    assert [asked for asked in ran.requests if "/api/" in asked.path] == []


@pytest.fixture(scope="module")
def released(host: Host, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    """A project that released v1.0.0 and pushed it, and the run that followed."""
    project = host(tmp_path_factory.mktemp("released"))
    check(sys.executable, "-c", RELEASE, cwd=project.author, **IDENTITY)
    push(project, TAG)
    ran = project.tagged(TAG)
    assert ran
    return project, ran


@needs_tools
def test_a_version_is_published_with_its_package_its_cards_and_an_sbom(released: tuple[Project, Run]):
    project, ran = released
    assert ran.succeeded, ran.output
    [release] = project.github.published()
    assert (release["tag_name"], release["name"], release["prerelease"]) == (TAG, TAG, False)
    assert sorted(release["assets"]) == ASSETS
    for name in set(ASSETS) - {"sbom.json"}:
        assert release["assets"][name] == (project.author / "release" / name).read_bytes()
    assert release["body"].startswith("\n# late-flights\n"), "the card without its YAML header"
    assert (project.author / "release/MODEL_CARD.md").read_text().endswith(release["body"])
    attested = dict(line.split()[::-1] for line in (project.folder / "attestations").read_text().splitlines())
    assert attested == {f"verified/{name}": digest for name, digest in hashes(release["assets"]).items()}


@needs_tools
def test_the_sbom_lists_what_the_package_needs_and_no_more(released: tuple[Project, Run]):
    project, _ = released
    [release] = project.github.published()
    sbom = json.loads(release["assets"]["sbom.json"])
    with zipfile.ZipFile(project.author / "release/model.zip") as package:
        needed = package.read("requirements.txt").decode().splitlines()
    assert sbom["bomFormat"] == "CycloneDX"
    assert [f"{each['name']}=={each['version']}" for each in sbom["components"]] == needed
    assert "timestamp" not in sbom["metadata"], "it's the same for the same commit"


@needs_tools
def test_a_job_that_failed_half_way_can_be_run_again_and_a_release_is_never_changed(released: tuple[Project, Run]):
    project, ran = released
    github = project.github
    [release] = github.published()
    github.releases.clear()  # as if the first run had failed
    github.refused_asset = "sbom.json"
    failed = project.rerun("publish", ran, TAG)
    assert not failed.succeeded
    assert "Validation Failed" in failed.output
    assert github.releases == {}, "neither a release nor a draft is left"

    github.refused_asset = ""
    again = project.rerun("publish", ran, TAG)
    assert again.succeeded, again.output
    [published] = github.published()
    assert published["assets"] == release["assets"]

    before = dict(published)
    refused = project.rerun("publish", ran, TAG)
    assert not refused.succeeded
    assert f"a release with the same tag name already exists: {TAG}" in refused.output
    assert list(github.releases.values()) == [before]


@needs_tools
@pytest.mark.slow
def test_all_jobs_can_be_run_again_and_upload_the_same_bytes(released: tuple[Project, Run]):
    project, ran = released
    artifact = project.folder / f"artifacts/{ran.identity}/release.zip"
    before = contents(artifact)
    again = project.rerun("verify", ran, TAG)
    assert again.succeeded, again.output
    assert contents(artifact) == before


def refused(project: Project, tag: str) -> str:
    """Tag the author's commit, and push the tag: the workflow publishes nothing. Returns what it prints."""
    before = dict(project.github.releases)
    check("git", "tag", tag, cwd=project.author)
    push(project, tag)
    ran = project.tagged(tag)
    assert ran
    publishes_nothing(ran)
    assert project.github.releases == before
    return ran.output


@needs_tools
def test_nothing_is_published_of_a_tag_that_has_the_name_of_another_model(released: tuple[Project, Run]):
    project, _ = released
    output = refused(project, "late-trains@v1.0.0")
    assert "late-trains@v1.0.0: not a release of this project; its model is late-flights" in output


@needs_tools
@pytest.mark.slow
def test_nothing_is_published_of_a_commit_that_does_not_give_its_card(released: tuple[Project, Run]):
    project, _ = released
    with (project.author / "release/MODEL_CARD.md").open("a") as card:
        card.write("It never fails.\n")
    commit(project.author)
    output = refused(project, "late-flights@v1.0.1")
    assert "FAIL  release/MODEL_CARD.md differs from what late-flights@v1.0.1 gives" in output


@needs_tools
def test_a_deployment_starts_nothing(released: tuple[Project, Run]):
    project, _ = released
    deploy = [sys.executable, "-m", "retrace", "deploy", "1.0.0"]
    check(*deploy, cwd=project.author, **IDENTITY)
    push(project, "late-flights#prod#1")
    assert project.tagged("late-flights#prod#1") is None


def test_versions_start_the_workflow_and_other_tags_do_not():
    patterns = yaml.safe_load(WORKFLOW.read_text())[True]["push"]["tags"]
    tags = {
        **{"flights@v1.0.0": True, "late-flights@v10.20.30": True, "flights@v1.0.0-rc.1": True},
        **{"flights#prod#1": False, "flights#v1.0.0#1": False, "flights@v1.0.0!": False, "flights@v1.0": False},
        **{"v1.0.0": False, "flights@1.0.0": False, "flights@deprecated": False},
    }
    assert {tag: any(matches(tag, pattern) for pattern in patterns) for tag in tags} == tags


def test_only_the_job_that_runs_no_code_of_the_repository_may_write():
    content = yaml.safe_load(WORKFLOW.read_text())
    assert content["permissions"] == {}
    verify, publish = content["jobs"]["verify"], content["jobs"]["publish"]
    assert verify["permissions"] == {"contents": "read"}
    assert publish["permissions"] == {"attestations": "write", "contents": "write", "id-token": "write"}
    assert publish["needs"] == "verify"
    actions = [step["uses"].partition("@")[0] for step in publish["steps"] if "uses" in step]
    assert actions == ["actions/download-artifact", "actions/attest"]
    for step in [*verify["steps"], *publish["steps"]]:
        assert "${{" not in step.get("run", ""), "the name of a tag is anybody's text"


@pytest.mark.parametrize(
    ("version", "prerelease"), [("v1.0.0", "false"), ("v1.0.0-rc.1", "true")], ids=["version", "prerelease"]
)
def test_notes_fit_and_a_prerelease_is_marked(tmp_path: Path, version: str, prerelease: str):
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["publish"]["steps"]
    (tmp_path / "verified").mkdir()
    (tmp_path / "verified/MODEL_CARD.md").write_text("---\ntags: []\n---\n# Flights\n---\n" + "é" * 200_000)
    (tmp_path / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "gh").chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    for step in steps[-2:]:
        folder = tmp_path / step.get("working-directory", ".")
        done = run("bash", "-e", "-c", step["run"], cwd=folder, PATH=path, GITHUB_REF_NAME=f"late-flights@{version}")
        assert done.returncode == 0, done.stderr
    notes = (tmp_path / "notes.md").read_bytes().decode(errors="replace")
    assert notes.startswith("# Flights\n---\né")
    assert 60_000 < len(notes) <= 125_000
    assert re.findall("--prerelease=(.*)", done.stdout) == [prerelease]
