"""Small data sets in the layouts of others, true to format, with random cameras. No trase_ns code is used."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation


def look_at(position, target=(0.0, 0.0, 0.0)):
    """World-to-camera rotation [3, 3] with OpenCV axes of a camera that looks at `target`."""
    forward = np.asarray(target, float) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def cameras(count, seed=0, radius=4.0):
    """Rotations and positions of cameras around the origin."""
    rng = np.random.default_rng(seed)
    positions = np.stack([[np.cos(a), np.sin(a), 0.4] for a in np.linspace(0.3, 1.7, count)]) * radius
    positions += rng.normal(0, 0.1, positions.shape)
    return [(look_at(p, rng.normal(0, 0.1, 3)), p) for p in positions]


def write_image(path, width, height, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (width, height), (40, 80, 120, 255)[: len(mode)]).save(path)


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_ply(path, points):
    """A dense-stereo PLY as COLMAP's fusion writes it: normals and colours."""
    from plyfile import PlyData, PlyElement

    fields = [(name, "f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    vertices = np.zeros(len(points), fields + [(name, "u1") for name in ("red", "green", "blue")])
    for axis, name in enumerate("xyz"):
        vertices[name] = points[:, axis]
    vertices["green"] = 200
    PlyData([PlyElement.describe(vertices, "vertex")]).write(str(path))


def write_nerfies(root: Path, count=12, validation=False, scales=(2, 4), suffix=".png", mode="RGB"):
    """A scene of Nerfies (with validation frames, from a second camera) or HyperNeRF (without)."""
    views = cameras(count)
    ids = [f"{index:06d}" for index in range(1, count + 1)]
    metadata, validation_ids = {}, []
    for index, (name, (rotation, position)) in enumerate(zip(ids, views)):
        camera = {
            "orientation": rotation.tolist(),
            "position": (position + [7.0, -3.0, 1.0]).tolist(),
            "focal_length": 90.0 + index,
            "principal_point": [49.5, 33.25],
            "skew": 0.0,
            "pixel_aspect_ratio": 1.01,
            "radial_distortion": [0.03, -0.01, 0.002],
            "tangential_distortion": [0.001, -0.002],
            "image_size": [96, 72],
        }
        write_json(root / "camera" / f"{name}.json", camera)
        metadata[name] = {"appearance_id": index, "camera_id": index % 2, "warp_id": index, "time_id": index // 2}
        if validation and index % 2:
            validation_ids.append(name)
        for scale in scales:
            write_image(root / "rgb" / f"{scale}x" / f"{name}{suffix}", 96 // scale, 72 // scale, mode)
    train_ids = [name for name in ids if name not in validation_ids]
    dataset = {"count": count, "num_exemplars": len(train_ids), "ids": ids}
    write_json(root / "dataset.json", {**dataset, "train_ids": train_ids, "val_ids": validation_ids})
    write_json(root / "metadata.json", metadata)
    write_json(root / "scene.json", {"scale": 0.25, "center": [7.0, -3.0, 1.0], "near": 0.2, "far": 1.8})
    points = np.random.default_rng(1).normal(0, 0.5, (50, 3)) + [7.0, -3.0, 1.0]
    np.save(root / "points.npy", points)
    return root


def write_dycheck(root: Path, validation=True):
    """An iPhone scene: frames CAMERA_NUMBER, splits, RGBA pictures where depth is missing, masks that nobody reads."""
    write_nerfies(root, 10, scales=(1, 2), mode="RGBA")
    names = [f"0_{index:05d}" for index in range(7)] + [f"1_{index:05d}" for index in (1, 3, 5)]
    metadata = {}
    for old, new in zip([f"{index:06d}" for index in range(1, 11)], names):
        (root / "camera" / f"{old}.json").rename(root / "camera" / f"{new}.json")
        for scale in (1, 2):
            (root / f"rgb/{scale}x/{old}.png").rename(root / f"rgb/{scale}x/{new}.png")
        camera, time = map(int, new.split("_"))
        metadata[new] = {"appearance_id": time, "camera_id": camera, "warp_id": time}
    train, val = names[:7], names[7:] if validation else []
    write_json(root / "metadata.json", metadata)
    write_json(root / "dataset.json", {"count": 10, "ids": train + val, "train_ids": train, "val_ids": val})
    write_json(root / "extra.json", {"factor": 2, "fps": 30, "bbox": [[-1] * 3, [1] * 3], "lookat": [0] * 3})
    for split, chosen in (("train", train), ("val", val)):
        ids = [list(map(int, name.split("_"))) for name in chosen]
        record = {"frame_names": chosen, "time_ids": [t for _, t in ids], "camera_ids": [c for c, _ in ids]}
        if chosen:
            write_json(root / "splits" / f"{split}.json", record)
    for name in val:
        write_image(root / "covisible" / "2x" / "val" / f"{name}.png", 48, 36)
    return root


def poses_bounds(views, height, width, focal):
    """Rows of poses_bounds.npy: camera to world with the axes down, right, backwards."""
    rows = []
    for index, (rotation, position) in enumerate(views):
        right, down, forward = rotation
        matrix = np.stack([down, right, -forward, position, [height, width, focal + index]], axis=1)
        rows.append(np.concatenate([matrix.ravel(), [1.5 + index / 10, 9.0]]))
    return np.array(rows)


def write_llff(root: Path, count=10):
    """A video of one camera: images at half the size of the poses."""
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / "poses_bounds.npy", poses_bounds(cameras(count), 96, 128, 110.0))
    for index in range(count):
        write_image(root / "images_2" / f"{index:05d}.png", 64, 48)
    return root


def write_neu3d(root: Path, count=3, moments=4, videos=True):
    """A rig with one camera missing (its video was out of step), decoded at half the size."""
    names = [f"cam{index:02d}" for index in range(count + 1) if index != 1]
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / "poses_bounds.npy", poses_bounds(cameras(count), 96, 128, 110.0))
    for name in names:
        if videos:
            (root / f"{name}.mp4").write_bytes(b"")
        for moment in range(moments):
            write_image(root / "images_2x" / name / f"{moment:04d}.png", 64, 48)
    return root


def write_immersive(root: Path, count=3, moments=3):
    """A rig of fisheye cameras whose models are not in the order of their names."""
    models = []
    for index, (rotation, position) in enumerate(cameras(count)):
        name = f"camera_{index + 1:04d}"
        model = {
            "name": name,
            "position": position.tolist(),
            "orientation": Rotation.from_matrix(rotation).as_rotvec().tolist(),
            "focal_length": 55.0 + index,
            "pixel_aspect_ratio": 1.0,
            "principal_point": [64.7, 47.1],
            "width": 128.0,
            "height": 96.0,
            "radial_distortion": [0.09911, -0.01876, 0.0],
            "projection_type": "fisheye",
        }
        models.insert(0, model)
        for moment in range(moments):
            write_image(root / name / f"{moment}.png", 64, 48)
    write_json(root / "models.json", models)
    return root


def write_technicolor(root: Path, count=4, first=151, moments=3):
    """A light-field scene, with pictures at an eighth of the size to be small."""
    lines = ["# focal px py aspect skew qw qx qy qz tx ty tz"]
    for index, (rotation, position) in enumerate(cameras(count)):
        x, y, z, w = Rotation.from_matrix(rotation).as_quat()
        translation = -rotation @ position
        row = [1600.0 + index, 1020.5, 550.25, 1.0005, 0.0, w, x, y, z, *translation]
        lines.append(" ".join(f"{value:.12f}" for value in row))
        for moment in range(first, first + moments):
            write_image(root / f"Birthday_undist_{moment:05d}_{index:02d}.png", 256, 136)
    (root / "cameras_parameters.txt").write_text("\n".join(lines) + "\n")
    return root


def write_multiview(root: Path, world_to_camera=False, count=3, moments=4, ply=True):
    """A rig as transforms files: the first camera tests; published ones for Immersive hold world-to-camera matrices."""
    shared = {"w": 64, "h": 48, "fl_x": 60.0, "fl_y": 61.0, "cx": 32, "cy": 24}
    splits = {"train": [], "test": []}
    for index, (rotation, position) in enumerate(cameras(count)):
        matrix = np.eye(4)
        if world_to_camera:
            matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ position
        else:
            matrix[:3, :3], matrix[:3, 3] = rotation.T * [1, -1, -1], position
        for moment in range(moments):
            name = f"images_2x/cam{index:02d}_{moment:04d}"
            write_image(root / f"{name}.png", 64, 48)
            # Fewer than 30 pictures a second, so that the last time is above 1.
            frame = {"file_path": name, "transform_matrix": matrix.tolist(), "time": moment / 2}
            splits["train" if index else "test"].append({**frame, **(shared if world_to_camera else {})})
    for split, frames in splits.items():
        content = {"frames": frames} if world_to_camera else {**shared, "frames": frames}
        write_json(root / f"transforms_{split}.json", content)
    if ply:
        write_ply(root / "points3d.ply", np.random.default_rng(2).normal(0, 0.5, (300, 3)))
    return root


def write_video(path: Path, moments=5, size=(64, 48)):
    """A real video whose pictures grow brighter."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, size)
    assert writer.isOpened()
    for moment in range(moments):
        writer.write(np.full((size[1], size[0], 3), 20 + 40 * moment, np.uint8))
    writer.release()
    return path
