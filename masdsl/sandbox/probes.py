"""Things that a program in a sandbox must not be able to do, as a program that tries each of them.

This file is not imported for that: its text is sent into a sandbox like any other program, and `probe` is called there.
Run outside of one by root, all of it succeeds; that is how the probes are known to work. Every attempt is harmless:
what it opens it closes, what it makes it removes.
"""

from __future__ import annotations

import os
import sys
from typing import Any

Setup = Any
"""What the host prepared: `folder`, in it the files `secret` and `spare` and the folder `spot`; `home`, where the user
lives; `host`, a process id; `memory`, bytes that are too many."""


EFAULT = 14


def _calls() -> Any:
    """Return a function that makes a system call and raises OSError where it fails."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments: Any) -> int:
        got = libc.syscall(number, *arguments)
        if got < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return int(got)

    return call


def _number(x86_64: int, aarch64: int) -> int:
    return x86_64 if os.uname().machine == "x86_64" else aarch64


def _read(path: str) -> str:
    file = open(path, "rb")  # noqa: SIM115  # monty knows no `with` of files
    got = file.read(40)
    file.close()
    return f"{len(got)} bytes"


def _write(path: str) -> str:
    file = open(path, "xb")  # noqa: SIM115
    file.write(b"x")
    file.close()
    os.unlink(path)
    return "written"


def read_secret(setup: Setup) -> str:
    """A file of the user."""
    return _read(setup["secret"])


def read_passwd(setup: Setup) -> str:
    """The list of accounts."""
    return _read("/etc/passwd")


def list_folder(setup: Setup) -> str:
    """The names in a folder of the user."""
    return f"{len(os.listdir(setup['folder']))} names"


def see_file(setup: Setup) -> str:
    """Whether a file of the user exists, and its size."""
    return f"{os.stat(setup['secret']).st_size} bytes"


def environment(setup: Setup) -> str:
    """The environment, where keys are."""
    names = [name for name in os.environ if name != "LC_CTYPE"]
    if not names:
        raise KeyError("no variable")
    return names[0]


def environment_of_host(setup: Setup) -> str:
    """The environment of the process that has the keys."""
    return _read(f"/proc/{setup['host']}/environ")


def write_outside(setup: Setup) -> str:
    """A new file beside those of the user."""
    return _write(f"{setup['folder']}/made-by-probe")


def write_home(setup: Setup) -> str:
    """A new file in a home folder."""
    return _write(f"{setup['home']}/.made-by-masdsl-probe")


def write_temporary(setup: Setup) -> str:
    """A new file where temporary files go."""
    return _write("/tmp/made-by-masdsl-probe")


def change_file(setup: Setup) -> str:
    """The mode and the time of a file that is there."""
    os.chmod(setup["secret"], 0o600)
    os.utime(setup["secret"])
    return "changed"


def truncate_file(setup: Setup) -> str:
    """A file that is opened only to be read, and emptied by that."""
    opened = os.open(setup["spare"], os.O_RDONLY | os.O_TRUNC)
    os.close(opened)
    return "emptied"


def _socket(family: int, kind: int, protocol: int = 0) -> str:
    import socket

    socket.socket(family, kind, protocol).close()
    return "made"


def socket_tcp(setup: Setup) -> str:
    """The network: a connection."""
    return _socket(2, 1)


def socket_udp(setup: Setup) -> str:
    """The network: a datagram, and with it the names of hosts."""
    return _socket(2, 2)


def socket_unix(setup: Setup) -> str:
    """Other processes of this machine: by a path, or by an abstract name."""
    return _socket(1, 1)


def socket_vsock(setup: Setup) -> str:
    """The machine that this virtual machine runs on."""
    return _socket(40, 1)


def socket_raw(setup: Setup) -> str:
    """Packets made by hand."""
    return _socket(2, 3, 1)


def socket_netlink(setup: Setup) -> str:
    """The kernel's own network protocol."""
    return _socket(16, 3)


def run_shell(setup: Setup) -> str:
    """Another program."""
    child = os.posix_spawn("/bin/sh", ["sh", "-c", ":"], {})
    os.waitpid(child, 0)
    return "run"


def run_python(setup: Setup) -> str:
    """This program again."""
    child = os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", "-c", "0"], {})
    os.waitpid(child, 0)
    return "run"


