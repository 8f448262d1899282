"""What holds for all patches, on random programs and random changes of them."""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from masdsl.diagnostics.base import Findings
from masdsl.patch import diff as diffing
from masdsl.patch.apply import PatchRefused, apply_edits
from masdsl.patch.conflicts import clashes, compose
from masdsl.patch.diff import NotAProgram, diff, invert
from masdsl.patch.identity import base_of, is_for
from masdsl.patch.merge import merge
from masdsl.patch.patching import apply_patch
from masdsl.patch.view import as_data, view
from masdsl.patch.weights import patch_weight
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_patch, parse_program
from masdsl.syntax.print import print_document, print_program
from tests.harness import trees
from tests.harness.cheapest import cheapest
from tests.harness.generate import program as generated
from tests.harness.mutate import mutated

LAW = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
randoms = st.randoms(use_true_random=False)


def tree(text: str) -> ast.Program:
    parsed = parse_program(Source("p.mas", text), Findings())
    assert parsed.ok and isinstance(parsed.document, ast.Program), text
    return parsed.document


def reparsed(patch: ast.Patch) -> ast.Patch:
    """Return a patch as it comes back from its text, which has to say the same."""
    parsed = parse_patch(Source("p", print_document(patch)), Findings())
    assert parsed.ok and parsed.document == patch, print_document(patch)
    assert isinstance(parsed.document, ast.Patch)
    return parsed.document


@st.composite
def pairs(draw: st.DrawFn, most: int = 8) -> tuple[ast.Program, ast.Program]:
    """A program and what came of it: after some changes, or another one altogether."""
    random = draw(randoms)
    before = tree(generated(random, draw(st.integers(1, 6))))
    if draw(st.integers(0, 9)) == 0:
        return before, tree(generated(random, 4))
    return before, mutated(before, random, draw(st.integers(0, most)))


@LAW
@given(pairs())
def test_a_difference_leads_from_one_program_to_the_other(pair: tuple[ast.Program, ast.Program]) -> None:
    before, after = pair
    patch = reparsed(diff(before, after))
    assert apply_edits(patch, before) == after
    assert patch.base is not None and is_for(patch.base.value, before)
    assert not list(clashes(patch.edits))


@LAW
@given(pairs())
def test_the_first_way_that_is_found_is_always_good(pair: tuple[ast.Program, ast.Program]) -> None:
    """`diff` has coarser ways in store, for names in unlikely places. None of these programs needs them."""
    before, after = pair
    assume(before != after)
    assert diffing._leads(next(diffing._attempts(before, after)), before, after)


@LAW
@given(trees.programs, trees.programs, st.booleans())
def test_a_difference_leads_to_whatever_can_be_written(before: ast.Program, after: ast.Program, alike: bool) -> None:
    if alike:
        after = after.replace(items=(*after.items[:2], *before.items[1:]))
    try:
        patch = diff(before, after)
    except NotAProgram:
        return
    assert apply_edits(reparsed(patch), before) == after


@given(randoms)
@LAW
def test_equal_programs_have_an_empty_difference(random: Random) -> None:
    program = tree(generated(random))
    assert diff(program, tree(print_program(program))).edits == ()


@LAW
@given(pairs())
def test_an_inverse_undoes_a_patch(pair: tuple[ast.Program, ast.Program]) -> None:
    before, after = pair
    patch = diff(before, after)
    back = invert(patch, before)
    assert apply_edits(reparsed(back), after) == before
    assert apply_edits(invert(back, after), before) == after


@LAW
@given(pairs(4), randoms)
def test_a_composition_does_one_after_the_other(pair: tuple[ast.Program, ast.Program], random: Random) -> None:
    before, between = pair
    after = mutated(between, random, 3)
    both = compose(diff(before, between), diff(between, after))
    assert apply_edits(reparsed(both), before) == after
    assert not list(clashes(both.edits))


@LAW
@given(pairs(4), st.data())
def test_a_patch_does_not_depend_on_layout(pair: tuple[ast.Program, ast.Program], data: st.DataObject) -> None:
    before, after = pair
    other = tree(data.draw(trees.relaid(print_program(before))))
    assert base_of(other) == base_of(before)
    assert diff(other, after) == diff(before, after)
    done = apply_patch(Source("p", print_document(diff(before, after))), Source("b", print_program(other)), Findings())
    assert done is not None and done.program == after


@LAW
@given(pairs(), st.data())
def test_comments_of_what_stays_stay(pair: tuple[ast.Program, ast.Program], data: st.DataObject) -> None:
    before, after = pair
    text = data.draw(trees.relaid(print_program(before)))
    done = apply_patch(Source("p", print_document(diff(before, after))), Source("b", text), Findings())
    assert done is not None
    again = parse_program(done.source, Findings())
    assert again.ok and again.document == after
    first = parse_program(Source("b", text), Findings())
    if before == after:
        assert [one.text for one in again.comments] == [one.text for one in first.comments]
    assert len({one.text for one in again.comments}) == len(again.comments)  # each once: they are numbered


