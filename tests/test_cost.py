"""`mas cost`: what it shows, what it compares, and what a run says beside its bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from masdsl.bounds.compare import COMPARED
from masdsl.cli import main

CONFIG = """
[tiers]
smart = "dear"
fast = "cheap"

[models.dear]
kind = "openai"
url = "http://127.0.0.1:9/v1"
model = "dear"
input_price = 10
output_price = 30

[models.cheap]
kind = "openai"
url = "http://127.0.0.1:9/v1"
model = "cheap"
input_price = 0.1
output_price = 0.3
"""

PROGRAM = """mas 1

agent writer(topic: text(50)) -> text(50) on smart retry 1
  "Write about {{ topic }}."

flow once(topic: text(50)) -> text(50) {
  return writer(topic)
}

flow main(topic: text(50)) -> text(50)[5] {
  drafts = 3 of writer(topic)
  rounds: loop 2 {
    topic = once(topic)
  }
  drafts += [topic]
  return drafts
}
"""


class Here:
    """A folder with a program, and the command run in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def put(self, text: str, name: str = "a.mas") -> None:
        (self.folder / name).write_text(text)

    def mas(self, *arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        out, err = self._capsys.readouterr()
        return code, out, err

    def report(self, *arguments: str) -> dict[str, Any]:
        code, out, err = self.mas("cost", "--format", "json", *arguments)
        assert (code, err) == (0, ""), out
        document: dict[str, Any] = json.loads(out)
        return document

    def flow(self, name: str = "main", *arguments: str) -> dict[str, Any]:
        flows = self.report(*arguments)["programs"][0]["flows"]
        return next(flow for flow in flows if flow["flow"] == name)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    (tmp_path / "mas.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    made = Here(tmp_path, capsys)
    made.put(PROGRAM)
    return made


def rows(table: str) -> dict[str, list[str]]:
    """The amounts of the first table, by their names."""
    lines = table.split("\n\n")[0].splitlines()[1:]
    split = [line.rsplit(maxsplit=len(lines[0].split()) - 1) for line in lines]
    return {row[0].strip(): row[1:] for row in split}


# ---------------------------------------------------------------- what is shown


def test_the_table_has_every_measure_and_the_statements_in_order(here: Here) -> None:
    code, out, _ = here.mas("cost", "a.mas")
    most = here.flow()["most"]
    shown = rows(out)
    assert code == 0
    assert shown["calls"] == ["5", "10"]
    assert shown["tokens"][1] == f"{most['tokens']:,}"
    assert most["tokens"] == most["input_tokens"] + most["output_tokens"]
    assert most["output_tokens"] == 10 * 50
    assert most["picodollars"] == most["input_tokens"] * 10_000_000 + most["output_tokens"] * 30_000_000
    assert most["usd"] == most["picodollars"] / 10**12
    assert most["seconds"] == 2 * 248  # three draws at once, beside two rounds that follow each other


def test_the_shares_stand_at_their_lines(here: Here) -> None:
    parts = here.flow()["parts"]
    assert [(part["line"], part["path"], part["what"], part["most"]["calls"]) for part in parts] == [
        (11, "main.drafts", "3 of writer", 6),
        (12, "main.rounds", "loop of 2", 4),
    ]
    (inner,) = parts[1]["parts"]
    assert (inner["line"], inner["most"]["calls"], inner["most"]["seconds"]) == (13, 4, 496)


def test_entries_are_shown_and_any_flow_on_request(here: Here) -> None:
    _, out, _ = here.mas("cost")
    assert "flow main" in out and "flow once" not in out
    _, out, _ = here.mas("cost", "--flow", "once")
    assert "flow once" in out and "flow main" not in out
    code, _, err = here.mas("cost", "--flow", "twice")
    assert (code, err) == (2, "mas: no program has a flow `twice`; `mas cost` without --flow shows those there are\n")


def test_what_if_a_tier_were_another_model(here: Here) -> None:
    dear = here.flow()["most"]["picodollars"]
    cheap = here.flow("main", "--model", "smart=cheap")["most"]["picodollars"]
    assert cheap * 100 == dear
    assert here.flow("main", "--model", "smart=smollm2")["most"]["picodollars"] == 0
    assert here.report("--model", "smart=cheap")["programs"][0]["agents"] == [
        {
            "agent": "writer",
            "tier": "smart",
            "model": "cheap",
            "input_price": "0.1",
            "output_price": "0.3",
            "counted_by": "the rule",
        }
    ]
    code, _, err = here.mas("cost", "--model", "smart")
    assert code == 2
    assert "`--model smart` names no tier and model" in err


def test_a_model_without_a_price_is_an_error_that_names_the_fix(here: Here) -> None:
    code, out, _ = here.mas("cost", "--model", "smart=openai/no-such-model-9")
    assert code == 1
    assert "no-such-model-9" in out and "input_price" in out


def test_short_and_markdown(here: Here) -> None:
    most = here.flow()["most"]
    _, out, _ = here.mas("cost", "--format", "short")
    assert out.startswith(f"a.mas:10: main: at most 10 calls, {most['tokens']:,} tokens, ")
    here.put(PROGRAM.replace("mas 1\n", "mas 1\nbudget calls 12\n"))
    _, out, _ = here.mas("cost", "--format", "markdown")
    assert out.splitlines()[2].startswith("| a.mas | main | 10 of 12 | ")


def test_faulty_programs_are_reported_and_the_others_shown(here: Here) -> None:
    here.put(PROGRAM.replace("return drafts", "return draft"), "b.mas")
    code, out, _ = here.mas("cost")
    assert code == 1
    assert "flow main" in out and "error[MAS101]" in out
    code, out, _ = here.mas("cost", "--format", "json")
    document = json.loads(out)
    assert [program["file"] for program in document["programs"]] == ["a.mas"]
    assert [finding["file"] for finding in document["findings"]] == ["b.mas"]


def test_check_verbose_shows_the_cost(here: Here) -> None:
    _, out, _ = here.mas("check", "--verbose", "a.mas")
    assert "a.mas: no problems\n  flow main" in out


# ---------------------------------------------------------------- comparing


@pytest.fixture
def base(here: Here) -> Path:
    path = here.folder / "base.json"
    _, out, _ = here.mas("cost", "--format", "json")
    path.write_text(out)
    return path


def test_a_bound_that_rises_fails_in_every_format(here: Here, base: Path) -> None:
    assert here.mas("cost", "--compare", "base.json", "--format", "short")[0] == 0
    here.put(PROGRAM.replace("3 of writer", "4 of writer"))
    code, out, _ = here.mas("cost", "--compare", "base.json", "--format", "short")
    assert code == 1
    assert "a.mas:10:1: MAS405 the bound of flow `main` rose: calls 10 -> 12" in out
    code, out, _ = here.mas("cost", "--compare", "base.json", "--format", "github")
    assert code == 1
    assert "::error file=a.mas,line=10" in out
    code, out, _ = here.mas("cost", "--compare", "base.json", "--format", "sarif")
    assert code == 1
    assert json.loads(out)["runs"][0]["results"][0]["ruleId"] == "MAS405"
    code, out, _ = here.mas("cost", "--compare", "base.json", "--format", "markdown")
    assert code == 1
    assert "calls 10 -> 12" in out
    assert here.mas("cost", "--compare", "base.json", "--fail-on", "never")[0] == 0


def test_every_measure_is_compared(here: Here, base: Path) -> None:
    document = json.loads(base.read_text())
    for key, measure in COMPARED:
        lowered = json.loads(base.read_text())
        flow = next(one for one in lowered["programs"][0]["flows"] if one["flow"] == "main")
        flow["most"][key] -= 1
        base.write_text(json.dumps(lowered))
        code, out, _ = here.mas("cost", "--compare", "base.json", "--format", "short")
        assert code == 1
        assert f"rose: {measure} " in out
        base.write_text(json.dumps(document))


def test_lower_new_and_removed_flows_do_not_fail(here: Here, base: Path) -> None:
    here.put(PROGRAM.replace("3 of writer", "2 of writer"))
    here.put(PROGRAM, "new.mas")
    assert here.mas("cost", "--compare", "base.json")[0] == 0
    (here.folder / "a.mas").unlink()
    assert here.mas("cost", "--compare", "base.json")[0] == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "holds no bounds"),
        ('{"programs": []}', "version"),
        ('{"programs": [1], "version": 1}', "holds no bounds"),
        ('{"programs": [{"file": "a", "flows": [{"flow": "main"}]}], "version": 1}', "holds no bounds"),
        (
            '{"programs": [{"file": "a", "flows": [{"flow": "main", "most": {"calls": -1}}]}], "version": 1}',
            "`calls` of a flow of `a` is no amount",
        ),
    ],
)
def test_a_base_that_cannot_be_used_is_said_to_be(here: Here, content: str | None, said: str) -> None:
    if content is not None:
        (here.folder / "base.json").write_text(content)
    code, out, err = here.mas("cost", "--compare", "base.json")
    assert (code, out) == (2, "")
    assert said in err and "mas cost --format json > base.json" in err


# ---------------------------------------------------------------- runs


def test_a_run_says_what_it_took_of_its_bound(here: Here) -> None:
    (here.folder / "script.toml").write_text('[replies]\nwriter = "fine"\n')
    most = here.flow()["most"]
    code, out, err = here.mas("run", "a.mas", "topic=tea", "--script", "script.toml")
    assert (code, json.loads(out)) == (0, ["fine"] * 4), err
    taken = err.splitlines()[-1].split(", ")
    assert taken[0] == "5 of at most 10 calls"
    assert taken[1].endswith(f"of at most {most['tokens']:,} tokens")
