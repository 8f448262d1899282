# ruff: noqa: E501 programs on one line each
"""Bounds hold: no run of a program takes more than its bound in any measure, and none that gives a value less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from masdsl.bounds.flows import bound
from tests.harness.adversary import Adversary
from tests.harness.bounding import exceeded, play, prepared

# ---------------------------------------------------------------- small prompts, rounding, failures that cost nothing

SMALL = [
    ('agent e(x: text(1)) -> text(5) "{{ x }}" flow main(x: text(1)) -> text(5) { return e(x) }', "", {}),
    ('agent e(x: text(1)) -> int "{{ x }}" flow main(x: text(1)) -> int { return e(x) }', "", {}),
    ('agent e() -> text(5) "" flow main(x: text(1)) -> text(5) { return e() }', "", {}),
    ('agent e() -> int? "" flow main(x: text(1)) -> int? { return e() }', "", {}),
    (
        'tool look(q) -> text(4) from "look" agent e(x: text(1)) -> int tools [look] steps 1 "{{ x }}" flow main(x: text(1)) -> int { return e(x) }',
        "",
        {},
    ),
    (
        'agent e(x: text(1)) -> int else 3 "{{ x }}" flow main(x: text(1)) -> int { return e(x) }',
        "",
        {"choose": lambda request: "unbilled"},
    ),
    (
        'agent e(x: text(32000)) -> int else 3 "{{ x }}{{ x }}" flow main(x: text(32000)) -> int { return e(x) }',
        "a" * 192_000,  # the prompt is too large to be sent
        {},
    ),
    *(
        (
            f'agent e(x: text(1)) -> int "{"ab" * size}{"!" * size}{{{{ x }}}}" flow main(x: text(1)) -> int {{ return e(x) }}',
            "",
            {},
        )
        for size in range(1, 9)
    ),
]


@pytest.mark.parametrize(("text", "given", "habits"), SMALL)
def test_nothing_is_lost_to_rounding_or_to_what_is_empty(text: str, given: str, habits: Mapping[str, Any]) -> None:
    """The provider reports no tokens at all: an eighth of our count is what counts then, and that is the least."""
    case = prepared(f"mas 1\n{text}")
    found = bound(case.program, case.prices).flows["main"]
    for counts in ("most", "zero"):
        took = play(case, Adversary(case.compiled, faults=0.0, counts=counts, **habits), {"x": given})
        assert not exceeded(took, found)
