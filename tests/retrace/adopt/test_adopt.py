"""One command makes a table the project's data, or says in one line why not and changes nothing."""

import errno
import gzip
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from retrace.adopt import command
from retrace.adopt.command import parse
from retrace.errors import one_line
from retrace.params import read_params
from retrace.review.results import read_results
from retrace.review.revision import FOLDER
from retrace.table_files import read_table
from retrace.yaml_files import read_yaml
from tests.conftest import IDENTITY, ROOT, check, commit, retrace, run

RNG = np.random.default_rng(0)
ROWS = 300
HOUSES = pd.DataFrame(
    {
        "house": range(1000, 1000 + ROWS),
        "area": RNG.normal(80, 20, ROWS).round(1),
        "city": RNG.choice(["Bern", "Chur", "Zug"], ROWS),
        "street": RNG.choice([f"street {n}" for n in range(40)], ROWS),
        "built": pd.date_range("2020-01-01", periods=ROWS).strftime("%d.%m.%Y"),
        "note": [f"a house with number {n}, quite nice" for n in range(ROWS)],
        "nothing": np.nan,
        "always": 1,
    }
)
HOUSES["price"] = (HOUSES["area"] * 3 + RNG.normal(0, 30, ROWS)).round(1)
HOUSES["sold"] = np.where(HOUSES["price"] + RNG.normal(0, 30, ROWS) > 250, "yes", "no")
HOUSES["tax"] = HOUSES["price"] * 0.01


Adopt = Callable[..., Path]


