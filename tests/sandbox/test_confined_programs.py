"""What a hostile program tries, and what it gets."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from pathlib import Path
from textwrap import dedent

import pytest

from pnyx.runtime.errors import SandboxUnusable
from pnyx.runtime.sandbox import Ended, Program, Sandbox, open_sandbox
from pnyx.runtime.sandbox.filter import MACHINES, filter_for
from pnyx.runtime.sandbox.view import ENVIRONMENT


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    try:
        return open_sandbox(user="test", place=None)
    except SandboxUnusable as refused:
        pytest.skip(refused.message)


def run(sandbox: Sandbox, code: str, *, stdin: str = "", seconds: float = 10.0) -> Ended:
    return sandbox.start(Program(dedent(code), stdin, seconds)).wait()


def error(sandbox: Sandbox, code: str, *, seconds: float = 10.0) -> str:
    ended = run(sandbox, code, seconds=seconds)
    assert ended.error is not None, ended.output
    return ended.error


def tried(sandbox: Sandbox, *expressions: str, before: str = "") -> list[str]:
    """What each expression gives, or the name of its exception."""
    code = ["import os, signal, socket, ctypes, resource", *dedent(before).splitlines()]
    for expression in expressions:
        code += ["try:", f"    print({expression})", "except Exception as e:", "    print(type(e).__name__)"]
    ended = run(sandbox, "\n".join(code))
    assert ended.error is None, ended.error
    return ended.output.splitlines()


def left_running(marker: str) -> list[str]:
    """The processes of this machine that have the marker on their command lines."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in line:
                found.append(folder.name)
    return found


# What works ----------------------------------------------------------------------------------------------------


def test_a_program_reads_computes_and_writes(sandbox: Sandbox) -> None:
    assert run(sandbox, "print(int(input()) * 7)", stdin="6\n") == Ended("42\n", None)


def test_it_may_write_files_in_its_own_folder_and_start_processes(sandbox: Sandbox) -> None:
    code = """
        import subprocess, sys, threading
        open("a.txt", "w").write("hello")
        threading.Thread(target=lambda: open("/tmp/b.txt", "w").write("there")).start()
        print(subprocess.run([sys.executable, "-c", "print(open('a.txt').read())"], capture_output=True).stdout)
    """
    assert run(sandbox, code) == Ended("b'hello\\n'\n", None)


def test_what_is_no_text_is_replaced_on_its_way_in(sandbox: Sandbox) -> None:
    assert run(sandbox, "print('\ud800', input())", stdin="\ud800") == Ended("? ?\n", None)


def test_two_runs_of_what_hashes_are_alike(sandbox: Sandbox) -> None:
    code = "print(hash('pnyx'), list({'a', 'b', 'c', 'd'}))"
    assert run(sandbox, code) == run(sandbox, code)


def test_nothing_stays_from_one_run_to_the_next(sandbox: Sandbox) -> None:
    run(sandbox, "open('left', 'w')")
    assert run(sandbox, "import os; print(os.listdir())").output.startswith("['program.py'")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("print(", "SyntaxError: '(' was never closed"),
        ("import sys; sys.exit(3)", "ended with exit code 3"),
        ("import sys; sys.exit('no luck')", "no luck"),
        ("import os; os.kill(os.getpid(), 11)", "was ended by SIGSEGV"),
        ("a\0b", "SyntaxError: source code cannot contain null bytes"),
    ],
)
def test_how_a_program_ends_is_told_in_one_line(sandbox: Sandbox, code: str, message: str) -> None:
    assert error(sandbox, code) == message


# Out of the sandbox ----------------------------------------------------------------------------------------------


def test_the_network_is_not_there(sandbox: Sandbox) -> None:
    assert tried(
        sandbox,
        "socket.socket()",
        "socket.create_connection(('127.0.0.1', 80))",
        "socket.socket(40, socket.SOCK_STREAM)",  # of virtual machines
        "socket.getaddrinfo('example.org', 80)",
        "socket.if_nameindex()",
    ) == ["PermissionError", "PermissionError", "PermissionError", "gaierror", "PermissionError"]


