"""Known systems: under the signature of a task, as examples, by words; and the simplest ones, whatever the budget."""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.config import DEFAULT, Grant
from masdsl.meta import embedding
from masdsl.meta.fallback import simplest
from masdsl.meta.host import BadTask, Host, fit_of, offered_tools, shape_of
from masdsl.meta.queries import task_for
from masdsl.meta.retrieval import Known, bm25, nearest, pool_systems, terms, title
from masdsl.meta.systems import adapted, compact, parsed, template, with_binding
from masdsl.meta.task import Task
from masdsl.runtime import Limits
from masdsl.syntax import ast

HOST = Host(DEFAULT)
ROOMY = Limits(calls=400)


def test_the_pool_comes_with_the_package() -> None:
    systems = pool_systems()
    assert len(systems) > 60
    assert {"adas_debate", "masgpt_self_consistency"} <= {one.name for one in systems}
    assert all(one.title and one.about for one in systems)
    assert title(next(one.text for one in systems if one.name == "adas_cot_sc")).endswith(".")


def test_most_systems_of_the_pool_can_be_had_under_the_usual_signature() -> None:
    task = Task("What is 6 * 7?")
    shape = shape_of(task, HOST)
    found = {one.name: adapted(one.text, task, shape, HOST) for one in pool_systems()}
    taken = {name: text for name, text in found.items() if text is not None}
    assert len(taken) >= 45
    for name, text in taken.items():
        assert fit_of(text, shape, HOST, ROOMY).diagnostics == (), name
        assert " on " not in text.partition("flow ")[0] or "agent" in text, name
        assert not any(isinstance(item, ast.Test | ast.Budget) for item in parsed(text).items), name  # type: ignore[union-attr]
    assert found["react"] is None, "its tools are not granted"
    assert found["chateval"] is None, "it needs three texts"


MAIN = 'mas 1\n\nagent a(task) -> {kind}\n  "{{{{ task }}}}"\n\nflow main(task) -> {kind} {{\n  return a(task)\n}}\n'


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text", "flow main(query) -> text {\n  return a(query)"),
        ("int", "return text(found)"),
        ("float", "return text(found)"),
        ("text[5]", 'return join(found, "\\n")'),
        ("(thinking, answer)", "return found.answer"),
        ("(notes, verdict)", "return found.verdict"),
        ("(answer: int, thinking)", "return text(found.answer)"),
    ],
)
def test_an_answer_of_another_type_is_made_a_text(kind: str, said: str) -> None:
    task = Task("x")
    shape = shape_of(task, HOST)
    text = adapted(MAIN.format(kind=kind), task, shape, HOST)
    assert text is not None and said in text
    assert fit_of(text, shape, HOST, ROOMY).program is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no program",
        MAIN.format(kind="bool[3]"),
        MAIN.format(kind="text").replace("main(task)", "other(task)"),
        MAIN.format(kind="text").replace("task)", "task, more)"),
        MAIN.format(kind="text").replace("flow main(task)", "flow main(task: text(20))"),
    ],
)
def test_what_is_no_system_for_the_task_is_not_made_one(text: str) -> None:
    task = Task("a query that is longer than twenty tokens, whatever the tokenizer that counts it " * 2)
    assert adapted(text, task, shape_of(task, HOST), HOST) is None


def test_a_template_has_no_models_tests_or_limits() -> None:
    text = (
        MAIN.format(kind="text").replace("mas 1", "mas 1\n\nbudget calls 3").replace("-> text\n", "-> text on smart\n")
    )
    made = template(text)
    assert made is not None and "on smart" not in made and "budget" not in made
    assert with_binding(made, "bind 1\na = fast\n") == made.replace("-> text\n", "-> text on fast\n", 1)
    assert with_binding(made, "bind 1\nb = fast\n") is None
    assert template("flow") is None and compact("flow") == "flow"


@pytest.mark.parametrize(
    "signature",
    ["flow main(query) -> text", "flow main(query, n: int) -> bool", "flow main(a: text(20)[4]) -> (x: int, y)"],
)
@pytest.mark.parametrize("calls", [1, 4, 6])
def test_the_simplest_systems_fit_any_signature_and_budget(signature: str, calls: int) -> None:
    task = Task("x", signature=signature)
    shape = shape_of(task, HOST)
    fits = [fit_of(text, shape, HOST, Limits(calls=calls)) for _, text in simplest(task, shape)]
    assert any(fit.program is not None for fit in fits)
    assert all(fit.most is None or fit.most.calls <= calls for fit in fits if fit.program is not None)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Task("x", signature="flow main(query -> text"), "never closed"),
        (Task("x", signature="flow other(query) -> text"), "not that of a flow `main`"),
        (Task("x", signature="flow main(query) -> Nothing"), "no type `Nothing`"),
        (Task("x", tools=('tool f(a) -> text from "no.such"',)), "not granted"),
    ],
)
def test_a_task_that_no_system_can_fit_says_why(task: Task, said: str) -> None:
    with pytest.raises(BadTask, match=said):
        shape_of(task, HOST)


