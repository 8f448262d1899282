"""A process locks itself: limits, no privileges, Landlock (files), seccomp (system calls), and it dies with its parent.

Standard library only, no privilege needed, Linux on x86_64 and aarch64. Locking the very process that then runs the
program is what lets new processes be forbidden altogether. Everything is irreversible and happens before the first byte
of the program is read; whatever fails raises, and then nothing is run. Sources: `man 7 landlock`, `man 2 seccomp`,
`man 7 capabilities`, `man 2 PR_SET_PDEATHSIG`, and Documentation/userspace-api/landlock.rst of Linux.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import stat
import struct
import sys

from masdsl.sandbox.inside.filter import instructions
from masdsl.sandbox.inside.syscalls import MACHINES, Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class NotLocked(Exception):
    """This process could not be locked; the text says which part is missing."""


# Numbers of system calls that glibc has no function for. Those of Landlock are the same on all machines.
LANDLOCK_CREATE = 444
LANDLOCK_ADD = 445
LANDLOCK_RESTRICT = 446
CAPSET = {"x86_64": 126, "aarch64": 91}
SECCOMP = {"x86_64": 317, "aarch64": 277}

SET_DEATH_SIGNAL = 1
GET_DEATH_SIGNAL = 2
SET_NO_NEW_PRIVILEGES = 38

EXECUTE = 1 << 0
READ_FILE = 1 << 2
READ_FOLDER = 1 << 3
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""ABI of Landlock -> how many of its rights about files exist; later ones have those of 5."""
NETWORK_RIGHTS = 0b11
SCOPES = 0b11
"""Abstract unix sockets, and signals, of processes outside."""

OPEN_FILES = 64


class Wanted:
    """What a process keeps when it locks itself; what of it does not exist is passed over.

    `readable` are files and folders with all that is in them, `folders` those whose names can be listed. `memory` is
    in bytes of address space. `tasks` is how many processes and threads the user may have, all told, when this process
    asks for one more; zero for as many as before. `executable` are programs that this process may become, and their
    loader: none, unless it is one of these that runs what is not trusted.
    """

    def __init__(
        self,
        readable: Sequence[str],
        folders: Sequence[str],
        memory: int,
        cpu_seconds: int,
        tasks: int,
        executable: Sequence[str] = (),
    ) -> None:
        self.readable = readable
        self.folders = folders
        self.memory = memory
        self.cpu_seconds = cpu_seconds
        self.tasks = tasks
        self.executable = executable


def lock(wanted: Wanted, *, landlock_required: bool) -> dict[str, object]:
    """Lock this process for good and return what was done, as plain data.

    Without `landlock_required`, a kernel that has no Landlock is accepted: something else then has to keep files out of
    sight, as bubblewrap does.

    Raises:
        NotLocked: a part is missing or the kernel refuses it.
    """
    _limit(wanted)
    machine = MACHINES.get(os.uname().machine)
    if sys.platform != "linux" or machine is None or sys.maxsize < 2**32:
        raise NotLocked(f"there is no filter for {sys.platform} on {os.uname().machine}")
    libc = ctypes.CDLL(None, use_errno=True)
    _drop_capabilities(libc, machine)
    if libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise NotLocked("the kernel does not take no_new_privs")
    _die_with_parent(libc)
    abi = _landlock_abi(libc)
    if abi:
        _landlock(libc, abi, wanted)
    elif landlock_required:
        raise NotLocked("the kernel has no Landlock (Linux has it since 5.13, where it is switched on)")
    _filter(libc, machine, may_become=bool(wanted.executable))
    return {"landlock": abi, "machine": machine.name}


