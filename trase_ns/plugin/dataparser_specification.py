"""Registers the data parser with Nerfstudio, in a module of its own: Nerfstudio imports it early."""

from nerfstudio.plugins.registry_dataparser import DataParserSpecification

from trase_ns.plugin.dataparser import TraseDataParserConfig

trase = DataParserSpecification(
    config=TraseDataParserConfig(),
    description="A moving scene: Nerfstudio's transforms.json with times, or the layout of a known data set.",
)
