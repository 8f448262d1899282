"""What is no generated code is refused, whatever it looks like."""

from __future__ import annotations

import ast
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.runtime.loader import load_module
from masdsl.verify import VerificationError, verify
from masdsl.verify.forms import MAX_CHAIN

GOOD = '''"""Flow `main`, compiled from x.mas."""

from typing import Annotated, Final

from masdsl.runtime import (
    Agent,
    Enum,
    Items,
    Limits,
    Program,
    Record,
    Run,
    Started,
    StepFailed,
    Tokens,
    Tool,
    flow,
    len_,
    plus,
)


class Kind(Enum):  # mas:2
    math = "math"
    code = "code"


class Review(Record):  # mas:3
    ok: bool
    notes: Annotated[list[Annotated[str, Tokens(20)]], Items(0, 3)]


send: Final = Tool[bool](  # mas:4
    name="send",
    inputs={"q": Annotated[str, Tokens(40)]},
    returns=bool,
    granted_as="mail.send",
    effect=True,
)

ask: Final = Agent[str](  # mas:5
    name="ask",
    inputs={"q": Annotated[str, Tokens(40)]},
    optional={"q": "x"},
    returns=Annotated[str, Tokens(40)],
    retries=1,
    tools=(send,),
    steps=2,
    prompt="""\\
Say # mas:7
{{ q }}""",
)


@flow(limits=Limits(calls=5), default="no")
async def main(run: Run, q: Annotated[str, Tokens(40)] = "x") -> Annotated[str, Tokens(40)]:  # mas:9
    """Doc."""

    async def drafts_one(run: Run, q: str) -> str:  # mas:10
        return await run.call("drafts", ask, q=q)  # mas:10

    drafts = await run.sample(3, drafts_one, q=q)  # mas:10
    a_task = run.start(run.call("a", ask, q=q))  # mas:11

    async def b_steps(run: Run, a_task: Started[str]) -> str:  # mas:12
        a = await a_task  # mas:11
        return await run.call("b", ask, q=a)  # mas:12

    b_task = run.start(b_steps(run, a_task=a_task))  # mas:12
    kind = Kind.math  # mas:13
    for turn in run.loop("loop", 3):  # mas:14
        if len_(drafts) > 2 and not q == "":  # mas:15
            break
        try:  # mas:16
            q = await turn.call("q", ask, q=plus(q, "x"))  # mas:16
        except StepFailed:
            pass
    async with run.within("within", calls=2) as part:  # mas:17
        await part.call("sent", send, q=q)  # mas:18
    match kind:  # mas:19
        case Kind.math:  # mas:20
            notes = [draft for draft in drafts if draft != ""]  # mas:21
        case _:
            notes = ["x"] * 3  # mas:22
    review = Review(ok=True, notes=notes)  # mas:23
    b = await b_task  # mas:12
    if review.notes[0] == b:  # mas:24
        return b  # mas:25
    return q  # mas:26


PROGRAM: Final = Program(
    name="x.mas",
    flows=(main,),
    agents=(ask,),
    tools=(send,),
    budget=Limits(calls=50, usd=0.5),
)

if __name__ == "__main__":
    PROGRAM.cli()
'''

