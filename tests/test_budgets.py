# ruff: noqa: E501 programs on one line each
"""Budgets in all four measures against bounds: what is reported where, and the changes that are offered."""

from __future__ import annotations

import pytest

from masdsl.config import DEFAULT, Ceiling, Config, ModelConfig
from masdsl.diagnostics.base import Finding, Findings
from masdsl.pipeline import check_source
from masdsl.source import Source


def model(name: str, price: float) -> ModelConfig:
    return ModelConfig(name, "openai", model=name, url="http://127.0.0.1:9", input_price=price, output_price=price)


CONFIG = DEFAULT._replace(
    models={name: model(name, price) for name, price in (("dear", 10), ("middle", 5), ("cheap", 0.1))},
    tiers={"default": "smollm2", "smart": "dear", "plain": "middle", "fast": "cheap"},
)
HEAD = """mas 1
agent short(topic: text(20)) -> text(20) on smart "Write about {{ topic }}."
agent asked(topic: text(20)) -> text(20) on smart retry 1 timeout 10 "Write about {{ topic }}."
agent free(topic: text(20)) -> text(20) "Write about {{ topic }}."
"""


def findings_of(text: str, config: Config = CONFIG) -> list[Finding]:
    findings = Findings()
    source = Source("<a>", HEAD + text)
    check_source(source, config, findings)
    return [found for found in findings.sorted() if found.diagnostic.code.startswith("MAS4")]


def shown(text: str, config: Config = CONFIG) -> list[str]:
    return [
        f"{found.diagnostic.code} {found.source.slice(found.diagnostic.span)}" for found in findings_of(text, config)
    ]


ONE = "flow main(t: text(20)) -> text(20) { return short(t) }"
TWO = "flow main(t: text(20)) -> text(20) { a = asked(t) return asked(a) }"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("budget tokens 500 " + ONE, []),
        ("budget tokens 140 " + ONE, ["MAS402 tokens 140"]),
        ("budget tokens 90 " + ONE, ["MAS401 tokens 90"]),
        ("budget tokens 0 " + ONE, ["MAS401 tokens 0"]),
        ("budget usd 0.01 " + ONE, []),
        ("budget usd 0.0012 " + ONE, ["MAS402 usd 0.0012"]),
        ("budget usd 0.0001 " + ONE, ["MAS401 usd 0.0001"]),
        ("budget usd 0 " + ONE, ["MAS401 usd 0"]),
        ("budget usd 0 flow main(t: text(20)) -> text(20) { return free(t) }", []),
        ("budget seconds 20 " + TWO, []),
        ("budget seconds 19.5 " + TWO, ["MAS402 seconds 19.5"]),
        ("budget seconds 0 " + TWO, ["MAS401 seconds 0"]),
        (
            "budget calls 4 tokens 90 usd 0.0001 seconds 1 " + TWO,
            ["MAS401 tokens 90", "MAS401 usd 0.0001", "MAS402 seconds 1"],
        ),
        ("flow main(t: text(20)) -> text(20) { within tokens 90 { a = short(t) } return a }", ["MAS401 tokens 90"]),
        ("flow main(t: text(20)) -> text(20) { within tokens 150 { a = short(t) } return a }", []),
    ],
)
def test_every_measure_is_judged_at_its_own_place(text: str, expected: list[str]) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("ceiling", "text", "expected"),
    [
        (Ceiling(calls=2), TWO, ["MAS402 flow main"]),
        (Ceiling(calls=1), TWO, ["MAS401 flow main"]),
        (Ceiling(calls=1), "budget calls 9 " + TWO, ["MAS401 budget calls 9", "MAS404 calls 9"]),
        (Ceiling(calls=9), "budget calls 1 " + TWO, ["MAS401 calls 1"]),
        (Ceiling(usd=0), ONE, ["MAS401 flow main"]),
        (Ceiling(tokens=90), ONE, ["MAS401 flow main"]),
        (Ceiling(seconds=5), TWO, ["MAS402 flow main"]),
        (
            Ceiling(calls=100_000),
            "flow main(t: text(20)) -> text(20) { loop 1000 { loop 1000 { until t == t t = short(t) } } return t }",
            ["MAS402 flow main"],
        ),
    ],
)
def test_a_program_cannot_raise_the_ceiling(ceiling: Ceiling, text: str, expected: list[str]) -> None:
    assert sorted(shown(text, CONFIG._replace(ceiling=ceiling))) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("budget calls 4 flow main(t: text(20)) -> text(20) budget calls 5 { return short(t) }", ["MAS404 calls 5"]),
        ("budget calls 5 flow main(t: text(20)) -> text(20) budget calls 4 { return short(t) }", []),
        (
            "flow main(t: text(20)) -> text(20) budget calls 4 { within calls 5 { a = short(t) } return a }",
            ["MAS404 calls 5"],
        ),
        (
            "flow main(t: text(20)) -> text(20) { within calls 3 seconds 9 { within calls 4 seconds 8 { a = short(t) } } return a }",
            ["MAS404 calls 4"],
        ),
        (
            "budget usd 1 flow main(t: text(20)) -> text(20) { within usd 1.5 { a = short(t) } return a }",
            ["MAS404 usd 1.5"],
        ),
    ],
)
def test_a_budget_above_the_one_around_it_never_counts(text: str, expected: list[str]) -> None:
    assert shown(text) == expected


