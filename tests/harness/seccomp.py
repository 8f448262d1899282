"""What a seccomp filter decides, computed as the kernel does: classic BPF over `struct seccomp_data`."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from masdsl.sandbox.inside.filter import AND, ANY_BIT, AT_LEAST, EQUAL, GREATER, LOAD, RETURN, Instruction

LONGEST = 4096
"""Instructions of a filter that the kernel takes."""


class BadFilter(Exception):
    """The kernel would not take such a filter, or it would run off its end."""


def decide(program: Sequence[Instruction], machine: int, number: int, arguments: Sequence[int] = ()) -> int:
    """Return what the filter returns for a call; arguments that are not given are zero."""
    values = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, machine, 0, *(value & (1 << 64) - 1 for value in values))
    word = at = 0
    while at < len(program):
        code, if_true, if_false, value = program[at]
        at += 1
        if code == LOAD:
            if value % 4 or value > len(data) - 4:
                raise BadFilter(f"loads at {value}")
            (word,) = struct.unpack_from("<I", data, value)
        elif code == AND:
            word &= value
        elif code == RETURN:
            return value
        else:
            holds = {EQUAL: word == value, GREATER: word > value, AT_LEAST: word >= value, ANY_BIT: bool(word & value)}
            at += if_true if holds[code] else if_false
    raise BadFilter("runs off its end")


def verify(program: Sequence[Instruction]) -> None:
    """Check what the kernel checks before it takes a filter (`bpf_check_classic`)."""
    if not 0 < len(program) <= LONGEST:
        raise BadFilter("too long")
    for at, (code, if_true, if_false, value) in enumerate(program):
        if code not in (LOAD, AND, RETURN, EQUAL, GREATER, AT_LEAST, ANY_BIT):
            raise BadFilter(f"no such instruction: {code}")
        if code in (EQUAL, GREATER, AT_LEAST, ANY_BIT) and max(if_true, if_false) + at + 1 >= len(program):
            raise BadFilter(f"{at} jumps beyond the end")
        if not (0 <= if_true <= 255 and 0 <= if_false <= 255 and 0 <= value < 1 << 32):
            raise BadFilter(f"{at} does not fit its fields")
    if program[-1][0] != RETURN:
        raise BadFilter("does not end with a verdict")
