"""Worlds to learn in: repeatable files, models that keep to their stated rates, replies that obey, real runs."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from math import sqrt
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import masdsl
from masdsl import pipeline
from masdsl.batch.evaluation import evaluate
from masdsl.batch.store import outcomes_in
from masdsl.batch.systems import config_of
from masdsl.cli.test import run as run_tests
from masdsl.diagnostics.base import Findings
from masdsl.journal.memory import MemoryRun
from masdsl.meta.extract import extract
from masdsl.meta.host import Host
from masdsl.runtime.loader import load_module
from masdsl.runtime.models.base import Message, ModelError, Request
from masdsl.runtime.models.registry import Models
from tests.harness.journaled import CrashError, Crashing, cut, header
from training.data.plan import read_plan
from training.data.pools import Query, task_of
from training.data.refinement import faults_of, is_usable, patched
from training.worlds.__main__ import main
from training.worlds.chance import correlated, logistic, uniform
from training.worlds.methods import METHODS, NO_METHOD, by_method, methods_in
from training.worlds.mind import RULES, Mind, Skills
from training.worlds.problems import TEMPLATES, problems, value_of
from training.worlds.reading import read_request
from training.worlds.simulated import make_simulated
from training.worlds.simulator import SimulatedModel, model
from training.worlds.tasks import FAMILIES, Task, TaskFault, Tasks, read_tasks
from training.worlds.teacher import teacher
from training.worlds.tools import ServiceDown, WorldTools
from training.worlds.unseen import unseen_rows
from training.worlds.words import words

ROOT = Path(__file__).resolve().parent.parent
POOL = ROOT / "examples" / "pool"
SYSTEMS = ROOT / "training" / "worlds" / "systems"
SKILL = dict.fromkeys(FAMILIES, 0.5)
OPTIONS = ("Oran", "Velm", "Brin", "Tarn")


def task(family: str = "choice", number: int = 0, difficulty: float = 0.0) -> Task:
    query = f"Which river number {number} is it? Options: A) Oran; B) Velm; C) Brin; D) Tarn"
    sums = {"expression": "6 * 7", "wrong_expressions": ("6 + 7", "67 + 0", "76 + 0")} if family == "sums" else {}
    wrong = ("13", "67", "76") if family == "sums" else ("Velm", "Brin", "Tarn")
    answer = "42" if family == "sums" else "Oran"
    evidence = f"River number {number} is Oran." if family == "facts" else ""
    more: dict[str, Any] = {"evidence": evidence, "options": OPTIONS if family == "choice" else (), **sums}
    return Task(f"{family}/{number}", family, (query, f"Name river {number}."), answer, wrong, difficulty, **more)


def seen(one: Task, said: str = "{}", **more: Any) -> Any:
    request = Request((Message("user", said.replace("{}", one.texts[0])),), **more)
    return read_request(request, Tasks([one]))


def mind(one: Task, said: str = "{}", *, judge: float = 0.0, sample: int = 0, reads: float = 1.0) -> Mind:
    return Mind(Skills(SKILL, judge, reads, 1.0), seen(one, said), ("w", "m"), ("w", "m", one.id, sample))


def near(found: float, wanted: float, count: int) -> bool:
    """Whether a share of so many draws is within 4 standard deviations."""
    return abs(found - wanted) < 4 * sqrt(max(wanted * (1 - wanted), 0.01) / count)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("worlds") / "simulated"
    make_simulated(str(out), train=24, held_out=16)
    return out


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# ---------------------------------------------------------------- files


def test_the_same_options_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        for kind in ("simulated", "arithmetic"):
            out = str(tmp_path / name / kind)
            assert main([kind, "--out", out, "--seed", seed, "--train", "20", "--held-out", "8"]) == 0
    files = {
        name: {
            str(one.relative_to(tmp_path / name)): one.read_bytes()
            for one in sorted((tmp_path / name).rglob("*"))
            if one.is_file()
        }
        for name in "abc"
    }
    assert files["a"] == files["b"]
    for name in ("simulated/train.jsonl", "simulated/shifted/held-out.jsonl", "arithmetic/held-out.jsonl"):
        assert files["a"][name] != files["c"][name]


def test_a_world_says_what_it_has(world: Path) -> None:
    train, held = rows(world / "train.jsonl"), rows(world / "held-out.jsonl")
    assert len(train) == 24 and len(held) == 16
    assert Counter(one["family"] for one in train) == dict.fromkeys(FAMILIES, 6)
    new = rows(world / "shifted" / "held-out.jsonl")
    assert rows(world / "shifted" / "same.jsonl") == held
    queries = [one["query"] for one in (*train, *held, *new)]
    assert len(set(queries)) == len(queries) == 24 + 2 * 16
    said = rows(world / "paraphrases.jsonl")
    by_id = {one["id"]: one for one in held}
    assert Counter(one["of"] for one in said) == dict.fromkeys({one["of"] for one in said}, 3)
    assert len(said) == 3 * 4 and len({one["query"] for one in said} | set(queries)) == len(said) + len(queries)
    assert all(one["answer"] == by_id[one["of"]]["answer"] for one in said)
    assert "SIMULATOR" in (world / "world.json").read_text() and "SIMULATED" in (world / "mas.toml").read_text()


def test_the_shifted_world_has_other_models_in_the_same_tiers(world: Path) -> None:
    one, other = (config_of(str(folder / "x.mas")) for folder in (world, world / "shifted"))
    assert set(one.tiers) == set(other.tiers) == {"fast", "default", "smart"}
    assert not set(one.models) & set(other.models)
    skills = [tuple(sorted(entry.options["skill"].items())) for entry in (*one.models.values(), *other.models.values())]
    assert len(set(skills)) == 6
    prices = [(entry.input_price, entry.output_price) for entry in (*one.models.values(), *other.models.values())]
    assert len(set(prices)) == 6


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["simulated", "--train", "0"], "'0' is no whole number from 1 to 100000"),
        (["simulated", "--tool-fails", "2"], "'2' is no share from 0 to 1"),
        (["simulated", "--faults", "nan"], "'nan' is no factor from 0 to 20"),
        (["simulated", "--misfit", "21"], "'21' is no factor from 0 to 20"),
        (["simulated", "--pools", "x"], "unrecognized arguments: --pools"),
        (["nowhere"], "invalid choice: 'nowhere'"),
    ],
)
def test_options_that_cannot_be_meant(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--out", str(tmp_path / "w")])
    assert ended.value.code == 2 and told in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["simulated", "--out", str(tmp_path)]) == 2
    assert "has other things in it and is no world; name a new folder" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("gsm8k_train.jsonl", '{"query": "How many?"}', "gsm8k_train.jsonl:1: no row with a `query` and a number"),
        ("svamp.jsonl", "{", "svamp.jsonl:1: no row"),
        ("humaneval.jsonl", "{}", "has no pool; it needs one of gsm8k*.jsonl"),
    ],
)
def test_pools_that_cannot_be_read(
    name: str, text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pools").mkdir()
    (tmp_path / "pools" / name).write_text(text)
    assert main(["arithmetic", "--out", str(tmp_path / "w"), "--pools", str(tmp_path / "pools")]) == 2
    assert told in capsys.readouterr().err and not (tmp_path / "w").exists()


def test_pools_are_added_with_their_licence(tmp_path: Path) -> None:
    (tmp_path / "mawps.jsonl").write_text(
        "".join(json.dumps({"id": f"m/{n}", "query": f"{n} and 1?", "answer": f"{n + 1}.0"}) + "\n" for n in range(20))
    )
    out = tmp_path / "w"
    assert main(["arithmetic", "--out", str(out), "--pools", str(tmp_path), "--train", "10", "--held-out", "5"]) == 0
    train, held = rows(out / "train.jsonl"), rows(out / "held-out.jsonl")
    assert (len(train), len(held)) == (28, 7)
    assert Counter(one.get("level") for one in train + held) == {"small": 7, "usual": 8, None: 20}
    added = [one for one in train + held if one["source"] == "mawps"]
    assert len({one["id"] for one in added}) == 20 and {one["licence"] for one in added} == {"MAWPS, MIT / Apache-2.0"}


# ---------------------------------------------------------------- problems


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: one.kind)
def test_problems_have_the_answer_that_their_words_ask_for(template: Any) -> None:
    for one in problems(Random(3), 20, templates=[template]):
        assert value_of(one.expression) == one.answer >= 10
        wrong = [value_of(mistake) for mistake in one.mistakes]
        assert len({one.answer, *wrong}) == 1 + len(wrong) >= 3
        numbers = set("".join(c if c.isdigit() else " " for c in one.expression).split()) - {"100"}
        for text in one.wordings:
            assert numbers <= set("".join(c if c.isdigit() else " " for c in text).split()), text
        assert len(set(one.wordings)) == 4


def test_small_problems_have_small_numbers_and_large_ones_larger() -> None:
    def mean(**options: Any) -> float:
        return sum(one.answer for one in problems(Random(4), 64, **options)) / 64

    assert mean(small=True) * 3 < mean() < mean(scale=5) / 2


def test_there_are_as_many_problems_as_are_asked_for() -> None:
    made = problems(Random(5), 2000, templates=[TEMPLATES[2]], small=True)
    assert len({one.wordings[0] for one in made}) == 2000, "more than there are of the smallest numbers"


def test_an_expression_is_of_whole_numbers() -> None:
    assert value_of("(12 + 8) * 3 - 10 / 4") * 2 == 115
    for text in ("__import__('os')", "1.5", "2 ** 9", "x", "", "1 +", "True"):
        with pytest.raises(ValueError, match="no expression of whole numbers"):
            value_of(text)


def test_unseen_queries_have_one_right_option() -> None:
    found = unseen_rows()
    assert Counter(one["family"] for one in found) == {"law": 30, "medicine": 30}
    assert len({one["query"] for one in found}) == len({one["id"] for one in found}) == 60
    assert all(one["options"].count(one["answer"]) == 1 and len(set(one["options"])) == 4 for one in found)
    places = Counter(one["options"].index(one["answer"]) for one in found)
    assert min(places[place] for place in range(4)) >= 8, "the right option stands in all places"


# ---------------------------------------------------------------- what a model believes


def test_first_thoughts_are_right_as_often_as_the_skill_says() -> None:
    for family, difficulty in (("choice", 0.0), ("puzzles", 1.0), ("sums", -0.5)):
        minds = [mind(task(family, number, difficulty)) for number in range(1500)]
        right = sum(one.seen.task is not None and one.first_thought == one.seen.task.answer for one in minds) / len(
            minds
        )
        assert near(right, logistic(minds[0].strength), len(minds))
        assert abs(minds[0].strength - (0.5 - difficulty)) < 0.02, "less a little for the length of the prompt"


def test_steps_and_the_right_expert_help_and_a_wrong_one_does_not() -> None:
    plain = mind(task("sums")).strength
    assert abs(mind(task("sums"), "{} Think step by step.").strength - plain - RULES["sums"].steps) < 0.02
    assert abs(mind(task("choice"), "{} Think step by step.").strength - mind(task()).strength) < 0.02
    assert abs(mind(task("sums"), "You are a math professor. {}").strength - plain - 0.3) < 0.02
    assert abs(mind(task("sums"), "You are a historian. {}").strength - plain) < 0.02
    assert mind(task("sums"), "{}" + " word" * 8000).strength < plain - 1.9


# ---------------------------------------------------------------- words of method, and who teaches them


def test_a_method_is_known_by_its_words_in_any_case_and_changes_nothing_else_that_is_read() -> None:
    for family, says in METHODS.items():
        for one in says:
            assert methods_in(f"Please. {one.upper()} Then answer.") == {family}
    plain = seen(task("sums"))
    for one in (*NO_METHOD, *(one for says in METHODS.values() for one in says)):
        told = seen(task("sums"), f"{one} {{}}")
        assert told._replace(plain="", tokens=0) == plain._replace(plain="", tokens=0), one
    assert all(not methods_in(one) for one in NO_METHOD)


def test_methods_add_and_take_away_what_the_world_says_and_nothing_where_it_says_nothing() -> None:
    def strength(said: str, **sizes: float) -> float:
        one = task("sums")
        return Mind(Skills(SKILL, 0.0, 1.0, 1.0, **sizes), seen(one, said), ("w",), ("w",)).strength

    [fitting, also], wrong, none = METHODS["sums"], METHODS["puzzles"][0], "Do this very well, mind you."
    sizes = {"method": 1.0, "misfit": 0.5}
    plain = strength(f"{none} {{}}", **sizes)
    for said, gain in ((fitting, 1.0), (f"{fitting} {also}", 1.0), (wrong, -0.5), (f"{wrong} {fitting}", 0.5)):
        assert abs(strength(f"{said} {{}}", **sizes) - plain - gain) < 0.01
        assert abs(strength(f"{said} {{}}") - strength(f"{none} {{}}")) < 0.01, "off by default"
    assert by_method(fitting, "choice", 1.0, 0.5) == -0.5


def test_a_world_without_methods_is_the_same_to_the_byte_and_has_no_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.worlds.simulated.CHECKOUT", "/checkout")  # files name it
    folders = {"off": tmp_path / "off", "on": tmp_path / "on"}
    make_simulated(str(folders["off"]), train=8, held_out=4)
    make_simulated(str(folders["on"]), train=8, held_out=4, method=1.0, misfit=0.5)
    [shim] = folders["off"].glob("*.py")
    assert "teacher" not in shim.read_text()
    assert not re.search("teacher|method|misfit", (folders["off"] / "mas.toml").read_text())
    assert not {"method", "misfit"} & json.loads((folders["off"] / "world.json").read_text()).keys()
    for name in ("train.jsonl", "held-out.jsonl", "tasks.jsonl"):
        assert (folders["off"] / name).read_bytes() == (folders["on"] / name).read_bytes()
    config = config_of(str(folders["on"] / "x.mas"))
    assert config.models["crane"].options["misfit"] == 0.5
    assert (config.tiers["teacher"], config.models["magpie"].options["misleads"]) == ("magpie", 0.2)
    # What was published was made in worlds of before there were methods: this is the hash of one of them.
    told = sha256()
    for path in sorted(str(one.relative_to(folders["off"])) for one in folders["off"].rglob("*") if one.is_file()):
        told.update(path.encode() + b"\0" + (folders["off"] / path).read_bytes())
    assert told.hexdigest() == "2607b22dc0297d5dc1ad247766b41c5312e66a23cb6c2987cc94a22f4fe0d867"


PROGRAM = """mas 1