def test_a_long_query_gets_a_signature_that_takes_it_and_a_longer_one_is_refused() -> None:
    task = task_for("one two three four " * 1_000, HOST)
    assert "query: text(" in task.signature
    shape = shape_of(task, HOST)
    text = next(text for name, text in simplest(task, shape) if name == "one call")
    assert fit_of(text, shape, HOST, ROOMY).program is not None
    with pytest.raises(BadTask, match="at most 32,000"):
        task_for("one two three four " * 20_000, HOST)


def test_built_in_tools_that_are_granted_are_offered_without_effects() -> None:
    grants = {"math.calculate": Grant("calculator"), "sandbox.python": Grant("sandbox"), "mail": Grant("host")}
    config = DEFAULT._replace(tools={**grants, "hot": Grant("calculator", effect=True)})
    lines = offered_tools(config)
    assert [line.partition("(")[0] for line in lines] == ["tool calculate", "tool python"]
    shape_of(Task("x", tools=lines), Host(config))


# ---------------------------------------------------------------- nearness


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("Write a Python function that passes these tests", "codet"),
        ("Debate whether cats are better than dogs", "maslab_mad"),
        ("A medical question with five options", "medagents"),
        ("Solve this math problem", "mas2_math"),
    ],
)
def test_words_find_the_systems_for_a_kind_of_task(query: str, name: str) -> None:
    assert name in [one.system.name for one in nearest(query, pool_systems(), 5)]


def test_a_past_success_stands_before_the_pool_where_both_are_as_near() -> None:
    old = Known("y", "mas 1\n", "It answered: alpha", "alpha beta", "success")
    pool = old._replace(name="x", origin="pool")
    assert [one.system.name for one in nearest("alpha", (pool, old), 2)] == ["y", "x"]
    assert [one.system.name for one in nearest("alpha", (pool, old._replace(origin="pool")), 2)] == ["x", "y"]


def test_a_query_that_nothing_is_near_to_gets_systems_for_anything() -> None:
    assert nearest("zzz", pool_systems(), 1)[0].system.name == "masgpt_self_consistency"


def test_vectors_decide_where_they_are_given_and_words_between_equals() -> None:
    known = [Known(name, "", "", about) for name, about in (("a", "cat"), ("b", "dog"), ("c", "cow"))]
    vectors = {"query cow": [1.0, 0.0], "cat": [0.0, 1.0], "dog": [0.8, 0.6], "cow": [0.8, 0.6]}
    found = nearest("query cow", known, 3, lambda texts: [vectors[text] for text in texts])
    assert [one.system.name for one in found] == ["c", "b", "a"]


@given(st.text(max_size=200), st.lists(st.text(max_size=60), max_size=6))
def test_bm25_is_never_negative_and_only_shared_words_count(query: str, documents: list[str]) -> None:
    scores = bm25(query, documents)
    assert len(scores) == len(documents)
    for document, score in zip(documents, scores, strict=True):
        assert score >= 0 and (score > 0) == bool(set(terms(query)) & set(terms(document)))


@pytest.mark.skipif(
    importlib.util.find_spec(embedding.PACKAGE) is None or importlib.util.find_spec("numpy") is None,
    reason="the model of sentences is not installed (masdsl[meta])",
)
def test_sentences_of_one_meaning_are_near() -> None:
    food, bread, baby = embedding.embed(
        ["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."]
    )
    # the values that the model's authors publish for this pair of sentences
    assert sum(a * b for a, b in zip(food, bread, strict=True)) == pytest.approx(0.7553, abs=1e-3)
    assert sum(a * b for a, b in zip(food, baby, strict=True)) < 0


def test_without_the_package_the_model_of_sentences_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "PACKAGE", "no_such_package")
    embedding._model.cache_clear()
    with pytest.raises(embedding.Unavailable, match=r"masdsl\[meta\]"):
        embedding.embed(["a sentence that nobody has embedded before: 8b1f"])


def test_vectors_are_there_also_of_texts_that_are_the_oldest_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lengths:
        def vector(self, text: str) -> list[float]:
            return [float(len(text))]

    kept: dict[bytes, list[float]] = {}
    monkeypatch.setattr(embedding, "CACHED", 2)
    monkeypatch.setattr(embedding, "_kept", lambda: kept)
    monkeypatch.setattr(embedding, "_model", Lengths)
    monkeypatch.setattr(embedding, "_file", lambda: None)
    assert embedding.embed(["a", "bb"]) == [[1.0], [2.0]]
    assert embedding.embed(["a", "ccc", "dddd"]) == [[1.0], [3.0], [4.0]]
    assert len(kept) == 2
