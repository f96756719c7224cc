"""Presets: the numbers of the device, or those that were asked for."""

import pytest

from trase_ns.errors import UserError
from trase_ns.plugin.preset import FAMILIES, chosen, device, for_family, preset


@pytest.fixture(autouse=True)
def fresh():
    chosen.cache_clear()
    yield
    chosen.cache_clear()


def test_the_device_decides(monkeypatch):
    monkeypatch.delenv("TRASE_PRESET", raising=False)
    assert (preset().steps_per_save == 500) == (device() == "cpu")


def test_the_other_one_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("TRASE_PRESET", "cuda")
    assert preset().geometry_steps == 20_000
    monkeypatch.setenv("TRASE_PRESET", "cpu")
    assert preset().geometry_steps == 20_000  # read once in a process


def test_an_unknown_one_is_refused(monkeypatch):
    monkeypatch.setenv("TRASE_PRESET", "../secret")
    with pytest.raises(UserError, match="TRASE_PRESET"):
        preset()


def test_families_have_a_schedule_for_each_device(monkeypatch):
    monkeypatch.delenv("TRASE_PRESET", raising=False)
    plain = preset()
    for name in ("cpu", "cuda"):
        monkeypatch.setattr("trase_ns.plugin.preset.device", lambda name=name: name)
        chosen.cache_clear()
        for family in FAMILIES:
            with for_family(family):
                own = preset()
            assert own.warmup_steps < own.densify_until < own.geometry_steps
            assert own.window_until < own.geometry_steps
    monkeypatch.undo()
    monkeypatch.delenv("TRASE_PRESET", raising=False)
    chosen.cache_clear()
    assert preset() == plain


def test_the_schedule_of_a_family_on_a_gpu(monkeypatch):
    monkeypatch.delenv("TRASE_PRESET", raising=False)
    monkeypatch.setattr("trase_ns.plugin.preset.device", lambda: "cuda")
    with for_family("hypernerf"):
        assert (preset().warmup_steps, preset().densify_until, preset().feature_pixels) == (1500, 9000, 5000)
    with for_family("immersive"):
        assert (preset().warmup_steps, preset().densify_until, preset().feature_pixels) == (1000, 3000, 10000)
        assert preset().moments == (0, 50)
    assert preset().warmup_steps == 3000


def test_what_is_asked_for_comes_before_the_family(monkeypatch):
    monkeypatch.setenv("TRASE_PRESET", "motion")
    motion = preset()
    with for_family("neu3d"):
        assert preset() == motion
