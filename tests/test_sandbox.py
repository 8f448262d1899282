"""What a program in a sandbox may do, what it gives back, and how its failures are told."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.sandbox import KINDS, TIERS, Failure, Limits, Result, run_python, run_python_sync
from masdsl.sandbox.execute import _reply
from masdsl.sandbox.run import CODE_BYTES, REQUEST_BYTES
from tests.harness.sandboxes import CPYTHON, EVERY_TIER, in_process, need

ADD = "def add(a, b):\n    return a + b\n"


def run(tier: str, code: str, **given: Any) -> Result:
    return run_python_sync(code, tier=need(tier), **given)


def failure(result: Result) -> Failure:
    assert not result.ok and result.value is None
    assert result.error is not None and result.error.kind in KINDS
    return result.error


# ---------------------------------------------------------------- what a program gives


@EVERY_TIER
def test_a_program_prints(tier: str) -> None:
    result = run(tier, "print('a')\nprint('ü', 1, end='')")
    assert result.ok and result.error is None
    assert result.stdout == "a\nü 1" == result.log
    assert (result.value, result.stderr, result.passed, result.failed, result.tier) == (None, "", 0, 0, tier)
    assert result.seconds > 0


@EVERY_TIER
def test_inputs_are_variables_and_standard_input_is_read(tier: str) -> None:
    data = {"text": 'a "quoted" \\ line\n', "items": [1, 2.5, None, True, {"deep": ["ü", "\U0001f600"]}]}
    code = "import json\nprint(input() + input())\nprint(json.dumps([text, items]))"
    result = run(tier, code, inputs=data, stdin="one\ntwo\n")
    assert result.ok, result.error
    first, second = result.stdout.splitlines()
    assert first == "onetwo"
    assert json.loads(second) == list(data.values())


@EVERY_TIER
def test_standard_input_ends(tier: str) -> None:
    error = failure(run(tier, "input()"))
    assert error.kind == "exception" and "EOF when reading a line" in error.message


@EVERY_TIER
def test_an_entry_point_is_called_with_json_and_returns_json(tier: str) -> None:
    value = [{"a": [1, -2.5, None, True]}, 'x"\\\n\u2028', 10**30]
    result = run(tier, "def same(x, y):\n    return {'x': x, 'y': (y, y)}", entry_point="same", arguments=[value, 2])
    assert result.value == {"x": value, "y": [2, 2]}


@EVERY_TIER
@pytest.mark.parametrize("name", ["missing", "not a name", "class", "", "a.b", "x\ny"])
def test_an_entry_point_that_is_not_there(tier: str, name: str) -> None:
    error = failure(run(tier, ADD, entry_point=name, arguments=[1, 2]))
    assert error.kind == "no_entry_point", error


@CPYTHON
def test_an_entry_point_that_is_no_function(tier: str) -> None:
    assert failure(run(tier, "x = 3", entry_point="x")).kind == "no_entry_point"


@EVERY_TIER
@pytest.mark.parametrize("value", ["{1, 2}", "object", "float('nan')", "[1, float('inf')]", "b'x'", "1j"])
def test_a_value_that_is_no_json(tier: str, value: str) -> None:
    error = failure(run(tier, f"def f():\n    return {value}", entry_point="f"))
    assert error.kind in ("not_json", "exception"), error


@CPYTHON
def test_a_value_that_is_no_unicode_or_goes_round_in_a_circle(tier: str) -> None:
    assert failure(run(tier, "def f():\n    return '\\ud800'", entry_point="f")).kind == "exit"
    round_about = "def f():\n    x = []\n    x.append(x)\n    return x"
    assert failure(run(tier, round_about, entry_point="f")).kind == "not_json"
    deep = "def f():\n    x = []\n    for _ in range(900): x = [x]\n    return x"
    assert run(tier, deep, entry_point="f").error is None
    assert failure(run(tier, deep.replace("900", "100000"), entry_point="f")).kind == "not_json"


@CPYTHON
def test_a_program_is_a_module_of_its_own(tier: str) -> None:
    code = """\
