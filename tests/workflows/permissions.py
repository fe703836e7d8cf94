"""Fail as GitHub does if the job that runs lacks one of some permissions, such as contents=write: act has none."""

import os
import sys
from pathlib import Path

import yaml


def main() -> None:
    workflow = yaml.safe_load(Path(os.environ["STAND_IN_WORKFLOW"]).read_text(encoding="utf-8"))
    job = workflow["jobs"][os.environ["GITHUB_JOB"]]
    given = job.get("permissions", workflow["permissions"])
    for needed in sys.argv[1:]:
        name, _, level = needed.partition("=")
        if given.get(name) != level:
            sys.exit(f"HTTP 403: Resource not accessible by integration: the job lacks {name}: {level}")


if __name__ == "__main__":
    main()