def fork(setup: Setup) -> str:
    """A second process."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "made"


def signal_host(setup: Setup) -> str:
    """A signal for the process that has the keys (of the kind that does nothing)."""
    os.kill(setup["host"], 0)
    return "sent"


def memory_of_host(setup: Setup) -> str:
    """The memory of the process that has the keys."""
    import ctypes
    import struct

    call = _calls()
    kept = ctypes.create_string_buffer(8)
    here = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(kept), 8), 16)
    there = ctypes.create_string_buffer(struct.pack("=QQ", 0x400000, 8), 16)
    try:
        call(_number(310, 270), setup["host"], here, 1, there, 1, 0)
    except OSError as error:
        if error.errno != EFAULT:  # nothing is at that address, but looking there was allowed
            raise
    return "read"


def new_namespace(setup: Setup) -> str:
    """A user namespace, in which more of the kernel can be reached."""
    _calls()(_number(272, 97), 0x10000000)
    return "made"


def mount(setup: Setup) -> str:
    """Another file system."""
    _calls()(_number(165, 40), b"none", f"{setup['folder']}/spot".encode(), b"tmpfs", 0, None)
    _calls()(_number(166, 39), f"{setup['folder']}/spot".encode(), 0)
    return "mounted"


def bpf(setup: Setup) -> str:
    """A program in the kernel."""
    import ctypes

    attributes = ctypes.create_string_buffer(b"\x02\0\0\0\x04\0\0\0\x04\0\0\0\x01\0\0\0", 128)
    os.close(_calls()(_number(321, 280), 0, attributes, 72))
    return "made"


def io_uring(setup: Setup) -> str:
    """System calls that no filter sees."""
    import ctypes

    os.close(_calls()(425, 1, ctypes.create_string_buffer(256)))
    return "made"


def keyring(setup: Setup) -> str:
    """The keys that the kernel keeps."""
    _calls()(_number(250, 219), 0, -3, 1)
    return "found"


def performance_counters(setup: Setup) -> str:
    """Measurements of other programs."""
    import ctypes
    import struct

    wanted = struct.pack("=IIQ", 1, 128, 0) + bytes(112)
    os.close(_calls()(_number(298, 241), ctypes.create_string_buffer(wanted, 128), 0, -1, -1, 0))
    return "open"


def userfault(setup: Setup) -> str:
    """Page faults to handle, which exploits of the kernel are fond of."""
    os.close(_calls()(_number(323, 282), 1))
    return "open"


def memory_file(setup: Setup) -> str:
    """A file in memory, which could be run."""
    os.close(os.memfd_create("probe"))
    return "made"


def much_memory(setup: Setup) -> str:
    """Twice the memory that it may have."""
    kept = bytearray(setup["memory"])
    for place in range(0, len(kept), 4096):
        kept[place] = 1
    return f"{len(kept)} bytes"


PROBES = {
    "read a secret": read_secret,
    "read /etc/passwd": read_passwd,
    "list a folder": list_folder,
    "see a file": see_file,
    "environment": environment,
    "environment of the host": environment_of_host,
    "write outside": write_outside,
    "write in the home folder": write_home,
    "write a temporary file": write_temporary,
    "change a file": change_file,
    "truncate a file": truncate_file,
    "TCP socket": socket_tcp,
    "UDP socket": socket_udp,
    "unix socket": socket_unix,
    "vsock socket": socket_vsock,
    "raw socket": socket_raw,
    "netlink socket": socket_netlink,
    "run a shell": run_shell,
    "run Python": run_python,
    "fork": fork,
    "signal the host": signal_host,
    "memory of the host": memory_of_host,
    "mount": mount,
    "bpf": bpf,
    "io_uring": io_uring,
    "keyring": keyring,
    "performance counters": performance_counters,
    "userfaultfd": userfault,
    "file in memory": memory_file,
    "twice the memory": much_memory,
    "user namespace": new_namespace,  # last: where it succeeds, this process has fewer rights from then on
}


def probe(setup: Setup, names: list[str]) -> dict[str, str]:
    """Try these; return for each of them `open: ...` with what it got, or `closed: ...` with what stopped it.

    Each name is printed before it is tried: an interpreter may stop for good at what it does not know.
    """
    found = {}
    for name in names:
        print(name)
        try:
            found[name] = f"open: {PROBES[name](setup)}"
        except BaseException as error:
            found[name] = f"closed: {type(error).__name__}: {str(error)[:60]}"
    return found
