"""A stand-in for `gh label` and `gh issue`: it keeps the issues in the file that $ISSUES names."""

import argparse
import json
import os
import sys
from pathlib import Path

issues = Path(os.environ["ISSUES"])
found = json.loads(issues.read_text()) if issues.exists() else []
parser = argparse.ArgumentParser(prog="gh", allow_abbrev=False)
parser.add_argument("what", choices=["label", "issue"])
parser.add_argument("action", choices=["create", "list", "edit", "close"])
parser.add_argument("name", nargs="?")
for option in ("label", "state", "limit", "json", "title", "body", "comment", "description", "color"):
    parser.add_argument(f"--{option}")
parser.add_argument("--force", action="store_true")
words = parser.parse_args()
if os.environ.get("GH_FAILS"):
    sys.exit("gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable.")
if words.what == "issue" and words.action == "create":
    assert words.label == "alarm"
    found.append({"number": len(found) + 1, "state": "OPEN", "title": words.title, "body": words.body})
elif words.action == "list":
    assert (words.label, words.state) == ("alarm", "all")
    print(json.dumps([{name: issue[name] for name in words.json.split(",")} for issue in found]))
elif words.action == "edit":
    found[int(words.name) - 1]["body"] = words.body
elif words.action == "close":
    found[int(words.name) - 1] |= {"state": "CLOSED", "comment": words.comment}
issues.write_text(json.dumps(found))
