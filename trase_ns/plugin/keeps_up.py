"""Configurations that can be read from files written before they had all of their fields."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any


class KeepsUp:
    """A dataclass mixin: loading an older config.yml gives fields that it does not know their defaults."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            if field.name in state:
                continue
            if field.default_factory is not MISSING:
                self.__dict__[field.name] = field.default_factory()
            elif field.default is not MISSING:
                self.__dict__[field.name] = field.default
        self.__dict__.update(state)