import sys, pickle
from dataclasses import dataclass
@dataclass
class Point:
    x: int
def f():
    return [__name__, sys.argv, pickle.loads(pickle.dumps(Point(3))).x, [m for m in sys.modules if "masdsl" in m]]
if __name__ == "__main__":
    print(f()[0])
"""
    assert run(tier, code, entry_point="f").value == ["program", ["program"], 3, []]
    assert run(tier, code).stdout == "__main__\n"
    assert run(tier, code, tests="assert f()[2] == 3").stdout == ""


@CPYTHON
def test_threads_and_the_standard_library_work(tier: str) -> None:
    code = """\
import base64, bisect, calendar, collections, concurrent.futures, copy, csv, dataclasses, datetime, decimal, enum
import fractions, functools, hashlib, heapq, io, itertools, json, math, operator, random, re, statistics, string, struct
import textwrap, threading, time, typing, unicodedata, uuid, zlib, zoneinfo, sqlite3, queue, contextlib, numbers
def f():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(lambda n: n * n, range(5)))
    db = sqlite3.connect(":memory:")
    total = db.execute("select sum(x) from (select 1 as x union all select 2)").fetchone()[0]
    return [squares, total, hashlib.sha256(b"").hexdigest()[:4], len(random.sample(range(9), 3)), str(uuid.uuid4())[8]]
