"""Gaussians to pixels."""

from trase_ns.render.contributions import Contributions, contributions
from trase_ns.render.lifting import lift
from trase_ns.render.rasterization import rasterize
from trase_ns.render.view import View, render_view

__all__ = ["Contributions", "View", "contributions", "lift", "rasterize", "render_view"]
