"""The call store: what engines answered, kept so that no call is made twice."""

from pnyx.runtime.store.backend import Entry, StoreInfo, shown_place
from pnyx.runtime.store.locations import NONE, default_store, open_backend, open_store, parse_size
from pnyx.runtime.store.records import Record
from pnyx.runtime.store.store import CallStore

__all__ = [
    "NONE", "CallStore", "Entry", "Record", "StoreInfo", "default_store", "open_backend", "open_store", "parse_size",
    "shown_place",
]  # fmt: skip
