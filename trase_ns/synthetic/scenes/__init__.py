"""The suite's scenes, each a function of a seed that stresses one thing."""

from trase_ns.synthetic.scenes.articulated import articulated
from trase_ns.synthetic.scenes.bystander import bystander
from trase_ns.synthetic.scenes.fast import fast
from trase_ns.synthetic.scenes.glimpses import glimpses
from trase_ns.synthetic.scenes.late import late
from trase_ns.synthetic.scenes.occluded import occluded
from trase_ns.synthetic.scenes.thin import thin
from trase_ns.synthetic.scenes.touching import touching

__all__ = ["articulated", "bystander", "fast", "glimpses", "late", "occluded", "thin", "touching"]
