"""Text for pages."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Return `text` with all escaped that the page would take for markup, or at the start of a line for a program."""
    text = re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", text)
    return re.sub(r"(?m)^(\s*)(?=import\b|export\b)", r"\1&#8203;", text)  # a space without width


def breakable(text: str) -> str:
    """Return `text` as by `plain`, with places where a long path may break instead of making the panel wider."""
    return re.sub(r"/(?=\S)", "/<wbr/>", plain(text))
