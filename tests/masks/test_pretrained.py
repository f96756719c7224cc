import contextlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from trase_ns.errors import UserError
from trase_ns.masks.detection import load_detector


@pytest.fixture
def folder(tiny_networks, tmp_path):
    """A copy of OWLv2's folder, to damage."""
    return shutil.copytree(tiny_networks["owlv2"], tmp_path / "owlv2")


def load(folder):
    with pytest.raises(UserError) as caught:
        load_detector("owlv2", folder)
    message = str(caught.value)
    assert "\n" not in message
    assert folder.name in message
    return message


def test_folders_that_hold_something_else(tiny_networks, tmp_path):
    assert "is no folder" in load(tmp_path / "nowhere")
    assert "of type clip, not owlv2" in load(tiny_networks["clip"])
    (tmp_path / "empty").mkdir()
    assert "correct --text-checkpoint" in load(tmp_path / "empty")


def test_damaged_weights(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "correct --text-checkpoint" in load(folder)


def test_weights_of_other_sizes(folder):
    config = json.loads((folder / "config.json").read_text())
    config["projection_dim"] = 12
    (folder / "config.json").write_text(json.dumps(config))
    assert "correct --text-checkpoint" in load(folder)


def test_pickles_are_not_read(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "no file named model.safetensors" in load(folder)


def test_code_in_a_folder_is_not_run(folder):
    """A folder may name Python files for its classes: transformers' own are taken all the same."""
    mark = folder / "ran"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
    for name, key in (("config.json", "AutoConfig"), ("processor_config.json", "AutoProcessor")):
        content = json.loads((folder / name).read_text())
        content["auto_map"] = {key: "evil.Evil", "AutoModelForZeroShotObjectDetection": "evil.Evil"}
        (folder / name).write_text(json.dumps(content))
    with contextlib.suppress(UserError):
        load_detector("owlv2", folder)
    assert not mark.exists()


def test_weights_that_lack_tensors_are_reported(folder, capsys):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    lost = [name for name in state if name.startswith("box_head")]
    assert lost
    save_file({k: v for k, v in state.items() if k not in lost}, folder / "model.safetensors", {"format": "pt"})
    load_detector("owlv2", folder)
    assert f"lacks {len(lost)} tensors" in " ".join(capsys.readouterr().err.split())


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'trase_ns\[text\]'"):
        load_detector("owlv2")


@pytest.mark.slow
def test_without_network_the_message_says_what_to_download(tmp_path):
    """The cache of huggingface_hub is chosen when it is imported: another process."""
    pytest.importorskip("transformers")
    program = "from trase_ns.masks.clip import load_clip; load_clip()"
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert "UserError: cannot load openai/clip-vit-large-patch14" in last
    assert "hf download openai/clip-vit-large-patch14 --local-dir FOLDER" in last
