"""ns-train trase and Nerfstudio's other commands, as a user runs them."""

import json
import shutil

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def history(config):
    return [json.loads(line) for line in (config.parent / "history.jsonl").read_text().splitlines()]


def test_a_run_goes_through_all_stages(tiny_run):
    lines = history(tiny_run)
    names = list(dict.fromkeys(line["stage"] for line in lines))
    assert [name.split()[0].strip(",") for name in names] == ["warm-up", "geometry", "geometry", "features"]
    assert lines[-1]["step"] == 359
    psnr = [line["psnr"] for line in lines if "psnr" in line]
    assert sum(psnr[-5:]) / 5 > sum(psnr[:5]) / 5 + 2  # single frames differ too much to compare
    assert lines[-1]["gaussians"] > 0
    features = [line for line in lines if line["stage"] == "features"]
    assert features[-1]["loss"] < features[0]["loss"]


def test_folders_hold_only_what_is_whole(tiny_run):
    models = tiny_run.parent / "nerfstudio_models"
    assert [path.name for path in models.iterdir()] == ["step-000000359.ckpt"]
    assert not any((tiny_run.parent / ".checkpoint").iterdir())


def test_objects_are_in_the_checkpoint(tiny_run):
    from trase_ns.plugin.run import load_run

    run = load_run(tiny_run)
    assert run.segmentation is not None
    assert len(run.segmentation) >= 2
    assert len(run.segmentation.labels) == len(run.scene)


def test_help_shows_the_schedule(command):
    shown = command("ns-train", "trase", "--help").stdout
    for option in (
        "warmup-steps",
        "geometry-steps",
        "densify-until",
        "feature-steps",
        "opacity-reset-every",
        "time-noise",
    ):
        assert f"--pipeline.model.{option}" in shown
    assert "--pipeline.datamanager.dataparser.time-from-order" in shown


def test_ns_eval(tiny_run, command, tmp_path):
    command("ns-eval", "--load-config", tiny_run, "--output-path", tmp_path / "eval.json")
    results = json.loads((tmp_path / "eval.json").read_text())["results"]
    assert 12 < results["psnr"] < 60
    assert 0 < results["ssim"] <= 1


def test_ns_render(tiny_run, command, tmp_path):
    names = ["rgb", "segments", "selection", "depth"]
    command(
        "ns-render", "dataset", "--load-config", tiny_run, "--output-path", tmp_path, "--split", "test",
        "--rendered-output-names", *names, "--image-format", "png",
    )  # fmt: skip
    for name in names:
        assert len(list((tmp_path / "test" / name).iterdir())) == 6


def test_ns_render_video(tiny_run, command, tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    video = tmp_path / "video.mp4"
    command(
        "ns-render", "interpolate", "--load-config", tiny_run, "--output-path", video, "--interpolation-steps", 2,
        "--pose-source", "eval",
    )  # fmt: skip
    assert video.stat().st_size > 1000


def test_ns_export(tiny_run, command, tmp_path):
    from plyfile import PlyData

    from trase_ns.plugin.run import load_run

    command("ns-export", "gaussian-splat", "--load-config", tiny_run, "--output-dir", tmp_path)
    vertices = PlyData.read(tmp_path / "splat.ply")["vertex"]
    scene = load_run(tiny_run).scene
    assert len(vertices) == int((scene.logit_opacities >= -5.5373).sum())
    assert np.isin(np.asarray(vertices["f_dc_0"]), scene.sh0[:, 0].numpy()).all()


@pytest.mark.parametrize("stop", [30, 120, 250, 330])  # one in each stage
def test_resume_reaches_the_last_step(tiny_scene, tiny_training, command, tmp_path, stop):
    common = ["trase", "--data", tiny_scene, "--output-dir", tmp_path, "--experiment-name", "resumed", *tiny_training]
    command("ns-train", *common, "--timestamp", "first", "--max-num-iterations", stop)
    first = tmp_path / "resumed" / "trase" / "first"
    assert [path.name for path in (first / "nerfstudio_models").iterdir()] == [f"step-{stop - 1:09d}.ckpt"]
    shown = command("ns-train", *common, "--timestamp", "second", "--load-dir", first / "nerfstudio_models").stdout
    assert f"going on after step {stop - 1}" in shown.replace("\n", "")
    second = tmp_path / "resumed" / "trase" / "second"
    lines = history(second / "config.yml")
    assert lines[0]["step"] >= stop
    assert lines[-1]["step"] == 359
    before = history(first / "config.yml")[-1]
    assert lines[0]["gaussians"] == pytest.approx(before["gaussians"], rel=0.5)
    if "psnr" in lines[0]:
        assert lines[0]["psnr"] > before["psnr"] - 6  # resumed where it was, not from the start
    assert (second / "nerfstudio_models" / "step-000000359.ckpt").is_file()
