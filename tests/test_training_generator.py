"""Rows of the shipped generator: each system fits its query, what is held out is new, choices are measured."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from masdsl.batch.evaluation import evaluate
from masdsl.config import DEFAULT, Grant
from masdsl.decode.draft import begin, fed
from masdsl.decode.profile import TRAINED
from masdsl.meta.extract import extract
from masdsl.meta.host import Host, fit_of, shape_of
from masdsl.meta.task import Task
from masdsl.meta.trained import compact_text
from masdsl.runtime import Limits
from training.generator.__main__ import main
from training.generator.drawing import CALLS, draw, written
from training.generator.rows import selected
from training.generator.ship import main as ship
from training.generator.systems import CANDIDATES, KINDS, Wanted, designed
from training.rates.asking import read_asked

GENERATOR = Path(__file__).resolve().parent.parent / "training" / "generator"
HOST = Host(DEFAULT._replace(tools={"sandbox.python": Grant("sandbox"), "calculator": Grant("calculator")}))
PYTHON = 'tool python(code: text(1500)) -> (passed: bool, log: text(300)) from "sandbox.python" timeout 20'
RETURNS = {"yes_no": ["bool"], "rating": ["int"], "sum": ["text", "int", "float"], "choice": ["text"], "code": ["text"]}


@pytest.mark.parametrize("kind", KINDS)
def test_every_system_fits_what_it_is_for_and_can_be_written_under_the_decoder(kind: str) -> None:
    choices = [{}, *({kind: name} for name in CANDIDATES.get(kind, ()))]
    seen = set()
    for chosen in choices:
        for returns in RETURNS.get(kind, ["text", "text(60)"]):
            for calls in CALLS:
                for query in ("query", "query: text(1200)"):
                    for tools in ((), (PYTHON,)) if kind == "code" else ((),):
                        signature = f"flow main({query}) -> {returns}"
                        made = designed(Wanted(kind, signature, tools, calls), chosen)
                        if (signature, made.program, calls) in seen:
                            continue
                        seen.add((signature, made.program, calls))
                        task = Task("q", signature, Limits(calls=calls), tools)
                        fit = fit_of(made.program, shape_of(task, HOST), HOST, task.budget)
                        assert fit.program is not None, (made.program, fit.diagnostics)
                        assert 10 < len(made.reasons) < 90
    signature, program, calls = max(seen, key=lambda one: len(one[1]))
    tools = (PYTHON,) if PYTHON in program else ()
    draft = begin(signature, HOST.config, TRAINED, header="".join(f"{line}\n" for line in tools))
    for line in compact_text(program).splitlines()[1 + len(tools) :]:
        draft = fed(draft, line + "\n")
    assert draft.done


def test_what_is_held_out_was_never_trained_on() -> None:
    train, held = draw(24, (), 0, held_out=False), draw(10, (), 0, held_out=True)
    assert {one.query for one in train} & {one.query for one in held} == set()
    for kind, spec in written().items():
        assert set(spec["fillers"]) & set(spec["held_out_fillers"]) == set(), kind
        assert set(spec["phrasings"]) & set(spec["held_out_phrasings"]) == set(), kind
        assert len(spec.get("answers", spec["held_out_fillers"])) == len(spec["held_out_fillers"]), kind
        assert all(one.count("{}") == 1 for one in (*spec["phrasings"], *spec["held_out_phrasings"])), kind
    assert {one.kind for one in train} | {"choice"} == set(KINDS)
    assert draw(3, (), 1, held_out=False) != draw(3, (), 0, held_out=False) == draw(3, (), 0, held_out=False)


def test_arithmetic_has_the_right_answers() -> None:
    words = {"plus": "+", "minus": "-", "times": "*"}
    for one in draw(20, (), 3, held_out=True):
        if one.kind == "sum":
            said = "".join(words.get(word, word) for word in one.query.replace("?", " ").replace(",", " ").split())
            numbers = "".join(letter for letter in said if letter in "0123456789+-*")
            assert eval(numbers) == int(one.answer), one.query


def test_rows_are_asked_as_in_use_and_choices_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queries = tmp_path / "queries.jsonl"
    rows = [{"query": f"{a} + 1?", "answer": a + 1, "family": "sum"} for a in range(3)]
    queries.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "script.toml").write_text('[replies]\n"*" = 1\n', encoding="utf-8")
    (tmp_path / "mas.toml").write_text(
        '[tools]\n"sandbox.python" = "sandbox"\n"calculator" = "calculator"\n'
        '[tiers]\ndefault = "one"\n[models.one]\nkind = "scripted"\npath = "script.toml"\n',
        encoding="utf-8",
    )
    systems = []
    for name in ("number", "vote_number"):
        systems.append(tmp_path / f"{name}.mas")
        systems[-1].write_text((GENERATOR / "candidates" / "numbers" / f"{name}.mas").read_text("utf-8"), "utf-8")
    evaluate([str(one) for one in systems], str(queries), out=str(tmp_path / "e"), grader="numeric", workers=0)
    (choice,) = selected([str(tmp_path / "e")])
    assert (choice.kind, choice.system, choice.total, choice.decided) == ("sum", "number", 1.0, "cost")
    config = tmp_path / "rows.toml"
    config.write_text('evaluations = ["e"]\n[rows]\neach = 3\nheld_out = 2\n', encoding="utf-8")
    assert main([str(config), "--out", str(tmp_path / "out")]) == 0
    made = [json.loads(line) for line in (tmp_path / "out" / "data.jsonl").read_text("utf-8").splitlines()]
    assert f"{len(made)} rows" in capsys.readouterr().out
    sums = [one for one in made if one["provenance"]["kind"] == "sum"]
    assert {one["provenance"]["chosen_by"] for one in sums} == {"measured"}
    assert all("Work out the number" in one["completion"][0]["content"] for one in sums)
    for one in made:
        assert one["prompt"][1]["content"].splitlines()[-1].startswith("at most ")
        assert extract(one["completion"][0]["content"], "mas").text.startswith("mas 1\n")
    held = read_asked([str(tmp_path / "out" / "held-out.jsonl")])
    golden = read_asked([str(tmp_path / "out" / "answers.jsonl")])
    assert {one.id for one in golden} == {one.id for one in held if one.answer is not None}
    assert {one.calls for one in golden} == {6}


def test_bad_input_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pool.jsonl").write_text('{"query": "?"}\n' * 2, encoding="utf-8")
    pool = '[[pools]]\npath = "pool.jsonl"\nkind = "choice"\ngrader = "choice"\nheld_out = 1\n'
    for text, told in ((pool, "it has no query or no answer"), ('evaluations = ["none"]', "no table of scores in")):
        (tmp_path / "rows.toml").write_text(text, encoding="utf-8")
        assert main([str(tmp_path / "rows.toml"), "--out", str(tmp_path / "out")]) == 2
        assert told in capsys.readouterr().err


# ---------------------------------------------------------------- as it is shipped


def test_an_adapter_is_shipped_in_half_precision_with_its_cards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
    save_file = pytest.importorskip("safetensors.torch", reason="safetensors is not installed").save_file
    run, data, out = tmp_path / "run", tmp_path / "data", tmp_path / "out"
    (run / "model").mkdir(parents=True)
    data.mkdir()
    assert ship([str(run), "--data", str(data), "--out", str(out)]) == 2
    assert "with LoRA that is finished" in capsys.readouterr().err
    save_file({"b": torch.tensor([[1.5, -2.0]]), "a": torch.ones(1, 1)}, run / "model" / "adapter_model.safetensors")
    config = {"r": 1, "base_model_name_or_path": "/home/me/cache"}
    (run / "model" / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    (run / "model" / "masdsl.json").write_text('{"base": "smollm2", "sha256": "of the other"}', encoding="utf-8")
    rows = str(data / "data.jsonl")
    manifest = {"settings": {"paths": [rows]}, "data_sha256": {rows: "ab"}}
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    for name in ("card.json", "card.md"):
        (data / name).write_text(name, encoding="utf-8")
    assert ship([str(run), "--data", str(data), "--out", str(out)]) == 0
    weights = (out / "adapter_model.safetensors").read_bytes()
    assert b'"F16"' in weights and b'"F32"' not in weights
    digest = sha256(weights).hexdigest()
    assert digest in capsys.readouterr().out
    assert json.loads((out / "masdsl.json").read_text("utf-8")) == {"base": "smollm2", "sha256": digest}
    assert json.loads((out / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"] == "smollm2"
    kept = json.loads((out / "manifest.json").read_text("utf-8"))
    assert kept == {"settings": {"paths": ["data.jsonl"]}, "data_sha256": {"data.jsonl": "ab"}}
    assert (out / "card.md").read_text("utf-8") == "card.md"