@pytest.fixture
def adopt(started: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adopt:
    """Adopts a table, saved under a name, in a copy of the project; further calls go on in the same copy."""
    project = Path(shutil.copytree(started, tmp_path / "project", symlinks=True))
    monkeypatch.chdir(project)

    def adopt(table: pd.DataFrame | bytes | Path, *words: str, name: str = "houses.csv") -> Path:
        file = table if isinstance(table, Path) else tmp_path / name
        if isinstance(table, bytes):
            file.write_bytes(table)
        elif isinstance(table, pd.DataFrame):
            table.to_csv(file, index=False)
        command.adopt([str(file), *words])
        return project

    return adopt


def params(project: Path) -> dict[str, Any]:
    return dict(read_yaml(project / "params.yaml"))


def snapshot(folder: Path) -> dict[str, bytes]:
    """What each file holds, but for Git's index, which `git status` writes."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.parts[-2:] != (".git", "index"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_a_table_is_put_under_dvc_and_described_in_the_parameters(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    project = adopt(HOUSES, "--target", "price", "--drop", "tax")
    data = params(project)["data"]
    assert {key: data[key] for key in ("set", "source", "target", "task", "positive", "drop")} == {
        "set": "table", "source": "data/source/houses.csv", "target": "price", "task": "regression",
        "positive": None, "drop": ["tax"],
    }  # fmt: skip
    assert data["read"] == {"types": {"built": "%d.%m.%Y"}}
    assert params(project)["gate"]["metric"] == "r2"
    assert (project / "data/source/houses.csv.dvc").exists()
    assert check("git", "status", "--porcelain", "--", "data/source", cwd=project) == (
        "?? data/source/.gitignore\n?? data/source/houses.csv.dvc\n"
    )
    assert yaml.safe_load((project / "data/schema.yaml").read_text())["table"]["columns"].keys() == set(HOUSES)
    shown = capsys.readouterr().out
    assert re.search(r"^  city +text +0%  feature: categories$", shown, re.M)
    assert re.search(r"^  nothing +empty +100%  feature, left out by the model$", shown, re.M)
    assert re.search(r"^  price +number +0%  the target$", shown, re.M)
    assert "regression: the target has" in shown
    assert max(map(len, shown.split("warning:")[0].splitlines()[1:])) <= 80


def test_the_comments_of_the_parameters_stay(adopt: Adopt):
    comments = [re.search("#.*", line)[0] for line in (ROOT / "params.yaml").read_text().splitlines() if "#" in line]  # type: ignore[index]
    text = (adopt(HOUSES, "--target", "price", "--private", "street", "--drop", "tax") / "params.yaml").read_text()
    gone = [comment for comment in comments if comment not in text]
    assert len(gone) == 3, "those of the costs of each error, and of the demo's months"
    assert re.findall(r"\n\n(.*)", text) == re.findall(r"\n\n(.*)", (ROOT / "params.yaml").read_text())


def test_common_pitfalls_are_warned_of_with_the_option_that_avoids_them(
    adopt: Adopt, capsys: pytest.CaptureFixture[str]
):
    adopt(HOUSES, "--target", "price")
    shown = re.sub(r"explains \d+%", "explains …", capsys.readouterr().out)
    assert [line for line in shown.splitlines() if line.startswith("warning: ")] == [
        "warning: tax: explains … of the target alone; if it is known only afterwards: --drop tax",
        "warning: house: another value in each row; if it names the row: --id house, else --drop house",
        "warning: street: may be personal data; so that no value of it is shown: --private street, or --drop street",
        "warning: built: a date; if the future is to be predicted from the past: --time built",
        "warning: note: another value in each row; if it names the row: --id note, else --drop note",
        "warning: nothing: has no value: --drop nothing",
        "warning: always: has the same value in each row: --drop always",
    ]


def test_pitfalls_that_were_avoided_are_not_warned_of(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    drop = [word for name in ("tax", "note", "nothing", "always") for word in ("--drop", name)]
    adopt(HOUSES, "--target", "price", "--id", "house", "--time", "built", "--private", "street", *drop)
    assert "warning" not in capsys.readouterr().out


def test_free_text_copies_and_an_imbalanced_target_are_warned_of(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    table = pd.DataFrame(
        {
            "id": range(ROWS),
            "x": RNG.normal(size=ROWS),
            "text": ["a word or two"] * 40 + [f"words {n}" for n in range(260)],
        }
    )
    table["y"] = [True] * 12 + [False] * (ROWS - 12)
    table.loc[20:29, ["x", "text"]] = table.loc[10:19, ["x", "text"]].to_numpy()
    project = adopt(table, "--target", "y")
    shown = capsys.readouterr().out
    assert "text: free text; the model takes it as categories: --drop text, or see docs/model.md" in shown
    assert "rows are copies of others in all columns but id" in shown
    assert "96.0% of the rows have the same value" in shown
    assert params(project)["gate"]["metric"] == "average_precision"


def test_the_day_comes_first_in_a_date_with_dots(adopt: Adopt):
    months = range(1, 11)
    table = frame(
        t=[f"01.{month:02}.2020" for month in months] * 20, u=[f"2020.{month:02}.01" for month in months] * 20
    )
    assert params(adopt(table, "--target", "y"))["data"]["read"]["types"] == {"t": "%d.%m.%Y", "u": "%Y.%m.%d"}


def test_leading_zeros_long_numbers_and_types_named_before_stay(adopt: Adopt):
    table = frame(zip=["01234", "1234"] * 50 + ["9"] * 100, code=[17] * 99 + [18] * 101, order=[10**17 + 1] * 200)
    project = adopt(table, "--target", "y")
    assert params(project)["data"]["read"]["types"] == {"zip": "text", "order": "text"}
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("      zip: text\n", "      zip: text\n      code: text\n"))
    commit(project)
    assert params(adopt(table, "--target", "y", "--drop", "x"))["data"]["read"]["types"] == {
        "zip": "text", "order": "text", "code": "text",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["table.csv", "docs/my table [1].csv", "tables/2020.csv", "data[1].csv", "-x.csv", "two\nlines.csv"]
)
def test_a_table_in_the_project_is_copied_and_kept_out_of_git(
    adopt: Adopt, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "project" / name
    file.parent.mkdir(exist_ok=True)
    frame().to_csv(file, index=False)
    given = Path("tables") if name.startswith("tables") else file if name.startswith("-") else Path(name)
    (tmp_path / "project/data1.csv").write_text("")  # which the pattern `data[1].csv` would match
    check("git", "add", "data1.csv", cwd=tmp_path / "project")
    check("git", "commit", "--quiet", "--message", "x", cwd=tmp_path / "project", **IDENTITY)
    project = adopt(given, "--target", "y")
    said = one_line(f"{'tables' if given == Path('tables') else name}: stays where it is, and .gitignore keeps it out")
    assert said in capsys.readouterr().out
    assert file.exists()
    commit(project)
    kept = check("git", "ls-files", "-z", cwd=project).split("\0")
    assert name not in kept
    assert params(project)["data"]["source"] + ".dvc" in kept
    adopt(given, "--target", "y", "--private", "x")
    assert check("git", "status", "--porcelain", "--", ".gitignore", cwd=project) == ""


def test_a_table_that_is_in_git_already_is_named(adopt: Adopt, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    frame().to_csv(tmp_path / "project/table.csv", index=False)
    commit(tmp_path / "project")
    project = adopt(Path("table.csv"), "--target", "y")
    assert "table.csv: is in Git itself; `git rm -r --cached -- table.csv` takes it out" in capsys.readouterr().out
    check("git", "rm", "-r", "--cached", "table.csv", cwd=project)
    adopt(Path("table.csv"), "--target", "y")
    commit(project)
    assert "table.csv" not in check("git", "ls-files", cwd=project).splitlines()


def test_the_largest_number_has_a_range(adopt: Adopt):
    project = adopt(frame(big=([1.7e308, -1.7e308, 0] * 67)[:200]), "--target", "y")
    assert "in_range" in yaml.safe_load((project / "data/schema.yaml").read_text())["table"]["columns"]["big"]


@pytest.mark.parametrize("large", [1e306, 1.79e308])
def test_numbers_that_are_nearly_infinite_meet_the_schema(adopt: Adopt, large: float):
    table = frame(above=[large, 1, 2, 3] * 50, below=[-large, 1, 2, 3] * 50, both=[large, -large, 0, 0, 1] * 40)
    project = adopt(table.assign(infinite=[np.inf, 1] * 100), "--target", "y", "--drop", "infinite")
    check(sys.executable, "-m", "src.stages.ingest", cwd=project)
    check(sys.executable, "-m", "src.stages.validate", cwd=project)


def test_a_table_without_a_header_is_warned_of(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    table = pd.DataFrame(RNG.normal(size=(ROWS, 3)), columns=["5.1", "3.5", "y"])
    adopt(table, "--target", "y")
    assert "5.1 names a column: if the first line is data, put a line of names above" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("classes", "positive", "why"),
    [
        (["yes", "no", "no"], "yes", "it says yes"),
        (["Nein", "Ja", "Ja"], "Ja", "it says yes"),
        ([0, 1, 1], 1, "it says yes"),
        (["right", "left", "right"], "left", "the rarer, with 100 rows of 300"),
    ],
)
def test_the_positive_class_is_shown_with_the_reason(
    adopt: Adopt, capsys: pytest.CaptureFixture[str], classes: list[Any], positive: str | int, why: str
):
    table = pd.DataFrame({"x": RNG.normal(size=300), "y": classes * 100})
    project = adopt(table, "--target", "y")
    assert params(project)["data"]["positive"] == positive
    told = f"positive class: {positive}, {why}; data.positive in params.yaml changes it\n"
    assert told in capsys.readouterr().out
    other = next(value for value in classes if value != positive)
    edit(project, "params.yaml", (f"  positive: {positive}", f"  positive: {other}"))
    adopt(table, "--target", "y")
    assert params(project)["data"]["positive"] == other
    assert f"positive class: {other}, as params.yaml has it" in capsys.readouterr().out


def test_rows_are_split_by_time_or_by_group_if_one_is_named(adopt: Adopt):
    split = params(adopt(HOUSES, "--target", "price", "--time", "built"))["split"]
    assert split == {
        "by": "time",
        "valid_from": "2020-06-29",
        "test_from": "2020-08-28",
        "block": "day",
        "purge": False,
    }
    project = adopt(HOUSES, "--target", "price", "--group", "street")
    assert params(project)["split"]["by"] == "group"
    assert params(project)["data"]["group"] == "street"


@pytest.mark.parametrize(
    ("times", "first", "second"),
    [
        (pd.date_range("2020-01-01 00:07:13", periods=ROWS, freq="3h17min"), "2020-01-25", "2020-02-02"),
        (
            pd.date_range("2020-01-01 00:07:13", periods=ROWS, freq="4min17s"),
            "2020-01-01T12:00:00",
            "2020-01-01T17:00:00",
        ),
        (np.arange(ROWS) * 1.37 + 0.011, 240, 320),
        (1_700_000_000 + np.arange(ROWS) * 61, 1_700_010_000, 1_700_014_000),
        (np.repeat([2010, 2011, 2012, 2013, 2014], ROWS // 5), 2013, 2014),
    ],
)
def test_ten_rows_share_each_moment_of_the_split(adopt: Adopt, times: Any, first: object, second: object):
    project = adopt(HOUSES.drop(columns="built").assign(when=times), "--target", "price", "--time", "when")
    split = params(project)["split"]
    assert (split["valid_from"], split["test_from"]) == (first, second)


def test_a_time_whose_moments_no_ten_rows_share_is_refused(adopt: Adopt):
    table = HOUSES.iloc[:60].assign(when=2.0 ** np.arange(60))
    with pytest.raises(SystemExit, match="--time when: its values are too few or too close"):
        adopt(table, "--target", "price", "--time", "when")


def test_numbers_and_groups_have_no_blocks_of_time(adopt: Adopt):
    numbers = HOUSES.assign(built=range(len(HOUSES)))
    assert params(adopt(numbers, "--target", "price", "--time", "built"))["split"]["block"] is None
    project = adopt(HOUSES, "--target", "price", "--time", "built", "--group", "street", name="b.csv")
    assert params(project)["split"]["block"] is None


def test_rows_without_a_block_to_be_drawn_in_are_warned_of(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    seconds = pd.date_range("2020-01-01", periods=ROWS, freq="s")
    project = adopt(HOUSES.assign(built=seconds), "--target", "price", "--time", "built")
    assert params(project)["split"]["block"] is None
    assert "warning: valid spans too few hours to draw whole ones" in capsys.readouterr().out
    adopt(HOUSES, "--target", "price", "--time", "built", name="b.csv")
    assert "test from 2020-08-28; rows of one day share their chance\n" in capsys.readouterr().out


def test_a_rare_class_is_in_each_half(adopt: Adopt):
    """What adopt accepts, `dvc repro` trains: the halves are drawn until each class is in them."""
    table = pd.DataFrame({"x": RNG.normal(size=ROWS), "y": ["a"] * (ROWS - 10) + ["b"] * 10})
    assert params(adopt(table, "--target", "y"))["split"]["by"] == "random"


def test_adopting_again_with_other_options_changes_only_their_keys(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    project = adopt(HOUSES, "--target", "price", "--drop", "tax")
    check("dvc", "commit", "--force", "data/source/houses.csv.dvc", cwd=project)
    text = (project / "params.yaml").read_text()
    commit(project)
    (project / "params.yaml").write_text(
        text.replace("max_iter: 100", "max_iter: 30")
        .replace("metric: r2", "metric: rmse")
        .replace("r2: 0.01", "rmse: 1")
    )
    assert retrace("problem", cwd=project).returncode == 0  # the page about the problem has these values
    commit(project)
    capsys.readouterr()
    adopt(project.parent / "houses.csv", "--target", "price", "--drop", "tax", "--drop", "always")
    assert "params.yaml: data.drop changed\ndata/schema.yaml: unchanged\n" in capsys.readouterr().out
    assert check("git", "diff", "--stat", cwd=project).splitlines()[0].split("|") == [" params.yaml ", " 1 +"]
    adopt(project.parent / "houses.csv", "--target", "price", "--drop", "tax")  # what it wrote itself may stay
    assert check("git", "status", "--porcelain", cwd=project) == ""


def edit(project: Path, name: str, *changes: tuple[str, str]) -> None:
    """Replace what a file holds, and commit."""
    text = (project / name).read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (project / name).write_text(text)
    commit(project)


def test_an_edited_split_is_kept_and_shown_while_it_suits_the_rows(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    project = adopt(HOUSES, "--target", "price", "--time", "built")
    edit(project, "params.yaml", ("2020-06-29", "2020-05-01"))
    adopt(HOUSES, "--target", "price", "--time", "built", "--drop", "tax")
    assert "split by time: valid from 2020-05-01, test from 2020-08-28" in capsys.readouterr().out
    assert params(project)["split"]["valid_from"] == "2020-05-01"
    commit(project)
    later = HOUSES.assign(built=HOUSES["built"].str.replace("2020", "2024"))
    adopt(later, "--target", "price", "--time", "built", "--drop", "tax")
    assert "split by time: valid from 2024-" in capsys.readouterr().out
    assert params(project)["split"]["valid_from"].startswith("2024-")


def test_ids_are_made_from_every_column_but_the_target_and_a_row_counter(adopt: Adopt):
    table = HOUSES.rename(columns={"house": "Unnamed: 0"}).assign(**{"Unnamed: 0": range(ROWS)})
    project = adopt(table, "--target", "price", "--drop", "tax", "--private", "street", "--time", "built")
    others = ["area", "city", "street", "built", "note", "nothing", "always", "sold", "tax"]
    assert params(project)["data"]["id_columns"] == others
    commit(project)
    assert params(adopt(HOUSES, "--target", "price", "--id", "house"))["data"]["id_columns"] == []


@pytest.mark.slow
def test_ids_stay_when_a_later_version_of_the_table_is_adopted(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    table = HOUSES.drop(columns="house")
    project = adopt(table, "--target", "price")
    before = params(project)["data"]["id_columns"]
    check("dvc", "repro", "prepare", cwd=project)
    ids = read_table(project / "data/prepared.parquet")["row_id"]
    commit(project)
    later = pd.concat([table, table.tail(1).assign(always=None, area="unknown", built="01.01.2022")])
    adopt(later.assign(garden=7), "--target", "price", name="houses-2024.csv")
    assert params(project)["data"]["id_columns"] == before
    check("dvc", "repro", "prepare", cwd=project)
    assert read_table(project / "data/prepared.parquet")["row_id"].tolist()[:-1] == ids.tolist()
    assert "no longer in the table" not in capsys.readouterr().out


def test_an_id_column_that_is_no_longer_in_the_table_is_warned_of(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    project = adopt(HOUSES, "--target", "price")
    commit(project)
    adopt(HOUSES.drop(columns=["note", "always"]), "--target", "price")
    told = "no longer in the table, and row ids were made from it: each row gets another id\n"
    assert f"warning: note: {told}warning: always: {told}" in capsys.readouterr().out
    assert params(project)["data"]["id_columns"] == [*HOUSES.columns.drop(["note", "always", "price"])]


def test_an_option_that_is_not_given_again_is_warned_of(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    words = ("--drop", "tax", "--private", "street", "--id", "house", "--drop", "note")
    project = adopt(HOUSES, "--target", "price", *words)
    shutil.copy(project / "src/datasets/table.py", project / "src/datasets/houses.py")
    edit(project, "params.yaml", ("  set: table\n", "  set: houses\n"))
    adopt(HOUSES, "--target", "price", "--drop", "note")
    told = "warning: given last time, but not now: data.set: houses, --id house, --drop tax, --private street\n"
    assert told in capsys.readouterr().out


def test_another_kind_of_target_gets_its_metrics(adopt: Adopt):
    project = adopt(frame(), "--target", "y")
    commit(project)
    assert params(project)["gate"]["metric"] == "roc_auc"
    adopt(frame(y=["a", "b", "c", "b"] * 50), "--target", "y")
    assert (params(project)["gate"]["metric"], params(project)["data"]["positive"]) == ("log_loss", None)


def test_an_edited_schema_stays_while_the_rows_meet_it(adopt: Adopt):
    table, words = frame(private=["a", None] * 100), ("--target", "y", "--private", "private")
    project = adopt(table, *words)
    schema = yaml.safe_load((project / "data/schema.yaml").read_text())
    schema["table"]["columns"]["x"]["in_range"]["max_value"] = 999
    (project / "data/schema.yaml").write_text(yaml.safe_dump(schema))
    commit(project)
    adopt(table, *words, "--id", "x")
    assert check("git", "diff", "--name-only", cwd=project) == "params.yaml\n"
    schema["table"]["strict"] = False
    del schema["table"]["columns"]["private"]
    (project / "data/schema.yaml").write_text(yaml.safe_dump(schema))
    commit(project)
    adopt(table, *words)
    assert check("git", "diff", "--name-only", cwd=project) == "params.yaml\n"


def test_a_guess_that_was_corrected_is_not_made_again(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    content = "city,x,y\n" + "".join(f"Gdańsk,{n},{n % 2}\n" for n in range(100))
    project = adopt(content.encode("cp1250"), "--target", "y")
    told = "warning: the encoding cp1252 is a guess; if letters look wrong, name another: --encoding NAME"
    assert told in capsys.readouterr().out
    adopt(content.encode("cp1250"), "--target", "y", "--encoding", "cp1250")
    assert params(project)["data"]["read"] == {"encoding": "cp1250"}
    adopt(content.encode("cp1250"), "--target", "y", "--drop", "x")
    assert params(project)["data"]["read"] == {"encoding": "cp1250"}
    assert "is a guess" not in capsys.readouterr().out


def test_a_type_that_was_named_makes_one_table_of_files_that_differ(adopt: Adopt, tmp_path: Path):
    months = tmp_path / "months"
    months.mkdir()
    frame(code="A1").to_csv(months / "1.csv", index=False)
    project = adopt(months, "--target", "y")
    frame(code=7).to_csv(months / "2.csv", index=False)
    commit(project)
    with pytest.raises(SystemExit, match="column code is int64 and string in different files"):
        adopt(months, "--target", "y")
    edit(project, "params.yaml", ("  read: {}\n", "  read: {types: {code: text}}\n"))
    adopt(months, "--target", "y")
    assert params(project)["data"]["read"] == {"types": {"code": "text"}}


def test_a_table_that_dvc_refuses_is_not_left_where_git_would_take_it(adopt: Adopt, started: Path, tmp_path: Path):
    from dvc.repo import Repo

    with (
        Repo(str(tmp_path / "project")).lock,
        pytest.raises(SystemExit, match="`dvc add` fails: Unable to acquire lock"),
    ):
        adopt(HOUSES, "--target", "price")
    assert check("git", "status", "--porcelain", cwd=tmp_path / "project") == ""


def test_a_folder_that_cannot_be_read_does_not_replace_the_present_one(adopt: Adopt, tmp_path: Path):
    months = tmp_path / "months"
    months.mkdir()
    frame().to_csv(months / "1.csv", index=False)
    project = adopt(months, "--target", "y")
    commit(project)
    (months / "no.csv").symlink_to("nowhere")
    with pytest.raises(SystemExit, match=r"months/no.csv: cannot be read: No such file"):
        adopt(months, "--target", "y")
    assert [file.name for file in (project / "data/source/months").iterdir()] == ["1.csv"]
    assert check("git", "status", "--porcelain", cwd=project) == ""


def test_only_the_files_that_were_read_are_copied(adopt: Adopt, tmp_path: Path):
    months, private = tmp_path / "months", tmp_path / "private"
    for folder in (months / "2020", private):
        folder.mkdir(parents=True)
    frame().to_csv(months / "2020/1.csv", index=False)
    frame().to_csv(tmp_path / "elsewhere.csv", index=False)
    (months / "2.csv").symlink_to(tmp_path / "elsewhere.csv")
    (private / "secret.csv").write_text("secret")
    (months / "linked").symlink_to(private)
    (months / ".hidden").write_text("secret")
    project = adopt(months, "--target", "y")
    kept = sorted(
        file.relative_to(project / "data/source/months") for file in project.glob("data/source/months/**/*.*")
    )
    assert kept == [Path("2.csv"), Path("2020/1.csv")]
    cached = [file.read_bytes() for file in (project / ".dvc/cache").rglob("*") if file.is_file()]
    assert not any(b"secret" in content for content in cached)
    (project / "data/source/months/linked").symlink_to(private)
    with pytest.raises(SystemExit, match="months/linked: is not read as part of the table, but DVC would store it"):
        adopt(Path("data/source/months"), "--target", "y")


def test_the_pointer_of_another_table_is_named(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    adopt(HOUSES, "--target", "price")
    adopt(HOUSES, "--target", "price", name="better.csv")
    assert (
        "data/source/houses.csv.dvc: the pointer of another table; if it is not needed, `dvc remove"
        in capsys.readouterr().out
    )


def test_the_given_file_may_be_the_projects_own_copy(adopt: Adopt):
    project = adopt(HOUSES, "--target", "price")
    commit(project)
    HOUSES.iloc[:200].to_csv(project / "data/source/houses.csv", index=False)
    adopt(Path("data/source/houses.csv"), "--target", "price")
    assert len(pd.read_csv(project / "data/source/houses.csv")) == 200
    assert " M data/source/houses.csv.dvc\n" in check("git", "status", "--porcelain", cwd=project)


ODD = ['a "quoted" name', "$HOME ${data.set}", "{{ jinja }}", "two\nlines", "größe", "城市", "a: b # c", " padded "]


@pytest.mark.slow
def test_names_may_hold_anything(adopt: Adopt, tmp_path: Path):
    table = pd.DataFrame({name: RNG.normal(size=100).round(3) for name in ODD})
    table["$y: {{ target }}\n'"] = table[ODD[0]] + RNG.normal(size=100).round(3)
    table["@team"] = RNG.choice(["| a", "<b>"], 100)
    file = tmp_path / "my 'odd' $file {{ (1).csv"
    table.to_csv(file, index=False)
    project = adopt(file, "--target", table.columns[-2], "--drop", ODD[3], "--private", ODD[0])
    data = read_params().data
    assert (data.target, data.drop, data.private) == (table.columns[-2], [ODD[3]], [ODD[0]])
    assert data.source == "data/source/my-odd-file-1.csv"
    check("dvc", "repro", cwd=project)
    assert read_results(FOLDER)
    assert "params.yaml" not in check("dvc", "status", cwd=project)
    report = check(sys.executable, "-m", "retrace", "report", cwd=project)
    assert "First results: `r2`" in report


Y = {"y": [0, 1] * 100}
X = {"x": range(200)}


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(X | Y | columns)


@pytest.mark.parametrize(
    ("table", "words", "line"),
    [
        (Path("none.csv"), ["--target", "y"], "none.csv: no such file"),
        (Path("data/nothing"), ["--target", "y"], "no such file"),
        (Path("x" * 300), ["--target", "y"], "x" * 300 + ": "),
        (Path("/proc/self/mem"), ["--target", "y"], "/proc/self/mem: cannot be read: Input/output error"),
        (Path("data/source"), ["--target", "y"], "data/source: the folder of all tables; name one of them"),
        (Path("data"), ["--target", "y"], "data: holds the project itself; name a table"),
        (Path(), ["--target", "y"], ".: holds the project itself; name a table"),
        (b"", ["--target", "y"], "houses.csv: empty"),
        (b"x,y\n", ["--target", "y"], "only a header"),
        (b"x,y\n1,2\n3\n", ["--target", "y"], "row 2 (line 3 of the file) has more or fewer cells"),
        (b'x,y\n1,2\n"3,4\n', ["--target", "y"], "the quote that opens in line 3 is never closed"),
        (b"PK\x03\x04", ["--target", "y"], "a spreadsheet or an archive"),
        (b"\x00\x01\x02", ["--target", "y"], "binary"),
        (b"x,x,y\n1,2,3\n", ["--target", "y"], "the column x is duplicated"),
        (frame(), ["--target", "z"], "--target z: {} has no such column; the nearest is "),
        (frame(price=1), ["--target", "prize"], "--target prize: {} has no such column; the nearest is price"),
        (frame(), ["--target", "y", "--drop", "q"], "--drop q: {} has no such column"),
        (frame(), ["--target", "y", "--drop", "y"], "--drop y: the column is --target already"),
        (frame(), ["--target", "y", "--id", "x", "--time", "x"], "--id x: the column is --time already"),
        (frame(), ["--target", "y", "--drop", "x", "--drop", "x"], "--drop x: named twice"),
        (frame(), ["--target", "y", "--private", "x", "--private", "x"], "--private x: named twice"),
        (frame(), ["--target", "y", "--drop", "x"], "no column is left to learn from; see --drop"),
        (frame(y=range(200)), ["--target", "y"], "column x: says the same as the target; leave it out: --drop x"),
        (frame(**{"t (UTC)": ["2020-01-01", "2020-02-01"] * 100}), ["--target", "y"], "leave it out: --drop 't (UTC)'"),
        (frame(z=np.nan), ["--target", "z"], "column z: has no value"),
        (frame(z=3), ["--target", "z"], "column z: has the same value in each row"),
        (frame(z=["2020-01-01", "2020-01-02"] * 100), ["--target", "z"], "column z: a date, which can't be predicted"),
        (frame(z=[np.inf, *np.arange(199)]), ["--target", "z"], "column z: some values are infinite"),
        (frame(z=[f"text {n}" for n in range(200)]), ["--target", "z"], "200 values in 200 rows: free text or an id"),
        (frame(z=[f"{n}.5 kg" for n in range(200)]), ["--target", "z"], "column z: numbers written as text, such as"),
        (frame(), ["--target", "x", "--task", "classification"], "200 values in 200 rows: measurements or an id"),
        (frame(z=["a", "b"] * 100), ["--target", "z", "--task", "regression"], "not numbers, which regression needs"),
        (frame(z=[0.5, 1.5] * 100), ["--target", "z", "--task", "classification"], "fractions aren't classes"),
        (frame().iloc[:49], ["--target", "y"], "49 rows with a target, and 50 are the least"),
        (frame(y=["a"] * 198 + ["b"] * 2), ["--target", "y"], "column y: a class has 2 rows, and 10 are the least"),
        (frame(t=["2020-01-01"] * 199 + ["soon"]), ["--target", "y", "--time", "t"], "dates, but 'soon' in row 200 is"),
        (frame(t=[1] * 99 + [2] * 101), ["--target", "y", "--time", "t"], "--time t: 2 different times"),
        (frame(), ["--target", "y", "--time", "x", "--private", "x"], "--private x: --time splits by its values"),
        (frame(), ["--target", "y", "--private", "y"], "--private y: the classes of the target are named"),
        (frame(**{"d": ["2020-01-01", "2020-02-01"] * 100, "d (month)": 1}), ["--target", "y"], "column d (month): is"),
        (frame(**{"a\nb": 3}), ["--target", "y", "--drop", "a\nb", "--drop", "a\nb"], "--drop a\\nb: named twice"),
        (frame(g="a"), ["--target", "y", "--group", "g"], "--group g: the whole table is one group"),
        (frame(g=["a", "b"] * 100), ["--target", "y", "--group", "g"], "too few rows, times or groups to split"),
        (frame(i=[1, 1] * 100), ["--target", "y", "--id", "i"], "column i: 199 ids are repeated; name another in --id"),
        (frame(t=[None, *[2] * 199]), ["--target", "y", "--time", "t"], "column t: 1 values are missing; --time"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_in_one_line_and_change_nothing(
    adopt: Adopt, table: pd.DataFrame | bytes | Path, words: list[str], line: str, tmp_path: Path
):
    assert line.format(tmp_path / "houses.csv") in refusal(adopt, table, *words)


def refusal(adopt: Adopt, table: pd.DataFrame | bytes | Path, *words: str) -> str:
    """The one line with which a table is refused; the tree is as it was."""
    before = snapshot(Path())
    with pytest.raises(SystemExit) as error:
        adopt(table, *words)
    message = str(error.value)
    assert "\n" not in message
    assert snapshot(Path()) == before
    return message


def test_a_link_to_itself_is_refused_in_one_line(adopt: Adopt, tmp_path: Path):
    link = tmp_path / "loop.csv"
    link.symlink_to(link)
    assert refusal(adopt, link, "--target", "y") == f"{link}: a link that leads nowhere"


def test_an_encoding_must_exist(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(["x.csv", "--target", "y", "--encoding", "rot13"])
    assert "rot13: not an encoding of Python's, such as utf-8 or cp1252" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("months/.hidden", b"", "a folder without tables"),
        ("letter.csv", b"Dear Ada\nthis is no table\n", "not a table, or one of a single column"),
        ("cut.csv.gz", gzip.compress(b"x,y\n" + RNG.bytes(9999))[:999], "cut short, or not gzip"),
        ("cut.parquet", b"PAR1\x15\x04", "not a complete table of the kind that its name says"),
        ("cut.jsonl", b'{"x": 1, "y": 2}\n{"x": 1, "y"', "line 2 is not valid JSON; is the file complete?"),
        ("sheet.xlsx", b"PK\x03\x04", "a spreadsheet or an archive; open it and save the table as CSV"),
        ("table.pickle", b"x,y\n1,2\n", "not a table that can be read; .csv, .tsv, .parquet or .jsonl, please"),
    ],
)
def test_a_file_that_is_not_a_whole_table_is_refused_in_one_line_and_changes_nothing(
    adopt: Adopt, tmp_path: Path, name: str, content: bytes, line: str
):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    given = file if file.parent == tmp_path else file.parent
    assert line in refusal(adopt, given, "--target", "y")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("README.md", "changed since the last commit; `git commit` or `git stash` first"),
        ("new.txt", "not in Git; commit"),
    ],
)
def test_an_unclean_tree_is_refused(adopt: Adopt, tmp_path: Path, name: str, line: str):
    (tmp_path / "project" / name).write_text("changed")
    with pytest.raises(SystemExit, match=f"{name}: {line}"):
        adopt(HOUSES, "--target", "price")


@pytest.mark.slow
def test_a_folder_grows_by_a_file(adopt: Adopt, tmp_path: Path):
    months = tmp_path / "months"
    months.mkdir()
    HOUSES.iloc[:150].to_csv(months / "1.csv", index=False)
    HOUSES.iloc[150:250].to_csv(months / "2.csv", index=False)
    project = adopt(months, "--target", "price", "--id", "house", "--drop", "tax")
    commit(project)
    check("dvc", "repro", "split", cwd=project)
    assert len(read_table(project / "data/prepared.parquet")) == 250
    HOUSES.iloc[250:].to_csv(project / "data/source/months/3.csv", index=False)
    check("dvc", "repro", "split", cwd=project)
    assert len(read_table(project / "data/prepared.parquet")) == ROWS


@pytest.mark.slow
def test_the_report_counts_the_rows_that_a_new_file_adds(adopt: Adopt, tmp_path: Path):
    months = tmp_path / "months"
    months.mkdir()
    HOUSES.iloc[:250].to_csv(months / "1.csv", index=False)
    project = adopt(months, "--target", "price", "--id", "house", "--drop", "tax")
    commit(project)
    check("dvc", "repro", cwd=project)
    commit(project)
    HOUSES.iloc[250:].to_csv(project / "data/source/months/2.csv", index=False)
    check("dvc", "repro", cwd=project)
    in_test = "11 of them in `test`, which is held out: nothing here was scored on it"
    told = f"50 added ({in_test}), 0 removed, 0 with other values, 0 moved"
    assert f"250 rows → 300: {told} between train, valid and test." in report_of(project)


def report_of(project: Path) -> str:
    check(sys.executable, "-m", "retrace", "report", "--base", "HEAD", cwd=project)
    return (project / "report.md").read_text()


@pytest.mark.slow
def test_a_table_without_signal_fails_at_the_gate_only(adopt: Adopt):
    table = pd.DataFrame({"a": RNG.normal(size=200), "b": RNG.choice(list("xyz"), 200), "y": RNG.choice([0, 1], 200)})
    project = adopt(table, "--target", "y")
    check("dvc", "repro", cwd=project)
    done = run(sys.executable, "-m", "retrace", "gate", cwd=project)
    assert done.returncode == 1
    assert "FAIL  roc_auc better than baseline prior" in done.stdout


def test_the_command_reports_a_mistake_in_one_line(started: Path):
    done = run(sys.executable, "-m", "retrace", "adopt", "none.csv", "--target", "y", cwd=started)
    assert (done.returncode, done.stderr, done.stdout) == (1, "none.csv: no such file\n", "")


def test_a_pipe_and_a_file_that_cannot_be_opened_are_one_line(adopt: Adopt, tmp_path: Path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("pipe.csv", "/dev/null"):
        assert "not a regular file but a pipe or a device" in refusal(adopt, tmp_path / name, "--target", "y")
    frame().to_csv(tmp_path / "unreadable.csv", index=False)

    usual = Path.open

    def refuse(file: Path, *words: Any, **more: Any) -> Any:
        if file.name == "unreadable.csv":
            raise PermissionError(errno.EACCES, "Permission denied")  # which root never meets
        return usual(file, *words, **more)

    monkeypatch.setattr(Path, "open", refuse)
    assert f"{tmp_path}/unreadable.csv: cannot be read: Permission denied" in refusal(
        adopt, tmp_path / "unreadable.csv", "--target", "y"
    )


def test_a_saved_index_is_left_out_in_any_order(adopt: Adopt):
    table = frame(z=RNG.normal(size=200)).sample(frac=1, random_state=1)
    table.to_csv("../a.csv")
    assert params(adopt(Path("../a.csv"), "--target", "y"))["data"]["drop"] == ["Unnamed: 0"]
    table.head(150).to_csv("../b.csv")
    assert params(adopt(Path("../b.csv"), "--target", "y"))["data"]["drop"] == ["Unnamed: 0"]


def test_an_index_in_parquet_is_left_out(adopt: Adopt):
    frame(z=RNG.normal(size=200)).sample(frac=1, random_state=1).to_parquet("../a.parquet")
    assert params(adopt(Path("../a.parquet"), "--target", "y"))["data"]["drop"] == ["__index_level_0__"]


def test_few_different_rows_are_warned_of(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    table = pd.DataFrame({"x": range(1000), "place": list("abcdefghij") * 100, "y": RNG.choice([0, 1], 1000)})
    adopt(table.drop(columns="x"), "--target", "y")
    assert "warning: only 10 rows differ, and equal ones stay in one part" in capsys.readouterr().out
    adopt(table, "--target", "y", "--id", "x", name="b.csv")
    assert "rows differ, and" not in capsys.readouterr().out


def test_alternating_classes_in_a_long_table_are_sampled_fairly(adopt: Adopt, capsys: pytest.CaptureFixture[str]):
    rows = 100_002  # of which every second or third was looked at before
    table = pd.DataFrame({"x": RNG.normal(size=rows).round(3), "same": [0, 1] * (rows // 2), "y": [0, 1] * (rows // 2)})
    table.loc[0, "same"] = 1
    adopt(table, "--target", "y")
    assert "same: explains 100% of the target alone" in capsys.readouterr().out


def test_options_of_reading_are_kept_in_the_parameters_and_used_by_the_stages(adopt: Adopt):
    content = "Sales 2020\nmonth;weight;y\n" + "".join(
        f"0{n % 9 + 1}/01/2020;{n % 70 + 1},5 kg;{n % 2}\n" for n in range(200)
    )
    words = ("--dayfirst", "--type", "weight=number", "--missing", "8", "--skip-footer", "1", "--strip")
    project = adopt((content + "Total;;99\n").encode(), "--target", "y", *words)
    read = params(project)["data"]["read"]
    assert read == {
        "separator": ";", "skip_rows": 1, "decimal": ",", "types": {"month": "%d/%m/%Y", "weight": "number"},
        "missing": ["8"], "skip_footer": 1, "strip": True,
    }  # fmt: skip
    check(sys.executable, "-m", "src.stages.ingest", cwd=project)
    raw = read_table(project / "data/raw/table.parquet")
    assert raw["month"].dt.day.tolist()[:3] == [1, 2, 3]
    assert raw["weight"].tolist()[:2] == [1.5, 2.5]
    assert len(raw) == 200


def test_help_names_all_options(started: Path):
    done = run(sys.executable, "-m", "retrace", "adopt", "--help", cwd=started)
    assert done.returncode == 0
    assert {"--decimal", "--thousands", "--dayfirst", "--monthfirst", "--type", "--missing"} <= set(
        re.findall(r"--\w+", done.stdout)
    )
