"""Wrong data for ns-train trase: one message that names the file or frame and what to do, and no traceback."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from trase_ns.errors import UserError


@pytest.fixture
def data(tiny_scene, tmp_path):
    """A copy of the small data set, free to be damaged."""
    return Path(shutil.copytree(tiny_scene, tmp_path / "data"))


def manager(data):
    """The data manager as ns-train makes it."""
    from trase_ns.plugin.datamanager import TraseDataManagerConfig

    return TraseDataManagerConfig(data=data).setup(device="cpu")


def read_all(data):
    """Read every training frame, as a training would."""
    found = manager(data)
    for _ in range(len(found.train_dataset)):
        found.next_train(0)


def edit(data, change):
    path = data / "transforms.json"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))


def train_image(data):
    """File of the first training picture."""
    return data / json.loads((data / "transforms.json").read_text())["train_filenames"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: [f.pop("time") for f in m["frames"]], "time"),
        (lambda m: m["frames"][3].update(time=1.5), "time"),
        (lambda m: m["frames"][3].update(time=float("nan")), "time"),
        (lambda m: m["frames"][3]["transform_matrix"][0].__setitem__(0, float("nan")), "transform_matrix|pose"),
        (lambda m: m["frames"][3]["transform_matrix"][0].__setitem__(0, 7.0), "rigid|rotation"),
        (lambda m: m["frames"][3].update(file_path="images/nothing.png"), "nothing.png"),
        (lambda m: m.update(frames=[]), "frame"),
        (lambda m: m.update(w=50), "50"),
    ],
)
def test_wrong_transforms(data, change, message):
    edit(data, change)
    with pytest.raises(UserError, match=message):
        manager(data)


def test_truncated_picture_is_named(data):
    picture = train_image(data)
    picture.write_bytes(picture.read_bytes()[:200])
    with pytest.raises(UserError, match=picture.name):
        read_all(data)


def test_truncated_masks_are_named(data):
    masks = data / "masks" / f"{train_image(data).stem}.json"
    masks.write_text(masks.read_text()[:100])
    with pytest.raises(UserError, match=masks.name):
        read_all(data)


def test_masks_of_another_size_are_named(data):
    masks = data / "masks" / f"{train_image(data).stem}.json"
    entries = json.loads(masks.read_text())
    for entry in entries:
        entry["segmentation"]["size"] = [50, 50]
    masks.write_text(json.dumps(entries))
    with pytest.raises(UserError, match=masks.stem):
        read_all(data)


def test_no_masks_names_the_command(data):
    shutil.rmtree(data / "masks")
    with pytest.raises(UserError, match="trase masks --data"):
        manager(data).require_masks()


def test_a_frame_without_masks_is_reported_and_served(data, capsys):
    (data / "masks" / f"{train_image(data).stem}.json").unlink()
    found = manager(data)
    found.require_masks()
    assert "1 of 24 training frames have no masks" in capsys.readouterr().err.replace("\n", " ")
    batches = [found.next_train(0)[1] for _ in range(24)]
    assert sum(batch["mask_set"] is None for batch in batches) == 1


@pytest.mark.slow
def test_ns_train_prints_one_message(data, command, tmp_path):
    shutil.rmtree(data / "masks")
    shown = command("ns-train", "trase", "--data", data, "--output-dir", tmp_path, "--vis=tensorboard", fails=True)
    assert "error: no masks" in shown.stdout
    assert "Traceback" not in shown.stdout


@pytest.mark.slow
def test_output_folder_that_cannot_be_written(data, command):
    shown = command(
        "ns-train", "trase", "--data", data, "--output-dir", "/proc/nothing", "--vis=tensorboard", fails=True
    )
    assert "error: cannot write /proc/nothing" in shown.stdout
    assert "Traceback" not in shown.stdout


@pytest.mark.slow
def test_full_disk_leaves_no_half_checkpoint(data, tiny_training, command, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk]).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        shown = command("ns-train", "trase", "--data", data, "--output-dir", disk, *tiny_training, fails=True)
        assert "error: cannot write" in shown.stdout
        assert not list(disk.rglob("*.ckpt"))
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
def test_a_run_of_another_method_is_refused(command, tmp_path):
    from nerfstudio.configs.method_configs import all_methods

    config = all_methods["splatfacto"]
    config.output_dir, config.experiment_name, config.timestamp = tmp_path, "other", "now"
    config.save_config()
    path = config.get_base_dir() / "config.yml"
    shown = command("trase", "cluster", "--load-config", path, fails=True)
    assert "splatfacto" in shown.stdout
    assert "Traceback" not in shown.stdout
