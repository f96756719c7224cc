"""Text for pages."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Return `text` with the characters escaped that the page would take for markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", text)
