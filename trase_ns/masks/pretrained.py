"""Networks of the transformers library: from a folder, its cache or a download; tensors and JSON, never code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trase_ns.console import console, warn
from trase_ns.errors import UserError


class Pretrained(NamedTuple):
    """A kind of network.

    Attributes:
        model_type: what its config.json must say.
        model: class of the network in transformers.
        processor: class of what prepares text and pictures for it.
        name: where its weights are on huggingface.co.
    """

    model_type: str
    model: str
    processor: str
    name: str


INSTALL = "this needs the package transformers: install it with `pip install 'trase_ns[text]'`."


def load_pretrained(
    kind: Pretrained | Sequence[Pretrained],
    checkpoint: Path | str | None,
    device: str,
    option: str = "--text-checkpoint",
    download: bool = True,
) -> tuple[Any, Any]:
    """Load a network and its processor; weights are read from safetensors alone.

    What is in the cache of huggingface_hub is taken without a look at the network.

    Args:
        kind: what to load, or several of which the weights decide; by default those of the first are taken.
        checkpoint: folder with config.json, model.safetensors and the files of the processor, or, as a string, a name
            on huggingface.co, from the cache or downloaded; by default `kind.name`.
        device: where to put the network.
        option: the option that names `checkpoint`, for messages.
        download: whether what is not in the cache may be downloaded.

    Returns:
        the network, float32 in evaluation mode, and its processor.

    Raises:
        UserError: transformers is missing, the folder holds something else or damaged files, or the download failed.
    """
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise UserError(INSTALL) from error
    kinds = [kind] if isinstance(kind, Pretrained) else kind
    source, local = str(checkpoint or kinds[0].name), isinstance(checkpoint, Path)
    if isinstance(checkpoint, Path):
        if not checkpoint.is_dir():
            raise UserError(f"{option} {checkpoint} is no folder: name one with config.json and model.safetensors.")
        advice = f"correct {option}, or download {kinds[0].name} again."
    else:
        advice = f"download it by other means (`hf download {source} --local-dir FOLDER`) and pass {option} FOLDER."
    try:
        try:
            model, processor = _read(kinds, source, offline=True)
        except OSError:
            if local:
                raise
            if not download:
                raise UserError(
                    f"the weights of {source} are not on this machine: add --download, or {advice}"
                ) from None
            console.print(f"downloading {source} from huggingface.co", highlight=False)
            model, processor = _read(kinds, source, offline=False)
    except UserError:
        raise
    except Exception as error:  # network, disk, JSON, safetensors and torch raise errors of many kinds
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise UserError(f"cannot load {source} ({reason}): {advice}") from error
    return model.float().eval().to(device), processor


def is_cached(kind: Pretrained) -> bool:
    """Say whether the weights of `kind.name` are in the cache of huggingface_hub, and transformers is installed."""
    try:
        import transformers  # noqa: F401
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    return all(isinstance(try_to_load_from_cache(kind.name, f), str) for f in ("config.json", "model.safetensors"))


def check_length(tokens: int, most: int, text: str) -> None:
    """Raise a UserError where a text has more tokens than a network reads."""
    if tokens > most:
        raise UserError(f"the text {text[:40]!r}... has {tokens} tokens, the network reads {most}: shorten it.")


def _read(kinds: Sequence[Pretrained], source: str, offline: bool) -> tuple[Any, Any]:
    import transformers

    config = transformers.AutoConfig.from_pretrained(source, local_files_only=offline, trust_remote_code=False)
    known = {kind.model_type: kind for kind in kinds}
    if config.model_type not in known:
        raise UserError(f"{source} holds a network of type {config.model_type}, not {' or '.join(known)}.")
    kind = known[config.model_type]
    # The classes are transformers' own: code that a folder may bring is not even looked for.
    processor = getattr(transformers, kind.processor).from_pretrained(
        source, local_files_only=offline, trust_remote_code=False
    )
    model, report = getattr(transformers, kind.model).from_pretrained(
        source, local_files_only=offline, use_safetensors=True, output_loading_info=True
    )
    if report["missing_keys"]:
        warn(f"{source} lacks {len(report['missing_keys'])} tensors of the network: what it finds may be nonsense.")
    return model, processor