def _limit(wanted: Wanted) -> None:
    """Set the limits that the kernel keeps for a process. At the soft CPU limit it is told, a second later killed."""
    limits = {
        resource.RLIMIT_AS: (wanted.memory, wanted.memory),
        resource.RLIMIT_CPU: (wanted.cpu_seconds, wanted.cpu_seconds + 1),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_NOFILE: (OPEN_FILES, OPEN_FILES),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
    }
    if wanted.tasks:
        limits[resource.RLIMIT_NPROC] = (wanted.tasks, wanted.tasks)
    for limit, (soft, hard) in limits.items():
        _, ceiling = resource.getrlimit(limit)
        if ceiling != resource.RLIM_INFINITY:  # who runs us may have set less
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(limit, (soft, hard))


def _drop_capabilities(libc: ctypes.CDLL, machine: Machine) -> None:
    """Give up every capability: a process of root without them is one of an ordinary user."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))  # version 3, this process
    nothing = ctypes.create_string_buffer(24)
    if libc.syscall(CAPSET[machine.name], header, nothing) != 0:
        raise NotLocked(f"capabilities cannot be given up: {_reason()}")


def _die_with_parent(libc: ctypes.CDLL) -> None:
    """Ask to be killed when the thread that started this process ends, however it ends."""
    libc.prctl(SET_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    set_to = ctypes.c_int(0)
    if libc.prctl(GET_DEATH_SIGNAL, ctypes.byref(set_to), 0, 0, 0) != 0 or set_to.value != signal.SIGKILL:
        raise NotLocked("the kernel does not end this process with its parent")


def _landlock_abi(libc: ctypes.CDLL) -> int:
    """Return the version of Landlock that the kernel has; 0 for none."""
    return max(0, int(libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def _landlock(libc: ctypes.CDLL, abi: int, wanted: Wanted) -> None:
    """Forbid every access to files but reading these, every TCP port, and signals and abstract sockets to outside."""
    rights = (1 << FILE_RIGHTS[min(abi, 5)]) - 1
    handled = [rights, NETWORK_RIGHTS, SCOPES][: 1 if abi < 4 else 2 if abi < 6 else 3]
    attributes = struct.pack(f"={len(handled)}Q", *handled)
    rules = libc.syscall(
        LANDLOCK_CREATE, ctypes.create_string_buffer(attributes, len(attributes)), ctypes.c_size_t(len(attributes)), 0
    )
    if rules < 0:
        raise NotLocked(f"Landlock does not take a ruleset: {_reason()}")
    for paths, right in (
        (wanted.readable, READ_FILE | READ_FOLDER),
        (wanted.folders, READ_FOLDER),
        (wanted.executable, READ_FILE | EXECUTE),
    ):
        for path in paths:
            _allow(libc, rules, path, right)
    if libc.syscall(LANDLOCK_RESTRICT, rules, 0) != 0:
        raise NotLocked(f"Landlock does not restrict this process: {_reason()}")
    os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(opened).st_mode):
        rights &= READ_FILE | EXECUTE
    rule = struct.pack("=Qi", rights, opened)
    if libc.syscall(LANDLOCK_ADD, rules, 1, ctypes.create_string_buffer(rule, len(rule)), 0) != 0:
        raise NotLocked(f"Landlock does not take a rule: {_reason()}")
    os.close(opened)


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("first", ctypes.c_void_p))


def _filter(libc: ctypes.CDLL, machine: Machine, *, may_become: bool) -> None:
    """Hand the kernel the filter; from here on most system calls are refused."""
    steps = instructions(machine, os.getpid(), may_become=may_become)
    packed = b"".join(struct.pack("=HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(packed, len(packed))
    program = _Program(len(steps), ctypes.cast(kept, ctypes.c_void_p))
    # SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_TSYNC: it holds for all threads, of which there is one.
    if libc.syscall(SECCOMP[machine.name], 1, 1, ctypes.byref(program)) != 0:
        raise NotLocked(f"seccomp does not take the filter: {_reason()}")
    if libc.syscall(SECCOMP[machine.name], 1, 1, ctypes.byref(program)) == 0:
        raise NotLocked("seccomp took the filter, and it does not hold")


def _reason() -> str:
    return os.strerror(ctypes.get_errno())
