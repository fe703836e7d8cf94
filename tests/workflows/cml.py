"""A stand-in for `cml comment create`: it sends the requests that CML 0.20.6 sends for comment.py's options.

    cml comment create --repo=URL --target=pr/NUMBER --publish=false --watermark-title=TITLE FILE

It tests our side of the contract, not CML: `CML=/path/to/cml pytest tests/workflows` runs the real one in its place.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen


def main() -> None:
    parser = argparse.ArgumentParser(prog="cml", allow_abbrev=False)
    parser.add_argument("words", nargs=2, choices=["comment", "create"])
    for option in ("--repo", "--target", "--watermark-title"):
        parser.add_argument(option, required=True)
    parser.add_argument("--publish", required=True, choices=["false"])
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    url = urlsplit(arguments.repo)
    number = re.fullmatch(r"pr/(\d+)", arguments.target)[1]  # type: ignore[index]

    def ask(method: str, path: str, content: dict[str, str] | None = None) -> Any:
        headers = {
            "Accept": "application/vnd.github.v3+json",
            "Authorization": f"token {os.environ['REPO_TOKEN']}",
            "User-Agent": "stand-in for CML",
        }
        body = None
        if content is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
            body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        address = f"https://{url.netloc}/api/v3{path}"
        with urlopen(Request(address, body, headers, method=method)) as answer:
            return json.load(answer)

    ask("GET", f"/users/{os.environ['GITHUB_ACTOR']}")  # for its telemetry, also where that is off
    title = re.sub(r"([_*[<])", r"\\\1", f"CML watermark {arguments.watermark_title}")
    text = arguments.file.read_text(encoding="utf-8", errors="replace")
    watermark = f'![](https://cml.dev/watermark.png#{os.environ["GITHUB_SHA"]} "{title}")'
    report = {"body": f"{text}\n\n{watermark}"}
    done = ask("POST", f"/repos{url.path}/issues/{number}/comments", report)
    print(done["html_url"])


if __name__ == "__main__":
    try:
        main()
    except HTTPError as error:
        sys.exit(json.load(error)["message"])