"""
    assert run(tier, code, entry_point="f").value == [[0, 1, 4, 9, 16], 3, "e3b0", 3, "-"]


@CPYTHON
def test_a_program_waits_for_its_threads(tier: str) -> None:
    code = "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('done'))).start()"
    assert run(tier, code).stdout == "done\n"


@CPYTHON
@pytest.mark.parametrize("ending", ["", "import sys; sys.exit()", "raise SystemExit(0)", "exit = 3"])
def test_a_program_may_end_itself_in_order(tier: str, ending: str) -> None:
    result = run(tier, f"print('a')\n{ending}")
    assert result.ok and result.stdout == "a\n"


# ---------------------------------------------------------------- how it fails

FAILURES = [
    ("def (:", "syntax", "SyntaxError", 1),
    ("x = 1\n  y = 2", "syntax", "", 2),
    ("x = 'a\0b'", "syntax", "", 0),
    ("x = 1\n\ndef f(n):\n    return n / 0\nf(3)", "exception", "ZeroDivisionError: division by zero", 4),
    ("raise ValueError('with\\nlines')", "exception", "ValueError: with\nlines", 1),
    ("nothing_of_that_name", "exception", "NameError", 1),
    ("def f(): return f()\nf()", "exception", "RecursionError", 1),
    ("assert 1 == 2, 'why'", "exception", "AssertionError: why", 1),
]


@EVERY_TIER
@pytest.mark.parametrize(("code", "kind", "message", "line"), FAILURES)
def test_failures_are_told_with_their_place(tier: str, code: str, kind: str, message: str, line: int) -> None:
    error = failure(run(tier, code))
    if "\0" in code and tier == "monty":
        assert error.kind in ("syntax", "exception", "exit")
        return
    assert error.kind == kind, error
    assert error.message.startswith(message.partition("\n")[0] if tier == "monty" else message), error
    if tier != "monty" or (kind == "exception" and "\n" not in message):
        assert error.line == line
        assert error.where == ("program" if line else "")


@CPYTHON
def test_the_place_of_a_failure_names_the_function_and_shows_the_line(tier: str) -> None:
    error = failure(run(tier, "class A:\n    def b(self):\n        return [][5]\nA().b()"))
    assert error.message == "IndexError: list index out of range (line 3, in b: `return [][5]`)"
    assert error.code == "MAS942"


@CPYTHON
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit(3)", "sys.exit(3)"),
        ("import sys; sys.exit('no')", "sys.exit(no)"),
        ("import os; os._exit(0)", "exit code 0 before it had a result"),
        ("import os; os._exit(150)", ""),
    ],
)
def test_who_leaves_early_has_no_result(tier: str, code: str, message: str) -> None:
    error = failure(run(tier, code))
    assert error.kind in (("exit", "crash") if "150" in code else ("exit",))
    assert message in error.message


@CPYTHON
@pytest.mark.parametrize("leave", ["sys.exit(0)", "os._exit(0)", "raise SystemExit"])
def test_leaving_does_not_pass_a_test(tier: str, leave: str) -> None:
    code = f"import os, sys\ndef f():\n    {leave}"
    check = "def check(candidate): candidate()"
    for more in ({"tests": "assert f() == 1"}, {"entry_point": "f"}, {"tests": check, "entry_point": "f"}):
        assert failure(run(tier, code, **more)).kind == "exit"
    assert failure(run(tier, f"import os, sys\n{leave}", tests="assert False")).kind == "exit"


@CPYTHON
def test_a_crash_is_told_and_harms_nobody(tier: str) -> None:
    error = failure(run(tier, "print('before', flush=True)\nimport ctypes\nctypes.string_at(0)"))
    assert error.kind == "crash" and "SIGSEGV" in error.message


@CPYTHON
def test_an_exception_that_fights_back_is_told_all_the_same(tier: str) -> None:
    code = "class E(Exception):\n    def __str__(self): raise self\n    __repr__ = __str__\nraise E"
    error = failure(run(tier, code))
    assert error.kind == "exception" and error.message.startswith("E (line 4")
    tests = "class R:\n    def __repr__(self): raise ValueError\nassert R() == 3"
    assert "whose repr raises ValueError" in failure(run(tier, "", tests=tests)).message


@CPYTHON
def test_messages_name_no_place_of_this_machine(tier: str) -> None:
    code = "import sys, json\nprint(json.__file__, file=sys.stderr)\nopen(json.__file__ + 'x')"
    result = run(tier, code)
    for text in (failure(result).message, result.stderr):
        assert "<python>" in text
        assert sys.base_prefix not in text


# ---------------------------------------------------------------- tests of a program


@EVERY_TIER
def test_assertions_count_and_say_what_they_saw(tier: str) -> None:
    result = run(tier, ADD, tests="assert add(1, 2) == 3\nassert add(2, 2) == 5, 'wanted five'\nassert add(0, 0) == 0")
    error = failure(result)
    assert (error.kind, error.where, error.line) == ("assertion", "tests", 2)
    assert error.message == "line 2 of the tests: `add(2, 2) == 5`: it is 4; wanted five"
    assert (result.passed, result.failed) == (2, 1)


@EVERY_TIER
def test_check_is_called_with_the_entry_point(tier: str) -> None:
    tests = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(1, 1) == 2\n"
    good = run(tier, ADD, tests=tests, entry_point="add")
    assert good.ok and (good.passed, good.failed) == (2, 0)
    bad = run(tier, ADD.replace("+", "-"), tests=tests, entry_point="add")
    assert "`candidate(1, 2) == 3`: it is -1" in failure(bad).message
    assert (bad.passed, bad.failed) == (0, 1)


@EVERY_TIER
def test_check_is_not_called_twice(tier: str) -> None:
    tests = "def check(candidate):\n    assert candidate(1, 2) == 3\n\ncheck(add)"
    assert run(tier, ADD, tests=tests, entry_point="add").passed == 1


@EVERY_TIER
def test_the_entry_point_is_the_candidate(tier: str) -> None:
    assert run(tier, ADD, tests="assert candidate(1, 2) == 3", entry_point="add").passed == 1


@EVERY_TIER
def test_a_test_that_raises_counts_as_failed_and_the_others_run(tier: str) -> None:
    result = run(tier, ADD, tests="assert add(1, 'a') == 3\nassert add(1, 1) == 2")
    error = failure(result)
    assert (error.kind, result.passed, result.failed) == ("exception", 1, 1)
    assert error.message.startswith("line 1 of the tests: ") and "TypeError" in error.message


@EVERY_TIER
def test_after_a_preparation_that_fails_nothing_is_tested(tier: str) -> None:
    result = run(tier, ADD, tests="x = add(1, 'a')\nassert x == 3\nassert True")
    assert (failure(result).kind, result.passed, result.failed) == ("exception", 0, 1)


@EVERY_TIER
def test_many_failures_are_told_in_part(tier: str) -> None:
    result = run(tier, ADD, tests="\n".join(f"assert add({n}, 0) == -1" for n in range(9)))
    assert failure(result).message.count("\n") == 5 and failure(result).message.endswith("and 4 more")
    assert result.failed == 9


@EVERY_TIER
def test_tests_that_cannot_be_read(tier: str) -> None:
    error = failure(run(tier, ADD, tests="assert ("))
    assert error.kind == "syntax" and error.where == "tests"


@EVERY_TIER
def test_tests_without_their_entry_point(tier: str) -> None:
    result = run(tier, ADD, tests="def check(candidate):\n    pass", entry_point="nope")
    assert failure(result).kind == "no_entry_point"


# One table: an assertion, and what Python itself makes of it.
@CPYTHON
def test_rewritten_assertions_mean_what_they_meant(tier: str) -> None:
    code = "calls = []\ndef see(x):\n    calls.append(x)\n    return x"
    tests = """\
