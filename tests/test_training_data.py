"""Data construction: pools found by checking, choices worked by hand, patches that may change prompts alone."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.batch.rows import DataFault
from masdsl.batch.systems import config_of
from masdsl.meta.host import Host
from masdsl.runtime.models.base import Request
from masdsl.runtime.models.scripted import ScriptedModel
from training.data.__main__ import main
from training.data.construction import construct, read_refinements
from training.data.export import Example, card_text, data_card, token_counter, unique
from training.data.grouping import Group, alone, by_clusters, by_metadata, k_means
from training.data.plan import read_plan
from training.data.pools import Query, read_queries, read_systems, task_of
from training.data.refinement import Asked, faults_of, is_usable
from training.data.scores import Cell, Table, read_table
from training.data.selection import at_random, select

ONE = """mas 1

agent solver(task) -> text
  "Solve it: {{ task }}"

## One agent answers.
flow main(task) -> text {
  return solver(task)
}
"""
TWO = """mas 1

type Answer { steps, answer }

agent thinker(question) -> text
  "Think about {{ question }}"

agent teller(question, thoughts) -> Answer
  "Now answer."

## One agent thinks, another answers.
flow main(question) -> Answer {
  thoughts = thinker(question)
  return teller(question, thoughts)
}
"""
PAIR = """mas 1

agent adder(left: int, right: int) -> int
  "Add."

flow main(left: int, right: int) -> int {
  return adder(left, right)
}
"""
CONFIG = """[tiers]
default = "script"

