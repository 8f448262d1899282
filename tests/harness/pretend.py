"""A machine that lacks what this one has, for one process: `python -m tests.harness.pretend MACHINE [bare]`.

A seccomp filter refuses the system calls that a kernel would not have, as a container runtime does. Then the ladder is
asked, a program is run, and what both said is printed as JSON. `bare` means that neither bubblewrap nor monty is
installed.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import struct
import sys

from masdsl.sandbox import SandboxRefused, ladder, run_python_sync, start
from masdsl.sandbox.inside.filter import ALLOW, ANY_BIT, EQUAL, ERROR, LOAD, RETURN, Instruction
from masdsl.sandbox.inside.lockdown import SECCOMP, SET_NO_NEW_PRIVILEGES

NEW_USER = 0x10000000
NAMESPACES = 0x7E020000

# name -> (number on x86_64, on aarch64)
CALLS = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "process_vm_readv": (310, 270),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
    "seccomp": (317, 277),
}

LANDLOCK = {name: errno.ENOSYS for name in CALLS if name.startswith("landlock_")}
CONTAINER = {
    name: errno.EPERM
    for name in CALLS
    if not name.startswith("landlock_") and name not in ("seccomp", "clone", "clone3", "process_vm_readv")
}
"""What Docker's default profile refuses to a container without privileges, of the calls that matter here; also `clone`
with any flag of a namespace, and `clone3`."""

MACHINES = {
    "this": {},
    "without Landlock": LANDLOCK,
    "a container": CONTAINER | {"clone": errno.EPERM, "clone3": errno.ENOSYS},
    "without seccomp": {"seccomp": errno.ENOSYS},
    "gVisor": LANDLOCK | CONTAINER | {"clone": errno.EPERM, "clone3": errno.ENOSYS},
    "with nothing": LANDLOCK | CONTAINER | {"seccomp": errno.ENOSYS, "clone": errno.EPERM, "clone3": errno.ENOSYS},
}


def lacking(refused: dict[str, int], machine: str) -> list[Instruction]:
    """Return a filter that refuses these calls and allows all others."""
    program: list[Instruction] = [(LOAD, 0, 0, 0)]
    for name, error in refused.items():
        number = CALLS[name][0 if machine == "x86_64" else 1]
        if name == "clone":  # of threads and processes, only those with a namespace of their own
            program += [
                (EQUAL, 0, 4, number),
                (LOAD, 0, 0, 16),
                (ANY_BIT, 0, 1, NAMESPACES),
                (RETURN, 0, 0, ERROR | error),
                (RETURN, 0, 0, ALLOW),
            ]
        else:
            program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERROR | error)]
    return [*program, (RETURN, 0, 0, ALLOW)]


def become(name: str) -> None:
    """Make this process, and all that it starts, one of that machine."""
    refused = MACHINES[name]
    if not refused:
        return
    machine = os.uname().machine
    steps = lacking(refused, machine)
    packed = b"".join(struct.pack("=HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(packed, len(packed))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(kept)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(SECCOMP[machine], 1, 0, header):
        raise OSError(ctypes.get_errno(), "seccomp")


def main() -> None:
    """Be that machine and tell what the sandbox does on it."""
    name, *rest = sys.argv[1:]
    become(name)
    if rest:
        setattr(start, "BWRAP_PLACES", ())  # noqa: B010  # what is final everywhere else
        start._of_package = lambda *_: []
    told = {rung.name: {"works": rung.works, "reason": rung.reason, "open": rung.open} for rung in ladder()}
    try:
        result = run_python_sync("print(6 * 7)")
        said = {"tier": result.tier, "stdout": result.stdout}
    except SandboxRefused as refused:
        said = {"refused": str(refused)}
    print(json.dumps({"ladder": told, "run": said}))


if __name__ == "__main__":
    main()
