"""The trainer's own rules: where servers listen, how schedules follow the stages, where paths point."""

from copy import deepcopy
from pathlib import Path

import yaml
from nerfstudio.configs.base_config import ViewerConfig

from trase_ns.plugin.method import trase


def config():
    return deepcopy(trase.config)


def test_viewers_listen_on_this_machine_only(monkeypatch):
    made = config()
    assert made.viewer.websocket_host == "127.0.0.1"
    monkeypatch.setattr("sys.argv", ["ns-viewer", "--load-config", "config.yml"])
    made.viewer = ViewerConfig()  # as ns-viewer does; Nerfstudio's default is all addresses
    assert made.viewer.websocket_host == "127.0.0.1"


def test_viewers_listen_where_they_are_told(monkeypatch):
    made = config()
    monkeypatch.setattr("sys.argv", ["ns-viewer", "--viewer.websocket-host", "0.0.0.0"])
    made.viewer = ViewerConfig(websocket_host="0.0.0.0")
    assert made.viewer.websocket_host == "0.0.0.0"


def test_short_runs_reach_all_times(tmp_path):
    made = config()
    made.output_dir, made.experiment_name, made.timestamp = tmp_path, "e", "t"
    made.pipeline.datamanager.window_from, made.pipeline.datamanager.window_until = 250, 2700
    made.pipeline.model.geometry_steps = 100
    trainer = made.setup(local_rank=0, world_size=1)
    trainer._fit_window()
    assert made.pipeline.datamanager.window_until == 60
    assert made.pipeline.datamanager.window_from == 15
    made.pipeline.model.geometry_steps = 7000
    made.pipeline.datamanager.window_from, made.pipeline.datamanager.window_until = 250, 2700
    trainer._fit_window()
    assert (made.pipeline.datamanager.window_from, made.pipeline.datamanager.window_until) == (250, 2700)


def test_paths_in_config_hold_from_every_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = config()
    made.output_dir, made.experiment_name, made.timestamp = Path("outputs"), "e", "t"
    made.pipeline.datamanager.data = Path("data")
    made.save_config()
    saved = yaml.load((tmp_path / "outputs/e/trase/t/config.yml").read_text(), Loader=yaml.Loader)
    assert saved.output_dir == tmp_path / "outputs"
    assert saved.pipeline.datamanager.data == tmp_path / "data"