[models.script]
kind = "scripted"
path = "script.toml"
input_price = 1.0
output_price = 2.0
"""
# `solver` is right for the sums, whose answer is 4, and the two agents for the riddles, whose answer is `tomorrow`.
SCRIPT = """[replies]
solver = "4"
thinker = "hm"
teller = { steps = "s", answer = "tomorrow" }
"""
PLAN = """[queries]
paths = ["queries.jsonl"]
[systems]
paths = ["pool"]
[evaluation]
grader = "exact"
workers = 0
[groups]
by = "metadata"
fields = ["kind"]
[refinement]
tries = 2
"""
GOOD = '```patch\npatch 1\nset solver.prompt = "Add with care: {{ task }}"\n```'
WHY = "The query asks for one sum. A single agent is enough for that."


@pytest.fixture
def here(tmp_path: Path) -> Path:
    rows = [{"id": f"s{n}", "query": f"{n} + {4 - n}", "answer": "4", "kind": "sum"} for n in range(3)]
    rows += [{"id": f"r{n}", "query": f"Riddle {n}?", "answer": "tomorrow", "kind": "riddle"} for n in range(3)]
    files = {"mas.toml": CONFIG, "script.toml": SCRIPT, "plan.toml": PLAN, "pool/one.mas": ONE, "pool/two.mas": TWO}
    files |= {"pool/pair.mas": PAIR, "pool/broken.mas": "mas 1\nflow main(", "pool/notes.txt": "no program"}
    files["queries.jsonl"] = "".join(json.dumps(row) + "\n" for row in rows)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def host_of(here: Path) -> Host:
    return Host(config_of(str(here / "x.mas")))


def queries_of(here: Path) -> tuple[Query, ...]:
    return read_queries([str(here / "queries.jsonl")])


# ---------------------------------------------------------------- pools


def test_systems_are_found_by_checking(here: Path) -> None:
    systems, left_out = read_systems([str(here / "pool")], queries_of(here), host_of(here))
    assert [one.name for one in systems] == ["one", "two"]
    assert all("flow main(query) -> text" in one.text for one in systems)
    assert systems[0].about == "One agent answers."
    why = {Path(one.path).name: one.why for one in left_out}
    assert set(why) == {"broken.mas", "pair.mas"} and "syntax" in why["broken.mas"]
    few, _ = read_systems([str(here / "pool")], queries_of(here), host_of(here), most_calls=1)
    assert [one.name for one in few] == ["one"]


def test_the_same_program_is_in_the_pool_once(here: Path) -> None:
    (here / "pool" / "other.mas").write_text(ONE.replace("\n\n", "\n"), encoding="utf-8")
    systems, left_out = read_systems([str(here / "pool")], queries_of(here), host_of(here))
    assert [one.name for one in systems] == ["one", "two"]
    assert "the same program as one" in {Path(one.path).name: one.why for one in left_out}["other.mas"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ('{"query": "x"}', "no answer"),
        ('{"query": "x", "answer": " "}', "no answer"),
        ('{"question": "x", "answer": 1}', "no query"),
        ('{"id": 1, "query": "x", "answer": 1}\n{"id": 1, "query": "y", "answer": 1}', "twice"),
        ("{nonsense", ":1: it is no JSON"),
        ("", "no queries"),
        ('{"query": "x", "inputs": {}, "answer": 1}', "inputs"),
    ],
)
def test_rows_that_cannot_be_used_are_told(tmp_path: Path, rows: str, told: str) -> None:
    (tmp_path / "bad.jsonl").write_text(rows, encoding="utf-8")
    with pytest.raises(DataFault, match=told):
        read_queries([str(tmp_path / "bad.jsonl")])


# ---------------------------------------------------------------- selection


def table_of(scores: list[list[float]], costs: list[list[float]]) -> Table:
    rows = [tuple(Cell(*one) for one in zip(*row, strict=True)) for row in zip(scores, costs, strict=True)]
    names = tuple(f"system{number}" for number in range(len(rows)))
    return Table(names, tuple(rows), "tokens", sum(map(len, rows)))


def test_choices_worked_by_hand() -> None:
    #                 sums: 2, 3, 3      cost of b: 3 x 5, of c: 3 x 4     the last query: nobody
    table = table_of([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]], [[1] * 4, [5] * 4, [4] * 4])
    groups = (Group("three", (0, 1, 2)), Group("one", (3,)))
    three, one = select(table, groups, ["a", "b", "c"])
    assert (three.system, three.total, three.cost, three.margin, three.decided) == (2, 3, 12, 0, "cost")
    assert (one.system, one.decided) == (None, "none")
    [alone] = select(table._replace(cells=table.cells[:2], systems=("a", "b")), groups[:1], ["a", "b"])
    assert (alone.system, alone.margin, alone.decided) == (1, 1, "score")
    equal = table_of([[1], [1]], [[2], [2]])
    assert select(equal, [Group("g", (0,))], ["ff", "0a"])[0].system == 1
    assert select(equal, [Group("g", (0,))], ["0a", "ff"])[0].system == 0


def test_an_unknown_cell_decides_nothing() -> None:
    table = table_of([[1, 0, 0], [0, 1, 1]], [[1] * 3, [1] * 3])
    cells = (table.cells[0], (table.cells[1][0], None, None))
    [choice] = select(table._replace(cells=cells), [Group("g", (0, 1, 2))], ["a", "b"])
    assert (choice.system, choice.counted) == (0, (0,))


def test_a_choice_at_random_is_any_system_whatever_it_scored(here: Path) -> None:
    queries = queries_of(here)
    groups = alone(queries)
    assert [one.members for one in groups] == [(number,) for number in range(6)]
    table = table_of([[1] * 6, [0] * 6], [[1] * 6, [5] * 6])
    choices = [at_random(table, groups, ["0a", "ff"], seed=seed) for seed in range(20)]
    drawn = [one.system for several in choices for one in several]
    assert 30 < sum(one == 0 for one in drawn) < 90, "each as likely"
    assert all((one.total, one.cost) == ((1, 1) if one.system == 0 else (0, 5)) for one in choices[0])
    assert at_random(table, groups, ["0a", "ff"], seed=3) == choices[3]
    turned = table_of([[0] * 6, [1] * 6], [[5] * 6, [1] * 6])
    assert [one.total for one in at_random(turned, groups, ["ff", "0a"], seed=3)] == [one.total for one in choices[3]]


FEW = st.sampled_from([0.0, 0.1, 0.25, 1.0])


@given(data=st.data(), systems=st.integers(1, 4), queries=st.integers(1, 5))
def test_a_choice_does_not_depend_on_any_order(data: st.DataObject, systems: int, queries: int) -> None:
    rows = st.lists(st.lists(FEW, min_size=queries, max_size=queries), min_size=systems, max_size=systems)
    scores, costs = data.draw(rows), data.draw(rows)
    hashes = [f"{number:02}" for number in range(systems)]
    order = data.draw(st.permutations(range(systems)))
    columns = data.draw(st.permutations(range(queries)))
    [first] = select(table_of(scores, costs), [Group("g", tuple(range(queries)))], hashes)
    moved = [[[grid[row][column] for column in columns] for row in order] for grid in (scores, costs)]
    [second] = select(table_of(*moved), [Group("g", tuple(range(queries)))], [hashes[row] for row in order])
    names = [
        None if one is None else table[one]
        for one, table in ((first.system, hashes), (second.system, [hashes[row] for row in order]))
    ]
    assert names[0] == names[1]
    assert (first.total, first.cost, first.margin, first.decided) == (
        second.total,
        second.cost,
        second.margin,
        second.decided,
    )
    if first.system is not None:
        assert first.total == pytest.approx(max(sum(row) for row in scores))


# ---------------------------------------------------------------- groups


def test_groups_by_metadata(here: Path) -> None:
    groups = by_metadata(queries_of(here), ["kind"])
    assert [(one.name, one.members) for one in groups] == [("kind=riddle", (0, 1, 2)), ("kind=sum", (3, 4, 5))]
    with pytest.raises(DataFault, match="no field `colour`"):
        by_metadata(queries_of(here), ["kind", "colour"])


def test_clusters_do_not_depend_on_the_order_of_queries(here: Path) -> None:
    def by_letter(texts: Any, count: int, seed: int) -> list[int]:
        return [1 - text.startswith("R") for text in texts]

    queries = queries_of(here)
    backwards = queries[::-1]
    found = [
        {frozenset(several[one].id for one in group.members) for group in by_clusters(several, 2, by_letter)}
        for several in (queries, backwards)
    ]
    assert found[0] == found[1] and len(found[0]) == 2
    with pytest.raises(DataFault, match="cannot make 7 groups"):
        by_clusters(queries, 7, by_letter)


def test_clusters_of_words(here: Path) -> None:
    if find_spec("sklearn") is None:
        with pytest.raises(DataFault, match=r"masdsl\[train\]"):
            k_means("words")
        pytest.skip("scikit-learn (masdsl[train]) is not installed: only its refusal was tested")
    texts = ["red green blue", "green blue red", "sheep goats cows", "goats cows sheep"]
    queries = [Query(str(number), text, "", {}) for number, text in enumerate(texts)]
    assert [one.members for one in by_clusters(queries, 2, k_means("words"))] == [(0, 1), (2, 3)]


# ---------------------------------------------------------------- patches


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ('set solver.prompt = "Add: {{ task }}"', ""),
        ('set thinker.prompt = "Think harder."', ""),
        ('set thinker.prompt = "Think harder."\nset thinker.temp = 0.5\ndrop thinker.temp', ""),
        ('set thinker.role = "You doubt."', ""),
        ('set thinker.role = "It is Tomorrow, remember."', "states the answer"),
        ('set thinker.role = "You doubt."\nset thinker.on = fast', "more than prompts"),
        ('set thinker.prompt = "Say tomorrow."', "states the answer"),
        ('set thinker.prompt = "Think about {{ question }}"', "changes nothing"),
        ('set thinker.prompt = "{{ nobody }}"', "MAS602"),
        ("bind thinker = fast", "more than prompts"),
        ("set thinker.temp = 0.5", "more than prompts"),
        ("set thinker.retry = 3", "more than prompts"),
        ("set thinker.max = 40", "more than prompts"),
        ("budget calls 40", "more than prompts"),
        ('add agent spy(query) -> text "Look."', "more than prompts"),
        ('add tool look(query) -> text from "web.search"', "MAS"),
        ('replace agent thinker(question) -> text "Think."\nset teller.prompt = "Tell."', ""),
        ('replace agent thinker(question) -> text temp 0.5 "Think."', "more than prompts"),
        ('replace agent thinker(question) -> text(9) "Think."', "more than prompts"),
        ('set thinker.prompt = "Think."\nrename thinker = dreamer', "more than prompts"),
        (
            'set thinker.prompt = "Think."\nafter designed.thoughts {\n  more = thinker(question)\n}',
            "more than prompts",
        ),
        ("replace designed.thoughts = 3 of thinker(question)", "MAS"),
        ("wrap designed.thoughts in loop 3", "MAS"),
        ("redo designed.thoughts", "changes nothing"),
        ("drop designed.thoughts", "MAS"),
    ],
)
def test_only_prompts_may_change(here: Path, patch: str, told: str) -> None:
    queries, host = queries_of(here), host_of(here)
    systems, _ = read_systems([str(here / "pool")], queries, host)
    base = systems[0 if "solver" in patch else 1].text
    faults = faults_of(f"patch 1\n{patch}\n", base, queries, task_of(queries, host), host)
    if told:
        assert faults and told in "\n".join(faults), faults
    else:
        assert not faults


@pytest.mark.parametrize(
    "said",
    [
        "",
        " ",
        "One agent is enough.",
        "It refines the original system as far as it can.",
        "Say tomorrow to each of these riddles.",
    ],
)
def test_reasons_that_cannot_be_used(here: Path, said: str) -> None:
    assert is_usable(WHY, queries_of(here)) and not is_usable(said, queries_of(here))


# ---------------------------------------------------------------- end to end


def made(here: Path, teacher: Any = None, told: list[str] | None = None) -> Any:
    tell = (list[str]() if told is None else told).append
    return construct(read_plan(str(here / "plan.toml")), str(here / "out"), tell=tell, teacher=teacher)


def rows_of(here: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (here / "out" / "data.jsonl").read_text(encoding="utf-8").splitlines()]


def test_two_systems_and_six_queries_make_examples(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(here / "plan.toml"), "--out", str(here / "out")]) == 0
    assert f"models are those of {here / 'mas.toml'}: fast = " in capsys.readouterr().out
    rows = rows_of(here)
    assert [row["provenance"]["system"] for row in rows] == ["two"] * 3 + ["one"] * 3
    for row in rows:
        assert [one["role"] for one in row["prompt"]] == ["system", "user"]
        assert [one["role"] for one in row["completion"]] == ["assistant"]
        assert "```mas\nmas 1\n" in row["completion"][0]["content"]
    assert rows[-1]["prompt"][1]["content"] == "2 + 2\n-----\nflow main(query) -> text\nat most 20 calls"
    assert rows[-1]["completion"][0]["content"].startswith("One agent answers.\n\n```mas")
    card = json.loads((here / "out" / "card.json").read_text(encoding="utf-8"))
    assert (card["examples"], card["unique programs"], card["unit"]) == (6, 2, "characters")
    assert card["reasons by"] == {"description": 6}
    table = read_table(str(here / "out" / "evaluation"))
    assert [[cell and cell.score for cell in row] for row in table.cells] == [[0] * 3 + [1] * 3, [1] * 3 + [0] * 3]
    assert (table.measure, table.missing, table.failed) == ("picodollars", 0, 0)


def test_a_teacher_keeps_to_its_budget_and_goes_on_with_a_greater_one(here: Path) -> None:
    teacher = ScriptedModel(lambda request: f"{WHY}\n{GOOD}", name="teacher")
    plan = here / "plan.toml"
    text = plan.read_text(encoding="utf-8")

    def with_calls(calls: int) -> tuple[Any, str]:
        told: list[str] = []
        plan.write_text(text.replace("[refinement]", f'[refinement]\nbudget = "calls {calls}"'), encoding="utf-8")
        return made(here, teacher, told), "\n".join(told)

    small, told = with_calls(2)
    assert len(teacher.requests) == 2
    assert small.card["refinements beyond the teacher's budget"] > 0
    assert "raise [refinement] budget" in told
    again, _ = with_calls(2)
    assert len(teacher.requests) == 2, "what was spent counts in the next process too"
    assert again.examples == small.examples
    assert again.card["tokens of the teacher"] == small.card["tokens of the teacher"] > 0
    whole, _ = with_calls(1_000)
    assert whole.card["refinements beyond the teacher's budget"] == 0
    plan.write_text(text, encoding="utf-8")
    asked = len(teacher.requests)
    assert made(here, teacher).examples == whole.examples
    assert len(teacher.requests) == asked


def test_a_teacher_refines_prompts_and_is_not_asked_twice(here: Path) -> None:
    def say(request: Request) -> str:
        about = request.messages[-1].content
        if "agent solver" in about:
            return f"{WHY}\n{GOOD}"
        return f"{WHY} It has two roles.\n```patch\npatch 1\nbudget calls 50\n```"

    teacher = ScriptedModel(say, name="teacher")
    first = made(here, teacher)
    by_system = {one.provenance["system"]: one for one in first.examples}
    assert "Add with care: {{ task }}" in by_system["one"].program
    assert (by_system["one"].reasoning, by_system["one"].provenance["reasons_by"]) == (WHY, "refined")
    assert by_system["one"].provenance["patch"].count("set solver.prompt") == 1
    assert by_system["two"].provenance["patch"] == ""
    assert by_system["one"].hash != by_system["one"].provenance["base"]
    assert first.card["patches refused by the checks"] > 0
    asked, bytes_before = len(teacher.requests), (here / "out" / "data.jsonl").read_bytes()
    again = made(here, teacher)
    assert len(teacher.requests) == asked
    assert (here / "out" / "data.jsonl").read_bytes() == bytes_before
    assert again.card == first.card
    file = here / "out" / "refinements.jsonl"
    whole = file.read_text(encoding="utf-8").rstrip()
    file.write_text(whole[:-40], encoding="utf-8")  # a process that was killed while it wrote the last line
    made(here, teacher)
    cost_of_one = len(teacher.requests) - asked
    assert 0 < cost_of_one <= asked // 2
    made(here, teacher)
    assert len(teacher.requests) == asked + cost_of_one
    assert (here / "out" / "data.jsonl").read_bytes() == bytes_before


def test_a_refinement_that_scores_less_is_not_taken(here: Path) -> None:
    # The chain of replies depends on the prompt in no scripted model, so the script changes under the refinement.
    def say(system: str, told: str) -> str:
        (here / "script.toml").write_text(SCRIPT.replace('"4"', '"5"'), encoding="utf-8")
        return f"{WHY}\n{GOOD}"

    plan = (here / "plan.toml").read_text(encoding="utf-8").replace("tries = 2", 'tries = 1\nunit = "group"')
    (here / "plan.toml").write_text(plan, encoding="utf-8")
    (here / "pool" / "two.mas").unlink()
    done = made(here, Asked(say))
    assert len(done.examples) == 3
    for one in done.examples:
        assert one.provenance["patch"] == "" and one.hash == one.provenance["base"]
    [line] = (here / "out" / "refinements.jsonl").read_text(encoding="utf-8").strip().splitlines()
    refined = json.loads(line)["refined"]
    assert (refined["base"], [(one["score"], one["accepted"]) for one in refined["attempts"]]) == (3, [(0, False)])


def test_systems_at_random_are_refined_as_well_and_scored_in_runs_of_their_own(here: Path) -> None:
    plan = (here / "plan.toml").read_text(encoding="utf-8")
    more = 'by = "query"\nsystem = "random"\nseed = 1\n[export]\nkeep = "all"\n[refinement]\nrepetitions = 3'
    for old, new in (('by = "metadata"\nfields = ["kind"]\n', ""), ("[groups]", "[groups]\n" + more)):
        plan = plan.replace(old, new)
    (here / "plan.toml").write_text(plan.replace("[refinement]\ntries", "tries"), encoding="utf-8")
    done = made(here, Asked(lambda system, told: f"{WHY}\n{GOOD}"))
    assert len(done.examples) == 6, "those that it does not solve are kept, too"
    assert {one.provenance["system"] for one in done.examples} == {"one", "two"}
    units = read_refinements(str(here / "out"))
    assert sorted(ids for [ids] in units) == sorted(one.id for one in done.examples)
    runs = {(here / "out" / "scoring" / one.name / "evaluation") for one in (here / "out" / "scoring").iterdir()}
    assert {len((one / "outcomes.jsonl").read_text().splitlines()) for one in runs} == {3}
    with pytest.raises(DataFault, match="cannot be read"):
        read_refinements(str(here))


def test_nothing_solved_gives_no_examples(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "script.toml").write_text('[replies]\n"*" = "nonsense"\n', encoding="utf-8")
    assert main([str(here / "plan.toml"), "--out", str(here / "out")]) == 1
    assert rows_of(here) == []
    assert "no system solved a query" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('grader = "exact"', "", "needs `grader`"),
        ("[groups]", "[goups]", "no table [goups]"),
        ("tries = 2", 'tries = "2"', "a whole number"),
        ('by = "metadata"', 'by = "magic"', "one of metadata"),
        ("workers = 0", "workrs = 0", "no key `workrs`; did you mean `workers`?"),
        ('["queries.jsonl"]', '["nowhere.jsonl"]', "there is no data set"),
        ('["pool"]', '["pool/notes.txt"]', "no system of the pool"),
        ('fields = ["kind"]', 'fields = ["colour"]', "no field `colour`"),
        ("tries = 2", 'tokenizer = "x.json"', "no key `tokenizer`"),
    ],
)
def test_a_plan_that_cannot_be_used_is_told(
    here: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, told: str
) -> None:
    (here / "plan.toml").write_text(PLAN.replace(old, new), encoding="utf-8")
    assert main([str(here / "plan.toml"), "--out", str(here / "out")]) == 2
    assert told in capsys.readouterr().err


def test_the_shipped_plan_has_only_known_keys() -> None:
    plan = read_plan(str(Path(__file__).parents[1] / "training" / "configs" / "data.toml"))
    assert plan.refinement.tries == 2


# ---------------------------------------------------------------- export


def example(name: str, query: str = "q", digest: str = "h") -> Example:
    return Example(name, query, WHY, ONE, digest, {})


@given(st.permutations([("1", "a", "x"), ("2", "a ", "x"), ("3", "a", "y"), ("4", "b", "x"), ("5", "b", "x")]))
def test_equal_examples_are_kept_once_whatever_their_order(rows: list[tuple[str, str, str]]) -> None:
    assert [one.id for one in unique(example(*row) for row in rows)] == ["1", "3", "4"]


def test_the_card_counts_tokens_of_both_forms(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("\n", "isolated")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    card = data_card([example("1")], [], token_counter(str(tmp_path / "tokenizer.json")), {"teacher": None})
    lengths = card["lengths"]
    assert card["unit"] == "tokens"
    assert lengths["program, compact"]["mean"] < lengths["program, pretty"]["mean"] < len(ONE)
    assert "| teacher | null |" in card_text(card)
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataFault, match="no tokenizer"):
        token_counter(str(tmp_path / "bad.json"))