MUTANTS: dict[str, tuple[str, str]] = {
    # imports
    "import os": ("class Kind", "import os\n\n\nclass Kind"),
    "from os": ("from typing import", "from os import path\nfrom typing import"),
    "star import": ("from typing import Annotated, Final", "from typing import *"),
    "relative import": ("from masdsl.runtime import (", "from .masdsl.runtime import ("),
    "another module of ours": ("from masdsl.runtime import (", "from masdsl.runtime.run import ("),
    "a name of the runtime that is not for programs": ("    plus,\n", "    plus,\n    shapes,\n"),
    "renamed import": ("    plus,\n", "    plus as other,\n"),
    "another name of typing": ("import Annotated, Final", "import Annotated, Final, get_type_hints"),
    "import inside a function": ('    """Doc."""\n', '    """Doc."""\n    import os\n'),
    "late import": ("PROGRAM: Final", "from typing import Final\n\nPROGRAM: Final"),
    # calls
    "eval": ("kind = Kind.math", 'kind = eval("1")'),
    "exec": ("kind = Kind.math", 'kind = exec("1")'),
    "open": ("kind = Kind.math", 'kind = open("/etc/passwd")'),
    "getattr": ("kind = Kind.math", 'kind = getattr(run, "call")'),
    "__import__": ("kind = Kind.math", 'kind = __import__("os")'),
    "print": ("kind = Kind.math", 'kind = print("x")'),
    "a method": ("kind = Kind.math", 'kind = "a".upper()'),
    "format": ("kind = Kind.math", 'kind = "{0.__class__}".format(q)'),
    "a call of a parameter": ("kind = Kind.math", "kind = q(1)"),
    "a call of a field": ("kind = Kind.math", "kind = drafts.notes(1)"),
    "a class as a function": ("kind = Kind.math", "kind = Run(q)"),
    "the runtime's inside": ("kind = Kind.math", "kind = run._session"),
    "a frame's path": ("kind = Kind.math", "kind = run.path"),
    "a call of a call": ("kind = Kind.math", "kind = plus(1, 2)(3)"),
    "stars": ("kind = Kind.math", "kind = plus(*drafts)"),
    "double stars": ("q=plus(q, \"x\"))", "**drafts)"),
    "an argument by name": ("len_(drafts) > 2", "len_(value=drafts) > 2"),
    "a function that is not imported": ("kind = Kind.math", "kind = upper(q)"),
    "a record without a field": ("Review(ok=True, notes=notes)", "Review(ok=True)"),
    "a record by position": ("Review(ok=True, notes=notes)", "Review(True, notes)"),
    "a step that calls a value": ('turn.call("q", ask,', 'turn.call("q", q,'),
    "a step whose name is computed": ('turn.call("q",', "turn.call(q,"),
    "a step of itself": ('turn.call("q", ask,', 'turn.call("q", main,'),
    "an unknown method of a frame": ("turn.call(", "turn.cancel("),
    "a step that is not awaited": ('q = await turn.call("q"', 'q = turn.call("q"'),
    "a sample of a flow": ("run.sample(3, drafts_one", "run.sample(3, main"),
    "too many samples": ("run.sample(3,", "run.sample(100000,"),
    "start of a value": ('run.start(run.call("a", ask, q=q))', "run.start(q)"),
    "a helper with other arguments": ("b_steps(run, a_task=a_task)", "b_steps(q, a_task=a_task)"),
    # names and attributes
    "__class__": ("kind = Kind.math", "kind = q.__class__"),
    "__builtins__": ("kind = Kind.math", "kind = __builtins__"),
    "__name__ in a flow": ("kind = Kind.math", "kind = __name__"),
    "an attribute that is no field": ("review.notes[0]", "review.model_dump"),
    "a word that is none": ("kind = Kind.math", "kind = Kind.mro"),
    "an agent as a value": ("kind = Kind.math", "kind = ask"),
    "a flow as a value": ("kind = Kind.math", "kind = main"),
    "the program as a value": ("kind = Kind.math", "kind = PROGRAM"),
    "a name that is not there": ("kind = Kind.math", "kind = other"),
    "a captured name": ("async def b_steps(run: Run, a_task: Started[str])", "async def b_steps(run: Run)"),
    "an import with another meaning": ("kind = Kind.math", "plus = Kind.math"),
    "a class with another meaning": ("kind = Kind.math", "Kind = q"),
    "str with another meaning": ("kind = Kind.math", "str = q"),
    "a parameter with another meaning": ("drafts_one(run: Run, q: str)", "drafts_one(run: Run, plus: str)"),
    "a frame that is assigned": ("kind = Kind.math", "run = Kind.math"),
    "two flows of one name": ("PROGRAM: Final", "async def main(run: Run) -> str:\n    return ''\n\n\nPROGRAM: Final"),
    "a letter that Python folds": ("kind = Kind.math", "ﬁnd = Kind.math"),
    # statements
    "while": ("    kind = Kind.math", "    while True:\n        pass\n    kind = Kind.math"),
    "a loop over values": ("for turn in run.loop(\"loop\", 3):", "for turn in drafts:"),
    "a loop that is too long": ("run.loop(\"loop\", 3)", "run.loop(\"loop\", 1000000)"),
    "a computed loop": ("run.loop(\"loop\", 3)", "run.loop(\"loop\", len_(drafts))"),
    "for else": ("    async with", "    else:\n        pass\n    async with"),
    "async for": ("    for turn in", "    async for turn in"),
    "break outside a loop": ("    kind = Kind.math", "    break\n    kind = Kind.math"),
    "continue": ("            break\n", "            continue\n"),
    "with": ("async with run.within", "with run.within"),
    "with something else": ("run.within(\"within\", calls=2) as part", "q as part"),
    "a limit that is none": ("calls=2) as part", "minutes=2) as part"),
    "lambda": ("kind = Kind.math", "kind = lambda: 1"),
    "walrus": ("if len_(drafts) > 2", "if (size := len_(drafts)) > 2"),
    "an f-string": ("kind = Kind.math", 'kind = f"{q}"'),
    "an f-string with a call": ("kind = Kind.math", 'kind = f"{plus(q, q)!r}"'),
    "bytes": ("kind = Kind.math", 'kind = b"x"'),
    "an ellipsis": ("kind = Kind.math", "kind = ..."),
    "a complex number": ("kind = Kind.math", "kind = 1j"),
    "a huge number": ("kind = Kind.math", "kind = " + "9" * 30),
    "arithmetic": ("kind = Kind.math", "kind = 2 ** 9"),
    "a list times a variable": ('["x"] * 3', '["x"] * q'),
    "a list a million times": ('["x"] * 3', '["x"] * 1000000'),
    "a slice": ("review.notes[0]", "review.notes[0:2]"),
    "an index that is computed": ("review.notes[0]", "review.notes[q]"),
    "conditional expression": ("kind = Kind.math", "kind = 1 if q else 2"),
    "membership": ("len_(drafts) > 2", "q in drafts"),
    "identity": ('q == ""', "q is drafts"),
    "a chain of comparisons": ("len_(drafts) > 2", "1 < len_(drafts) < 2"),
    "a dictionary": ("kind = Kind.math", "kind = {}"),
    "a set": ("kind = Kind.math", "kind = {1}"),
    "a generator": ("[draft for draft in drafts if draft != \"\"]", "(draft for draft in drafts)"),
    "two loops in a list": ("for draft in drafts if draft != \"\"", "for draft in drafts for other in drafts"),
    "await in a list": ("[draft for draft in drafts", "[await draft for draft in drafts"),
    "async in a list": ("[draft for draft in drafts", "[draft async for draft in drafts"),
    "yield": ("    kind = Kind.math", "    yield q\n    kind = Kind.math"),
    "global": ("    kind = Kind.math", "    global Kind\n    kind = Kind.math"),
    "nonlocal": ("        a = await a_task", "        nonlocal q\n        a = await a_task"),
    "del": ("    kind = Kind.math", "    del q\n    kind = Kind.math"),
    "assert": ("    kind = Kind.math", "    assert q\n    kind = Kind.math"),
    "augmented assignment": ("kind = Kind.math", 'q += "x"'),
    "assignment to a field": ("    review = ", "    review.ok = False\n    review = "),
    "assignment to an item": ("    review = ", '    notes[0] = ""\n    review = '),
    "two targets": ("kind = Kind.math", "kind = q = Kind.math"),
    "an expression": ("    kind = Kind.math", "    plus(q, q)\n    kind = Kind.math"),
    "raise something": ("    kind = Kind.math", "    raise StepFailed\n    kind = Kind.math"),
    "catch everything": ("except StepFailed:", "except Exception:"),
    "catch and name": ("except StepFailed:", "except StepFailed as error:"),
    "bare except": ("except StepFailed:", "except:"),
    "finally": ("        except StepFailed:\n            pass", "        finally:\n            pass"),
    "a class pattern": ("case Kind.math:", "case Review(ok=True):"),
    "a capturing pattern": ("case _:", "case other:"),
    "a guard": ("case Kind.math:", "case Kind.math if len_(q) > 1:"),
    "a class inside a function": ("    kind = Kind.math", "    class Inner(Record):\n        x: int\n    kind = 1"),
    # functions
    "a plain function": ("async def drafts_one(", "def drafts_one("),
    "an unknown decorator": ("@flow(limits", "@other(limits"),
    "a decorator without a call": ("@flow(limits=Limits(calls=5), default=\"no\")", "@flow"),
    "two decorators": ("@flow(", "@flow()\n@flow("),
    "a decorated helper": ("    async def drafts_one", "    @flow()\n    async def drafts_one"),
    "code in a default": ('= "x") -> Annotated', "= plus(q, q)) -> Annotated"),
    "a lambda in a default": ('= "x") -> Annotated', "= (lambda: 1)) -> Annotated"),
    "a default in a helper": ("drafts_one(run: Run, q: str)", 'drafts_one(run: Run, q: str = "x")'),
    "*args": ("drafts_one(run: Run, q: str)", "drafts_one(run: Run, *q: str)"),
    "**kwargs": ("drafts_one(run: Run, q: str)", "drafts_one(run: Run, **q: str)"),
    "no frame": ("drafts_one(run: Run, q: str)", "drafts_one(q: str)"),
    "no types": ("drafts_one(run: Run, q: str)", "drafts_one(run: Run, q)"),
    "no return type": ("drafts_one(run: Run, q: str) -> str:", "drafts_one(run: Run, q: str):"),
    "code in a type": ("drafts_one(run: Run, q: str)", "drafts_one(run: Run, q: len_(1))"),
    "a text as a type": ("drafts_one(run: Run, q: str)", 'drafts_one(run: Run, q: "str")'),
    "a helper that calls itself": ('return await run.call("b", ask, q=a)', "return await b_steps(run)"),
    # classes and declarations
    "a method in a class": ('    code = "code"\n', '    code = "code"\n\n    def f(self): ...\n'),
    "a call in a class": ('    code = "code"\n', '    code = len_("x")\n'),
    "a default of a field": ("    ok: bool\n", "    ok: bool = True\n"),
    "another base": ("class Review(Record):", "class Review(Kind):"),
    "two bases": ("class Review(Record):", "class Review(Record, Enum):"),
    "a metaclass": ("class Review(Record):", "class Review(Record, metaclass=Kind):"),
    "a dunder in a class": ("    ok: bool\n", "    __slots__: bool\n"),
    "a private field": ("    ok: bool\n", "    _ok: bool\n"),
    "a decorated class": ("class Review(", "@flow()\nclass Review("),
    "an unknown attribute": ("    retries=1,\n", "    retries=1,\n    callback=len_,\n"),
    "a computed attribute": ("    retries=1,\n", "    retries=len_(\"x\"),\n"),
    "a tool that is not declared": ("tools=(send,),\n    steps", "tools=(ask,),\n    steps"),
    "an unknown kind of declaration": ("Agent[str](", "Program[str]("),
    "a computed default": ('optional={"q": "x"}', 'optional={"q": plus("x", q)}'),
    "a computed key": ('optional={"q": "x"}', 'optional={plus("q", ""): "x"}'),
    "a spread dictionary": ('optional={"q": "x"}', "optional={**q}"),
    "a constant of one's own": ("PROGRAM: Final", "other = 3\n\nPROGRAM: Final"),
    "an expression at the top": ("PROGRAM: Final", "len_(\"x\")\n\nPROGRAM: Final"),
    "two programs": ("if __name__", "PROGRAM: Final = Program(name='y.mas', flows=())\n\nif __name__"),
    "a flow that is not declared": ("flows=(main,)", "flows=(main, other)"),
    "another condition at the end": ('if __name__ == "__main__":', "if True:"),
    "another call at the end": ("PROGRAM.cli()", "PROGRAM.run()"),
    "arguments at the end": ("PROGRAM.cli()", "PROGRAM.cli(1)"),
    # text
    "a comment": ("    kind = Kind.math", "    # a remark\n    kind = Kind.math"),
    "a remark behind code": ("# mas:13", "# thirteen"),
    "a type comment": ("kind = Kind.math  # mas:13", "kind = Kind.math  # type: ignore"),
    "a coding line": ('"""Flow', '# coding: raw_unicode_escape\n"""Flow'),
    "a coding line that looks like a mark": ('"""Flow', '  # coding:437\n"""Flow'),
    "a semicolon": ("kind = Kind.math", "kind = Kind.math; q = q"),
    "a line continuation": ("kind = Kind.math", "kind = \\\n        Kind.math"),
    "a carriage return": ("# mas:13", "# mas:13\r    import os"),
    "a form feed": ("kind = Kind.math", "kind = Kind.math\x0c"),
    "a tab": ("            break\n", "\t\t\tbreak\n"),
    "a control character in a text": ("Say # mas:7", "Say \x1b[31m"),
    "a null byte": ("# mas:13", "\x00"),
    "a direction mark": ("kind = Kind.math", "kind = Kind.math\u202e"),
    "a unicode prefix": ('notes = ["x"]', 'notes = [u"x"]'),
    "no Python": ("async def main(", "async def main(("),
}  # fmt: skip


