"""The segmentation panel of the viewer."""
