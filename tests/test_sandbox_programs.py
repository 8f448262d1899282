"""Correct programs pass their tests in a sandbox, and programs with a slip fail them with a word about it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from masdsl.sandbox import run_python_sync
from tests.harness.sandboxes import CPYTHON, EVERY_TIER, need

HUMANEVAL = "humaneval_even.jsonl"
HUMANEVAL_PROGRAMS = 82
UNKNOWN_TO_MONTY = ("import string",)
"""What some of those programs use and monty does not have."""


class Task(NamedTuple):
    """A program, its tests, and a slip: a text in it and what a model might have written instead."""

    entry: str
    code: str
    tests: str
    right: str
    wrong: str
    told: str
    """What the failure with the slip says."""


TASKS = [
    Task(
        "is_prime",
        """
def is_prime(n: int) -> bool:
    if n < 2:
        return False
    return all(n % d for d in range(2, int(n**0.5) + 1))
""",
        """
def check(candidate):
    assert [n for n in range(30) if candidate(n)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
""",
        "n < 2",
        "n < 1",
        "it is [1, 2, 3, 5",
    ),
    Task(
        "roman",
        """
def roman(n):
    signs = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL")]
    signs += [(10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
    out = ""
    for value, sign in signs:
        while n >= value:
            out += sign
            n -= value
    return out
""",
        "assert roman(1994) == 'MCMXCIV'\nassert roman(58) == 'LVIII'\nassert roman(0) == ''",
        '(4, "IV"), ',
        "",
        "line 1 of the tests: `roman(1994) == 'MCMXCIV'`",
    ),
    Task(
        "word_counts",
        """
from collections import Counter
import re

def word_counts(text):
    return dict(Counter(re.findall(r"[a-z']+", text.lower())))
""",
        """
assert word_counts("It's here; IT'S there.") == {"it's": 2, "here": 1, "there": 1}
assert word_counts("") == {}
""",
        ".lower()",
        "",
        "`word_counts(",
    ),
    Task(
        "shortest",
        """
from collections import deque

def shortest(maze):
    height, width = len(maze), len(maze[0])
    queue = deque([(0, 0, 1)])
    seen = {(0, 0)}
    while queue:
        y, x, steps = queue.popleft()
        if (y, x) == (height - 1, width - 1):
            return steps
        for a, b in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            if 0 <= a < height and 0 <= b < width and not maze[a][b] and (a, b) not in seen:
                seen.add((a, b))
                queue.append((a, b, steps + 1))
    return None
""",
        """
assert shortest([[0, 1], [0, 0]]) == 3
assert shortest([[0, 1], [1, 0]]) is None
assert shortest([[0]]) == 1
""",
        "0 <= a < height",
        "0 <= a <= height",
        "IndexError: list index out of range",
    ),
    Task(
        "edit_distance",
        """
def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]
""",
        """
def check(f):
    assert f("kitten", "sitting") == 3
    assert f("", "abc") == 3
    assert f("same", "same") == 0
""",
        "before + (x != y)",
        "before + 1",
        "`f('kitten', 'sitting') == 3`: it is 7",
    ),
    Task(
        "balance",
        """
def balance(entries):
    totals = {}
    for name, cents in entries:
        totals[name] = totals.get(name, 0) + cents
    return sorted([name, round(cents / 100, 2)] for name, cents in totals.items())
""",
        "assert balance([['b', 150], ['a', -25], ['b', 5]]) == [['a', -0.25], ['b', 1.55]]\nassert balance([]) == []",
        "totals.get(name, 0)",
        "totals[name]",
        "KeyError",
    ),
    Task(
        "queens",
        """
def queens(n):
    def place(row, columns, up, down):
        if row == n:
            return 1
        found = 0
        for c in range(n):
            if c not in columns and row + c not in up and row - c not in down:
                found += place(row + 1, columns | {c}, up | {row + c}, down | {row - c})
        return found
    return place(0, set(), set(), set())
""",
        "assert [queens(n) for n in range(1, 7)] == [1, 0, 0, 2, 10, 4]",
        "row == n",
        "row == n - 1",
        "`[queens(n) for n in range(1, 7)] == [1, 0, 0, 2, 10, 4]`",
    ),
    Task(
        "evaluate",
        """
def evaluate(tokens):
    stack = []
    for token in tokens:
        if token in ("+", "-", "*"):
            right, left = stack.pop(), stack.pop()
            stack.append(left + right if token == "+" else left - right if token == "-" else left * right)
        else:
            stack.append(int(token))
    if len(stack) != 1:
        raise ValueError("a value is missing or left over")
    return stack[0]
""",
        """
assert evaluate(["3", "4", "-", "5", "*"]) == -5
try:
    evaluate(["1", "2"])
except ValueError:
    pass
else:
    assert False, "two values are no result"
""",
        "right, left = stack.pop(), stack.pop()",
        "left, right = stack.pop(), stack.pop()",
        "it is 5",
    ),
]


def given(task: Task) -> str | None:
    """HumanEval's form of tests is called with the entry point, assertions name it themselves."""
    return task.entry if "def check(" in task.tests else None


@EVERY_TIER
@pytest.mark.parametrize("task", TASKS, ids=[task.entry for task in TASKS])
def test_a_correct_program_passes(task: Task, tier: str) -> None:
    result = run_python_sync(task.code, tests=task.tests, entry_point=given(task), tier=need(tier))
    assert result.ok, result.log
    assert result.passed >= 1 and result.failed == 0


@EVERY_TIER
@pytest.mark.parametrize("task", TASKS, ids=[task.entry for task in TASKS])
def test_a_program_with_a_slip_fails_and_is_told_why(task: Task, tier: str) -> None:
    assert task.code.count(task.right) == 1
    code = task.code.replace(task.right, task.wrong)
    result = run_python_sync(code, tests=task.tests, entry_point=given(task), tier=need(tier))
    assert not result.ok and result.failed >= 1
    assert task.told in result.log


def humaneval() -> list[dict[str, str]]:
    """Return HumanEval's programs, which are no part of this repository."""
    place = Path(os.environ.get("MASDSL_POOLS", "pools")) / HUMANEVAL
    if not place.is_file():
        pytest.skip(f"{HUMANEVAL} is not here: set MASDSL_POOLS to the folder that has it")
    return [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
@CPYTHON
def test_all_reference_programs_of_humaneval_pass(tier: str) -> None:
    need(tier)
    tasks = humaneval()
    assert len(tasks) == HUMANEVAL_PROGRAMS
    failed = {}
    for task in tasks:
        code = task["query"] + task["solution"]
        result = run_python_sync(code, tests=task["answer"], entry_point=task["entry_point"], tier=tier)
        if not result.ok or result.failed:
            failed[task["id"]] = result.log
    assert failed == {}


@pytest.mark.slow
def test_monty_passes_them_as_well_but_for_what_it_does_not_have() -> None:
    need("monty")
    failed = {}
    for task in humaneval():
        code = task["query"] + task["solution"]
        result = run_python_sync(code, tests=task["answer"], entry_point=task["entry_point"], tier="monty")
        if not result.ok and not any(text in code + task["answer"] for text in UNKNOWN_TO_MONTY):
            failed[task["id"]] = result.log
    assert failed == {}


@pytest.mark.slow
def test_humaneval_programs_that_return_nothing_fail() -> None:
    """The tests can fail: a program that does nothing passes none of them."""
    need("lockdown")
    for task in humaneval()[::4]:
        code = f"{task['query']}    return None\n"
        result = run_python_sync(code, tests=task["answer"], entry_point=task["entry_point"], tier="lockdown")
        assert not result.ok and result.error is not None and result.error.kind in ("assertion", "exception"), task[
            "id"
        ]