def test_such_a_budget_is_lowered_by_a_safe_change() -> None:
    (found,) = findings_of(
        "budget usd 0.5 flow main(t: text(20)) -> text(20) { within usd 1.5 { a = short(t) } return a }"
    )
    fix = found.diagnostic.fix()
    assert fix is not None
    ((span, new),) = fix.replacements
    assert (found.source.slice(span), new, fix.applicability) == ("usd 1.5", "usd 0.5", "safe")


# ---------------------------------------------------------------- changes


def change(text: str) -> str | None:
    """What the only finding proposes: its title, once what it proposes is found to mend it."""
    (found,) = findings_of(text)
    fix = found.diagnostic.fix()
    if fix is None:
        return None
    mended = found.source.text
    for span, new in sorted(fix.replacements, reverse=True):
        mended = mended[: span.start] + new + mended[span.end :]
    assert shown(
        mended.removeprefix(HEAD) if mended.startswith(HEAD) else mended[len(HEAD) :]
    ) == [] or fix.title.startswith("put")
    assert fix.title in found.diagnostic.help()
    return fix.title


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "budget calls 5 flow main(t: text(20)) -> text(20) { loop 9 { t = short(t) } return t }",
            "loop 5 times instead of 9 in line 5",
        ),
        (
            "budget calls 7 flow main(t: text(20)) -> text(20) { l: loop 9 { t = asked(t) } return t }",
            "loop 3 times instead of 9 in line 5",
        ),
        (
            "budget calls 5 flow main(t: text(20)) -> text(20) { d = 8 of short(t) return first(d) }",
            "draw 5 times instead of 8 in line 5",
        ),
        (
            "budget calls 5 flow main(t: text(20)) -> text(20)[8] { return 8 of short(t) }",
            "draw 5 times instead of 8 in line 5",
        ),
        (
            "budget calls 9 flow main(t: text(20)) -> text(20) { loop 3 { d = 4 of short(t) t = first(d) } return t }",
            "loop 2 times instead of 3 in line 5",
        ),
        (
            "budget calls 2 flow main(ts: text(20)[6]) -> text(20)[6] { d = each t in ts: short(t) return d }",
            "cap `ts` at 2 items instead of 6",
        ),
        ("budget calls 1 flow main(t: text(20)) -> text(20) { return asked(t) }", None),
        (
            "budget seconds 25 flow main(t: text(20)) -> text(20) { loop 9 { t = asked(t) } return t }",
            "loop 2 times instead of 9 in line 5",
        ),
        (
            "flow main(t: text(20)) -> text(20) { loop 1000 { d = 101 of short(t) t = first(d) } return t }",
            "loop 990 times instead of 1000 in line 5",
        ),
        (
            "budget calls 5 flow f[n = 3](t: text(20)) -> text(20) { d = n of short(t) return first(d) } flow main(t: text(20)) -> text(20) { return f(t, n: 9) }",
            None,
        ),
    ],
)
def test_the_smallest_change_of_a_number_is_offered(text: str, expected: str | None) -> None:
    assert change(text) == expected


def test_a_cheaper_tier_is_offered_where_money_is_too_little() -> None:
    text = "budget usd 0.0008 flow main(t: text(20)) -> text(20) { return short(t) }"
    (found,) = findings_of(text)
    fix = found.diagnostic.fix()
    assert fix is not None
    assert fix.title == "put `short` on the cheaper tier `plain`"
    ((span, new),) = fix.replacements
    assert (found.source.slice(span), new) == ("smart", "plain")


def test_the_ceiling_is_for_the_host_to_raise() -> None:
    (found,) = findings_of(TWO, CONFIG._replace(ceiling=Ceiling(calls=1)))
    said = found.diagnostic.help()
    assert said.endswith("or have the host raise [budget] in mas.toml to at least `calls 2`")
    assert "raise the budget" not in said
