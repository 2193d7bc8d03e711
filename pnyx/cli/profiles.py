"""The measurements of former runs: one file for a pipeline on certain models, in the user's cache folder.

They only sharpen estimates, so one that cannot be read counts as absent, and one that cannot be written is let go.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pnyx.cli.bindings import bound_models

if TYPE_CHECKING:
    from pnyx.compiler.cost import Profile
    from pnyx.compiler.plan import Plan
    from pnyx.runtime.config import Config

__all__ = ["add_to_profile", "load_profile", "profile_path"]


def profile_path(options: argparse.Namespace, plan: Plan, config: Config) -> Path:
    """Told apart by the program (or plan file), the pipeline, and what its models are bound to."""
    from pnyx.runtime.models.cache import cache_folder

    parts = [str(Path(options.file).resolve()), plan.pipeline, *bound_models(options, plan, config)]
    return cache_folder() / "profiles" / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}.json"


def load_profile(path: Path) -> Profile:
    """An empty one where nothing was measured."""
    from pnyx.compiler.cost import Profile, ProfileError

    try:
        return Profile.load(path)
    except (ProfileError, OSError):
        return Profile()


def add_to_profile(path: Path, measured: Profile) -> None:
    """Joins what this run measured to what is there."""
    try:
        load_profile(path).merge(measured).save(path)
    except OSError:
        return
