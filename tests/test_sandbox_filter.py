"""The seccomp filter allows what its tables say and nothing else, on both machines, for every number of a call."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.sandbox.inside.filter import ABSENT_CALL, ALLOW, KILL, PTHREAD, REFUSE, instructions
from masdsl.sandbox.inside.syscalls import (
    AARCH64,
    ABSENT,
    ALLOWED,
    BECOMING,
    MACHINES,
    NEWEST,
    RULED,
    X86_64,
    Machine,
    numbers,
)
from tests.harness.seccomp import decide, verify

PROCESS = 4711
FILTERS = {machine.name: instructions(machine, PROCESS) for machine in MACHINES.values()}
BOTH = pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))

X86_HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
GENERIC_HEADER = Path("/usr/include/asm-generic/unistd.h")
OTHER_NAMES = {"fcntl": "__NR3264_fcntl", "lseek": "__NR3264_lseek", "mmap": "__NR3264_mmap"} | {
    "newfstatat": "__NR3264_fstatat",
    "fstat": "__NR3264_fstat",
}
"""Calls that the generic header names for 32 and 64 bits together."""

NEVER = [
    "fork",
    "vfork",
    "execve",
    "execveat",
    "kill",
    "tkill",
    "pidfd_open",
    "pidfd_send_signal",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "sendto",
    "sendmsg",
    "recvmsg",
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "bpf",
    "io_uring_setup",
    "io_uring_enter",
    "keyctl",
    "add_key",
    "request_key",
    "perf_event_open",
    "userfaultfd",
    "memfd_create",
    "creat",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "truncate",
    "ftruncate",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "utimensat",
    "setxattr",
    "mknod",
    "mknodat",
    "setuid",
    "setgid",
    "setresuid",
    "capset",
    "prctl",
    "seccomp",
    "setrlimit",
    "setpriority",
    "sched_setaffinity",
    "open_by_handle_at",
    "name_to_handle_at",
    "init_module",
    "finit_module",
    "kexec_load",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "ioperm",
    "iopl",
    "modify_ldt",
    "personality",
    "shmget",
    "msgget",
    "semget",
    "mq_open",
    "timer_create",
    "inotify_init1",
    "fanotify_init",
    "splice",
    "tee",
    "vmsplice",
    "sendfile",
    "copy_file_range",
    "readlink",
    "readlinkat",
    "openat2",
    "process_madvise",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "chdir",
    "fchdir",
    "quotactl",
    "syslog",
]


def verdict(machine: Machine, name: str, *arguments: int) -> int:
    known = numbers(ALLOWED | RULED, machine)
    return decide(FILTERS[machine.name], machine.audit, known[name], arguments)


def header(path: Path, prefix: str = "__NR_") -> dict[str, int]:
    if not path.exists():
        pytest.skip(f"{path} is not here (Debian: linux-libc-dev)")
    found = re.findall(rf"^#define\s+({prefix}\w+|__NR3264_\w+)\s+(\d+)", path.read_text(), re.MULTILINE)
    return {name: int(number) for name, number in found}


@BOTH
def test_the_kernel_would_take_the_filter(machine: Machine) -> None:
    verify(FILTERS[machine.name])
    verify(instructions(machine, PROCESS, may_become=True))


@BOTH
def test_every_call_number_is_decided_as_the_tables_say(machine: Machine) -> None:
    allowed = set(numbers(ALLOWED, machine).values())
    mapped = numbers(RULED, machine)["mmap"]  # only small stacks are refused, see below
    absent = {pair[machine.column] for pair in ABSENT.values()}
    for number in range(2048):
        got = decide(FILTERS[machine.name], machine.audit, number, [0xFFFFFFFF] * 6)
        if number in allowed or number == mapped:
            assert got == ALLOW, number
        elif number in absent or number > NEWEST:
            assert got == ABSENT_CALL, number
        else:
            assert got == REFUSE, number


@BOTH
def test_the_calls_of_another_machine_end_the_process(machine: Machine) -> None:
    others = [0x40000003, 0xC0000028, *(one.audit for one in MACHINES.values() if one is not machine)]
    for audit in others:
        for number in range(600):
            assert decide(FILTERS[machine.name], audit, number) == KILL


@BOTH
def test_numbers_with_the_bit_of_x32_and_negative_ones_end_the_process(machine: Machine) -> None:
    for number in (0x40000000, 0x40000000 | 59, 0x7FFFFFFF, 0x80000000, -1, -2):
        assert decide(FILTERS[machine.name], machine.audit, number) == KILL


@BOTH
def test_files_are_opened_for_reading_only(machine: Machine) -> None:
    at = 2
    for flags in (0, 0o2000000, 0o4000, 0o100000, 0o200000, 0o400000):  # O_CLOEXEC, O_NONBLOCK and what reads folders
        assert verdict(machine, "openat", 3, 4, flags) == ALLOW, oct(flags)
    for flags in (1, 2, 3, 0o100, 0o1000, 0o2000, 0o1101, 0o20200000, 0o20040000):
        assert verdict(machine, "openat", *([0] * at), flags | 0o2000000) == REFUSE, oct(flags)
    if machine is X86_64:
        assert verdict(machine, "open", 4, 0) == ALLOW
        assert verdict(machine, "open", 4, 1) == REFUSE


@BOTH
@given(flags=st.integers(0, 2**64 - 1))
def test_clone_makes_threads_as_c_libraries_make_them_and_nothing_else(machine: Machine, flags: int) -> None:
    lower = flags & 0xFFFFFFFF
    expected = ALLOW if lower & ~0x400000 == PTHREAD else REFUSE
    assert verdict(machine, "clone", flags) == expected


@BOTH
def test_a_thread_yes_a_process_or_a_namespace_no(machine: Machine) -> None:
    assert verdict(machine, "clone", PTHREAD) == ALLOW
    assert verdict(machine, "clone", PTHREAD | 0x400000) == ALLOW  # as musl asks for it
    for bit in (17, 0x01200011, 0x4111, PTHREAD | 0x10000000, PTHREAD | 0x40000000, PTHREAD & ~0x10000):
        assert verdict(machine, "clone", bit) == REFUSE, hex(bit)


@BOTH
def test_signals_reach_this_process_only(machine: Machine) -> None:
    assert verdict(machine, "tgkill", PROCESS, 1, 6) == ALLOW
    for other in (0, 1, PROCESS + 1, PROCESS - 1, 2**32 - 1):
        assert verdict(machine, "tgkill", other, other, 6) == REFUSE


@BOTH
def test_limits_are_read_and_never_set(machine: Machine) -> None:
    for process in (0, PROCESS):
        assert verdict(machine, "prlimit64", process, 7, 0, 4096) == ALLOW
        for pointer in (1, 1 << 32, 0x7FFF00000000, 2**64 - 1):
            assert verdict(machine, "prlimit64", process, 7, pointer, 0) == REFUSE
    assert verdict(machine, "prlimit64", 1, 7, 0, 4096) == REFUSE


@BOTH
def test_descriptors_are_not_made_to_send_signals(machine: Machine) -> None:
    allowed = [command for command in range(2000) if verdict(machine, "fcntl", 0, command) == ALLOW]
    assert allowed == [0, 1, 2, 3, 4, 1030]
    assert [code for code in range(0x5400, 0x5500) if verdict(machine, "ioctl", 0, code) == ALLOW] == [
        0x5401,
        0x5413,
        0x5421,
        0x5450,
        0x5451,
    ]


@BOTH
@given(length=st.integers(0, 2**64 - 1), flags=st.integers(0, 2**32 - 1))
def test_small_stacks_are_refused_and_other_memory_is_not(machine: Machine, length: int, flags: int) -> None:
    small = flags & 0x20000 and length < 1 << 20
    assert verdict(machine, "mmap", 0, length, 3, flags) == (REFUSE if small else ALLOW)


@BOTH
def test_becoming_another_program_is_allowed_only_where_it_is_asked_for(machine: Machine) -> None:
    becoming = instructions(machine, PROCESS, may_become=True)
    for number in numbers(BECOMING, machine).values():
        assert decide(FILTERS[machine.name], machine.audit, number) == REFUSE
        assert decide(becoming, machine.audit, number) == ALLOW
    added = [
        number
        for number in range(NEWEST + 1)
        if decide(becoming, machine.audit, number, [1] * 6)
        != decide(FILTERS[machine.name], machine.audit, number, [1] * 6)
    ]
    assert set(added) == set(numbers(BECOMING, machine).values())


def test_the_numbers_are_those_of_linux_for_x86_64() -> None:
    known = header(X86_HEADER)
    for table in (ALLOWED, RULED, BECOMING, ABSENT):
        for name, pair in table.items():
            assert known[f"__NR_{name}"] == pair[0], name


def test_the_numbers_are_those_of_linux_for_aarch64() -> None:
    known = header(GENERIC_HEADER)
    for table in (ALLOWED, RULED, BECOMING, ABSENT):
        for name, pair in table.items():
            found = known.get(f"__NR_{name}", known.get(OTHER_NAMES.get(name, "")))
            assert found == pair[1], name


@pytest.mark.parametrize(("machine", "path"), [(X86_64, X86_HEADER), (AARCH64, GENERIC_HEADER)], ids=list(MACHINES))
def test_what_could_reach_out_is_refused_by_its_own_number(machine: Machine, path: Path) -> None:
    known = header(path)
    here = [name for name in NEVER if f"__NR_{name}" in known]
    assert len(here) > 80
    for name in here:
        got = decide(FILTERS[machine.name], machine.audit, known[f"__NR_{name}"])
        assert got == REFUSE, name


def test_no_rule_is_missing_for_a_call_that_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is moved from one table to the other would lose its rule."""
    monkeypatch.setitem(RULED, "dup", (32, 23))
    with pytest.raises(AssertionError):
        instructions(X86_64, PROCESS)
