"""Which optional packages a piece of work needs, and the error where one is not installed."""

from __future__ import annotations

import importlib.util

from pnyx.runtime.errors import PackageMissing

__all__ = ["TO_CONVERT", "TO_DOWNLOAD", "TO_RUN", "require"]

TO_RUN = ("torch", "transformers", "safetensors")
TO_CONVERT = (*TO_RUN, "gguf", "accelerate", "filelock")
TO_DOWNLOAD = ("huggingface_hub",)


def require(packages: tuple[str, ...], purpose: str, *, extra: str = "transformers") -> None:
    """Raises PackageMissing with the command that installs what is missing. Imports nothing."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        plural = "packages" if len(missing) > 1 else "package"
        raise PackageMissing(
            f"{purpose} needs the {plural} {names}",
            help=f"run `pip install 'pnyx[{extra}]'`",
        )
