"""Reading JSON of strangers: every missing or wrong field becomes one clear message."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from trase_ns.errors import UserError

# Largest deviation of R^T R from the identity: rounding in text files stays well below.
RIGID_TOLERANCE = 5e-3


def read_json(path: Path, kind: type = dict) -> Any:
    """Return what the JSON file `path` holds: an object, or a list where `kind` is list.

    Raises:
        UserError: the file is missing, is not JSON, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: check the path of the data set.") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): write it again.") from error
    if not isinstance(content, kind):
        raise UserError(f"{path} must hold a JSON {'object' if kind is dict else 'list'}: write it again.")
    return content


def number(record: dict[str, Any], key: str, where: str) -> float | None:
    """Return the finite number `record[key]`, None where it is absent.

    Raises:
        UserError: the value is not a finite number; the message begins with `where`.
    """
    value = record.get(key)
    if value is None:
        return None
    try:
        finite = not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        finite = False
    if not finite:
        raise UserError(f"{where}: '{key}' must be a finite number, but is {str(value)[:80]!r}.")
    return float(value)


def required(record: dict[str, Any], key: str, where: str) -> float:
    """Return the finite number `record[key]`.

    Raises:
        UserError: it is missing or is not a finite number; the message begins with `where`.
    """
    value = number(record, key, where)
    if value is None:
        raise UserError(f"{where} has no '{key}': restore the file from its source.")
    return value


def array(record: dict[str, Any], key: str, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Return `record[key]` as finite float64 numbers of the given shape.

    Raises:
        UserError: it is missing, of another shape, or has numbers that are not finite.
    """
    if record.get(key) is None:
        raise UserError(f"{where} has no '{key}': restore the file from its source.")
    size = " x ".join(map(str, shape))
    try:
        values = np.asarray(record[key], dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{where}: '{key}' must be {size} numbers.") from None
    if values.shape != shape:
        raise UserError(
            f"{where}: '{key}' must be {size} numbers, but is {' x '.join(map(str, values.shape)) or 'one'}."
        )
    if not np.isfinite(values).all():
        raise UserError(f"{where}: '{key}' has NaN or infinite numbers: correct it or remove its frames.")
    return values


def read_array(path: Path, columns: int) -> np.ndarray:
    """Return the numbers of an .npy file, [N, columns] float64.

    Raises:
        UserError: the file is missing, is not an .npy of numbers, or has another shape.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: check the path of the data set.")
    try:
        values = np.load(path, allow_pickle=False)
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
            raise ValueError("it does not hold numbers")
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise UserError(f"{path} cannot be read ({error}): restore it from its source.") from error
    if values.ndim != 2 or values.shape[1] != columns or not len(values):
        shape = " x ".join(map(str, values.shape))
        raise UserError(f"{path} must be N x {columns} numbers, but is {shape}: restore it from its source.")
    return values.astype(np.float64)


def pose(record: dict[str, Any], where: str) -> np.ndarray:
    """Return the camera-to-world matrix of a frame, [4, 4] float64.

    Raises:
        UserError: it is missing, of another shape, not finite, or not a rotation and a translation.
    """
    try:
        matrix = np.asarray(record["transform_matrix"], dtype=np.float64)
    except KeyError:
        raise UserError(f"{where} has no 'transform_matrix': add its camera pose or remove the frame.") from None
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{where}: 'transform_matrix' must be 4 rows of 4 numbers.") from None
    if matrix.shape == (3, 4):
        matrix = np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])
    if matrix.shape != (4, 4):
        raise UserError(f"{where}: 'transform_matrix' must be 4 x 4, but is {' x '.join(map(str, matrix.shape))}.")
    if not np.isfinite(matrix).all():
        raise UserError(f"{where}: the pose has NaN or infinite numbers: correct it or remove the frame.")
    if not np.allclose(matrix[3], [0.0, 0.0, 0.0, 1.0], atol=1e-6):
        raise UserError(f"{where}: the last row of the pose must be 0 0 0 1, but is {matrix[3].tolist()}.")
    check_rotation(matrix[:3, :3], where)
    return matrix


def check_rotation(rotation: np.ndarray, where: str) -> None:
    """Check that a [3, 3] matrix is a rotation.

    Raises:
        UserError: it scales, shears or mirrors.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        product = rotation.T @ rotation
    if not np.abs(product - np.eye(3)).max() <= RIGID_TOLERANCE:
        raise UserError(
            f"{where}: the pose is not rigid (its rotation is scaled or sheared; axes have lengths "
            f"{', '.join(f'{length:.4g}' for length in np.linalg.norm(rotation, axis=0))}): "
            "give a rotation and a translation."
        )
    if np.linalg.det(rotation) < 0:
        raise UserError(f"{where}: the pose is a reflection, not a rotation: check the axes of its source.")


def opengl(rotation: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return the OpenGL camera-to-world matrix, [4, 4] float64, of an OpenCV camera.

    Args:
        rotation: [3, 3] world to camera, OpenCV axes (x right, y down, z forward).
        position: [3] of the camera in the world.
    """
    c2w = np.eye(4)
    c2w[:3, :3] = rotation.T * [1.0, -1.0, -1.0]
    c2w[:3, 3] = position
    return c2w
