"""Find, select and export the objects of a moving scene: TRASE for Nerfstudio."""

__version__ = "0.1.0"
