"""A video with camera poses on disk: frames, splits, times, seeds."""

from trase_ns.capture.frame import Capture, Distortion, Frame
from trase_ns.capture.images import load_image
from trase_ns.capture.load import load_capture

__all__ = ["Capture", "Distortion", "Frame", "load_capture", "load_image"]
