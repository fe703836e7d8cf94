"""Post the report of a pipeline's run as a comment on its merge request on GitLab, with CML.

    python3 -m retrace.review.comment_gitlab CML

CML is a folder with CML's program. The job `comment` of .gitlab-ci.yml runs this module from the default branch, with a
token that may write comments. The job `pipeline` ran code that somebody has proposed, so its report isn't trusted. The
report is the only thing that is taken from that job, and it can only show text. GitLab says which merge request the
report is about.
"""

import os
import sys
from pathlib import Path
from typing import Any

from retrace.review.comment import (
    MARK,
    MOST_BYTES,
    NotFoundError,
    RefusedError,
    Run,
    Server,
    create_comment,
    write_comment,
)

JOB = "pipeline"  # the job in .gitlab-ci.yml that writes the report
OUTCOMES = {"success": "succeeded", "failed": "failed", "canceled": "was cancelled"}


def find_run(gitlab: Server, pipeline: str, branch: str, commit: str) -> Run:
    """The job of this pipeline that wrote the report.

    Raises:
        RefusedError: the pipeline has no such job.
    """
    for job in gitlab.pages(f"/pipelines/{pipeline}/jobs"):
        if job["name"] == JOB:
            repository, outcome = os.environ["CI_PROJECT_PATH"], OUTCOMES.get(job["status"], "ended")
            return Run(job["id"], repository, repository, branch, commit, outcome, job["web_url"])
    raise RefusedError(f"this pipeline has no job {JOB}")


def read_report(gitlab: Server, run: Run) -> str | None:
    """The first bytes of the report that a job left, as text; None where it left none."""
    try:
        content = gitlab.send("GET", f"/jobs/{run.identity}/artifacts/report.md", most=MOST_BYTES)
    except NotFoundError:
        return None
    return content.decode("utf-8", "ignore")


def post(gitlab: Server, project_url: str, number: int, text: str, cml: Path) -> str:
    """Post the comment on a merge request; returns its address.

    The last comment with our mark is updated, if the token's account wrote it. Otherwise CML creates a new one. (CML's
    own `update` looks at the newest 20 comments only, and takes the oldest of them with its mark, whoever wrote it.)
    """
    notes = f"/merge_requests/{number}/notes"
    listed = gitlab.pages(notes, sort="asc", order_by="created_at")
    marked = [note for note in listed if MARK.search(note["body"])]
    account: dict[str, Any] = gitlab._replace(url=os.environ["CI_API_V4_URL"]).ask("GET", "/user")
    if not marked or marked[-1]["author"]["id"] != account["id"]:
        return create_comment(project_url, number, text, cml)
    last = marked[-1]
    mark = MARK.findall(last["body"])[-1]
    gitlab.ask("PUT", f"{notes}/{last['id']}", {"body": f"{text}\n\n{mark}"})
    return f"{project_url}/-/merge_requests/{number}#note_{last['id']}"


def main(cml: Path) -> None:
    """Find the job that wrote the report, read it, and post."""
    token = os.environ.get("REPO_TOKEN")
    if not token:
        raise RefusedError(
            "nothing is posted: set the variable REPO_TOKEN for the environment comment (docs/gitlab.md)"
        )
    url = f"{os.environ['CI_API_V4_URL']}/projects/{os.environ['CI_PROJECT_ID']}"
    gitlab = Server("GitLab", url, token)
    number = int(os.environ["CI_MERGE_REQUEST_IID"])
    # A pipeline of merged results runs a merge, which isn't the author's commit.
    commit = os.environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or os.environ["CI_COMMIT_SHA"]
    merge_request = gitlab.ask("GET", f"/merge_requests/{number}")
    if (merge_request["state"], merge_request["sha"]) != ("opened", commit):
        print(f"nothing is posted: the merge request is not open, or {commit} is not its newest commit")
        return
    run = find_run(gitlab, os.environ["CI_PIPELINE_ID"], merge_request["source_branch"], commit)
    text = write_comment(run, read_report(gitlab, run), gitlab.name)
    print(post(gitlab, os.environ["CI_PROJECT_URL"], number, text, cml))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except RefusedError as refused:
        sys.exit(str(refused))
