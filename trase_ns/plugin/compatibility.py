"""What has to be so for Nerfstudio and this plugin to work together."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

from trase_ns.errors import UserError

NERFSTUDIO = "1.1.5"
GSPLAT = "1.4.0"


def problem() -> str | None:
    """Return what is wrong with the versions that are installed, and how to mend it; None if all is well."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        return f"trase_ns works with Python 3.10 to 3.12; this is {sys.version_info[0]}.{sys.version_info[1]}."
    for package, wanted in (("nerfstudio", NERFSTUDIO), ("gsplat", GSPLAT)):
        try:
            found = version(package)
        except PackageNotFoundError:
            return f"trase_ns needs {package} {wanted}: pip install {package}=={wanted}"
        if found.split("+")[0] != wanted:
            return f"trase_ns works with {package} {wanted}, not {found}: pip install {package}=={wanted}"
    return None


def require_compatible() -> None:
    """Stop with a clear message where `problem` finds one.

    Raises:
        UserError: a version that this plugin cannot work with.
    """
    message = problem()
    if message is not None:
        raise UserError(message)


def install_error_messages() -> None:
    """Let programs that are not ours (ns-train, ns-eval, ...) print a `UserError` without a traceback."""
    previous = sys.excepthook
    if getattr(previous, "_trase", False):
        return

    def hook(kind, value, traceback):
        if isinstance(value, UserError):
            print(f"error: {value}", file=sys.stderr)
        else:
            previous(kind, value, traceback)

    hook._trase = True  # type: ignore[attr-defined]
    sys.excepthook = hook