@LAW
@given(pairs(), randoms)
def test_a_merge_is_the_same_from_both_sides(pair: tuple[ast.Program, ast.Program], random: Random) -> None:
    base, left = pair
    right = mutated(base, random, 4)
    one, other = merge(base, left, right), merge(base, right, left)
    assert one.program == other.program
    assert sorted(one.conflicts) == sorted((address, second, first) for address, first, second in other.conflicts)
    assert (one.program is None) == bool(one.conflicts)
    if one.program is not None:
        assert tree(one.text) == one.program
    else:
        assert one.text.count("<<<<<<< left\n") == one.text.count(">>>>>>> right\n")


@LAW
@given(pairs())
def test_a_merge_with_what_is_unchanged_is_the_change(pair: tuple[ast.Program, ast.Program]) -> None:
    base, changed = pair
    assert merge(base, base, changed).program == changed
    assert merge(base, changed, base).program == changed
    assert merge(base, changed, changed).program == changed


@LAW
@given(pairs(5))
def test_a_view_tells_every_edit(pair: tuple[ast.Program, ast.Program]) -> None:
    before, after = pair
    patch = diff(before, after)
    shown = view(patch, before)
    assert len(shown.lines) >= len(patch.edits)
    assert as_data(patch, before, after)["result"] == base_of(after)


LINES = (
    *("a = f(q)", 'b = f("x") else q', "c = 2 of f(q)", 'loop 2 { a = f(q) until a == "" }', "d = q"),
    *('if q == "" { b = f(q) } else { b = q }', "within calls 3 { d = f(q) }", 'x = f(q) else f("y") else ""'),
)


@pytest.mark.parametrize("seed", range(30))
def test_no_patch_is_cheaper(seed: int) -> None:
    """Found by brute force (`harness/cheapest.py`), as far as that goes in a second or so."""
    random = Random(seed)
    body = "\n".join(random.sample(LINES, random.randrange(1, 4)))
    before = tree(f'mas 1\nagent f(q) -> text(20) "Go."\nflow main(q) -> text(20) {{\n{body}\nreturn q }}\n')
    after = mutated(before, random, random.randrange(1, 4))
    weight, _ = patch_weight(diff(before, after))
    if 0 < weight <= 40:
        assert cheapest(before, after, weight, 25) is None


def test_brute_force_would_find_a_cheaper_patch() -> None:
    before = tree('mas 1 agent f(q) -> text "Go." flow main(q) -> text { a = f(q) return a }')
    after = tree('mas 1 agent f(q) -> text "Go." flow main(q) -> text { b = f(q) return b }')
    assert cheapest(before, after, 100, 50) == patch_weight(diff(before, after))[0] == 6


def test_a_program_that_declares_a_name_twice_has_no_patch() -> None:
    twice = tree('mas 1 agent f(q) -> text "Go." agent f(q) -> text "Stay."')
    with pytest.raises(NotAProgram, match="`f` is declared twice"):
        diff(tree("mas 1"), twice)
    assert apply_edits(diff(twice, tree("mas 1")), twice) == tree("mas 1")


# ---------------------------------------------------------------- whatever comes


def _random_patch(random: Random, base: str, others: list[str]) -> str:
    """Return the text of a patch that may mean something, or may not any more."""
    edits = print_document(diff(tree(base), mutated(tree(base), random, 3))).split("\n", 1)[1]
    words = edits.split(" ")
    kind = random.randrange(6)
    at = random.randrange(len(words))
    if kind == 0:
        words[at] = random.choice(random.choice(others).split() or [""])
    elif kind == 1:
        del words[at : at + random.randrange(4)]
    elif kind == 2:
        other = random.choice(others).split("\n")
        words.insert(at, random.choice(other))
    elif kind == 3:
        words[at] = words[at][::-1]
    elif kind == 4:
        random.shuffle(words)
    return "patch 1\n" + " ".join(words)


TRIES = int(os.environ.get("PATCHES", "600")) // 10
"""`PATCHES=10000 pytest tests/test_patch_laws.py -k stumble` is the full size."""


@pytest.mark.parametrize("part", range(10))
def test_no_patch_makes_it_stumble(part: int) -> None:
    """A patch is applied whole or refused with findings."""
    random = Random(part)
    bases = [print_program(tree(generated(Random(seed), 3))) for seed in range(6)]
    applied = 0
    for _ in range(TRIES):
        base = random.choice(bases)
        text = _random_patch(random, base, [*bases, "\x00 é", "add item", "drop main.if.else.else_2"])
        findings = Findings()
        done = apply_patch(Source("p", text), Source("b", base), findings)
        assert (done is None) == (not findings.ok), text
        if done is not None:
            applied += 1
            assert tree(done.source.text) == done.program
        assert all(found.diagnostic.title() and found.diagnostic.help() for found in findings.sorted())
    assert applied, "some of them should do something"


def test_an_edit_after_a_refused_one_changes_nothing() -> None:
    program = tree('mas 1 agent f(q) -> text "Go."')
    patch = ast.Patch(1, None, (ast.DropEdit((ast.Name("f"),)), ast.DropEdit((ast.Name("f"),))))
    with pytest.raises(PatchRefused):
        apply_edits(patch, program)
    assert len(program.items) == 1
