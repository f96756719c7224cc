import shutil

import pytest
from safetensors.torch import load_file
from small_vgg import small_vgg  # noqa: F401 - fixture

from trase_ns import cli
from trase_ns.cli.maps import main as maps_main
from trase_ns.errors import UserError


def test_maps_of_a_data_set(tiny_scene, small_vgg, tmp_path, capsys):  # noqa: F811
    data = shutil.copytree(tiny_scene, tmp_path / "data")
    command = ["maps", "--data", str(data), "--model", "vgg16", "--weights", str(small_vgg), "--layers", "conv2_1"]
    command += ["--device", "cpu", "--frames"]
    names = sorted(path.stem for path in (data / "images").glob("train*"))[:3]
    cli.main([*command, *names[:2]])
    said = " ".join(capsys.readouterr().err.split())
    assert f"2 maps of 48 x 36 features, 1 MB, in {data / 'maps-vgg16'}" in said
    assert load_file(data / "maps-vgg16" / f"{names[0]}.safetensors")["features"].shape == (36, 48, 128)
    cli.main([*command, *names])
    assert "2 of 3 frames were done already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either a data set with --data DIR or a run"),
        ({"data": "x", "load_config": "y"}, "either a data set"),
        ({"load_config": "y", "rgb_scale": 2}, "--rgb-scale and --moments go with --data"),
        ({"data": "x", "model": "clip", "layers": ("conv1_1",)}, "--layers is an option of vgg16, not of clip"),
        ({"data": "x"}, "the data set x does not exist"),
        ({"load_config": "y"}, "there is no run at y"),
    ],
)
def test_wrong_options(options, message, tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    paths = {name: Path(value) if name in ("data", "load_config") else value for name, value in options.items()}
    with pytest.raises(UserError, match=message):
        maps_main(**{"model": "vgg16", **paths})


def test_a_missing_frame_and_weights_are_named(tiny_scene, tmp_path, capsys):
    command = ["maps", "--data", str(tiny_scene), "--model", "dinov2", "--output", str(tmp_path)]
    for words, message in (
        (["--frames", "nothing"], "nothing"),
        (["--weights", str(tmp_path / "nowhere")], "is no folder"),
        (["--weights", "nobody-has/this"], "not on this machine: add --download"),
    ):
        with pytest.raises(SystemExit):
            cli.main([*command, *words])
        said = " ".join(capsys.readouterr().err.split())
        assert message in said
        assert "Traceback" not in said
