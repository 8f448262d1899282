"""The seccomp filter: a small program for the kernel that decides about each system call (`man 2 seccomp`).

It is put together from blocks that end in a verdict each, so that no jump leaves its block: a jump that is off by one
would silently allow everything. `tests/test_sandbox_filter.py` runs the program for every call number of both machines.
"""

from __future__ import annotations

import errno

from masdsl.sandbox.inside.syscalls import ABSENT, ALLOWED, BECOMING, NEWEST, RULED, Machine, numbers

LOAD = 0x20
"""BPF_LD | BPF_W | BPF_ABS: load the 32-bit word at an offset of `struct seccomp_data`."""
EQUAL = 0x15
GREATER = 0x25
AT_LEAST = 0x35
ANY_BIT = 0x45
AND = 0x54
RETURN = 0x06

ALLOW = 0x7FFF0000
KILL = 0x80000000
"""SECCOMP_RET_KILL_PROCESS."""
ERROR = 0x00050000
"""SECCOMP_RET_ERRNO; the low 16 bits are the errno."""
REFUSE = ERROR | errno.EPERM
ABSENT_CALL = ERROR | errno.ENOSYS

NUMBER_AT = 0
MACHINE_AT = 4
ARGUMENTS_AT = 16

X32_BIT = 0x40000000
"""Calls of the x32 ABI carry this bit and would pass for others."""

PTHREAD = 0x003D0F00
"""The flags with which C libraries make threads: CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID,
CHILD_CLEARTID."""
DETACHED = 0x00400000
"""CLONE_DETACHED, which does nothing; musl adds it."""
OPEN_TO_WRITE = 0o3 | 0o100 | 0o1000 | 0o2000 | 0o20000000
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND and the bit of O_TMPFILE; the same on both machines."""
MAP_STACK = 0x20000
SMALLEST_STACK = 1 << 20
"""Bytes. With stacks smaller than this, threads by the ten thousand would fit the memory that a program may have."""
FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC. Not F_SETOWN: its signals reach other processes."""
IOCTL_CODES = (0x5401, 0x5413, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONBIO, FIONCLEX, FIOCLEX; the same on both machines."""


Instruction = tuple[int, int, int, int]
"""One instruction of classic BPF, a `struct sock_filter`: code, steps to jump if true and if false, value."""


def _low(argument: int) -> int:
    return ARGUMENTS_AT + 8 * argument


def _word(offset: int, mask: int = 0xFFFFFFFF) -> list[Instruction]:
    loaded = [(LOAD, 0, 0, offset)]
    return loaded if mask == 0xFFFFFFFF else [*loaded, (AND, 0, 0, mask)]


def _one_of(*values: int) -> list[Instruction]:
    """Fall through if the loaded word is one of the values; otherwise refuse the call."""
    count = len(values)
    return [*((EQUAL, count - place, 0, value) for place, value in enumerate(values)), (RETURN, 0, 0, REFUSE)]


def _only(argument: int, *values: int, mask: int = 0xFFFFFFFF) -> list[Instruction]:
    """Fall through if what is left of an argument's lower half after the mask is one of the values.

    Of flags, commands and process ids the kernel itself takes the lower half.
    """
    return [*_word(_low(argument), mask), *_one_of(*values)]


def _null(argument: int) -> list[Instruction]:
    """Fall through if an argument, a pointer, is null in both halves."""
    return [*_word(_low(argument) + 4), *_one_of(0), *_word(_low(argument)), *_one_of(0)]


def _ruled(number: int, body: list[Instruction]) -> list[Instruction]:
    """Return the block of one call: a body that refuses or falls through, and then the call is allowed."""
    block = [*body, (RETURN, 0, 0, ALLOW)]
    return [(EQUAL, 0, len(block), number), *block]


def _stack_rule() -> list[Instruction]:
    """Refuse `mmap` of a stack that is small: flags are the argument 3, the length is the argument 1."""
    small: list[Instruction] = [
        *_word(_low(1) + 4),
        (EQUAL, 0, 3, 0),  # lengths of 4 GiB and more are for the memory limit to refuse
        *_word(_low(1)),
        (AT_LEAST, 1, 0, SMALLEST_STACK),
        (RETURN, 0, 0, REFUSE),
    ]
    return [*_word(_low(3)), (ANY_BIT, 0, len(small), MAP_STACK), *small]


def _rules(process: int) -> dict[str, list[Instruction]]:
    return {
        "open": _only(1, 0, mask=OPEN_TO_WRITE),
        "openat": _only(2, 0, mask=OPEN_TO_WRITE),
        "mmap": _stack_rule(),
        "clone": _only(0, PTHREAD, mask=0xFFFFFFFF ^ DETACHED),
        "tgkill": _only(0, process),
        "prlimit64": [*_only(0, 0, process), *_null(2)],
        "fcntl": _only(1, *FCNTL_COMMANDS),
        "ioctl": _only(1, *IOCTL_CODES),
    }


def instructions(machine: Machine, process: int, *, may_become: bool = False) -> list[Instruction]:
    """Return the filter for a machine; `process` is the id of the process that it is for, as that process sees it.

    With `may_become` the process may turn into another program, which has to be kept in bounds by other means.
    """
    program: list[Instruction] = [
        *_word(MACHINE_AT),
        (EQUAL, 1, 0, machine.audit),
        (RETURN, 0, 0, KILL),
        *_word(NUMBER_AT),
        (AT_LEAST, 0, 1, X32_BIT),
        (RETURN, 0, 0, KILL),
    ]
    rules = _rules(process)
    if may_become:  # programs in Rust make small stacks for signals
        rules["mmap"] = []
    assert rules.keys() == RULED.keys()
    allowed = numbers(ALLOWED, machine) | (numbers(BECOMING, machine) if may_become else {})
    for number in allowed.values():
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    for name, number in numbers(RULED, machine).items():
        program += _ruled(number, rules[name])
    for pair in ABSENT.values():
        program += [(EQUAL, 0, 1, pair[machine.column]), (RETURN, 0, 0, ABSENT_CALL)]
    return [
        *program,
        (GREATER, 0, 1, NEWEST),
        (RETURN, 0, 0, ABSENT_CALL),
        (RETURN, 0, 0, REFUSE),
    ]
