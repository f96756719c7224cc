"""Gaussians to the image plane, and back: the kernels.

They compute in float64, because the determinant of a long, thin Gaussian cancels in float32. One Gaussian is a
handful of 3 x 3 matrices, kept as tuples of nine numbers, row by row.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(inline="always")
def _product(a, b):
    """Product of two 3 x 3 matrices."""
    return (
        a[0] * b[0] + a[1] * b[3] + a[2] * b[6],
        a[0] * b[1] + a[1] * b[4] + a[2] * b[7],
        a[0] * b[2] + a[1] * b[5] + a[2] * b[8],
        a[3] * b[0] + a[4] * b[3] + a[5] * b[6],
        a[3] * b[1] + a[4] * b[4] + a[5] * b[7],
        a[3] * b[2] + a[4] * b[5] + a[5] * b[8],
        a[6] * b[0] + a[7] * b[3] + a[8] * b[6],
        a[6] * b[1] + a[7] * b[4] + a[8] * b[7],
        a[6] * b[2] + a[7] * b[5] + a[8] * b[8],
    )


@njit(inline="always")
def _transposed(a):
    return (a[0], a[3], a[6], a[1], a[4], a[7], a[2], a[5], a[8])


@njit(inline="always")
def _scaled(a, x, y, z):
    """The 3 x 3 matrix `a` with its columns multiplied by x, y and z."""
    return (a[0] * x, a[1] * y, a[2] * z, a[3] * x, a[4] * y, a[5] * z, a[6] * x, a[7] * y, a[8] * z)


@njit(inline="always")
def _rotation(w, x, y, z):
    """Rotation matrix of a unit quaternion."""
    return (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )


@njit(inline="always")
def _rotation_of(view):
    return (view[0, 0], view[0, 1], view[0, 2], view[1, 0], view[1, 1], view[1, 2], view[2, 0], view[2, 1], view[2, 2])


@njit(inline="always")
def _to_camera(r, view, mean):
    return (
        r[0] * mean[0] + r[1] * mean[1] + r[2] * mean[2] + view[0, 3],
        r[3] * mean[0] + r[4] * mean[1] + r[5] * mean[2] + view[1, 3],
        r[6] * mean[0] + r[7] * mean[1] + r[8] * mean[2] + view[2, 3],
    )


@njit(inline="always")
def _unit(quat):
    """The quaternion with length one, and one over its length (0 for a quaternion of zeros)."""
    w, x, y, z = np.float64(quat[0]), np.float64(quat[1]), np.float64(quat[2]), np.float64(quat[3])
    length = np.sqrt(w * w + x * x + y * y + z * z)
    inverse = 1 / length if length > 0 else 0.0
    return w * inverse, x * inverse, y * inverse, z * inverse, inverse


@njit(inline="always")
def _clamped(slope, focal, centre, size):
    """x/z or y/z held inside the image plus 0.3 tan(fov / 2), where the Jacobian is taken."""
    margin = 0.15 * size / focal
    return min((size - centre) / focal + margin, max(-centre / focal - margin, slope))


@njit(parallel=True, cache=True, nogil=True)
def project(means, quats, scales, view, K, width, height, near, far, eps2d, means2d, cov2d, depths, radii):
    """Fill means2d [N, 2], cov2d [N, 3] (xx, xy, yy, with the blur), depths [N] and radii [N] for one camera.

    Gaussians that are not visible keep zeros.
    """
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    world = _rotation_of(view)
    for i in prange(means.shape[0]):
        x, y, z = _to_camera(world, view, means[i])
        if not (near <= z <= far):
            continue
        qw, qx, qy, qz, _ = _unit(quats[i])
        axes = _scaled(_product(world, _rotation(qw, qx, qy, qz)), scales[i, 0], scales[i, 1], scales[i, 2])
        jx, jy = fx / z, fy / z
        jxz = -jx * _clamped(x / z, fx, cx, width)
        jyz = -jy * _clamped(y / z, fy, cy, height)
        ax, ay, az = jx * axes[0] + jxz * axes[6], jx * axes[1] + jxz * axes[7], jx * axes[2] + jxz * axes[8]
        bx, by, bz = jy * axes[3] + jyz * axes[6], jy * axes[4] + jyz * axes[7], jy * axes[5] + jyz * axes[8]
        xx = ax * ax + ay * ay + az * az + eps2d
        xy = ax * bx + ay * by + az * bz
        yy = bx * bx + by * by + bz * bz + eps2d
        det = xx * yy - xy * xy
        if not det > 0:
            continue
        middle = 0.5 * (xx + yy)
        radius = np.ceil(3 * np.sqrt(middle + np.sqrt(max(0.01, middle * middle - det))))
        u, v = jx * x + cx, jy * y + cy
        if not (u + radius > 0 and u - radius < width and v + radius > 0 and v - radius < height):
            continue
        means2d[i, 0], means2d[i, 1] = u, v
        cov2d[i, 0], cov2d[i, 1], cov2d[i, 2] = xx, xy, yy
        depths[i] = z
        radii[i] = np.int32(min(radius, 1e9))


@njit(inline="always")
def _farthest(focal, centre, size):
    """The largest absolute value that `_clamped` returns."""
    return max(abs(_clamped(-np.inf, focal, centre, size)), abs(_clamped(np.inf, focal, centre, size)))


@njit(inline="always")
def _reach_of_ball(world, K, width, height):
    """Radius in pixels, without the blur, that no Gaussian of largest scale 1 at depth 1 exceeds.

    The largest eigenvalue of a symmetric matrix is at most the largest sum of absolute values in a row: here of J J^T,
    and of the view's rotation times its transposed, should it be no rotation.
    """
    fx, fy = K[0, 0], K[1, 1]
    sx, sy = _farthest(fx, K[0, 2], width), _farthest(fy, K[1, 2], height)
    spread = max(fx * fx * (1 + sx * sx), fy * fy * (1 + sy * sy)) + abs(fx * fy * sx * sy)
    g = _product(_transposed(world), world)
    stretch = max(
        abs(g[0]) + abs(g[1]) + abs(g[2]), abs(g[3]) + abs(g[4]) + abs(g[5]), abs(g[6]) + abs(g[7]) + abs(g[8])
    )
    return 3 * np.sqrt(spread * stretch)


@njit(parallel=True, cache=True, nogil=True)
def find_near(means, scales, view, K, width, height, window, near, far, eps2d, found):
    """Fill found [N] with whether a Gaussian may be visible in the window (left, top, right, bottom; in pixels).

    The largest scale alone tells so, far cheaper than `project`, of nearly all that miss a small window; of those that
    do not miss it none is left out.
    """
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    world = _rotation_of(view)
    ball, blur = 1.001 * _reach_of_ball(world, K, width, height), 3.003 * np.sqrt(eps2d + 0.1) + 2
    for i in prange(means.shape[0]):
        x, y, z = _to_camera(world, view, means[i])
        u, v = fx * x + cx * z, fy * y + cy * z
        reach = ball * max(abs(scales[i, 0]), abs(scales[i, 1]), abs(scales[i, 2])) + blur * z
        columns = (u + reach > window[0] * z) & (u - reach < window[2] * z)
        rows = (v + reach > window[1] * z) & (v - reach < window[3] * z)
        found[i] = (near <= z) & (z <= far) & ((columns & rows) | (z <= 0))


@njit(parallel=True, cache=True, nogil=True)
def project_backward(
    means, quats, scales, view, K, width, height, radii, v_means2d, v_cov2d, v_depths, v_means, v_quats, v_scales
):
    """Add the gradients with respect to means, quats and scales of one camera to v_means, v_quats, v_scales."""
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    world = _rotation_of(view)
    for i in prange(means.shape[0]):
        if radii[i] <= 0:
            continue
        x, y, z = _to_camera(world, view, means[i])
        qw, qx, qy, qz, inverse = _unit(quats[i])
        sx, sy, sz = scales[i, 0], scales[i, 1], scales[i, 2]
        rotation = _rotation(qw, qx, qy, qz)
        axes = _scaled(_product(world, rotation), sx, sy, sz)
        jx, jy = fx / z, fy / z
        slope_x, slope_y = _clamped(x / z, fx, cx, width), _clamped(y / z, fy, cy, height)
        jxz, jyz = -jx * slope_x, -jy * slope_y
        ax, ay, az = jx * axes[0] + jxz * axes[6], jx * axes[1] + jxz * axes[7], jx * axes[2] + jxz * axes[8]
        bx, by, bz = jy * axes[3] + jyz * axes[6], jy * axes[4] + jyz * axes[7], jy * axes[5] + jyz * axes[8]

        # cov2d = P P^T with P = J axes, rows a and b
        v_xx, v_xy, v_yy = v_cov2d[i, 0], v_cov2d[i, 1], v_cov2d[i, 2]
        v_ax, v_ay, v_az = 2 * v_xx * ax + v_xy * bx, 2 * v_xx * ay + v_xy * by, 2 * v_xx * az + v_xy * bz
        v_bx, v_by, v_bz = v_xy * ax + 2 * v_yy * bx, v_xy * ay + 2 * v_yy * by, v_xy * az + 2 * v_yy * bz
        v_jx = v_ax * axes[0] + v_ay * axes[1] + v_az * axes[2]
        v_jy = v_bx * axes[3] + v_by * axes[4] + v_bz * axes[5]
        v_jxz = v_ax * axes[6] + v_ay * axes[7] + v_az * axes[8]
        v_jyz = v_bx * axes[6] + v_by * axes[7] + v_bz * axes[8]
        v_axes = (
            jx * v_ax,
            jx * v_ay,
            jx * v_az,
            jy * v_bx,
            jy * v_by,
            jy * v_bz,
            jxz * v_ax + jyz * v_bx,
            jxz * v_ay + jyz * v_by,
            jxz * v_az + jyz * v_bz,
        )

        # the mean: its picture, its depth, and the Jacobian
        v_u, v_v = np.float64(v_means2d[i, 0]), np.float64(v_means2d[i, 1])
        v_x, v_y = jx * v_u, jy * v_v
        v_z = v_depths[i] - (jx * x * v_u + jy * y * v_v + jx * v_jx + jy * v_jy) / z
        if slope_x == x / z:
            v_x -= jx / z * v_jxz
            v_z += 2 * jx * slope_x / z * v_jxz
        else:
            v_z += jx * slope_x / z * v_jxz
        if slope_y == y / z:
            v_y -= jy / z * v_jyz
            v_z += 2 * jy * slope_y / z * v_jyz
        else:
            v_z += jy * slope_y / z * v_jyz
        v_means[i, 0] += world[0] * v_x + world[3] * v_y + world[6] * v_z
        v_means[i, 1] += world[1] * v_x + world[4] * v_y + world[7] * v_z
        v_means[i, 2] += world[2] * v_x + world[5] * v_y + world[8] * v_z

        # axes = world rotation diag(scales)
        g = _product(_transposed(world), v_axes)
        v_scales[i, 0] += rotation[0] * g[0] + rotation[3] * g[3] + rotation[6] * g[6]
        v_scales[i, 1] += rotation[1] * g[1] + rotation[4] * g[4] + rotation[7] * g[7]
        v_scales[i, 2] += rotation[2] * g[2] + rotation[5] * g[5] + rotation[8] * g[8]
        g = _scaled(g, sx, sy, sz)
        v_w = 2 * (qx * (g[7] - g[5]) + qy * (g[2] - g[6]) + qz * (g[3] - g[1]))
        v_qx = 2 * (-2 * qx * (g[4] + g[8]) + qy * (g[1] + g[3]) + qz * (g[2] + g[6]) + qw * (g[7] - g[5]))
        v_qy = 2 * (qx * (g[1] + g[3]) - 2 * qy * (g[0] + g[8]) + qz * (g[5] + g[7]) + qw * (g[2] - g[6]))
        v_qz = 2 * (qx * (g[2] + g[6]) + qy * (g[5] + g[7]) - 2 * qz * (g[0] + g[4]) + qw * (g[3] - g[1]))
        along = v_w * qw + v_qx * qx + v_qy * qy + v_qz * qz
        v_quats[i, 0] += (v_w - along * qw) * inverse
        v_quats[i, 1] += (v_qx - along * qx) * inverse
        v_quats[i, 2] += (v_qy - along * qy) * inverse
        v_quats[i, 3] += (v_qz - along * qz) * inverse
