"""Runs one Python program confined, then ends: the part of the sandbox that is a process of its own.

Run as `python -I -S confine.py STATUS`, with what to do as JSON on its standard input (see `sandbox.py`, which writes
it); imports nothing but the standard library. Standard output and error are the program's. To the file descriptor
STATUS goes one line of JSON: `exit` or `signal` with a number, `limit` with what was reached, or `setup` with the step
that this machine refused; in that case nothing ran.

Three processes: this one, which maps users; its child, which enters new namespaces (user, mount, process, network,
System V, host name, cgroup); and that one's child, process 1 in there, which makes the file system, gives up every
right, starts the program, and watches time and memory. When process 1 ends, the kernel kills all others in there.

Invariant: the program starts only after every step before it has succeeded.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main"]

_USER = 65534
_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_ATTR_READ_ONLY, _ATTR_NOSUID, _ATTR_NODEV, _ATTR_NOEXEC = 1, 2, 4, 8
_AT_FDCWD, _AT_RECURSIVE, _MNT_DETACH = -100, 0x8000, 2
_MOUNT_SETATTR = 442  # the same number on every architecture
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_CAPABILITIES_V3 = 0x20080522
_LOOK = 0.02

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.sethostname.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def _call(step: str, function: Callable[..., int], *arguments: object) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{step}: {os.strerror(number)}")


def _prctl(step: str, option: int, value: int, more: object = 0) -> None:
    more = ctypes.c_ulong(more) if isinstance(more, int) else more
    _call(step, _libc.prctl, option, ctypes.c_ulong(value), more, ctypes.c_ulong(0), ctypes.c_ulong(0))


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    _call(
        f"mount {target}",
        _libc.mount,
        os.fsencode(source),
        os.fsencode(target),
        kind.encode(),
        flags,
        options.encode(),
    )


def _restrict(target: str, attributes: int, *, recursive: bool = True) -> None:
    """Adds attributes to a mount and, unless told otherwise, to all mounts under it."""
    words = struct.pack("4Q", attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    arguments = (_AT_FDCWD, os.fsencode(target), flags, words, ctypes.c_size_t(len(words)))
    _call(f"mount_setattr {target}", _libc.syscall, _MOUNT_SETATTR, *arguments)


def _fork(act: Callable[[], None], status: int) -> int:
    """A child that acts, says which step failed where one does, and never comes back."""
    child = os.fork()
    if child:
        return child
    try:
        act()
    except BaseException as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        _report(status, setup=said)
    finally:
        os._exit(1)


def _report(status: int, **said: object) -> None:
    os.write(status, json.dumps(said).encode() + b"\n")


# The first process ---------------------------------------------------------------------------------------------


def main() -> NoReturn:
    status = int(sys.argv[1])
    os.set_inheritable(status, False)
    job: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    _prctl("die with the parent", _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != job["parent"]:
        os._exit(1)
    entered, enter = os.pipe()
    proceed, mapped = os.pipe()
    root = _is_root()
    child = _fork(lambda: _enter(job, status, root, (entered, enter, proceed, mapped)), status)
    os.close(enter)
    try:
        if os.read(entered, 1):
            _map_users(child, root)
            os.write(mapped, b"1")
    except OSError as error:
        _report(status, setup=f"map users: {error.strerror}")
    os.close(mapped)
    os.waitpid(child, 0)
    os._exit(0)


def _is_root() -> bool:
    """Whether this is the machine's root; that of a user namespace is just a user."""
    return os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split() == ["0", "0", str(2**32 - 1)]


def _map_users(child: int, root: bool) -> None:
    """In there is one user without a name. Root gets a second one that is itself, to set things up with: what root
    owns would otherwise belong to the program, and no limit on processes holds for root."""
    folder = Path(f"/proc/{child}")
    if not root:
        (folder / "setgroups").write_text("deny")
    for name, outside in (("uid_map", os.geteuid()), ("gid_map", os.getegid())):
        lines = f"0 0 1\n{_USER} {_USER} 1\n" if root else f"{_USER} {outside} 1\n"
        (folder / name).write_bytes(lines.encode())


def _enter(job: dict[str, Any], status: int, root: bool, pipes: tuple[int, int, int, int]) -> None:
    _prctl("die with the parent", _PR_SET_PDEATHSIG, signal.SIGKILL)
    entered, enter, proceed, mapped = pipes
    os.close(entered)
    os.close(mapped)  # so that the parent's end is the only one
    _call("unshare", _libc.unshare, _NAMESPACES)
    os.write(enter, b"1")
    if os.read(proceed, 1):
        os.waitpid(_fork(lambda: _first(job, status, root), status), 0)
    os._exit(0)


# Process 1 in there --------------------------------------------------------------------------------------------


