"""What holds of this project whatever its data: nothing here has to change when you bring a table or add a stage."""

import ast
import filecmp
import re
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
import yaml
from dvc.utils.serialize import modify_yaml

from retrace import table_files
from retrace.params import read_params
from retrace.problem_page import fill_tables
from retrace.review.lock import find_problem
from retrace.review.revision import FOLDER
from retrace.table_files import row_count, without_rows
from src.stages import prepare

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = list(PIPELINE["stages"])
SEAMS = {  # the modules of src that the tool imports, and where; the data set's module is imported by its name
    "src/metrics.py": ("project_metrics.py",),
    "src/model.py": ("models.py", "adopt", "release"),
    "src/stages/train.py": ("review", "search"),  # a backtest and a search fit the model as the stage does
    "src/new_data.py": ("review",),
}
PARTS = [ROOT / f"data/split/{part}.parquet" for part in ("train", "valid", "test")]
ran = pytest.mark.skipif(not all(part.exists() for part in PARTS), reason="`dvc repro` makes what is tested here")


def test_the_parameters_are_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    assert read_params()


def test_dvc_leaves_the_parameters_as_they_are_laid_out(tmp_path: Path):
    """It writes params.yaml anew for each experiment: a layout other than its own makes each diff noise."""
    file = tmp_path / "params.yaml"
    file.write_bytes((ROOT / "params.yaml").read_bytes())
    with modify_yaml(file) as content:
        content["train"]["seed"] += 1
    before, after = (ROOT / "params.yaml").read_text().splitlines(), file.read_text().splitlines()
    assert len(before) == len(after), "DVC would add or drop lines"
    changed = [(line, other) for line, other in zip(before, after, strict=True) if line != other]
    assert [line.split(":")[0] for line, _ in changed] == ["  seed"], "the second is how DVC writes the first"


def test_the_page_about_the_problem_has_the_numbers_of_the_parameters():
    page = (ROOT / "docs/problem.md").read_text(encoding="utf-8")
    written = fill_tables(page, read_params(ROOT / "params.yaml"))
    assert page == written, "`python -m retrace problem` writes them"


def imports_of(module: Path) -> set[str]:
    """Our modules that a module imports, at the top or within a function, and the packages that they are in."""
    names = []
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    modules = {"retrace/__init__.py"}
    for name in names:
        parts = name.split(".")
        if parts[0] in ("src", "retrace"):
            for count in range(1, len(parts) + 1):
                path = "/".join(parts[:count])
                modules |= {f"{path}.py", f"{path}/__init__.py"}
    return {name for name in modules if (ROOT / name).exists()}


def closure(module: str) -> set[str]:
    found, new = {module}, {module}
    while new:
        new = set().union(*(imports_of(Path(name)) for name in new)) - found
        found |= new
    return found


def declared_files(deps: list[str]) -> set[str]:
    """The modules and package lists among a stage's dependencies; a folder counts as all modules in it."""
    found = set()
    for dep in deps:
        if dep.endswith((".py", ".txt")):
            found.add(dep)
        found |= {module.relative_to(ROOT).as_posix() for module in (ROOT / dep).rglob("*.py")}
    return found


def test_the_stages_of_a_release_depend_on_all_code_and_on_the_modules_that_they_run():
    """The package holds the code, so each change of it counts."""
    for content in yaml.safe_load((ROOT / "retrace/release/pipeline.yaml").read_text())["stages"].values():
        assert {"requirements.txt", "retrace", "src"} <= set(content["deps"])
        module = content["cmd"].removeprefix("python -m ")
        assert (ROOT / f"{module.replace('.', '/')}.py").exists()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_what_it_imports_and_nothing_else(stage: str):
    declared = declared_files(PIPELINE["stages"][stage]["deps"])
    needed = closure(f"src/stages/{stage}.py") | {"requirements.txt", "src/__init__.py"}
    estimator = read_params(ROOT / "params.yaml").train.model
    if estimator.startswith("src.") and "src/model.py" in needed:
        needed |= closure(f"{estimator.rpartition('.')[0].replace('.', '/')}.py")
    if "src/datasets/${data.set}.py" in declared:
        data_set = f"src/datasets/{read_params(ROOT / 'params.yaml').data.set}.py"
        needed |= closure(data_set) - {data_set} | {"src/datasets/${data.set}.py"}
        for other in (ROOT / "src/datasets").glob("*.py"):
            needed |= closure(f"src/datasets/{other.name}") - {f"src/datasets/{other.name}"}
    assert declared == needed


