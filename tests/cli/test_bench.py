"""`trase bench` in the words that a person types: what is wrong is said before any work."""

import re

import pytest

from trase_ns import cli
from trase_ns.bench.jobs import Outcome
from trase_ns.bench.plan import Plan
from trase_ns.bench.scenes import BenchScene
from trase_ns.cli.bench import Progress, show


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--methods trase trace", "--methods: no method is called 'trace'"),
        ("--methods", "--methods: name at least one method"),
        ("--scenes", "--scenes: name at least one folder"),
        ("--scenes nowhere", "--scenes: there is no folder nowhere"),
        ("--runs", "--runs: name the config.yml of at least one run"),
        ("--suite slow", "no scene of the suite is called 'slow': choose from fast"),
        ("--scenes a --runs b", "--scenes and --runs exclude each other"),
        ("--runs b --preset motion", "--preset is of trainings"),
        ("--benchmark b", "--benchmark goes with --scenes or --runs"),
        ("--workers 2", "--workers goes with --ray local"),
        ("--ray local --workers 0", "--workers 0: use a number of at least 1"),
        ("--steps 0", "--steps 0: use a number of at least 1"),
        ("--threads 0", "--threads 0: use a number of at least 1"),
        ("--seed -1", "--seed -1: use a number of at least 0"),
        ("--dgd-weights w", "--dgd-weights goes with --dgd-model"),
        ("--dgd-maps m --dgd-model clip", "--dgd-maps and --dgd-model exclude each other"),
        ("--preset fast", "--preset fast: there are cpu, cuda, motion and rig"),
    ],
)
def test_wrong_options(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", str(tmp_path / "out"), *words.split()])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.json"))


def test_a_folder_that_is_a_file(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        cli.main(["bench", str(tmp_path / "file")])
    assert "file is a file: name a folder for the benchmark" in " ".join(capsys.readouterr().err.split())


def test_every_option_is_explained(capsys):
    with pytest.raises(SystemExit):
        cli.main(["bench", "--help"])
    said = capsys.readouterr().out
    for option in ("--methods", "--scenes", "--runs", "--seed", "--ray", "--training", "--dgd-maps", "--keep-runs"):
        assert option in said
    assert "trase-uplift" in said


def test_progress_is_a_line_for_each_job_with_what_is_left(tmp_path, data_set_folder, capsys):
    scene = BenchScene("a", data_set_folder, data_set_folder)
    plan = Plan(tmp_path, (scene,), ("trase", "trase-cgc"))
    progress = Progress(plan)
    jobs = {job.name: job for job in plan.jobs(scene)}
    progress.report(scene, jobs["geometry"], Outcome({"seconds": 100.0}))
    progress.report(scene, jobs["pictures"], Outcome({"seconds": 60.0, "psnr": 31.23}))
    progress.report(scene, jobs["trase"], Outcome({"seconds": 5.0, "miou": 0.91234}, again=True))
    progress.report(scene, jobs["trase-cgc"], Outcome(error="no masks. Make them."))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "1/4 a, geometry: 100 s; about 5 min of work left",
        "2/4 a, pictures: 60 s, PSNR 31.2 dB; about 2 min of work left",
        "3/4 a, trase: done before, mIoU 0.912; about 1 min of work left",
        "4/4 a, trase-cgc: failed: no masks. Make them.",
    ]


@pytest.fixture
def data_set_folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_the_scores_are_shown_with_the_best_in_bold(capsys):
    scores = {"miou": 0.9, "macc": 0.99, "mbiou": 0.5, "flicker": 0.1, "floaters": None}
    means = {"scenes": 1, **scores, "costs": {"click_ms": 5.0}}
    entry = {"error": None}
    results = {"methods": {"trase": "", "trase-cgc": ""}, "scenes": [{"methods": {"trase": entry, "trase-cgc": entry}}]}
    show({**results, "means": {"trase": means, "trase-cgc": {**means, "miou": 0.8}}})
    said = capsys.readouterr().err
    assert re.search(r"trase\W+0\.900\W+0\.990\W+0\.500\W+0\.100\W+–", said)
    assert "[bold]" not in said