def test_generated_code_is_verified() -> None:
    assert isinstance(verify(GOOD), ast.Module)


def test_verified_code_loads() -> None:
    assert load_module(GOOD).PROGRAM.name == "x.mas"


def test_there_are_enough_mutants() -> None:
    assert len(MUTANTS) >= 140


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_refused(name: str) -> None:
    old, new = MUTANTS[name]
    assert old in GOOD, "the mutant changes nothing"
    with pytest.raises(VerificationError) as refusal:
        verify(GOOD.replace(old, new, 1))
    assert refusal.value.line >= 1
    assert str(refusal.value).startswith(f"line {refusal.value.line}: {refusal.value.form}: ")


def test_the_refusal_names_the_form_and_the_line() -> None:
    with pytest.raises(VerificationError, match=r"^line 70: Set: not a form of generated code$"):
        verify(GOOD.replace("kind = Kind.math", "kind = {1}"))


# ---------------------------------------------------------------- depth, size, anything at all

BOMBS = {
    "brackets": "[" * 150 + "]" * 150,
    "more brackets": "[" * 5000 + "]" * 5000,
    "not": "not " * 5000 + "q",
    "minus": "-" * 5000 + "1",
    "attributes": "q" + ".notes" * 5000,
    "calls": "plus(" * 190 + ")" * 190,
    "additions": "+".join("1" * 5000),
    "powers": "**".join("1" * 50_000),
    "conditions": "1 if q else " * 50_000 + "1",
    "lambdas": "lambda: " * 50_000 + "1",
    "minus signs": "-" * 50_000 + "1",
    "many nots": "not " * 50_000 + "q",
    "brackets behind a strange text": "'''\n\"'''" + "[" * 5000 + '"' + "]" * 5000,
    "brackets in a prefixed text": 'f"{' + "[" * 5000 + ']}"',
    "and": " and ".join(["q"] * 5000),
    "a long list": "[" + "1," * 100_000 + "]",
    "a long text": repr("x" * 1_000_000),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_depth_never_crashes_the_verifier(bomb: str) -> None:
    text = GOOD.replace("kind = Kind.math", f"kind = {BOMBS[bomb]}")
    outcome: list[object] = []

    def work(depth: int) -> None:
        if depth:
            work(depth - 1)
            return
        try:
            outcome.append(verify(text))
        except VerificationError as refusal:
            outcome.append(refusal)

    work(0)
    previous = threading.stack_size(256 * 1024)
    thread = threading.Thread(target=work, args=(min(600, sys.getrecursionlimit() // 2),))
    thread.start()
    thread.join()
    threading.stack_size(previous)
    assert len(outcome) == 2


def with_branches(count: int) -> str:
    branches = "".join(f'    elif q == "{number}":\n        pass\n' for number in range(count))
    return GOOD.replace("    kind = Kind.math", f'    if q == "":\n        pass\n{branches}    kind = Kind.math')


def test_many_branches_are_fine_and_too_many_are_refused() -> None:
    load_module(with_branches(MAX_CHAIN))
    with pytest.raises(VerificationError, match="too many branches"):
        verify(with_branches(MAX_CHAIN + 1))
    with pytest.raises(VerificationError, match="too large"):
        verify(with_branches(100_000))


def test_a_module_may_not_be_endless() -> None:
    with pytest.raises(VerificationError, match="longer than"):
        verify("x = 1\n" * 2_000_000)


LINES = GOOD.split("\n")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_edit_is_refused_or_harmless(data: st.DataObject) -> None:
    """Lines moved about and words put in: either it is refused, or it is still code of the narrow kind."""
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.integers(0, 3)):
            case 0:
                lines[at] = data.draw(st.sampled_from(LINES))
            case 1:
                del lines[at]
            case 2:
                lines.insert(at, data.draw(st.sampled_from(LINES)))
            case _:
                some = ["os", "eval", "__class__", "lambda", "*", "run", "await", "plus", "0"]
                word = data.draw(st.sampled_from(some))
                words = lines[at].split(" ")
                words[data.draw(st.integers(0, len(words) - 1))] = word
                lines[at] = " ".join(words)
    try:
        tree = verify("\n".join(lines))
    except VerificationError:
        return
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Import | ast.Lambda | ast.While | ast.Global)
        assert not isinstance(node, ast.Attribute) or not node.attr.startswith("_")
        assert not isinstance(node, ast.Name) or node.id not in ("os", "eval", "open", "exec")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_at_all_is_refused_or_verified(text: str) -> None:
    try:
        verify(text)
    except VerificationError:
        pass
