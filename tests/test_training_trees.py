"""Trees of Collaborative Tree Optimization, grown from sessions with scripted models whose every word is known."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from masdsl.batch.base import Chunk, EngineFault, Job, work_of
from masdsl.journal import open_journal
from masdsl.journal.record import StoredRun
from training.pairs.command import main as make_pairs
from training.trees.command import main
from training.trees.tree import Decision, Option, Trajectory, Tree, decisions, read_trees
from training.trees.values import Rewarding, values

MAS_TOML = """
[tiers]
default = "mid"
fast = "small"
smart = "big"

[models]
small = { kind = "scripted", path = "small.json", input_price = 0.1, output_price = 0.1 }
mid = { kind = "scripted", path = "mid.json", input_price = 1, output_price = 1 }
big = { kind = "scripted", path = "big.json", input_price = 10, output_price = 10 }
meta = { kind = "scripted", path = "meta.json", input_price = 5, output_price = 5 }
"""
ONE = """mas 1
## One agent answers.
agent solver(query) -> text(40)
  "Answer: {{ query }}"
flow main(query) -> text {
  answer = solver(query)
  return answer
}
"""
TWO = """mas 1
## One agent plans, another one answers.
agent planner(query) -> text(40)
  "Plan: {{ query }}"
agent solver(query, plan: text(40)) -> text(40)
  "Answer {{ query }} by {{ plan }}"
flow main(query) -> text {
  plan = planner(query)
  answer = solver(query, plan)
  return answer
}
"""
CONFIG = """
[queries]
paths = ["train.jsonl"]
[success]
grader = "exact"
[branches]
templates = 2
[generator]
by = "{generator}"
systems = ["systems"]
[implementer]
by = "{implementer}"
[rectifier]
by = "{rectifier}"
[work]
workers = 0
[runs]
"""
MODELS: dict[str, dict[str, Any]] = {
    "small": {"solver": {"$fails": "refused"}, "*": "a plan"},
    "mid": {"planner": "a plan", "*": "41"},
    "big": {"*": "42"},
}


def block(kind: str, text: str, reason: str = "It will do.") -> str:
    return f"{reason}\n\n```{kind}\n{text}```"


def bind(**tiers: str) -> str:
    return block("bind", "bind 1\n" + "".join(f"{role} = {tier}\n" for role, tier in tiers.items()))


META = {
    "g0": block("mas", ONE),
    "g1": block("mas", TWO),
    "g0.i0": bind(solver="smart"),
    "g0.i1": bind(solver="default"),
    "g1.i0": bind(planner="default", solver="fast"),
    "g1.i1": "I would rather not.",
    "g1.i0.r0": block("patch", "patch 1\nbind solver = smart\n"),
    "g1.i0.r1": block("patch", "patch 1\nbind solver = default\n"),
}


class World:
    """A folder with models that are told what to say, queries, and what comes of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "systems").mkdir(parents=True)
        (folder / "systems" / "one.mas").write_text(ONE)
        (folder / "systems" / "two.mas").write_text(TWO)
        (folder / "mas.toml").write_text(MAS_TOML)
        for name, replies in MODELS.items():
            self.says(name, replies)
        self.says("meta", META)
        self.asks(("What is six times seven?", "42"))

    def says(self, model: str, replies: Mapping[str, Any]) -> None:
        (self.folder / f"{model}.json").write_text(json.dumps({"replies": dict(replies)}))

    def asks(self, *rows: tuple[str, Any]) -> None:
        lines = ({"query": query} | ({} if answer is None else {"answer": answer}) for query, answer in rows)
        (self.folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def config(self, more: str = "", **players: str) -> str:
        roles = dict.fromkeys(("generator", "implementer", "rectifier"), "meta") | players
        path = self.folder / "trees.toml"
        path.write_text(CONFIG.format(**roles) + more)
        return str(path)

    def grow(self, more: str = "", out: str = "out", **players: str) -> int:
        return main([self.config(more, **players), "--out", str(self.folder / out)])

    def trees(self, out: str = "out") -> list[Tree]:
        found = list(read_trees(str(self.folder / out / "trees.jsonl")))
        assert all(isinstance(one, Tree) for one in found)
        return [one for one in found if isinstance(one, Tree)]

    def card(self, out: str = "out") -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.folder / out / "card.json").read_text())
        return data


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def nodes(tree: Tree) -> dict[str, Option]:
    return {option.node: option for one in decisions(tree) for option in one.options}