assert see(1) < see(2)
assert see(3) in [3] and not see(0)
assert (y := see(4)) == 4 and y == 4
assert see(5) is not None, see(99)
def inner():
    local = 7
    assert see(local) == 7, f"{local}"
    yield local
assert list(inner()) == [7]
assert 1 < see(8) < 9
class Odd:
    def __eq__(self, other): return []
try:
    assert Odd() == 1
except AssertionError:
    pass
else:
    raise RuntimeError
assert calls == [1, 2, 3, 0, 4, 5, 7, 8], calls
"""
    result = run(tier, code, tests=tests)
    assert result.ok, result.error
    assert (result.passed, result.failed) == (8, 1)  # the one that is caught has failed all the same


# ---------------------------------------------------------------- sizes and callers' faults


def test_sizes_are_limited_at_the_limit(tier: str = "lockdown") -> None:
    fits = "#" * CODE_BYTES
    assert run(tier, fits).ok
    for code, tests in ((fits + "#", None), ("", fits + "#")):
        error = failure(run(tier, code, tests=tests))
        assert error.kind == "too_large" and error.code == "MAS941"
    assert failure(run(tier, "", inputs={"x": "a" * REQUEST_BYTES})).kind == "too_large"


@EVERY_TIER
def test_a_value_may_be_as_large_as_the_limit(tier: str) -> None:
    code = "def f(n):\n    return 'x' * n"
    limits = Limits(output=1000)
    assert run(tier, code, entry_point="f", arguments=[500], limits=limits).ok
    assert failure(run(tier, code, entry_point="f", arguments=[999], limits=limits)).kind == "output"


@pytest.mark.parametrize("bad", [{1}, float("nan"), object(), b"x"])
def test_inputs_that_are_no_json_are_the_callers_fault(bad: object) -> None:
    with pytest.raises(TypeError, match="JSON"):
        run_python_sync("", inputs={"x": bad})
    with pytest.raises(TypeError, match="JSON"):
        run_python_sync("", entry_point="f", arguments=[bad])


def test_a_tier_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match=r"there is no tier `docker`; there are bwrap\+lockdown, lockdown, monty"):
        run_python_sync("", tier="docker")


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=60))
def test_whatever_the_text_is_there_is_a_result(text: str) -> None:
    tier = need("lockdown")
    for result in (
        run_python_sync(text, tier=tier),
        run_python_sync(ADD, tier=tier, tests=text),
        run_python_sync(ADD, tier=tier, entry_point=text),
    ):
        assert isinstance(result, Result)
        assert result.ok == (result.error is None)


# ---------------------------------------------------------------- nothing of a reply is believed


@given(
    st.one_of(
        st.binary(max_size=80),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["value", "error", "passed", "failed", "kind", "message", "where", "line", "x"]),
                    inner,
                )
            ),
            max_leaves=12,
        ).map(lambda data: json.dumps(data).encode()),
    )
)
def test_any_reply_becomes_a_value_or_a_failure(reply: bytes) -> None:
    value, error, passed, failed = _reply(reply, Limits())
    assert error is None or (value is None and error.kind in KINDS)
    assert type(passed) is int and type(failed) is int and passed >= 0 and failed >= 0
    if error is None:
        assert {"passed", "failed"} <= json.loads(reply).keys()


@pytest.mark.parametrize(
    "forged",
    [
        b'{"value": 1}',
        b'{"value": 1, "passed": true, "failed": 0}',
        b'{"value": 1, "passed": -1, "failed": 0}',
        b'{"value": NaN, "passed": 0, "failed": 0}',
        b'{"value": "\\ud800", "passed": 0, "failed": 0}',
        b'{"error": null, "passed": 0, "failed": 0}',
        b'{"error": {"kind": "x", "message": "", "where": "", "line": 0}, "passed": 0, "failed": 0}',
        b'{"error": {"kind": "time", "message": 1, "where": "", "line": 0}, "passed": 0, "failed": 0}',
        b'{"error": {"kind": "time", "message": "", "where": "/etc", "line": 0}, "passed": 0, "failed": 0}',
        b'{"error": {"kind": "time", "message": "", "where": "", "line": true}, "passed": 0, "failed": 0}',
        b"[" * 100_000,
        b'{"value": ' + b"9" * 5_000 + b', "passed": 0, "failed": 0}',
        b'{"value": 1, "passed": 0, "failed": 0}{}',
    ],
    ids=range(13),
)
def test_forged_replies_are_no_results(forged: bytes) -> None:
    value, error, _, _ = _reply(forged, Limits())
    assert value is None and error is not None and error.kind == "exit"


@CPYTHON
def test_a_program_that_writes_its_own_reply_breaks_only_its_result(tier: str) -> None:
    code = """\
