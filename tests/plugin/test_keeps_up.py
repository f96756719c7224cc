"""Runs of an older version load: fields that their config.yml does not know take the defaults."""

import yaml

from trase_ns.plugin.datamanager import TraseDataManagerConfig
from trase_ns.plugin.model import TraseModelConfig


def test_fields_that_are_missing_take_their_defaults():
    text = yaml.dump(TraseModelConfig(field_width=99))
    older = "\n".join(line for line in text.splitlines() if not line.startswith(("time_noise_steps", "ssim_weight")))
    config = yaml.load(older, Loader=yaml.Loader)
    assert config.field_width == 99
    assert config.time_noise_steps == TraseModelConfig().time_noise_steps
    assert config.ssim_weight == TraseModelConfig().ssim_weight


def test_all_fields_are_kept():
    config = TraseDataManagerConfig(image_cache_mb=7)
    assert yaml.load(yaml.dump(config), Loader=yaml.Loader) == config