def end(option: Option) -> Trajectory:
    assert isinstance(option.then, Trajectory)
    return option.then


# ---------------------------------------------------------------- a tree that is known by hand


def test_a_tree_whose_every_node_is_known(world: World) -> None:
    assert world.grow() == 0
    (tree,) = world.trees()
    found = nodes(tree)
    assert list(found) == ["g0", "g1", "g0.i0", "g0.i1", "g1.i0", "g1.i1", "g1.i0.r0", "g1.i0.r1", "g1.i0.r2"]
    assert [(one.role, one.trigger) for one in decisions(tree)] == [
        ("generator", ""),
        ("implementer", ""),
        ("implementer", ""),
        ("rectifier", "failure"),
    ]
    ends = {name: end(one) for name, one in found.items() if isinstance(one.then, Trajectory)}
    assert {name: (one.success, one.executed, one.cost.calls) for name, one in ends.items()} == {
        "g0.i0": (True, True, 1),
        "g0.i1": (False, True, 1),
        "g1.i1": (False, False, 0),  # it wrote no binding
        "g1.i0.r0": (True, True, 3),  # plan, refused, answer
        "g1.i0.r1": (False, True, 3),
        "g1.i0.r2": (False, True, 2),  # left alone
    }
    assert found["g1.i0.r2"].program == found["g1.i0"].program
    assert "text(40) on smart" in found["g1.i0.r0"].program
    assert found["g0"].action == META["g0"]  # the words as they stand


def test_values_follow_from_calls(world: World) -> None:
    world.grow()
    known = values(world.trees()[0], Rewarding("calls"))  # the mean of 1, 1, 3, 3, 2 calls is 2
    assert known["g0"].mean == 1
    assert known["g1.i0"].mean == Fraction(2, 9)
    assert known["g1"].mean == Fraction(1, 6)
    assert known[""].mean == Fraction(8, 18)


def test_siblings_share_their_context_to_the_letter_and_it_is_what_the_model_was_asked(world: World) -> None:
    world.grow()
    (tree,) = world.trees()
    for decision in decisions(tree):
        assert [one.role for one in decision.context] == ["system", "user"]
    generator, first, second, rectifier = decisions(tree)
    assert "six times seven" in generator.context[1].content
    assert first.context != second.context
    assert '"kind": "failure"' in rectifier.context[1].content and '"step": "main.plan"' in rectifier.context[1].content


def test_a_prefix_is_paid_once(world: World) -> None:
    world.grow()
    with open_journal(str(world.folder / "out" / "journal.db")) as journal:
        plans = calls = 0
        for run in journal.list():
            header, rows = journal.read(run.id)
            own = [row for row in rows if row.seq > (header.parent_seq or 0) and row.kind in ("reply", "fault")]
            calls += len(own)
            plans += sum(row.path == "main.plan" for row in own)
    assert (plans, calls) == (1, 6)
    cost = world.card()["cost"]
    assert cost["paid_by_runs"]["calls"] == 6
    assert cost["counted_over_trajectories"]["calls"] == 10
    assert cost["saved_by_forks"]["calls"] == 4  # two calls, for two forks


def test_the_card_counts(world: World) -> None:
    world.grow()
    card = world.card()
    assert card["triggers_by_cause"] == {"failure: refused": 1}
    assert card["repairs"] == {"sampled": 2, "accepted": 2, "left_alone": 1}
    assert (card["templates"], card["templates_that_differ_in_their_tree"]) == (2, 2)
    assert (card["runs"], card["forks"]) == (3, 2)
    assert sum(card["refused"].values()) == 1 and next(iter(card["refused"])).startswith("implementer: ")
    assert card["options"]["rectifier"]["model"]["success_rate"] == 0.5
    assert [card["cost"]["meta_agents"][role]["calls"] for role in ("generator", "implementer", "rectifier")] == [
        2,
        4,
        2,
    ]


# ---------------------------------------------------------------- theta_C, rounds


