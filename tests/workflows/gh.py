"""A stand-in for `gh release create`: it sends the requests that gh sends for release.yml's options.

    gh release create TAG --verify-tag --title TITLE --notes-file FILE --prerelease=false ASSET...

It tests our side of the contract, not gh: `GH=/path/to/gh pytest tests/workflows` runs the real one in its place.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen


def ask(method: str, address: str, body: bytes | None = None) -> Any:
    headers = {"Authorization": f"token {os.environ['GH_TOKEN']}", "Content-Type": "application/json; charset=utf-8"}
    with urlopen(Request(address, body, headers, method=method)) as answer:
        content = answer.read()
        return json.loads(content) if content else None


def exists(address: str) -> bool:
    try:
        ask("GET", address)
    except HTTPError as error:
        if error.code != 404:
            raise
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(prog="gh", allow_abbrev=False)
    parser.add_argument("words", nargs=2, choices=["release", "create"])
    parser.add_argument("tag")
    parser.add_argument("--verify-tag", required=True, action="store_true")
    parser.add_argument("--title", required=True)
    parser.add_argument("--notes-file", required=True, type=Path)
    parser.add_argument("--prerelease", required=True, choices=["true", "false"])
    parser.add_argument("assets", nargs="+", type=Path)
    arguments = parser.parse_intermixed_args()
    missing = [asset for asset in arguments.assets if not asset.is_file()]
    if missing:
        sys.exit(f"no matches found for `{missing[0]}`")

    server, repository = os.environ["GITHUB_SERVER_URL"], os.environ["GH_REPO"]
    owner, name = repository.split("/")
    variables = {"owner": owner, "name": name, "tagName": f"refs/tags/{arguments.tag}"}
    query = "query($owner:String!$name:String!$tagName:String!){repository{ref(qualifiedName: $tagName){id}}}"
    found = ask("POST", f"{server}/api/graphql", json.dumps({"query": query, "variables": variables}).encode())
    if found["data"]["repository"]["ref"]["id"] == "":
        sys.exit(f"tag {arguments.tag} doesn't exist in the repo {repository}, aborting due to --verify-tag flag")
    releases = f"{server}/api/v3/repos/{repository}/releases"
    if exists(f"{releases}/tags/{quote(arguments.tag)}"):
        sys.exit(f"a release with the same tag name already exists: {arguments.tag}")
    content = {
        "tag_name": arguments.tag,
        "name": arguments.title,
        "body": arguments.notes_file.read_text(encoding="utf-8", errors="replace"),
        "draft": True,
        "prerelease": arguments.prerelease == "true",
    }
    release = ask("POST", releases, json.dumps(content).encode())
    try:
        for asset in arguments.assets:
            address = f"{release['upload_url'].partition('{')[0]}?label=&name={quote(asset.name)}"
            ask("POST", address, asset.read_bytes())
        print(ask("PATCH", release["url"], b'{"draft": false}')["html_url"])
    except HTTPError:
        ask("DELETE", release["url"])
        raise


if __name__ == "__main__":
    try:
        main()
    except HTTPError as error:
        sys.exit(f"HTTP {error.code}: {json.load(error)['message']} ({urlsplit(error.url).path})")
