"""The system calls that a confined program may not make, as a seccomp filter.

Namespaces already hide files, processes and networks; the filter takes away what goes past them or holds memory that
no limit counts: sockets but local ones (virtual-machine sockets know no namespaces), further namespaces and mounts,
tracing, keys, io_uring, shared memory without a file. Everything else is allowed.

The filter is classic BPF (`seccomp(2)`): eight bytes an instruction, jumps relative to the next one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["MACHINES", "filter_for"]

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _KILL, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_AF_UNIX = 1
_NEW_NAMESPACES = 0x7E020000
_X32 = 0x40000000

# The same on every architecture; from this number on they all are.
_COMMON = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "pidfd_getfd": 438,
    "mount_setattr": 442, "memfd_secret": 447,
}  # fmt: skip

_NUMBERS: Mapping[str, tuple[int, Mapping[str, int]]] = MappingProxyType(
    {
        "x86_64": (
            0xC000003E,
            {
                "socket": 41, "clone": 56, "shmget": 29, "semget": 64, "msgget": 68, "ptrace": 101, "mount": 165,
                "umount2": 166, "pivot_root": 155, "chroot": 161, "add_key": 248, "request_key": 249, "keyctl": 250,
                "unshare": 272, "perf_event_open": 298, "name_to_handle_at": 303, "open_by_handle_at": 304,
                "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "memfd_create": 319, "bpf": 321,
                "userfaultfd": 323, "mq_open": 240,
            },
        ),
        "aarch64": (
            0xC00000B7,
            {
                "socket": 198, "clone": 220, "shmget": 194, "semget": 190, "msgget": 186, "ptrace": 117, "mount": 40,
                "umount2": 39, "pivot_root": 41, "chroot": 51, "add_key": 217, "request_key": 218, "keyctl": 219,
                "unshare": 97, "perf_event_open": 241, "name_to_handle_at": 264, "open_by_handle_at": 265,
                "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "memfd_create": 279, "bpf": 280,
                "userfaultfd": 282, "mq_open": 180,
            },
        ),
    }
)  # fmt: skip

MACHINES = tuple(_NUMBERS)
"""Architectures, as `platform.machine()` says, that there is a filter for."""


def filter_for(machine: str) -> bytes:
    """The filter of one of MACHINES."""
    audit, own = _NUMBERS[machine]
    numbers = {**own, **_COMMON}
    looked_at = {name: numbers.pop(name) for name in ("socket", "clone", "clone3")}
    refused = sorted(numbers.values())
    code = [
        _instruction(_LOAD, _MACHINE),
        _instruction(_EQUAL, audit, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
        _instruction(_AT_LEAST, _X32, 0, 1),
        _instruction(_RETURN, _KILL),
        # The C library falls back to `clone`, whose flags can be looked at.
        _instruction(_EQUAL, looked_at["clone3"], 0, 1),
        _instruction(_RETURN, _UNKNOWN),
    ]
    for number in refused:
        code += [_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, _REFUSE)]
    return b"".join(
        [
            *code,
            _instruction(_EQUAL, looked_at["socket"], 0, 4),
            _instruction(_LOAD, _FIRST_ARGUMENT),
            _instruction(_EQUAL, _AF_UNIX, 0, 1),
            _instruction(_RETURN, _ALLOW),
            _instruction(_RETURN, _REFUSE),
            _instruction(_EQUAL, looked_at["clone"], 0, 3),
            _instruction(_LOAD, _FIRST_ARGUMENT),
            _instruction(_ANY_BIT, _NEW_NAMESPACES, 0, 1),
            _instruction(_RETURN, _REFUSE),
            _instruction(_RETURN, _ALLOW),
        ]
    )


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
