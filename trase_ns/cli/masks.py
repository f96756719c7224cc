"""`trase masks`: the masks of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trase_ns.capture.load import Format
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from trase_ns.capture import Frame
    from trase_ns.masks import MaskStore
    from trase_ns.masks.sam import SamSettings


def main(
    data: Path,
    sam: Literal["auto", "vit_h", "vit_l", "vit_b", "mobile"] = "auto",
    checkpoint: Path | None = None,
    output: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    points_per_side: int | None = None,
    pred_iou_thresh: float = 0.88,
    stability_score_thresh: float = 0.95,
    min_mask_region_area: int = 100,
    image_scale: float = 1.0,
    frames: tuple[str, ...] = (),
    import_from: Path | None = None,
    export_coco: Path | None = None,
    overwrite: bool = False,
    format: Format = "auto",
    rgb_scale: int | None = None,
    moments: tuple[int, int] | None = None,
) -> None:
    """Make the masks of a data set with SAM, or import masks that you have.

    Finds the segments of every frame with the automatic mask generator of Segment Anything and writes them to
    DATA/masks, one small file a frame. Stopped or killed, it goes on where it was; frames whose image, model or
    settings have changed are made again. Look at preview.jpg there before you train.

    Args:
        data: Folder of the data set.
        sam: Model. auto: the one that --checkpoint holds, else vit_h on a GPU and mobile (MobileSAM) on a CPU.
        checkpoint: File of the model's weights. Default: the cache (TRASE_CACHE), else a download into it.
        output: Folder for the masks. Default: DATA/masks, where ns-train looks for them.
        device: Where to run the model. auto: a GPU if there is one.
        points_per_side: Grid of prompts; more finds smaller things. Default: 32 on a GPU, 16 on a CPU.
        pred_iou_thresh: Drop masks that SAM itself rates below this IoU.
        stability_score_thresh: Drop masks that change with the cutoff more than this.
        min_mask_region_area: Remove holes and islands smaller than this, in pixels.
        image_scale: Scale images by this factor first; the masks have that size.
        frames: Only these frames, by name, for a trial.
        import_from: Take masks from this folder instead: COCO-RLE JSON, .npz, label PNGs or binary PNGs, named after
            the frames.
        export_coco: Write the masks that are there to this folder as COCO-RLE JSON, and make none.
        overwrite: Make all masks again, also those that are up to date or imported.
        format: Of the data set. auto: by the files in its folder.
        rgb_scale: Take the pictures that were made smaller by this factor (rgb/2x, images_2x), as in training.
        moments: Of several cameras, only the pictures numbered from the first up to, not including, the second.
    """
    from trase_ns.capture import load_capture
    from trase_ns.masks import MaskStore

    # Masks need no times, so a data set without any is fine here.
    capture = load_capture(data, time_from_order=True, format=format, image_scale=rgb_scale, moments=moments)
    chosen = [capture.frame(name) for name in frames] if frames else capture.frames
    store = MaskStore(output or capture.root / "masks")
    if import_from is not None:
        _import(chosen, store, import_from)
    elif export_coco is None:
        from trase_ns.masks.sam import SamSettings

        chosen_device = pick_device(device)
        settings = SamSettings(
            points_per_side if points_per_side is not None else 32 if chosen_device == "cuda" else 16,
            pred_iou_thresh,
            stability_score_thresh,
            min_mask_region_area,
            image_scale,
        )
        _generate(chosen, store, sam, checkpoint, chosen_device, settings, overwrite)
    if export_coco is not None:
        _export(chosen, store.directory, export_coco)
    else:
        _summarise(chosen, store)


def pick_device(device: str) -> str:
    """Return "cpu" or "cuda" for a --device that may be "auto".

    Raises:
        UserError: there is no GPU for "cuda".
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch finds no GPU here; use --device cpu.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def _generate(
    frames: list[Frame],
    store: MaskStore,
    sam: str,
    checkpoint: Path | None,
    device: str,
    settings: SamSettings,
    overwrite: bool,
) -> None:
    from trase_ns.masks.generate import generate_masks, outstanding
    from trase_ns.masks.sam import SamGenerator, load_sam, recognise
    from trase_ns.masks.weights import find_weights

    if sam == "auto":
        sam = recognise(checkpoint) if checkpoint else "vit_h" if device == "cuda" else "mobile"
    with store.writing():
        weights, model_hash = find_weights(sam, checkpoint)
        todo, imported = outstanding(frames, store, settings.key(model_hash), overwrite)
        if imported:
            print(f"{len(imported)} frames keep the masks that were imported (--overwrite replaces them)")
        if len(frames) > len(todo) + len(imported):
            print(f"{len(frames) - len(todo) - len(imported)} of {len(frames)} frames are done already")
        if todo:
            print(f"{sam} on {device}, {settings.points_per_side} points a side, {len(todo)} frames", flush=True)
            model = load_sam(sam, weights, device)
            generate_masks(todo, store, SamGenerator(model, model_hash, settings))


def _import(frames: list[Frame], store: MaskStore, source: Path) -> None:
    from trase_ns.masks.generate import import_masks
    from trase_ns.masks.imports import find_imports

    files = find_imports(source, frames)
    with store.writing():
        import_masks([frame for frame in frames if frame.name in files], files, store)


def _export(frames: list[Frame], masks: Path, folder: Path) -> None:
    from trase_ns.masks import open_masks
    from trase_ns.masks.coco import CocoFolder, write_coco

    source = open_masks(masks, [frame.name for frame in frames])
    for name in source.frames():
        write_coco(source.load(name), CocoFolder(folder).path(name))
    print(f"wrote the masks of {len(source)} frames to {folder}")


def _summarise(frames: list[Frame], store: MaskStore) -> None:
    from trase_ns.capture import load_image
    from trase_ns.console import warn
    from trase_ns.masks.preview import on_white, write_preview

    counts = {frame.name: len(store.load(frame.name)) for frame in frames if frame.name in store}
    missing = [frame.name for frame in frames if not counts.get(frame.name)]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        warn(f"{len(missing)} of {len(frames)} frames have no masks: {shown}")
    best = max((frame for frame in frames if frame.name in counts), key=lambda frame: counts[frame.name])
    preview = store.directory / "preview.jpg"
    write_preview(preview, on_white(load_image(best)), store.load(best.name))
    number = sum(counts.values())
    print(
        f"{len(counts)} frames with {number} masks ({number / len(counts):.1f} a frame) in {store.directory}; "
        f"see {preview} ({best.name})"
    )