def test_cost_above_theta_asks_for_a_repair_and_leaving_alone_goes_on(world: World) -> None:
    world.says("meta", META | {"g1.i0": bind(planner="default", solver="smart")})
    assert world.grow("calls = 4\ntheta = 0.2\n") == 0  # a call is more than 0.8 calls
    found = nodes(world.trees()[0])
    then = found["g1.i0"].then
    assert isinstance(then, Decision) and then.trigger == "cost"
    assert "the budget is nearly used up" in then.context[1].content
    alone = end(found["g1.i0.r2"])
    assert (alone.success, alone.cost.calls) == (True, 2)
    assert world.card()["triggers_by_cause"] == {"cost: budget": 1}
    assert isinstance(found["g0.i0"].then, Trajectory)  # one call: it was at its end before anybody asked


def test_repairs_may_fire_again_up_to_the_rounds(world: World) -> None:
    world.says("big", {"*": {"$fails": "refused"}})
    again = {"g1.i0.r0.r0": block("patch", "patch 1\nbind solver = default\n"), "g1.i0.r0.r1": "no idea"}
    world.says("meta", META | again)
    assert world.grow() == 0
    found = nodes(world.trees()[0])
    assert end(found["g1.i0.r0.r0"]).cost.calls == 4
    assert not end(found["g1.i0.r0.r1"]).executed
    assert end(found["g1.i0.r0.r2"]).cost.calls == 3
    assert world.card()["triggers_by_cause"] == {"failure: refused": 3}  # g0.i0 on the big model, too


# ---------------------------------------------------------------- what is no tree, or leads nowhere


def test_what_does_not_parse_or_fit_is_a_failure_that_never_ran(world: World) -> None:
    world.says("meta", META | {"g0": "What a nice day.", "g1": block("mas", TWO)})
    assert world.grow("calls = 1\n") == 0
    found = nodes(world.trees()[0])
    assert [end(found[name]).executed for name in ("g0", "g1")] == [False, False]
    assert [found[name].program for name in ("g0", "g1")] == ["", ""]
    assert found["g0"].action == "What a nice day."
    assert world.card()["trees"]["in_which_every_trajectory_fails"] == 1


def test_an_outage_leads_nowhere_and_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.says("big", {"*": {"$fails": "auth"}})
    assert world.grow() == 0
    found = nodes(world.trees()[0])
    assert found["g0.i0"].then is None and found["g1.i0.r0"].then is None
    assert "2 options were lost" in capsys.readouterr().err or sum(world.card()["lost"].values()) == 2
    assert world.grow("outages = []\n", out="other") == 0  # where models are made to fail, rectifiers are to learn it
    assert isinstance(nodes(world.trees("other")[0])["g0.i0"].then, Decision)


