"""`trase maps`: dense feature maps of the frames, for `trase features --method dgd` and `uplift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trase_ns.capture.load import Format
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from trase_ns.capture import Frame


def main(
    model: Literal["dinov2", "clip", "vgg16"],
    data: Path | None = None,
    load_config: Path | None = None,
    output: Path | None = None,
    weights: str | None = None,
    download: bool = False,
    longest: int | None = None,
    layers: tuple[str, ...] = ("conv3_3", "conv4_3", "conv5_3"),
    frames: tuple[str, ...] = (),
    device: Literal["auto", "cpu", "cuda"] = "auto",
    overwrite: bool = False,
    format: Format = "auto",
    rgb_scale: int | None = None,
    moments: tuple[int, int] | None = None,
) -> None:
    """Make the feature maps of a data set with DINOv2, CLIP or VGG16.

    Writes a small picture of features for each frame, FRAME.safetensors in half precision, which `trase features
    --method dgd --dgd.maps DIR` and `--method uplift --uplift.maps DIR` read. Stopped or killed, it goes on where it
    was; frames whose image, network or settings have changed are made again.

    Args:
        model: dinov2 tells parts and things apart, clip can be asked for words, vgg16 knows textures and needs no
            package beside torchvision.
        data: Folder of the data set; maps of all its frames are made.
        load_config: config.yml of a run instead; maps of its training frames are made.
        output: Folder for the maps. Default: maps-MODEL in the folder of the data set.
        weights: Folder of the network's weights, or a name on huggingface.co such as facebook/dinov2-base; of vgg16 a
            file. Default: facebook/dinov2-small, openai/clip-vit-large-patch14, or torchvision's, from the caches.
        download: Download weights that are not on this machine.
        longest: Scale pictures to this longer side, in pixels, for the network; larger gives finer maps. Default: as
            they are, but no larger than 1036 (dinov2), 672 (clip) or 1024 (vgg16).
        layers: Convolutions of vgg16 that are put together, at the resolution of the last.
        frames: Only these frames, by name, for a trial.
        device: Where to run the network. auto: a GPU if there is one.
        overwrite: Make all maps again, also those that are up to date.
        format: Of the data set. auto: by the files in its folder.
        rgb_scale: Take the pictures that were made smaller by this factor (rgb/2x, images_2x), as in training.
        moments: Of several cameras, only the pictures numbered from the first up to, not including, the second.
    """
    if (data is None) == (load_config is None):
        raise UserError("name either a data set with --data DIR or a run with --load-config CONFIG.")
    if load_config is not None and (format != "auto" or rgb_scale is not None or moments is not None):
        raise UserError("--format, --rgb-scale and --moments go with --data; a run knows how its data are read.")
    if model != "vgg16" and layers != ("conv3_3", "conv4_3", "conv5_3"):
        raise UserError(f"--layers is an option of vgg16, not of {model}.")
    if data is not None:
        from trase_ns.capture import load_capture

        # Maps need no times, so a data set without any is fine here.
        capture = load_capture(data, time_from_order=True, format=format, image_scale=rgb_scale, moments=moments)
        root, chosen = capture.root, [capture.frame(name) for name in frames] if frames else capture.frames
    else:
        assert load_config is not None
        root, chosen = _of_run(load_config, frames)

    from trase_ns.cli.masks import pick_device
    from trase_ns.console import console
    from trase_ns.learning.feature_extractors import load_extractor
    from trase_ns.learning.map_store import MapStore, extract_maps

    folder = output or root / f"maps-{model}"
    extractor = load_extractor(
        model, weights, longest=longest, layers=layers, device=pick_device(device), download=download
    )
    made = extract_maps(chosen, extractor, folder, overwrite=overwrite)
    if made < len(chosen):
        console.print(f"{len(chosen) - made} of {len(chosen)} frames were done already", highlight=False)
    size = sum(MapStore(folder).path(frame.name).stat().st_size for frame in chosen)
    width, height = extractor.size(chosen[0].width, chosen[0].height)
    console.print(
        f"{len(chosen)} maps of {width // extractor.multiple} x {height // extractor.multiple} features, "
        f"{size / 2**20:.0f} MB, in {folder}",
        highlight=False,
        soft_wrap=True,
    )


def _of_run(load_config: Path, names: tuple[str, ...]) -> tuple[Path, list[Frame]]:
    """The folder of a run's data set, and its training frames or those of the names."""
    from trase_ns.plugin.run import load_run

    run = load_run(load_config)
    frames = [run.frame(name).source for name in names] if names else run.datamanager.train_dataset.frames
    root = run.datamanager.get_datapath()
    return root if root.is_dir() else root.parent, list(frames)
