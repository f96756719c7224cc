"""Adapters to Nerfstudio."""