agent solver(task) -> text
  "Solve \\"it\\": {{ task }}"

flow main(query) -> text {
  return solver(query)
}
"""


def taught(tmp_path: Path, count: int, **rates: Any) -> list[str]:
    from training.data.refinement import _INSTRUCTIONS, _shown

    one = task("sums")
    (tmp_path / "tasks.jsonl").write_text(json.dumps(one._asdict()) + "\n")
    query = Query("1", one.texts[0], one.answer, {})
    asked = Message("system", _INSTRUCTIONS), Message("user", _shown(PROGRAM, [query]))
    made = teacher("t", str(tmp_path / "tasks.jsonl"), **rates)
    return [asyncio.run(made.complete(Request(asked, seed=seed))).text for seed in range(count)]


def test_a_simulated_teacher_proposes_right_wrong_and_broken_patches_at_its_rates(tmp_path: Path) -> None:
    config = tmp_path / "mas.toml"
    config.write_text('[tiers]\ndefault = "m"\n[models.m]\nkind = "scripted"\npath = "x.toml"\n')
    host = Host(config_of(str(tmp_path / "x.mas")))
    query = Query("1", task("sums").texts[0], "42", {})
    found: Counter[str] = Counter()
    for said in taught(tmp_path, 400, fits=0.5, misleads=0.2, breaks=0.2):
        patch = extract(said, "patch").text
        faults = faults_of(patch, PROGRAM, [query], task_of([query], host), host) if patch else ("no patch",)
        kinds = methods_in(patch)
        found["breaks" if faults else "fits" if "sums" in kinds else "misleads" if kinds else "neither"] += 1
        if not faults:
            assert 'Solve "it"' in patched(patch, PROGRAM, host).replace("\\", ""), "the old prompt stays"
            assert is_usable(extract(said, "patch").reasoning, [query])
    for kind, rate in (("fits", 0.5), ("misleads", 0.2), ("breaks", 0.2), ("neither", 0.1)):
        assert near(found[kind] / 400, rate, 400), found
    assert taught(tmp_path, 3) == taught(tmp_path, 3)


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ({"fits": 1.5}, "`fits` is 1.5; write a rate"),
        ({"breaks": True}, "`breaks` is True"),
        ({"fits": 0.5, "misleads": 0.4, "breaks": 0.3}, "make 1.2; they make 1 at most"),
        ({"seed": 0.5}, "`seed` is 0.5"),
    ],
)
def test_rates_of_a_teacher_that_cannot_be_meant(rates: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        teacher("t", "tasks.jsonl", **rates)


# ---------------------------------------------------------------- samples, judgements


def test_samples_agree_as_much_as_the_family_says() -> None:
    def agreement(family: str) -> float:
        pairs = [[mind(task(family, n), sample=k).first_thought for k in (0, 1)] for n in range(800)]
        return sum(one == other for one, other in pairs) / len(pairs)

    assert agreement("choice") > agreement("puzzles") + 0.15


def test_shares_of_chance_keep_the_draws_uniform() -> None:
    draws = [correlated(0.6, ("c", n // 3), ("o", n)) for n in range(3000)]
    assert near(sum(one < 0.3 for one in draws) / 3000, 0.3, 1000)


def test_judgements_are_right_as_often_as_the_skill_says() -> None:
    for judge in (-0.5, 1.0):
        minds = [mind(task("puzzles", n, 1.0), "{} It says Brin.", judge=judge) for n in range(1500)]
        wanted = logistic(judge + RULES["puzzles"].checking - 0.5)
        for answer in ("Brin", "Oran"):
            right = sum(one.believes(answer) == (answer == "Oran") for one in minds) / len(minds)
            assert near(right, wanted, len(minds))


def test_candidates_are_weighed_by_their_number_and_by_judgement() -> None:
    sure = mind(task("puzzles"), "{} One says Brin, another Oran.", judge=50)
    assert sure.answer == "Oran" and sure.judged == "Oran" and sure.approves
    blind = [mind(task("choice", n), "{} Brin. Brin. Brin. Brin. Velm. Brin.") for n in range(300)]
    assert sum(one.answer == "Brin" for one in blind) > sum(one.answer == "Velm" for one in blind) * 3


def test_evidence_is_believed_at_the_rate_of_reading() -> None:
    told = "{} Found: River number 0 is Oran."
    assert mind(task("facts", 0, 9.0), told).answer == "Oran"
    found = [mind(task("facts", 0, 9.0), told, sample=n, reads=0.7).answer == "Oran" for n in range(1000)]
    assert 0.66 < sum(found) / 1000 < 0.78


def test_a_task_is_known_by_its_words_however_they_come() -> None:
    one, other = task(number=1), task(number=2)
    tasks = Tasks([one, other])
    for text in (one.texts[0], f'[{{"q": "{one.texts[0]}"}}]', one.texts[0].replace(" ", "\n"), one.texts[1]):
        assert tasks.find(f"Solve: {text} Thank you.")[0] == one
    assert tasks.find(f"{one.texts[0]} {other.texts[0]}")[0] == other
    assert tasks.find("Which river number 3 is it?") == (None, "Which river number 3 is it?")
    rest = tasks.find(f"Task: {one.texts[0]} Answer: Velm")
    assert rest[0] == one and rest[1].replace("  ", " ").endswith("Answer: Velm") and "Oran" not in rest[1]


# ---------------------------------------------------------------- replies

NAMES = st.sampled_from(words("answer thinking score ok task code plan number confidence items done choice x"))


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    texts = st.builds(lambda most: {"type": "string", "maxLength": most}, st.integers(6, 900))
    enums = st.lists(st.sampled_from(words("yes no sums facts a b easy hard red")), min_size=1, unique=True).map(
        lambda choices: {"type": "string", "enum": choices}
    )
    plain = st.sampled_from([{"type": kind} for kind in ("integer", "number", "boolean")])

    def larger(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        lists = st.builds(
            lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
            inner,
            st.integers(0, 4),
            st.integers(0, 3),
        )
        records = st.dictionaries(NAMES, inner, min_size=1, max_size=4).map(
            lambda fields: {"type": "object", "properties": fields, "required": list(fields)}
        )
        return st.one_of(lists, records, inner.map(lambda one: {"anyOf": [one, {"type": "null"}]}))

    return st.recursive(st.one_of(texts, enums, plain), larger, max_leaves=8)


def obeys(value: Any, schema: dict[str, Any]) -> bool:
    if "anyOf" in schema:
        return any(obeys(value, one) for one in schema["anyOf"])
    if "enum" in schema and value not in schema["enum"]:
        return False
    match schema["type"]:
        case "string":
            return isinstance(value, str) and len(value) <= schema.get("maxLength", 10**9)
        case "integer":
            return type(value) is int
        case "number":
            return type(value) in (int, float)
        case "boolean":
            return type(value) is bool
        case "null":
            return value is None
        case "array":
            length = isinstance(value, list) and schema["minItems"] <= len(value) <= schema["maxItems"]
            return length and all(obeys(one, schema["items"]) for one in value)
    fields = schema["properties"]
    return isinstance(value, dict) and value.keys() == fields.keys() and all(obeys(value[n], fields[n]) for n in fields)


@pytest.fixture(scope="module")
def tasks_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tasks") / "tasks.jsonl"
    made = [task(family, number) for family in FAMILIES for number in (1, 2)]
    made = [one._replace(texts=(f"{one.family}: {one.texts[0]}",)) for one in made]
    path.write_text("".join(json.dumps(one._asdict()) + "\n" for one in made))
    return path


def simulated(path: Path, **more: Any) -> SimulatedModel:
    return model("m", str(path), **{"skill": SKILL, **more})


PROMPTS = (
    "{}",
    "Nothing is known here.",
    "{} Write Python.",
    "Do not solve this: {}",
    "{} Rate it from 1 to 5. 1. Velm 2. Oran",
    "Write the expression: {}",
)


@settings(max_examples=150, deadline=None)
@given(schema=schemas(), said=st.sampled_from(PROMPTS), family=st.sampled_from(FAMILIES), seed=st.integers(0, 99))
def test_replies_obey_the_schema(schema: dict[str, Any], said: str, family: str, seed: int, tasks_file: Path) -> None:
    query = f"{family}: {task(family, 1).texts[0]}"
    request = Request((Message("user", said.replace("{}", query)),), schema=schema, seed=seed, max_tokens=30_000)
    reply = asyncio.run(simulated(tasks_file).complete(request))
    value = reply.text if schema.get("type") == "string" else json.loads(reply.text)
    assert obeys(value, schema), (value, schema)
    assert asyncio.run(simulated(tasks_file).complete(request)) == reply, "the same request, the same reply"


def test_samples_differ_but_at_temperature_nought(tasks_file: Path) -> None:
    query = f"puzzles: {task('puzzles', 1).texts[0]}"
    one = simulated(tasks_file)

    def said(**more: Any) -> set[str]:
        asked = [Request((Message("user", query),), seed=seed, **more) for seed in range(40)]
        return {asyncio.run(one.complete(request)).text for request in asked}

    assert len(said()) > 1 and len(said(temperature=0.0)) == 1


def test_faults_come_at_their_rates(tasks_file: Path) -> None:
    one = simulated(tasks_file, fails=0.2, garbles=0.3)
    query = f"sums: {task('sums', 1).texts[0]}"
    fields = {name: {"type": "string", "maxLength": 99} for name in ("thinking", "answer")}
    schema = {"type": "object", "properties": fields}
    failed = cut_off = 0
    for seed in range(1500):
        try:
            reply = asyncio.run(one.complete(Request((Message("user", query),), schema=schema, seed=seed)))
        except ModelError as fault:
            assert fault.kind == "overloaded" and fault.retried
            failed += 1
        else:
            cut_off += not reply.text.endswith("}")
    assert near(failed / 1500, 0.2, 1500) and near(cut_off / (1500 - failed), 0.3, 1500 - failed)
    assert one.calls == 1500 and one.seconds_taken >= 1500 * 0.5


def test_a_reply_ends_where_it_must(tasks_file: Path) -> None:
    query = f"sums: {task('sums', 1).texts[0]}"
    short = asyncio.run(simulated(tasks_file, words=500).complete(Request((Message("user", query),), max_tokens=10)))
    assert len(short.text) <= 40 and (short.output_tokens or 0) <= 10
    long = asyncio.run(simulated(tasks_file, words=500).complete(Request((Message("user", query),), max_tokens=900)))
    assert len(long.text) > 1000 and long.text.split()[-2] == "Answer:"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"skill": {"sums": 1}}, "`skill` has sums; it needs sums, choice, facts, puzzles"),
        ({"skill": SKILL | {"facts": "much"}}, "`skill.facts` is 'much'; write log odds"),
        ({"fails": 1.5}, "`fails` is 1.5; write a rate from 0 to 1"),
        ({"words": -1}, "`words` is -1; write a whole number"),
        ({"speed": 0}, "`speed` is 0; write tokens a second"),
        ({"sleep": "no"}, "`sleep` is 'no'; write true or false"),
    ],
)
def test_options_of_models_that_cannot_be_meant(options: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        simulated(tmp_path / "tasks.jsonl", **options)


@pytest.mark.parametrize("text", ["", "{", '{"id": "a"}', json.dumps(task()._asdict() | {"family": "law"})])
def test_tasks_that_cannot_be_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    with pytest.raises(TaskFault, match="cannot be read"):
        read_tasks(str(path))
    path.write_text(text + "\n" if text else "")
    with pytest.raises(TaskFault, match="make the world anew"):
        read_tasks(str(path))
    with pytest.raises(ModelError) as failed:
        asyncio.run(simulated(path).complete(Request((Message("user", "x"),))))
    assert failed.value.kind == "unavailable"


# ---------------------------------------------------------------- tools


def test_tools_fail_for_their_share_of_the_requests_and_always_for_the_same(world: Path) -> None:
    tools = WorldTools(str(world), fails=0.3, seed=0)

    def fails(number: int) -> bool:
        try:
            return tools.calculate(f"{number} * 2 + 1") != str(2 * number + 1)
        except ServiceDown:
            return True

    found = [fails(number) for number in range(1000)]
    assert near(sum(found) / 1000, 0.3, 1000)
    assert found == [fails(number) for number in range(1000)]
    fact = next(one for one in read_tasks(str(world / "tasks.jsonl")).tasks if one.family == "facts")
    assert WorldTools(str(world), 0.0, 0).look_up(fact.texts[0]) == fact.evidence
    assert WorldTools(str(world), 0.0, 0).look_up("qwerty") == "Nothing was found."


# ---------------------------------------------------------------- real runs


@pytest.fixture
def programs(world: Path) -> Iterator[Path]:
    folder = world / "programs"
    folder.mkdir()
    for path in (*SYSTEMS.glob("*.mas"), POOL / "adas_cot_sc.mas", POOL / "gptswarm_io.mas", POOL / "react.mas"):
        shutil.copy(path, folder)
    yield folder
    shutil.rmtree(folder)


def scores(folder: Path) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for one in outcomes_in(str(folder)):
        assert one.status == "ended" or "overloaded" in one.why or "expected" in one.why, one.why
        found.setdefault(one.system, []).append(one.score or 0.0)
    return {name: sum(values) / len(values) for name, values in found.items()}


def test_systems_of_the_pool_run_in_it_in_processes_of_their_own(world: Path, programs: Path, tmp_path: Path) -> None:
    names = [str(programs / f"{name}.mas") for name in ("look_up", "adas_cot_sc", "gptswarm_io")]
    for folder, workers in (("a", 1), ("b", 0)):
        evaluate(
            names, str(world / "train.jsonl"), out=tmp_path / folder, grader="exact", workers=workers, report=False
        )
    found = scores(tmp_path / "a")
    assert found == scores(tmp_path / "b"), "it does not count where runs are made"
    assert found["look_up"] > found["gptswarm_io"] and 0.2 < found["adas_cot_sc"] < 0.95
    spent = {one.system: one.picodollars for one in outcomes_in(str(tmp_path / "a")) if one.status == "ended"}
    assert spent["adas_cot_sc"] > spent["gptswarm_io"] > 0, "prices are those of the configuration"


def test_agents_use_the_tools_that_are_granted(world: Path, programs: Path) -> None:
    facts = [one for one in rows(world / "train.jsonl") if one["family"] == "facts"]
    researcher = masdsl.load(programs / "react.mas").main
    results = [asyncio.run(researcher.run(question=one["query"])) for one in facts]
    used = [sum(event.what == "tool" and event.kind == "finished" for event in one.events) for one in results]
    assert sum(map(bool, used)) >= 4, "a search, most of the time"
    assert sum(one["answer"] in str(result.value) for one, result in zip(facts, results, strict=True)) >= 4


def test_the_systems_of_the_world_pass_their_own_tests(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tests([str(path) for path in sorted(SYSTEMS.glob("*.mas"))]) == 0
    assert "4 tests passed" in capsys.readouterr().out


def test_the_configuration_for_its_data_can_be_read() -> None:
    plan = read_plan(str(ROOT / "training" / "configs" / "simulated.toml"))
    assert str(SYSTEMS) in plan.systems.paths and plan.evaluation.grader == "exact"


def test_a_run_that_was_broken_off_goes_on_to_the_same_rows(world: Path, programs: Path) -> None:
    path = programs / "checked.mas"
    findings = Findings()
    config = config_of(str(path))
    checked = pipeline.check_file(str(path), findings, config).program
    assert checked is not None
    program = load_module(pipeline.build(checked).text, {}).PROGRAM
    query = next(one["query"] for one in rows(world / "train.jsonl") if one["family"] == "puzzles")
    first = header(inputs={"task": query})

    def play(run: Any) -> Any:
        return asyncio.run(program.run(models=Models(config, str(programs)), run=run)).value

    def told(run: MemoryRun) -> list[Any]:
        return [(one.kind, one.path, one.part, one.body.get("text")) for one in run.rows()]

    whole = cut((), first, 0)
    value = play(whole)
    replies = [one for one in told(whole) if one[0] == "reply"]
    assert len(replies) >= 2
    for upto in range(len(whole.rows())):
        broken = cut((), first, 0)
        with pytest.raises(CrashError):
            play(Crashing(broken, upto))
        again = cut(broken.rows(), first, upto)
        assert play(again) == value
        assert [one for one in told(again) if one[0] == "reply"] == replies


def test_chance_depends_on_all_of_its_key() -> None:
    assert uniform("a", 1) == uniform("a", 1) != uniform("a", 2)
    assert 0 < min(uniform(n) for n in range(500)) < 0.02
