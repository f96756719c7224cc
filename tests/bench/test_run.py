"""The benchmark's folder: what is written into it, and who may."""

import json

import pytest
from filelock import FileLock

from trase_ns.bench.plan import Plan
from trase_ns.bench.run import make_folder, run_bench, write_results
from trase_ns.bench.tables import csv_text, latex, markdown, tables
from trase_ns.errors import UserError


def test_all_results_are_written(results, tmp_path):
    write_results(results, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert (tmp_path / "results.csv").read_text() == csv_text(results)
    assert (tmp_path / "results.tex").read_text() == latex(tables(results))
    page = (tmp_path / "results.md").read_text()
    assert page.startswith("# Benchmark\n\na machine; seed 3.\n")
    assert page.endswith(markdown(tables(results)))
    assert (tmp_path / "pictures" / "miou.png").is_file()
    assert (tmp_path / "pictures" / "box_1" / "lid.jpg").is_file()


def test_a_folder_that_is_a_file_or_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is a file: name a folder"):
        make_folder(tmp_path / "file")
    with pytest.raises(UserError, match="cannot make the folder"):
        make_folder(tmp_path / "file" / "inside")


def test_two_benchmarks_do_not_work_in_one_folder(tmp_path):
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(UserError, match="another `trase bench` works in"),
    ):
        run_bench(Plan(tmp_path, (), ("trase",)), lambda *_: None)
