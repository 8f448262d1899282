"""Bindings: a template and a binding are a program; a binding is a patch too."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

import masdsl
from masdsl.patch.apply import apply_edits
from masdsl.patch.binding import binding_as_patch, binding_of, template_of
from masdsl.patch.diff import diff
from masdsl.patch.order import declared
from masdsl.source import Source
from masdsl.syntax import ast
from tests.harness import trees
from tests.test_patch import PROGRAM, tree

LAW = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
TEMPLATE = """\
mas 1

# The roles are still to be assigned.
agent writer(topic) -> text(200)
  "Write about {{ topic }}."

agent editor(draft) -> text(200)
  "Edit {{ draft }}."

agent judge(draft) -> bool on fast
  "Is this good? {{ draft }}"

flow main(topic) -> text(200) {
  draft = writer(topic)
  good = judge(draft)
  if good {
    return draft
  }
  return editor(draft)
}
"""


def bound(lines: str) -> str:
    return masdsl.bind(Source("b", f"bind 1 {lines}"), Source("<t.mas>", TEMPLATE)).text


def test_a_binding_assigns_roles_and_nothing_else() -> None:
    text = bound('writer = smart editor = "openai/gpt-4o-mini"')
    assert text == TEMPLATE.replace("(topic) -> text(200)\n", "(topic) -> text(200) on smart\n").replace(
        "(draft) -> text(200)\n", '(draft) -> text(200) on "openai/gpt-4o-mini"\n'
    )


def test_roles_may_stay_open() -> None:
    assert "agent editor(draft) -> text(200)\n" in bound("writer = smart")


REFUSED = [
    ("writr = smart", "MAS808", "writr", "did you mean `writer`?"),
    ("main = smart", "MAS808", "main", "roles without a model: `writer`, `editor`"),
    ("writer = smart writer = fast", "MAS809", "writer", "keep one of the two lines"),
    ("judge = smart", "MAS810", "judge", "remove the line, or change the program with a patch: `bind judge = ..`"),
    ("writer = smrt", "MAS807", "smrt", "did you mean `smart`?"),
]


@pytest.mark.parametrize(("lines", "code", "place", "advice"), REFUSED)
def test_what_does_not_fit_is_told_where_it_stands(lines: str, code: str, place: str, advice: str) -> None:
    with pytest.raises(masdsl.ProgramError) as raised:
        bound(lines)
    (found,) = raised.value.findings
    assert found.source.name == "b" and found.source.slice(found.diagnostic.span) == place
    assert (found.diagnostic.code, found.diagnostic.help()) == (code, advice)


@LAW
@given(trees.programs)
def test_a_program_is_its_template_and_its_binding(program: ast.Program) -> None:
    binding = binding_of(program)
    names = [name for item in program.items for name in declared(item)]
    models = [attr for item in program.items if isinstance(item, ast.Agent) for attr in item.attrs if attr.key == "on"]
    if binding is None or len(set(names)) < len(names) or len(models) > len(binding.assignments):
        return
    assert binding_of(template_of(program)) is None
    assert apply_edits(binding_as_patch(binding), template_of(program)) == program


def test_the_difference_of_a_template_and_its_program_is_the_binding() -> None:
    program = tree(PROGRAM)
    binding = binding_of(program)
    assert binding is not None
    assert diff(template_of(program), program).edits == binding_as_patch(binding).edits