import os
for descriptor in range(3, 64):
    try:
        os.write(descriptor, b'{"value": {}}\\n' * 100)
    except OSError:
        pass
"""
    assert failure(run(tier, code)).kind == "exit"
    flood = code.replace("* 100", "* 100_000")
    assert failure(run(tier, flood)).kind in ("output", "exit")


# ---------------------------------------------------------------- asyncio


def test_programs_run_beside_the_event_loop() -> None:
    tier = need("lockdown")

    async def many() -> list[Result]:
        return await asyncio.gather(*(run_python(f"print({n})", tier=tier) for n in range(6)))

    assert [result.stdout for result in asyncio.run(many())] == [f"{n}\n" for n in range(6)]


def test_the_callers_faults_come_through_the_coroutine() -> None:
    async def wrong() -> None:
        await run_python("", inputs={"x": {1}})

    with pytest.raises(TypeError, match="JSON"):
        asyncio.run(wrong())


# ---------------------------------------------------------------- what it costs to have it


def test_importing_the_sandbox_is_light() -> None:
    loaded = in_process("import masdsl.sandbox, sys, json; print(json.dumps(sorted(sys.modules)))")
    assert not {"asyncio", "subprocess", "selectors", "json.decoder", "ctypes", "tempfile"} & (
        set(loaded) - {"json.decoder"}
    )


def test_the_tiers_are_those_of_the_documentation() -> None:
    assert TIERS == ("bwrap+lockdown", "lockdown", "monty")