def test_a_search_depends_on_what_it_imports_of_the_tool_and_on_the_projects_code():
    """A project may add modules under src/, and doesn't edit the tool's list."""
    [stage] = yaml.safe_load((ROOT / "retrace/search/pipeline.yaml").read_text())["stages"].values()
    packages = {"requirements.txt", "requirements-scale.txt"}
    imported = {name for name in closure("retrace/search/stage.py") if name.startswith("retrace/")}
    assert declared_files([dep for dep in stage["deps"] if dep != "src"]) == imported | packages
    assert "src" in stage["deps"]


def test_modules_that_python_compiles_do_not_make_a_stage_stale():
    deps = {dep for content in PIPELINE["stages"].values() for dep in content["deps"]}
    if any((ROOT / dep).is_dir() and any((ROOT / dep).glob("*.py")) for dep in deps):
        assert "__pycache__/" in (ROOT / ".dvcignore").read_text().splitlines()


def test_the_tool_reaches_into_the_project_only_where_it_may():
    """Within the tool, the rooms use the modules that all share, and not each other; monitoring reads serving's log."""
    rooms = ("review", "adopt", "release", "serving", "monitoring", "search")
    allowed = {("monitoring", "serving")}
    for module in (ROOT / "retrace").rglob("*.py"):
        room = module.relative_to(ROOT / "retrace").parts[0]
        for name in imports_of(module.relative_to(ROOT)) - {"src/__init__.py"}:
            top, other = Path(name).parts[:2]
            if top == "src":
                assert room in SEAMS.get(name, ()), f"{module} imports {name}"
            else:
                assert other == room or other not in rooms or (room, other) in allowed, f"{module} imports {name}"


def test_no_stage_reads_test():
    for stage, content in PIPELINE["stages"].items():
        assert not any("test.parquet" in dep for dep in content["deps"])
        assert stage == "split" or "data/prepared.parquet" not in content["deps"], "which has the rows of test, too"
        text = (ROOT / f"src/stages/{stage}.py").read_text()
        assert stage == "split" or not re.search(r"split/test|\"test\"", text)


def test_the_locks_hold_one_version_of_each_numeric_package():
    pins = re.findall(r"^([\w.-]+)==(\S+?)(?: ;|\s)", (ROOT / "requirements.txt").read_text(), re.M)
    for package in ("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "skops", "pydantic", "pandera"):
        assert len([version for name, version in pins if name == package]) == 1, package


def test_the_locks_agree_with_each_other_and_name_no_address():
    texts = [(ROOT / name).read_text() for name in ("requirements.txt", "requirements-dev.txt")]
    pins = [dict(re.findall(r"^([\w.-]+)==(\S+?)(?: ;|\s)", text, re.M)) for text in texts]
    for name in pins[0].keys() & pins[1].keys():
        assert pins[0][name] == pins[1][name]
    assert not any("://" in text for text in texts)


def test_the_pictures_that_make_plots_draws_are_those_of_dvc_yaml():
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("PICTURES"))
    assert re.findall(r'"([^"]+)"', line) == [name for plot in PIPELINE["plots"] for name in plot]


@ran
def test_no_row_is_in_two_parts():
    column = read_params(ROOT / "params.yaml").data.id_column
    assert pd.concat([pd.read_parquet(part)[column] for part in PARTS]).is_unique


@ran
def test_the_prepared_table_is_the_same_in_chunks_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """If it isn't, `prepare` needs rows that LARGE_TABLE of the data set's module doesn't declare."""
    raw = ROOT / "data/raw"
    large = getattr(import_module(f"src.datasets.{read_params(ROOT / 'params.yaml').data.set}"), "LARGE_TABLE", None)
    if large is None or not raw.exists():
        pytest.skip("`prepare` gets whole tables, or there are none here")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw").symlink_to(raw)
    for name in ("params.yaml", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    cells = row_count(raw / f"{large.name}.parquet") * len(without_rows(raw / f"{large.name}.parquet").columns)
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", min(cells, table_files.CELLS_IN_CHUNK) // 3)
    prepare.main()
    assert filecmp.cmp("data/prepared.parquet", ROOT / "data/prepared.parquet", shallow=False)


@ran
def test_the_results_belong_to_their_inputs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    assert find_problem(FOLDER) is None, "`dvc repro` makes the results anew"