def test_local_sockets_outside_are_out_of_reach(sandbox: Sandbox, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as abstract:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        abstract.bind(b"\0pnyx-sandbox-test")
        abstract.listen()
        by_path = f"socket.socket(socket.AF_UNIX).connect({str(tmp_path / 's')!r})"
        by_name = "socket.socket(socket.AF_UNIX).connect(b'\\0pnyx-sandbox-test')"
        assert tried(sandbox, by_path, by_name) == ["FileNotFoundError", "ConnectionRefusedError"]


def test_files_outside_are_neither_seen_nor_written(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    hidden = [secret, "/etc/passwd", "/etc/shadow", Path.home() / ".ssh", "/var", "/sys", "/run", "/dev/sda", "/old"]
    assert tried(sandbox, *[f"os.path.exists({str(path)!r})" for path in hidden]) == ["False"] * len(hidden)
    writes = ["open('/usr/x', 'w')", "open(os.__file__, 'a')", "os.mkdir('/x')", "os.chmod('/usr/bin', 0o777)"]
    assert set(tried(sandbox, f"open({str(secret)!r}, 'w')", *writes)) <= {
        "FileNotFoundError",
        "PermissionError",
        "OSError",
    }
    assert secret.read_text() == "s3cret"


def test_links_lead_nowhere(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    links = f"os.symlink({str(secret)!r}, 'l')\nos.symlink('../' * 50, 'up')"
    read, write, old, up, hard = tried(
        sandbox,
        "open('l').read()",
        "open('l', 'w')",
        "open('/tmp/../../../old/etc/passwd').read()",
        "os.path.samefile('up', '/')",
        "os.link('/usr/bin/env', 'e')",
        before=links,
    )
    assert (read, old, up) == ("FileNotFoundError", "FileNotFoundError", "True")
    assert write in ("FileNotFoundError", "PermissionError")
    assert hard in ("OSError", "PermissionError")


def test_the_environment_and_open_files_hold_nothing_of_ours(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-s3cret")
    held = os.open(tmp_path / "held", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(held, True)
    works = """
        def works(n):
            try:
                os.fstat(n)
                return True
            except OSError:
                return False
    """
    try:
        names, files = tried(sandbox, "*os.environ", "[n for n in range(3, 256) if works(n)]", before=works)
    finally:
        os.close(held)
    assert sorted(names.split()) == sorted(ENVIRONMENT)
    assert files == "[]"


def test_other_processes_are_out_of_reach(sandbox: Sandbox) -> None:
    parent, seen, signalled, rights, traced = tried(
        sandbox,
        "os.getppid()",
        "os.path.exists('/proc/1')",
        f"os.kill({os.getpid()}, 0)",
        "os.setuid(0)",
        "ctypes.CDLL(None).ptrace(16, 1, 0, 0)",
    )
    assert (parent, seen, traced) == ("1", "False", "-1")
    assert rights in ("PermissionError", "OSError")
    assert signalled in ("ProcessLookupError", "PermissionError")


def test_the_kernel_refuses_what_could_lead_out_or_escape_the_limits(sandbox: Sandbox) -> None:
    calls = ["unshare(0x10000000)", "mount(b'none', b'/tmp', b'tmpfs', 0, 0)", "setns(0, 0)", "chroot(b'/tmp')"]
    calls += ["shmget(0, 1 << 20, 0o1600)", "syscall(425, 8, 0)"]
    assert tried(sandbox, *[f"ctypes.CDLL(None).{call}" for call in calls]) == ["-1"] * len(calls)
    assert tried(sandbox, "os.memfd_create('x')", "resource.setrlimit(resource.RLIMIT_NPROC, (9999, 9999))") == [
        "PermissionError",
        "ValueError",
    ]


# Too much of everything ------------------------------------------------------------------------------------------


def test_sleeping_and_spinning_end_in_time(sandbox: Sandbox) -> None:
    for code in ("import time; time.sleep(60)", "while True: pass"):
        began = time.monotonic()
        assert error(sandbox, code, seconds=0.5) == "took longer than 0.5 s"
        assert time.monotonic() - began < 5


def test_signals_that_are_ignored_end_it_all_the_same(sandbox: Sandbox) -> None:
    code = """
        import signal, time
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True:
            time.sleep(1)
    """
    assert error(sandbox, code, seconds=0.5) == "took longer than 0.5 s"


def test_a_fork_bomb_fizzles(sandbox: Sandbox) -> None:
    began = time.monotonic()
    assert error(sandbox, "import os\nwhile True: os.fork()") != "took longer than 10 s"
    stubborn = """
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
    """
    assert error(sandbox, stubborn, seconds=1.0) in ("took longer than 1 s", "started too many processes")
    assert time.monotonic() - began < 10


def test_threads_count_as_processes(sandbox: Sandbox) -> None:
    code = """
        import threading, time
        for _ in range(100):
            threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
    """
    assert error(sandbox, code).startswith("RuntimeError: can't start new thread")


def test_orphans_and_zombies_die_with_it(sandbox: Sandbox) -> None:
    code = """
        import os, subprocess, sys, time
        for _ in range(5):
            if os.fork() == 0:
                os._exit(0)
        if os.fork() == 0:
            os.setsid()
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", "orphan-of-a-test"])
        time.sleep(0.3)
        print("gone")
    """
    assert run(sandbox, code) == Ended("gone\n", None)
    assert left_running("orphan-of-a-test") == []


def test_one_large_piece_of_memory_is_refused(sandbox: Sandbox) -> None:
    assert error(sandbox, "x = bytearray(20_000_000_000)") == "MemoryError"


def test_memory_of_many_processes_counts_together() -> None:
    code = """
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                x = bytearray(100_000_000)
                time.sleep(60)
        time.sleep(60)
    """
    assert error(Sandbox(memory=300_000_000), code) == "used too much memory"


def test_files_are_small_and_few(sandbox: Sandbox) -> None:
    write = "f = open('big', 'wb'); [f.write(bytes(1 << 20)) for _ in range(1000)]"
    assert error(sandbox, write).startswith("OSError")
    assert error(sandbox, "import os; os.truncate(os.open('s', os.O_CREAT | os.O_RDWR), 1 << 40)").startswith("OSError")
    several = "for i in range(9): open(str(i), 'wb').write(bytes(30 << 20))"
    assert error(sandbox, several).startswith("OSError: [Errno 28]")
    assert error(sandbox, "for i in range(10_000): open(str(i), 'w').close()").startswith("OSError: [Errno 28]")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_is_cut(sandbox: Sandbox, stream: str) -> None:
    ended = run(sandbox, f"import sys\nwhile True: sys.{stream}.write('x' * 9999)")
    assert ended.error == "wrote too much"
    assert len(ended.output) <= 100_000


def test_output_that_is_no_text_is_read_with_marks(sandbox: Sandbox) -> None:
    ended = run(sandbox, r"import sys; sys.stdout.buffer.write(b'a\xffb\n\xf0\x9f')")
    assert ended == Ended("a\ufffdb\n\ufffd", None)


def test_closing_its_streams_hides_nothing(sandbox: Sandbox) -> None:
    assert run(sandbox, "import os; os.close(1); os.close(2); os.close(0)").error is None
    close_all = """
        import os, time
        os.closerange(0, 256)
        time.sleep(60)
    """
    assert error(sandbox, close_all, seconds=0.5) == "took longer than 0.5 s"


def test_what_a_program_prints_is_not_taken_for_what_the_sandbox_says(sandbox: Sandbox) -> None:
    code = """
        import os
        for n in range(256):
            try:
                os.write(n, b'{"exit": 0}\\n')
            except OSError:
                pass
        os._exit(9)
    """
    assert error(sandbox, code) == '{"exit": 0}'


def test_killing_everything_in_reach_kills_only_itself(sandbox: Sandbox) -> None:
    assert error(sandbox, "import os, time; os.kill(1, 9); os.kill(-1, 9); time.sleep(60)", seconds=1.0)
    assert run(sandbox, "print(1)") == Ended("1\n", None)


# From outside ----------------------------------------------------------------------------------------------------


def test_a_program_that_is_stopped_ends_at_once(sandbox: Sandbox) -> None:
    running = sandbox.start(Program("import time; time.sleep(60)", seconds=60))
    threading.Timer(0.3, running.stop).start()
    began = time.monotonic()
    running.wait()
    assert time.monotonic() - began < 5
    running.stop()


def test_programs_run_side_by_side(sandbox: Sandbox) -> None:
    started = [sandbox.start(Program(f"print({n})")) for n in range(6)]
    assert [running.wait().output for running in started] == [f"{n}\n" for n in range(6)]


def test_standard_input_may_be_large(sandbox: Sandbox) -> None:
    assert run(sandbox, "import sys; print(len(sys.stdin.read()))", stdin="é" * 500_000).output == "500000\n"


# The filter ------------------------------------------------------------------------------------------------------


def verdict(filter: bytes, machine: int, number: int, argument: int = 0) -> int:
    """What the kernel would do: an interpreter of the few instructions that the filter is made of."""
    data = struct.pack("iIQ6Q", number, machine, 0, argument, 0, 0, 0, 0, 0)
    at, held = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("HBBI", filter, at * 8)
        at += 1
        match code:
            case 0x20:
                held = struct.unpack_from("I", data, value)[0]
            case 0x06:
                return int(value)
            case _:
                holds = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
                at += if_true if holds else if_false


@pytest.mark.parametrize(("machine", "audit", "socket_", "clone", "read"), [
    ("x86_64", 0xC000003E, 41, 56, 0), ("aarch64", 0xC00000B7, 198, 220, 63),
])  # fmt: skip
def test_the_filter_of_each_machine(machine: str, audit: int, socket_: int, clone: int, read: int) -> None:
    filter = filter_for(machine)
    allow, kill, refuse, unknown = 0x7FFF0000, 0x80000000, 0x50001, 0x50026
    assert machine in MACHINES
    assert verdict(filter, audit, read) == allow
    assert verdict(filter, 0x40000003, read) == kill  # 32-bit calls
    assert verdict(filter, audit, 0x40000000 + read) == kill
    assert [verdict(filter, audit, socket_, family) for family in (1, 2, 10, 16, 40)] == [allow, *[refuse] * 4]
    assert verdict(filter, audit, clone, 17) == allow
    assert verdict(filter, audit, clone, 0x10000011) == refuse
    assert verdict(filter, audit, 435) == unknown
    assert verdict(filter, audit, 425) == refuse
