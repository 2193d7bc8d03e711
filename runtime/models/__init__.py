"""Model files: what is known by name, how it gets onto this machine, and where it lies then. Imports no torch."""

from pnyx.runtime.models.find import ModelFiles, find
from pnyx.runtime.models.listing import ModelRow, listing
from pnyx.runtime.models.pull import pull
from pnyx.runtime.models.registry import REGISTRY, RegistryEntry

__all__ = ["REGISTRY", "ModelFiles", "ModelRow", "RegistryEntry", "find", "listing", "pull"]
