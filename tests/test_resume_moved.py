"""Steps that a patch moved: aliases, claims of orphans, and what may never be taken twice."""

from __future__ import annotations

from typing import Any

import pytest

from masdsl.runtime import Run, RunFailed
from masdsl.runtime.past import gives_value
from tests.harness.journaled import cut
from tests.test_resume import FIRST, Host, a, fresh, happened, play, send


def named(name: str, *steps: str, callee: Any = a, **inputs: str) -> Any:
    """A flow that calls one agent at each of these steps, and returns all values."""

    async def main(run: Run) -> str:
        return " ".join([await run.call(step, callee, **inputs) for step in steps])

    main.__name__ = name
    return main


def values(rows: Any) -> dict[str, str]:
    return {row.path: row.body["value"] for row in rows if gives_value(row)}


def test_names_that_were_swapped() -> None:
    journaled = fresh()
    play(named("main", "x", "y"), Host(), journaled)
    old = values(journaled.rows())
    host = Host()
    aliases = {"main.x": "main.y", "main.y": "main.x"}
    result = play(named("main", "x", "y"), host, journaled, aliases=aliases)
    assert result.value == f"{old['main.y']} {old['main.x']}"
    assert (host.asked, result.claimed) == ([], 2)
    again = play(named("main", "x", "y"), host, journaled)  # the journal has the aliases, and the claims
    assert (again.value, again.reused, host.asked) == (result.value, 2, [])


def test_a_step_that_was_moved_twice() -> None:
    journaled = fresh()
    before = play(named("main", "x"), Host(), journaled)
    host = Host()
    rows = list(journaled.rows())
    rows.append(rows[-1]._replace(kind="patch", body={"aliases": {"main.y": "main.x"}, "redo": []}))
    both = cut(rows, FIRST, len(rows))
    result = play(named("main", "z"), host, both, aliases={"main.z": "main.y"})
    assert (result.value, host.asked) == (before.value, [])
    assert happened(result, "claimed") == ["claimed main.z"]


def test_a_block_that_was_renamed_takes_its_steps_along() -> None:
    journaled = fresh()
    before = play(named("main", "old.x", "old.if.y"), Host(), journaled)
    host = Host()
    result = play(named("main", "new.x", "new.if.y"), host, journaled, aliases={"main.new": "main.old"})
    assert (result.value, host.asked, result.claimed) == (before.value, [], 2)


@pytest.mark.parametrize("inner", [False, True])
def test_loops_around_and_away(inner: bool) -> None:
    async def looped(run: Run) -> str:
        value = ""
        for outer in run.loop("outer", 2):
            value += await outer.call("x", a)
        return value

    async def deeper(run: Run) -> str:
        value = ""
        for outer in run.loop("outer", 2):
            for loop in outer.loop("inner", 2):
                value += await loop.call("x", a)
        return value

    looped.__name__ = deeper.__name__ = "main"
    journaled = fresh()
    first, second = (looped, deeper) if inner else (deeper, looped)
    play(first, Host(), journaled)
    long, short = "main.outer.inner.x", "main.outer.x"
    aliases = {long: short} if inner else {short: long}
    host = Host()
    result = play(second, host, journaled, aliases=aliases)
    assert result.claimed == 2 and len(host.asked) == (2 if inner else 0)


def test_what_is_to_be_done_again_is_not_claimed() -> None:
    journaled = fresh()
    play(named("main", "x"), Host(), journaled)
    host = Host()
    play(named("main", "y"), host, cut(journaled.rows(), FIRST, 4), sites={"main.y"}, redo=["main.y"])
    assert host.asked == ["main.y"]
    host = Host()
    rows = cut(journaled.rows(), FIRST, 4)
    play(named("main", "y"), host, rows, aliases={"main.y": "main.x"}, redo=["main.y"])
    assert host.asked == ["main.y"]


def test_an_orphan_is_claimed_once_even_by_another_run_of_the_same_journal() -> None:
    journaled = fresh()
    play(named("main", "x"), Host(), journaled)
    host = Host()
    first = play(named("main", "y"), host, journaled, sites={"main.y"})
    assert (first.claimed, host.asked) == (1, [])
    second = play(named("main", "y", "z"), host, journaled, sites={"main.y", "main.z"})
    assert (second.reused, second.claimed, host.asked) == (1, 0, ["main.z"])
    third = play(named("main", "x", "y"), host, journaled)  # the step comes back, but its value is taken
    assert host.asked == ["main.z", "main.x"] and third.reused == 1


def test_an_orphan_with_other_inputs_is_nobodys() -> None:
    journaled = fresh()
    play(named("main", "x", q="one"), Host(), journaled)
    host = Host()
    play(named("main", "y", q="two"), host, journaled, sites={"main.y"})
    assert host.asked == ["main.y"]


def test_one_address_that_is_called_twice_gives_each_its_own() -> None:
    """The compiler makes no such program; a person may write one."""
    host = Host({"a": ["one", "two"]})
    journaled = fresh()
    before = play(named("main", "x", "x"), host, journaled)
    assert before.value == "one two"
    after = play(named("main", "x", "x"), host, journaled)
    assert (after.value, len(host.asked)) == ("one two", 2)


def test_an_effect_that_was_moved_is_not_repeated() -> None:
    def moved(name: str) -> Any:
        return named("main", name, callee=send, to="one")

    journaled = fresh()
    play(moved("x"), Host(), journaled)
    host = Host()
    assert play(moved("y"), host, cut(journaled.rows(), FIRST, 2), sites={"main.y"}).claimed == 1
    with pytest.raises(RunFailed, match="may have happened already"):
        play(moved("y"), host, cut(journaled.rows(), FIRST, 1), sites={"main.y"})
    assert host.sent == []
