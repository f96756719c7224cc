"""Presets: the numbers of the device, or those that were asked for."""

import pytest

from trase_ns.errors import UserError
from trase_ns.plugin.preset import device, preset


@pytest.fixture(autouse=True)
def fresh():
    preset.cache_clear()
    yield
    preset.cache_clear()


def test_the_device_decides(monkeypatch):
    monkeypatch.delenv("TRASE_PRESET", raising=False)
    assert (preset().max_gaussians == 25_000) == (device() == "cpu")


def test_the_other_one_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("TRASE_PRESET", "cuda")
    assert preset().geometry_steps == 20_000
    monkeypatch.setenv("TRASE_PRESET", "cpu")
    assert preset().geometry_steps == 20_000  # read once in a process


def test_an_unknown_one_is_refused(monkeypatch):
    monkeypatch.setenv("TRASE_PRESET", "../secret")
    with pytest.raises(UserError, match="TRASE_PRESET"):
        preset()
