"""The system calls that a locked process may make, with their numbers on the two machines that are supported.

Everything else is refused. A call stands here because CPython or glibc needs it to compute, to read the standard
library and to write to pipes that are open already. Nothing here makes or changes a process, a socket or a file, sends
a signal to another process, or asks for another's memory. The numbers are those of `asm/unistd_64.h` (x86_64) and
`asm-generic/unistd.h` (aarch64) of Linux.

The modules of this folder do without `typing`: importing it takes a tenth of the time that a sandbox needs to start.
"""

from __future__ import annotations


class Machine:
    """An architecture: its name as `os.uname().machine` gives it, its audit number, and its column in `ALLOWED`."""

    def __init__(self, name: str, audit: int, column: int) -> None:
        self.name = name
        self.audit = audit
        self.column = column


X86_64 = Machine("x86_64", 0xC000003E, 0)
AARCH64 = Machine("aarch64", 0xC00000B7, 1)
MACHINES = {machine.name: machine for machine in (X86_64, AARCH64)}

ALLOWED: dict[str, tuple[int | None, int | None]] = {
    # Reading and writing what is open.
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "close_range": (436, 436),
    "lseek": (8, 62),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "getdents64": (217, 61),
    # What is there: Landlock does not hide names and sizes of files, bubblewrap does.
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "getcwd": (79, 17),
    # Waiting for what is open.
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "epoll_create": (213, None),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "eventfd2": (290, 19),
    # Memory.
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "membarrier": (324, 283),
    # Threads and signals of this process; `clone` and `tgkill` have rules of their own.
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "gettid": (186, 178),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "arch_prctl": (158, None),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # Time.
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "alarm": (37, None),
    "getitimer": (36, 102),
    "setitimer": (38, 103),
    # Facts about this process and this machine.
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getrandom": (318, 278),
}
"""Name -> numbers on x86_64 and aarch64 (None: it has no such call), for calls that are allowed as they are."""

RULED: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None),
    "openat": (257, 56),
    "mmap": (9, 222),
    "clone": (56, 220),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
}
"""Calls that are allowed with certain arguments only; `filter.py` says which."""

BECOMING: dict[str, tuple[int | None, int | None]] = {"execve": (59, 221), "set_tid_address": (218, 96)}
"""What a process also needs that turns into another program, and that program to begin."""

ABSENT: dict[str, tuple[int, int]] = {"clone3": (435, 435)}
"""Calls whose arguments a filter cannot see. They are said not to exist, so that glibc uses an older one."""

NEWEST = 450
"""Calls with higher numbers are newer than these tables; they too are said not to exist."""


def numbers(table: dict[str, tuple[int | None, int | None]], machine: Machine) -> dict[str, int]:
    """Return the calls of a table that a machine has, with their numbers."""
    return {name: number for name, pair in table.items() if (number := pair[machine.column]) is not None}
