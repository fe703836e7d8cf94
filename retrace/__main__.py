"""The commands of the tool: `python -m retrace COMMAND`. `--help` after a command explains it.

Each command is a function that takes the words after its name. Its module is imported only when the command is called,
because every import costs time.
"""

import argparse
from importlib import import_module

from retrace.errors import UserError

COMMANDS = {  # the module and function of each command, and its line in the list of commands
    "check": ("retrace.check:check", "check params.yaml"),
    "adopt": ("retrace.adopt.command:adopt", "make your table this project's data"),
    "refresh": ("retrace.adopt.refresh:refresh", "take a new snapshot of the table in a database"),
    "freeze": ("retrace.schema:freeze", "write data/schema.yaml from data/raw/"),
    "problem": ("retrace.problem_page:problem", "write the values of params.yaml into docs/problem.md"),
    "repro": ("retrace.review.commands:repro", "run what has changed; show scores, baselines and gate"),
    "scores": ("retrace.review.commands:scores", "show scores, baselines and gate"),
    "gate": ("retrace.review.commands:gate", "check the merge rules"),
    "report": ("retrace.review.commands:report", "write the pull request report to report.md"),
    "compare": ("retrace.review.compare:compare", "compare several experiments with their base"),
    "score": ("retrace.review.ml_test_score:score", "show which of the ML Test Score's 28 tests are earned"),
    "plots": ("retrace.plots:plots", "draw the plots of dvc.yaml on one page"),
    "verify-lock": ("retrace.review.commands:verify_lock", "check that the commit gives the committed results"),
    "verify": ("retrace.review.verify:verify", "check that the storage has all data and models, whole"),
    "rerun": ("retrace.review.commands:rerun_pipeline", "run the pipeline as CI does, ignoring dvc.lock"),
    "reproduce": (
        "retrace.review.commands:reproduce_commit",
        "rerun the commit in a clean folder and compare every file",
    ),
    "new-data": ("retrace.review.retrain:new_data", "get new data, if there is any"),
    "retrain": ("retrace.review.retrain:retrain", "get new data, move the dates of the split, run the pipeline"),
    "audit": ("retrace.review.audit.command:audit", "show what stages read that dvc.yaml doesn't declare"),
    "release": ("retrace.release.commands:release", "score the model on test, pack it, and tag it as a version"),
    "verify-release": ("retrace.release.commands:verify_release", "rerun a release in a clean folder and compare"),
    "deploy": ("retrace.release.commands:deploy", "put a version into production"),
    "rollback": ("retrace.release.commands:rollback", "put the version before into production again"),
    "history": ("retrace.release.commands:history", "show what was released and deployed when"),
    "serve": ("retrace.serving.serve:serve", "answer requests for predictions over HTTP, and store each prediction"),
    "predict": ("retrace.serving.batch:predict", "predict for the rows of files"),
    "watch": ("retrace.monitoring.watch:watch", "compare the served predictions with the release"),
    "challenge": ("retrace.monitoring.challenge:challenge", "score another model on the recorded requests"),
    "search": ("retrace.search.command:search", "search for better arguments of the model"),
    "worker": ("retrace.cluster_worker:worker", "run a worker of a Dask cluster for this project"),
    "backtest": ("retrace.review.backtest_command:backtest", "try on past data whether retraining would have helped"),
    "label": ("retrace.serving.commands:label", "store what turned out to be true"),
    "recompute": ("retrace.serving.recompute:recompute", "compute served predictions again, and compare"),
    "forget": ("retrace.serving.commands:forget", "delete predictions from the log"),
    "export": ("retrace.serving.commands:export", "write the log's predictions to a Parquet file"),
}


def main() -> None:
    """Call the command that is named, with the words after its name."""
    listed = "\n".join(f"  {name:<12} {told}" for name, (_, told) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m retrace",
        usage="python -m retrace COMMAND [--help] ...",
        description=f"commands:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    module, _, function = COMMANDS[arguments.command][0].partition(":")
    try:
        command = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] in ("retrace", "src"):
            raise
        raise UserError(f"the package {error.name} isn't installed; `make install` installs the locked ones") from None
    command(arguments.words)


if __name__ == "__main__":
    main()