def _first(job: dict[str, Any], status: int, root: bool) -> None:
    processes = _make_files(job)
    _call("sethostname", _libc.sethostname, b"sandbox", 7)
    if root:
        os.setgroups([])
        os.setresgid(_USER, _USER, _USER)
        os.setresuid(_USER, _USER, _USER)
    _give_up_rights()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    given = os.memfd_create("stdin")
    os.write(given, job["stdin"].encode("utf-8", "replace"))
    os.lseek(given, 0, os.SEEK_SET)
    program = _fork(lambda: _start(job, status, given), status)
    _watch(job, status, program, processes)


def _make_files(job: dict[str, Any]) -> int:
    """The file system of the sandbox, and an open folder of its processes, which nobody else in there can see."""
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755,size=1m")
    Path("/tmp/old").mkdir()
    _call("pivot_root", _libc.pivot_root, b"/tmp", b"/tmp/old")
    os.chdir("/")
    for source, target in job["folders"]:
        Path(target).mkdir(parents=True, exist_ok=True)
        _show(f"/old{source}", target, _ATTR_READ_ONLY | _ATTR_NOSUID | _ATTR_NODEV)
    for source in job["files"]:
        _place(source)
        _show(f"/old{source}", source, _ATTR_READ_ONLY | _ATTR_NOSUID | _ATTR_NODEV)
    for source in job["devices"]:
        _place(source)
        _show(f"/old{source}", source, _ATTR_READ_ONLY | _ATTR_NOSUID | _ATTR_NOEXEC)
    for path, target in job["links"]:
        Path(path).symlink_to(target)
    Path("/proc").mkdir()
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    _call("umount /proc", _libc.umount2, b"/proc", _MNT_DETACH)
    Path("/tmp").mkdir(exist_ok=True)
    _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode=0777,size={job['disk']},nr_inodes=4096")
    for source, target in job["inside"]:  # what stands in the folder that was just covered
        Path(target).mkdir(parents=True, exist_ok=True)
        _show(f"/old{source}", target, _ATTR_READ_ONLY | _ATTR_NOSUID | _ATTR_NODEV)
    Path(job["path"]).write_bytes(job["code"].encode("utf-8", "replace"))
    _call("umount /old", _libc.umount2, b"/old", _MNT_DETACH)
    Path("/old").rmdir()
    _restrict("/", _ATTR_READ_ONLY | _ATTR_NOSUID | _ATTR_NODEV, recursive=False)
    os.chdir(Path(job["path"]).parent)
    return processes


def _place(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()


def _show(source: str, target: str, attributes: int) -> None:
    _mount(source, target, "", _MS_BIND | _MS_REC)
    _restrict(target, attributes)


def _give_up_rights() -> None:
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    header, none = struct.pack("Ii", _CAPABILITIES_V3, 0), struct.pack("6I", 0, 0, 0, 0, 0, 0)
    _call("capset", _libc.capset, header, none)
    _prctl("not dumpable", _PR_SET_DUMPABLE, 0)
    _prctl("die with the parent", _PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(job: dict[str, Any], status: int, program: int, processes: int) -> NoReturn:
    """Until the program ends or reaches a limit. Orphans end up here, and are buried."""
    end = time.monotonic() + job["seconds"]
    while True:
        ended, how = os.waitpid(-1, os.WNOHANG)
        if ended == program:
            code = os.waitstatus_to_exitcode(how)
            _report(status, **({"exit": code} if code >= 0 else {"signal": -code}))
            break
        if time.monotonic() > end:
            _report(status, limit="seconds")
            break
        count, memory = _in_use(processes)
        if count > job["processes"] or memory > job["memory"]:
            _report(status, limit="processes" if count > job["processes"] else "memory")
            break
        if ended == 0:
            signal.sigtimedwait({signal.SIGCHLD}, _LOOK)
    os._exit(0)


def _in_use(processes: int) -> tuple[int, int]:
    """Processes in there but for this one, and the bytes that they use. The kernel limits their number for all users
    but one, the root of a machine that is not the root here."""
    count = pages = 0
    for name in os.listdir(processes):
        if not name.isdecimal() or name == "1":
            continue
        count += 1
        try:
            opened = os.open(f"{name}/statm", os.O_RDONLY, dir_fd=processes)
        except OSError:
            continue  # it has just ended
        try:
            pages += int(os.read(opened, 200).split()[1])
        except (OSError, IndexError):
            pass
        finally:
            os.close(opened)
    return count, pages * resource.getpagesize()


# The program ---------------------------------------------------------------------------------------------------


def _start(job: dict[str, Any], status: int, given: int) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.setsid()
    os.dup2(given, 0)
    os.closerange(3, status)
    os.closerange(status + 1, 4096)
    for name, most in job["limits"].items():
        resource.setrlimit(getattr(resource, name), (most, most))
    filter = base64.b64decode(job["filter"])
    kept = ctypes.create_string_buffer(filter, len(filter))
    program = struct.pack("HxxxxxxP", len(filter) // 8, ctypes.addressof(kept))
    _prctl("seccomp", _PR_SET_SECCOMP, 2, program)
    os.execve(job["argv"][0], job["argv"], job["environment"])


if __name__ == "__main__":
    main()
