"""What moves the Gaussians of a scene."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class Field(nn.Module):
    """A deformation of canonical space over time.

    A field can be described and made again (`scene/field_state.py`): by its kind, a `spec` of plain JSON and the
    tensors of its `state_dict`.

    Attributes:
        kind: name of the class in files; `field_state.KINDS` lists them all.
        limits: the least and the largest value, int or bool, of each entry of `spec`, all of them arguments of the
            constructor and attributes of a field. What a file says beyond is refused before anything is made of it.
    """

    kind: ClassVar[str]
    limits: ClassVar[dict[str, tuple[int, int]]] = {}

    @abstractmethod
    def move(
        self, means: Tensor, quats: Tensor, log_scales: Tensor, motion: Tensor | None, time: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return means [N, 3], quaternions [N, 4] and log scales [N, 3] at `time`; differentiable.

        Args:
            means: [N, 3] positions in canonical space.
            quats: [N, 4] rotations, wxyz, of any length.
            log_scales: [N, 3] natural logarithms of the scales.
            motion: [N, ...] what the field keeps for each Gaussian; None for a field that keeps nothing.
            time: moment in [0, 1].
        """

    def spec(self) -> dict[str, Any]:
        """Return what `from_state` needs beside the tensors, as plain JSON values."""
        return {name: getattr(self, name) for name in self.limits}

    @classmethod
    def from_state(cls, spec: dict[str, Any], tensors: dict[str, Tensor]) -> Field:
        """Make a field again; what it is given may come from a file that nobody vouches for.

        Args:
            spec: what `spec` said.
            tensors: by name, as `state_dict` returns them, without values that are not finite.

        Raises:
            ValueError: they do not fit each other or this kind of field, or are out of all proportion.
        """
        if spec.keys() != cls.limits.keys():
            raise ValueError(f"a field of kind {cls.kind!r} needs {', '.join(cls.limits) or 'no arguments'}")
        for name, (least, largest) in cls.limits.items():
            if type(spec[name]) is not type(least) or not least <= spec[name] <= largest:
                raise ValueError(f"{name} of the field must be from {least} to {largest}")
        with torch.device("meta"):  # shapes without memory
            field = cls(**spec)
        wanted = {name: (tensor.shape, tensor.dtype) for name, tensor in field.state_dict().items()}
        found = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
        if wanted != found:
            wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
            raise ValueError(
                f"tensors of the field are missing, too many or of a wrong shape or type: {', '.join(wrong[:4])}"
            )
        field.load_state_dict(tensors, assign=True)
        return field.requires_grad_(False)

    def check_motion(self, motion: Tensor | None, gaussians: int) -> None:
        """Check what the field is to keep for each Gaussian.

        Args:
            motion: [N, ...] finite, or None.
            gaussians: N.

        Raises:
            ValueError: it does not fit this field.
        """
        if motion is not None:
            raise ValueError(f"a field of kind {self.kind!r} keeps nothing for each Gaussian, but there is motion")
