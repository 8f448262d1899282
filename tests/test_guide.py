"""`grammar/guide.md`: short, and right in every example and every name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import masdsl
from masdsl.check.builtins import BUILTINS
from masdsl.cli import main
from masdsl.config import DEFAULT, Config
from masdsl.diagnostics.base import Findings
from masdsl.loaded import LoadedProgram
from masdsl.meta.guide import MOST_TOKENS, SHORT_CONTEXT, SHORT_GUIDE, guide_for, language_guide
from masdsl.pipeline import check_source
from masdsl.runtime.models import store
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.sizes import text_tokens
from masdsl.source import Source
from masdsl.syntax.grammar import keywords
from masdsl.tokenizers import counter_from_gguf
from tests.harness import gpt_tokens
from tests.harness.markdown import blocks
from tests.harness.programs import granted

GUIDE = language_guide()
BLOCKS = blocks(GUIDE)
FIRST, LIBRARY = (block for block in BLOCKS if block.language == "mas")
CONFIG: Config = DEFAULT._replace(tools=granted("sandbox.python"))
PROSE = re.sub(r"^```.*?^```$", "", GUIDE, flags=re.MULTILINE | re.DOTALL)

SOLVED = {"thinking": "2 + 2", "answer": "4"}
SCRIPT = {
    "sorter": "math",
    "solver": SOLVED,
    "doubter": {"thinking": "?", "answer": "5"},
    "coder": "print(4)",
    "critic": {"ok": True, "issues": []},
    "splitter": [["part one", "2", "part three"]],
    "clerk": '{"answer": "both parts"}',
}


def source(text: str) -> Source:
    return Source("<guide>", text)


def loaded(text: str, script: dict[str, object]) -> LoadedProgram:
    async def run(code: str) -> dict[str, object]:
        return {"passed": "mend" in code, "log": "line 1"}

    return masdsl.load(
        source(text),
        config=CONFIG,
        models=ScriptedModel(script),
        tools={"sandbox.python": run} if "tool" in text else {},
    )


def test_it_is_short_by_every_tokenizer() -> None:
    counts = {"ours": text_tokens(GUIDE), "cl100k": gpt_tokens.count(GUIDE)}
    weights = store.where("smollm2")
    if weights is not None:
        counter = counter_from_gguf(weights)
        assert counter is not None
        counts["smollm2"] = counter.count(GUIDE)
    assert all(1_000 < count < MOST_TOKENS for count in counts.values()), counts


@pytest.mark.parametrize("block", [FIRST, LIBRARY], ids=["first", "library"])
def test_programs_are_without_a_finding_and_in_canonical_layout(block: object) -> None:
    text = getattr(block, "text")  # noqa: B009
    assert masdsl.check(source(text), config=CONFIG) == ()
    assert masdsl.format(text) == text


@pytest.mark.parametrize(
    ("script", "value", "calls"),
    [
        ({}, "4", 5),
        ({"sorter": "code", "coder": ["print(4)", "mend"]}, "mend", 5),
        ({"sorter": "other"}, "both parts", 11),
    ],
)
def test_the_first_program_runs(script: dict[str, object], value: str, calls: int) -> None:
    result = loaded(FIRST.text, SCRIPT | script).main.run_sync("What is 2 + 2?")
    assert (result.value, result.calls) == (value, calls)


def test_the_program_with_the_library_runs() -> None:
    script: dict[str, object] = {
        "solver": [3, 4, 4, 5, 4],
        "reviewer": {"advice": "longer", "ok": False},
        "reviser": "four",
    }
    result = loaded(LIBRARY.text, script).main.run_sync("What is 2 + 2?")
    assert result.value == "four" and result.calls == 9


def test_the_binding_and_the_patch_fit_the_first_program() -> None:
    documents = {block.language: block.text for block in BLOCKS if block.language in ("bind", "patch")}
    bound = masdsl.bind(source(documents["bind"]), source(FIRST.text), config=CONFIG)
    assert 'text(700) on "openai/gpt-4o-mini"' in bound.text
    patched = masdsl.apply(source(documents["patch"]), source(FIRST.text), config=CONFIG)
    kinds = ("bind", "set", "replace", "otherwise", "add", "after", "wrap", "drop", "rename", "redo", "budget")
    edits = {line.split()[0] for line in documents["patch"].split("\n")[1:] if line[:1].isalpha()}
    assert edits == set(kinds)
    script = SCRIPT | {"judge": True, "doubter": {"thinking": "", "answer": ""}}
    result = loaded(patched.text, script).main.run_sync("What is 2 + 2?")
    assert (result.value, result.calls) == ("4", 5)


# ---------------------------------------------------------------- what is said beside the examples


def test_every_module_and_every_name_of_the_library_exists() -> None:
    named = re.search(r"^std\.(.*)$", PROSE, re.MULTILINE)
    assert named is not None
    found = 0
    for module, uses in re.findall(r"(\w+): ((?:\w+\([^)]*\) ?)+)", named[1]):
        for name, inputs in re.findall(r"(\w+)\(([^)]*)\)", uses):
            page = (Path(__file__).parent.parent / "stdlib" / f"{module}.mas").read_text(encoding="utf-8")
            declared = re.search(
                rf"^(?:flow|extern) {name}(?:\[[^\]]*\])?\((.*?)^(?:\}}|##)", page, re.MULTILINE | re.DOTALL
            )
            assert declared is not None, f"std.{module} has no {name}"
            assert re.findall(r"\b(\w+): ", declared[1])[: inputs.count(",") + 1] == inputs.split(", "), name
            found += 1
    assert found == 10


def test_every_function_exists_and_all_are_named() -> None:
    named = re.search(r"Functions: ([a-z_ ]+)$", PROSE, re.MULTILINE)
    assert named is not None and sorted(named[1].split()) == sorted(BUILTINS)


def test_every_keyword_stands_in_it() -> None:
    rare = {"given", "expect", "test", "fails", "replies", "extern", "before", "as"}
    words = set(re.findall(r"[a-z_]+", GUIDE))
    assert {word for word in keywords() if word.isalpha()} - words <= rare


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "--prompt"]) == 0
    assert capsys.readouterr().out == GUIDE
    assert main(["spec"]) == 0
    assert "# The masdsl language" in capsys.readouterr().out


def test_the_short_guide_is_a_program_too() -> None:
    (text,) = re.findall(r"```mas\n(.*?)```", SHORT_GUIDE, re.DOTALL)
    findings = Findings()
    assert check_source(Source("x", text), DEFAULT, findings) is not None and not findings.sorted()
    assert guide_for(SHORT_CONTEXT) == SHORT_GUIDE and guide_for(None) == guide_for(100_000) == language_guide()
