"""Moving scenes with known answers."""

from trase_ns.synthetic.dataset import make_scene

__all__ = ["make_scene"]
