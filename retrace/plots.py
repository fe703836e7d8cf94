"""Draw the plots that dvc.yaml describes, all on one page: `make plots`.

    python -m retrace plots [NAME ...]

The page of `dvc plots show` loads Vega from the network, and puts names from the data into a script. Here each plot is
drawn as SVG: the page runs no script and loads nothing.
"""

import argparse
import html
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import vl_convert
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import SCMError

from retrace.errors import UserError

PAGE = Path("dvc_plots/index.html")
HEAD = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>Plots</title>
<style>body { font-family: sans-serif; margin: 2rem } svg { max-width: 100%; height: auto }</style>
"""


def describe_plots(names: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The plots of these names, or all if there are no names, as DVC describes them: a Vega-Lite chart for each.

    Raises:
        UserError: DVC can't, or there is nothing to draw.
    """
    try:  # the command below doesn't fail where it can't read dvc.yaml
        with Repo() as repo:
            repo.stage.collect("dvc.yaml")
    except (DvcException, SCMError) as error:
        raise UserError(" ".join(str(error).split())) from None
    command = [sys.executable, "-m", "dvc", "plots", "show", "--json", "--", *names]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
        raise UserError(f"dvc plots show: {lines[0]}")
    plots: dict[str, list[dict[str, Any]]] = json.loads(done.stdout).get("data", {})
    if not any(plots.values()):
        raise UserError("there is nothing to draw yet: `dvc repro` makes what the plots show")
    return plots


def write_page(plots: dict[str, list[dict[str, Any]]]) -> str:
    """An HTML page of all plots, each with its name as its title.

    Raises:
        UserError: a plot can't be drawn.
    """
    parts = [HEAD]
    for name, charts in plots.items():
        for chart in charts:
            if chart["type"] == "vega":
                try:
                    svg = vl_convert.vegalite_to_svg(chart["content"], allowed_base_urls=[])
                except ValueError as error:
                    why = "".join(str(error).splitlines()[:2])
                    raise UserError(f"the plot {name} can't be drawn by its template: {why}") from None
                parts.append(f"<p>{svg}</p>")
            else:
                parts.append(f"<p>{html.escape(name)} isn't drawn here, because it is not a chart.</p>")
    return "\n".join(parts) + "\n"


def plots(words: list[str]) -> None:
    """Draw the plots that dvc.yaml describes on one page, and print its address."""
    parser = argparse.ArgumentParser(prog="python -m retrace plots", description=plots.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the plots to draw; none: all of them")
    page = write_page(describe_plots(parser.parse_args(words).names))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE.absolute().as_uri())
