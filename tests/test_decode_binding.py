"""Bindings that are written under a grammar: whatever a model does, they bind every role and fit the budget."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("llguidance", reason="masdsl[decode] is not installed")

from masdsl.config import Config, load_config
from masdsl.decode.binding import BINDING, NoTier, begin_binding, open_roles, write_binding
from masdsl.decode.draft import Refused, is_fault
from masdsl.decode.write import Piece, Written
from masdsl.diagnostics.base import Findings
from masdsl.patch.binding import bind, binding_of, template_of
from masdsl.pipeline import check_source
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import print_program
from tests.harness.random_writer import RandomWriter

POOL = Path(__file__).parents[1] / "examples" / "pool"
TIERS = ("default", "cheap", "dear")
TEMPLATE = """mas 1
budget calls 9 usd {usd}
agent planner(q) -> text(60)
  "Plan {{{{ q }}}}"
agent solver(q, plan: text(60)) -> text(60)
  "Solve {{{{ q }}}} by {{{{ plan }}}}"
agent judge(q) -> bool on dear
  "Is it good? {{{{ q }}}}"
flow main(q) -> text(60) {{
  plan = planner(q)
  return solver(q, plan)
}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "mas.toml").write_text("""\
[tiers]
default = "middle"
cheap = "small"
dear = "large"
[models.small]
kind = "openai"
base_url = "http://localhost:1/v1"
model = "s"
input_price = 0.1
output_price = 0.1
[models.middle]
kind = "openai"
base_url = "http://localhost:1/v1"
model = "m"
input_price = 1
output_price = 1
[models.large]
kind = "openai"
base_url = "http://localhost:1/v1"
model = "l"
input_price = 10
output_price = 10
""")
    return load_config(str(tmp_path), Findings())


def written(
    template: str, config: Config, *, tiers: tuple[str, ...] = TIERS, seed: int = 0, tokens: int = 500
) -> Written:
    return asyncio.run(
        write_binding(Source("x.mas", template), tiers, RandomWriter(), config, tokens=tokens, seed=seed)
    )


def faults(binding: str, template: str, config: Config) -> list[str]:
    """Return the errors of a program that a template and a binding are, and its bounds above budgets."""
    findings = Findings()
    bound = bind(Source("b", binding), Source("x.mas", template), findings)
    assert bound is not None, findings.sorted()
    check_source(bound.source, config, findings)
    return [str(one.diagnostic) for one in findings.sorted() if is_fault(one)]


def test_every_role_gets_a_tier_and_the_budget_holds(config: Config) -> None:
    template = TEMPLATE.format(usd="0.1")
    found = set()
    for seed in range(12):
        one = written(template, config, seed=seed)
        assert one.finished and not one.refused and faults(one.text, template, config) == []
        assert [line.split()[0] for line in one.text.splitlines()] == ["bind", "planner", "solver"]
        found.add(one.text)
    assert len(found) > 3, "the model chooses"


def test_a_tier_after_which_nothing_fits_is_not_offered(config: Config) -> None:
    template = TEMPLATE.format(usd="0.004")
    found = set()
    for seed in range(12):
        one = written(template, config, seed=seed)
        assert faults(one.text, template, config) == []
        found.add(one.text)
    assert any("dear" in written(TEMPLATE.format(usd="0.1"), config, seed=seed).text for seed in range(12))
    assert not any("dear" in one for one in found) and any("default" in one for one in found)


def test_a_pool_that_does_not_fit_is_told(config: Config) -> None:
    with pytest.raises(NoTier, match="usd|USD|budget"):
        written(TEMPLATE.format(usd="0.000001"), config)
    with pytest.raises(NoTier, match="the pool has no tier"):
        written(TEMPLATE.format(usd="1"), config, tiers=())
    with pytest.raises(NoTier):
        written("mas 1\nflow main(", config)


@pytest.mark.parametrize("tokens", [0, 5, 20])
def test_tokens_that_run_out_leave_the_rest_on_the_cheapest_tier(config: Config, tokens: int) -> None:
    template = TEMPLATE.format(usd="0.1")
    one = written(template, config, tokens=tokens)
    assert not one.finished and "tokens" in one.reason
    assert one.text.endswith("solver = cheap\n") and faults(one.text, template, config) == []


def test_a_model_that_insists_is_given_up(config: Config) -> None:
    class Stubborn:
        async def piece(self, prefix: str, grammar: object, *, most: int, seed: int) -> Piece:
            return Piece("planner = nobody\n", True, 5)

    template = TEMPLATE.format(usd="0.1")
    one = asyncio.run(write_binding(Source("x.mas", template), TIERS, Stubborn(), config, tokens=100))
    assert not one.finished and len(one.refused) == 4 and faults(one.text, template, config) == []
    draft = begin_binding(Source("x.mas", template), TIERS, config)
    with pytest.raises(Refused):
        BINDING.fed(draft, "solver = cheap\n")


def test_a_template_without_open_roles_needs_no_binding(config: Config) -> None:
    template = 'mas 1\nagent a(q) -> text on cheap\n  "{{ q }}"\nflow main(q) -> text {\n  return a(q)\n}\n'
    assert written(template, config) == Written("", True, "", 0, 0, 0, ())


@pytest.mark.parametrize("path", sorted(POOL.glob("*.mas"))[::9], ids=lambda path: path.stem)
def test_systems_of_the_pool_are_bound(path: Path) -> None:
    parsed = parse_program(Source(str(path), path.read_text()), Findings())
    assert isinstance(parsed.document, ast.Program)
    template = template_of(parsed.document)
    roles = open_roles(template)
    free = load_config(str(POOL), Findings())._replace(tiers={"cheap": "smollm2", "default": "smollm2"})
    source = Source(str(path), print_program(template))
    one = asyncio.run(write_binding(source, ("cheap", "default"), RandomWriter(), free, tokens=2_000))
    findings = Findings()
    made = bind(Source("b", one.text), source, findings)
    assert made is not None and one.finished
    binding = binding_of(made.program)
    assert binding is not None and tuple(line.role.text for line in binding.assignments) == roles