def test_a_generator_that_cannot_be_asked_costs_no_tree(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.says("meta", META | {"g0": {"$fails": "auth"}, "g1": {"$fails": "auth"}})
    assert world.grow() == 1
    assert "the generator could not be asked" in capsys.readouterr().err
    world.says("meta", META)
    assert world.grow() == 0
    assert len(world.trees()) == 1


def test_a_meta_agent_that_is_lost_once_leads_nowhere_there(world: World) -> None:
    world.says("meta", META | {"g1": {"$fails": "auth"}, "g0.i1": {"$fails": "auth"}})
    assert world.grow() == 0
    found = nodes(world.trees()[0])
    assert found["g1"].then is None and found["g0.i1"].then is None
    assert sum(world.card()["lost"].values()) == 2


def test_trees_in_which_all_fail_or_nothing_costs_anything_are_told(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    free = MAS_TOML.replace("input_price = 10, output_price = 10", "input_price = 0, output_price = 0")
    for price in ("0.1", "1"):
        free = free.replace(f"input_price = {price}, output_price = {price}", "input_price = 0, output_price = 0")
    (world.folder / "mas.toml").write_text(free)
    world.asks(("What is six times seven?", "none of them"))
    assert world.grow() == 0
    told = capsys.readouterr().err
    assert "1 trees in which every trajectory fails" in told
    assert "1 trees that cost no picodollars" in told


def test_queries_without_an_answer_are_told_and_counted(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.asks(("What is six times seven?", "42"), ("Nobody knows", None), ("", "42"))
    assert world.grow() == 0
    assert "train.jsonl:2: left out: it has no answer" in capsys.readouterr().err
    assert world.card()["queries_without_a_tree"] == {
        "it has no answer": 1,
        "it has no `query`; [queries.columns] may name another column": 1,
    }
    world.asks(("Nobody knows", None))
    assert world.grow(out="none") == 2
    assert "no queries that can be graded" in capsys.readouterr().err


def test_a_graded_score_is_a_success_from_the_threshold_on(world: World) -> None:
    world.says("big", {"*": "about 42"})
    world.says("mid", {"planner": "a plan", "*": "no idea at all, 42"})
    config = Path(world.config())
    text = config.read_text()
    for threshold, right in (("0.6", {"g0.i0": True, "g0.i1": False}), ("0.3", {"g0.i0": True, "g0.i1": True})):
        config.write_text(text.replace('grader = "exact"', f'grader = "token_f1"\nthreshold = {threshold}'))
        assert main([str(config), "--out", str(world.folder / threshold)]) == 0
        found = nodes(world.trees(threshold)[0])
        assert {name: end(found[name]).success for name in right} == right


def test_tools_that_are_not_there_are_told_before_anything_is_paid(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = 'tool its(query) -> text from "its.own"'
    assert world.grow(f"tools = ['{tool}']\n") == 2
    said = capsys.readouterr().err
    assert "a tool of the task cannot be used" in said and "tools are granted by " in said
    assert not (world.folder / "out" / "journal.db").exists()


def test_a_tree_that_ends_its_workers_is_told_as_none() -> None:
    job = Job(batch="nowhere", journal=":memory:", work="training.trees.worker")
    with open_journal(":memory:") as journal:
        done = work_of(job).failed_run(job, Chunk(3, 4), journal, "its run ended 3 workers")
    assert [(one.number, one.value["tree"], one.value["why"]) for one in done.outcomes] == [
        (3, None, "its run ended 3 workers")
    ]
    with pytest.raises(EngineFault, match="cannot do the work of `training.nothing`"):
        work_of(job._replace(work="training.nothing"))


# ---------------------------------------------------------------- killed, and grown again


def _child(work: Callable[[], object]) -> int:
    """Do something in a child process; return how that ended, negative for a signal."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _killed(rows: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Do something, and be killed at the row of that number, which is not written any more."""
    left = [rows]
    append = StoredRun.append

    def dying(self: StoredRun, *args: Any, **more: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return append(self, *args, **more)

    monkeypatch.setattr(StoredRun, "append", dying)
    work()


@pytest.mark.parametrize("rows", [3, 4, 7])
def test_killed_again_and_again_it_is_the_same_tree_and_nothing_is_paid_twice(
    world: World, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    theta = "calls = 6\ntheta = 0.3\n"
    assert world.grow(theta, out="whole") == 0
    deaths = 0  # later ones come later, so that it ends
    with monkeypatch.context() as patched:
        for deaths in range(60):
            last = partial(_killed, rows + deaths // 2, patched, partial(world.grow, theta))
            if _child(last) != -signal.SIGKILL:
                break
    assert deaths >= 3
    for name in ("trees.jsonl", "card.json"):
        assert (world.folder / "out" / name).read_bytes() == (world.folder / "whole" / name).read_bytes()


def test_the_same_again_asks_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.grow() == 0
    before = (world.folder / "out" / "trees.jsonl").read_bytes()

    def refuse(*args: object, **more: object) -> NoReturn:
        raise AssertionError("nothing is left to be asked")

    monkeypatch.setattr("masdsl.runtime.models.scripted.ScriptedModel.complete", refuse)
    assert world.grow() == 0
    assert (world.folder / "out" / "trees.jsonl").read_bytes() == before


def test_another_configuration_needs_another_folder(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.grow() == 0
    assert world.grow("calls = 7\n") == 2
    assert "of another configuration" in capsys.readouterr().err


def test_worker_processes_grow_the_same(world: World) -> None:
    world.asks(("What is six times seven?", "42"), ("And what is seven times six?", "42"))
    config = Path(world.config())
    assert main([str(config), "--out", str(world.folder / "out")]) == 0
    config.write_text(config.read_text().replace("workers = 0", "workers = 1"))
    assert main([str(config), "--out", str(world.folder / "apart")]) == 0
    assert (world.folder / "out" / "trees.jsonl").read_bytes() == (world.folder / "apart" / "trees.jsonl").read_bytes()


# ---------------------------------------------------------------- rules, missing roles


def test_rules_grow_trees_that_give_pairs_for_every_role(world: World, tmp_path: Path) -> None:
    world.asks(*((f"What is six times {number}?", "42") for number in range(5, 9)))
    assert world.grow(generator="rules", implementer="rules", rectifier="rules", out="out") == 0
    pairs = tmp_path / "pairs.jsonl"
    assert make_pairs([str(world.folder / "out" / "trees.jsonl"), "-o", str(pairs)]) == 0
    rows = [json.loads(line) for line in pairs.read_text().splitlines()]
    assert {row["role"] for row in rows} == {"generator", "implementer", "rectifier"}
    for tree in world.trees():
        for decision in decisions(tree):
            actions = [option.action for option in decision.options]
            assert len(set(actions)) == len(actions)
    labels = world.card()["options"]
    assert set(labels["generator"]) == {"one", "two"} and "adequate" in labels["implementer"]


TRAINED = '{by}"\nasked = "trained'
"""The value of `by` with one more key behind it."""


def test_trained_players_are_asked_for_their_decision_alone(world: World) -> None:
    player = TRAINED.format(by="meta")
    assert world.grow(implementer=player, rectifier=player) == 0
    (tree,) = world.trees()
    generator, first, _, rectifier = decisions(tree)
    assert "language" in generator.context[0].content and len(generator.context[0].content) > 1_000
    assert first.context[0].content == "You assign models to the roles of systems in the language masdsl."
    query, template, pool = first.context[1].content.split("\n-----\n")
    assert query == "What is six times seven?" and template.startswith("mas 1\nagent solver(query)")
    assert pool.splitlines()[-1] == "solver" and "fast: 0.1 in, 0.1 out" in pool
    assert rectifier.context[1].content.startswith("refused at main.answer: ")
    assert "a plan" not in rectifier.context[1].content, "what was said in the run is not shown"
    known = nodes(tree)
    assert known["g1.i0.r0"].action == META["g1.i0.r0"] and end(known["g1.i0.r0"]).success
    assert known["g1.i0.r2"].action == "```patch\npatch 1\n```", "left alone, in the words of such a player"


def test_rules_say_what_trained_players_would(world: World) -> None:
    player = TRAINED.format(by="rules")
    world.asks(*((f"What is six times {number}?", "42") for number in range(5, 9)))
    assert world.grow(generator="rules", implementer=player, rectifier=player) == 0
    said = [(one.role, option.action) for tree in world.trees() for one in decisions(tree) for option in one.options]
    assert all(action.startswith("```bind\nbind 1\n") for role, action in said if role == "implementer")
    patches = [action for role, action in said if role == "rectifier"]
    assert patches and all(action.startswith("```patch\npatch 1\n") for action in patches), "no hash is learned"


@pytest.mark.parametrize(
    ("role", "roles"),
    [
        ("generator", {"implementer", "rectifier"}),
        ("implementer", {"generator"}),  # all on `default`, which fails nowhere
        ("rectifier", {"generator", "implementer"}),
    ],
)
def test_a_role_may_be_missing(world: World, role: str, roles: set[str]) -> None:
    players = {"generator": "rules", "implementer": "rules", "rectifier": "rules", role: "nobody"}
    world.asks(*((f"What is six times {number}?", "42") for number in range(3)))
    world.grow(**players)
    assert {decision.role for tree in world.trees() for decision in decisions(tree)} == roles


def test_nobody_at_all_and_models_that_are_not_there_are_refused(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.grow(generator="nobody", implementer="nobody", rectifier="nobody") == 2
    assert "nobody plays any role" in capsys.readouterr().err
    assert world.grow(generator="smrt") == 2
    assert "did you mean `smart`?" in capsys.readouterr().err
    assert world.grow("calls = 0\n") == 2
    assert "[runs] calls = 0" in capsys.readouterr().err
    (world.folder / "trees.toml").write_text("")
    assert main([str(world.folder / "trees.toml"), "--out", str(world.folder / "x")]) == 2
    assert "[success] needs `grader`" in capsys.readouterr().err
