"""Templates filled in with plain data, within bounds, and closed to everything else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from masdsl.check.prompts import check_prompt
from masdsl.check.template_filters import FILTERS as CHECKED_FILTERS
from masdsl.node import Span
from masdsl.runtime.prompt import FILTERS, LARGEST_PROMPT, Prompt, PromptFailed
from masdsl.source import Source
from masdsl.types import Text

VALUES: dict[str, Any] = {
    "text": "some {{ text }}",
    "number": 3.0,
    "truth": True,
    "nothing": None,
    "words": ["a", "b"],
    "empty": [],
    "record": {"items": "field", "keys": 1, "nested": {"x": [1, {"y": None}]}},
    "records": [{"name": "n1", "ok": True}, {"name": "n2", "ok": False}],
}


def render(template: str, *names: str) -> str:
    mentioned = tuple(name for name in VALUES if re.search(rf"\b{name}\b", template) or name in names)
    return Prompt(template, mentioned).render(VALUES)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{ text }}", "some {{ text }}"),
        ("{{ number }} {{ truth }} [{{ nothing }}]", "3 true []"),
        ("{{ words }}", '["a", "b"]'),
        ("{{ record.items }} {{ record.keys }}", "field 1"),
        ("{{ record.nested }}", '{"x": [1, {"y": null}]}'),
        ("{% for w in words %}{{ loop.index }}:{{ w }}{% if not loop.last %}, {% endif %}{% endfor %}", "1:a, 2:b"),
        ("{% for r in records %}{% if r.ok %}{{ r.name }}{% endif %}{% endfor %}", "n1"),
        ("{% if nothing is none %}none{% else %}some{% endif %}", "none"),
        ("{% if empty %}some{% else %}none{% endif %}", "none"),
        ("{{ words|join(', ') }} {{ words|length }} {{ words|first }} {{ empty|last }}|", "a, b 2 a |"),
        ("{{ nothing|default('-') }} {{ text|upper|lower|trim }}", "- some {{ text }}"),
        ("{# a remark #}text: {{ text }}", "text: some {{ text }}"),
        ("  spaces and line breaks around go \n\n", "spaces and line breaks around go"),
        ("{% if 'a' in words and number >= 3 %}yes{% endif %}", "yes"),
    ],
)
def test_templates_are_filled_in(template: str, text: str) -> None:
    assert render(template) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{ text }}{{ number }}",
        "\n a {{- text -}} b {{ words }}\n\n",
        "{# a remark #}{{ nothing }}|{{ record }}{% raw %}{{ text }}{% endraw %}",
        "{{ truth }}{{ text }}\n",
        "{{ loop }}",
        "{{ missing }}",
        "{{ text }}{{ other }}",
    ],
)
def test_what_only_inserts_is_filled_in_as_any_template(template: str) -> None:
    values = VALUES | {"loop": "kept", "other": object()}
    names = tuple(name for name in values if name != "missing" and name in template)
    outcomes = []
    for prompt in (Prompt(template, names), Prompt(f"{template}{{% if false %}}{{% endif %}}", names)):
        try:
            outcomes.append(prompt.render(values))
        except PromptFailed as failure:
            outcomes.append(str(failure))
    assert outcomes[0] == outcomes[1]


def test_values_are_never_templates() -> None:
    assert Prompt("{{ x }}", ("x",)).render({"x": "{{ x }}{% for %}"}) == "{{ x }}{% for %}"
    assert Prompt("no marks", ("x",)).render({"x": "{{ x }}"}) == "no marks\n\nx:\n{{ x }}"


def test_unmentioned_values_are_sections() -> None:
    assert render("Do it.", "text", "number", "nothing", "words", "empty") == (
        "Do it.\n\ntext:\nsome {{ text }}\n\nnumber:\n3\n\nnothing:\nnone\n\nwords:\n- a\n- b\n\nempty:\n(empty)"
    )
    assert Prompt("", ("records",)).render(VALUES) == (
        'records:\n- {"name": "n1", "ok": true}\n- {"name": "n2", "ok": false}'
    )
    flat = {"name": "n1", "text": "one line", "none": None}
    assert Prompt("", ("r",)).render({"r": flat}) == "r:\nname: n1\ntext: one line\nnone: none"
    assert Prompt("", ("r",)).render({"r": {"text": "two\nlines"}}) == 'r:\n{\n "text": "two\\nlines"\n}'
    assert Prompt("", ("r",)).render({"r": ["two\nlines", "b"]}) == "r:\n- two\n  lines\n- b"


@pytest.mark.parametrize(
    "template",
    [
        "plain",
        "{{ a }}",
        "{{ a.b }} {{ b }}",
        "{% for x in a %}{{ x }}{{ loop.index }}{% endfor %}",
        "{% if b %}{{ a }}{% endif %}",
        "{# {{ a }} #}",
    ],
)
def test_compiler_and_runtime_agree_on_what_is_mentioned(template: str) -> None:
    names = ("a", "b", "c", "loop")
    kinds = dict.fromkeys(names, Text(10))
    info = check_prompt(template, kinds, Source("t", template), Span(0, len(template)), lambda diagnostic: None)
    assert Prompt(template, names).unmentioned == info.unmentioned


def test_compiler_and_runtime_have_the_same_filters() -> None:
    assert sorted(FILTERS) == sorted(CHECKED_FILTERS)


@pytest.mark.parametrize(
    "template",
    [
        "{{ missing }}",
        "{{ record.missing }}",
        "{{ text.upper() }}",
        "{{ text.__class__ }}",
        "{{ text['__class__'] }}",
        "{{ words[0] }}",
        "{{ words.append(1) }}",
        "{{ record.nested.__class__.__mro__ }}",
        "{{ ''.__class__ }}",
        "{{ self }}",
        "{{ loop.cycle(1, 2) }}",
        "{% for w in words %}{{ loop.previtem.x }}{% endfor %}",
        "{{ range(10) }}",
        "{{ dict() }}",
        "{{ lipsum }}",
        "{{ cycler }}",
        "{{ namespace }}",
        "{{ joiner }}",
        "{{ text|attr('upper') }}",
        "{{ text|map('upper') }}",
        "{{ text|format(1) }}",
        "{{ text|center(1000000000) }}",
        "{{ text * 1000000000 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ number + 1 }}",
        "{{ '%1000000000d' % 1 }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{{ text is callable }}",
        "{{ text is defined }}",
        "{{",
        "{% for %}",
        "{{ number|length }}",
    ],
)
def test_everything_else_fails(template: str) -> None:
    with pytest.raises(PromptFailed):
        render(template)


def test_prompts_are_bounded() -> None:
    with pytest.raises(PromptFailed, match="larger than 256 KiB"):
        Prompt("{{ a }}{{ a }}", ("a",)).render({"a": "x" * 200_000})
    with pytest.raises(PromptFailed, match="larger than 256 KiB"):
        Prompt("", ("a",)).render({"a": "é" * 200_000})
    nested = "{% for a in xs %}{% for b in xs %}{% for c in xs %}{{ c }}{% endfor %}{% endfor %}{% endfor %}"
    with pytest.raises(PromptFailed, match="larger than 256 KiB"):
        Prompt(nested, ("xs",)).render({"xs": ["x" * 10] * 10_000})
    exact = "x" * (LARGEST_PROMPT - len("a:\n"))
    assert Prompt("", ("a",)).render({"a": exact}) == f"a:\n{exact}"


def test_a_template_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = Prompt("{{ a }}", ("a",))
    assert prompt.render({"a": "1"}) == "1"
    monkeypatch.setattr("masdsl.runtime.prompt._environment", lambda: pytest.fail("parsed again"))
    assert prompt.render({"a": "2"}) == "2"
