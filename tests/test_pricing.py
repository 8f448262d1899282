"""Prices: what an entry of litellm's table comes to, which entry a name has, and where a price comes from."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.bounds.rates import listed_models, prices_of, rates_of, reached_agents, tier_prices
from masdsl.config import BUILT_IN, DEFAULT, Config, ModelConfig
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.money import FREE, TokenPrice
from masdsl.pipeline import check_file, check_source
from masdsl.pricing import NoPrice, NotLocked, Prices, listed_price
from masdsl.pricing import table as pricing_table
from masdsl.pricing.lock import Lock, render_lock
from masdsl.pricing.table import Table, installed_table, read_entry, read_table
from masdsl.source import Source

ROOT = Path(__file__).resolve().parent.parent
CHEAP = {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "mode": "chat", "litellm_provider": "openai"}
needs_litellm = pytest.mark.skipif(pricing_table.table_stamp() == "missing", reason="litellm is not installed")

Install = Callable[..., Path]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Install]:
    """Puts a table in the place of the installed one; without one, litellm is not installed."""

    def put(**entries: Any) -> Path:
        path = tmp_path / "table.json"
        path.write_text(json.dumps(entries), encoding="utf-8")
        monkeypatch.setattr(pricing_table, "table_path", lambda: str(path))
        installed_table.cache_clear()
        return path

    yield put
    installed_table.cache_clear()


# ---------------------------------------------------------------- entries


def price(**changes: Any) -> TokenPrice | None:
    return read_entry("m", {**CHEAP, **changes}).price


def test_a_price_in_picodollars_per_token() -> None:
    assert price() == TokenPrice(1_000_000, 2_000_000)
    assert price(input_cost_per_token=0, output_cost_per_token=0) == FREE


@pytest.mark.parametrize(
    ("changes", "dearest"),
    [
        ({"input_cost_per_token_above_200k_tokens": 3e-06}, (3_000_000, 2_000_000)),
        ({"input_cost_per_token_above_200k_tokens": 3e-07}, (1_000_000, 2_000_000)),
        ({"output_cost_per_token_above_128000_tokens": 5e-06}, (1_000_000, 5_000_000)),
        ({"output_cost_per_reasoning_token": 4e-06}, (1_000_000, 4_000_000)),
        ({"cache_creation_input_token_cost": 1.25e-06}, (1_250_000, 2_000_000)),
        ({"cache_creation_input_token_cost_above_272k_tokens": 2.5e-06}, (2_500_000, 2_000_000)),
        ({"tiered_pricing": [{"input_cost_per_token": 7e-06, "output_cost_per_token": 1e-06}]}, (7_000_000, 2_000_000)),
        ({"regional_endpoint_uplift_multiplier": 1.1}, (1_100_000, 2_200_000)),
        ({"regional_endpoint_uplift_multiplier": 0.9}, (1_000_000, 2_000_000)),
    ],
)
def test_the_dearest_rate_that_may_be_billed_counts(changes: dict[str, Any], dearest: tuple[int, int]) -> None:
    assert price(**changes) == TokenPrice(*dearest)


@pytest.mark.parametrize(
    "field",
    [
        *("input_cost_per_token_batches", "input_cost_per_token_priority", "output_cost_per_token_flex"),
        *("output_cost_per_token_above_200k_tokens_priority", "input_cost_per_audio_token", "output_cost_per_image"),
        *("cache_creation_input_token_cost_above_1hr", "cache_read_input_token_cost", "output_cost_per_image_token"),
        *("input_cost_per_token_ultrafast", "input_dbu_cost_per_token"),
    ],
)
def test_what_no_request_asks_for_does_not_count(field: str) -> None:
    assert price(**{field: 0.5}) == price()


def test_claude_writes_to_a_cache_only_when_asked() -> None:
    entry = {**CHEAP, "cache_creation_input_token_cost": 9e-06}
    assert read_entry("claude-sonnet-9", entry).price == TokenPrice(1_000_000, 2_000_000)
    assert read_entry("gpt-9", entry).price == TokenPrice(9_000_000, 2_000_000)


FAULTS: dict[str, tuple[Any, str]] = {
    "no entry": (None, "holds no prices for it"),
    "a list": ([1], "holds no prices for it"),
    "nothing": ({}, "has no `input_cost_per_token` for it"),
    "no input": ({"output_cost_per_token": 1e-06}, "has no `input_cost_per_token` for it"),
    "no output": ({"input_cost_per_token": 1e-06}, "has no `output_cost_per_token` for it"),
    "none": (
        {**CHEAP, "output_cost_per_token": None},
        "its `output_cost_per_token` in litellm's price table is not a number",
    ),
    "text": (
        {**CHEAP, "input_cost_per_token": "1e-6"},
        "its `input_cost_per_token` in litellm's price table is not a number",
    ),
    "boolean": (
        {**CHEAP, "input_cost_per_token": True},
        "its `input_cost_per_token` in litellm's price table is not a number",
    ),
    "negative": (
        {**CHEAP, "input_cost_per_token": -1e-06},
        "its `input_cost_per_token` in litellm's price table is negative",
    ),
    "nan": (
        {**CHEAP, "output_cost_per_token": math.nan},
        "its `output_cost_per_token` in litellm's price table is not a finite",
    ),
    "infinite": (
        {**CHEAP, "output_cost_per_token": math.inf},
        "its `output_cost_per_token` in litellm's price table is not a finite",
    ),
    "absurd": (
        {**CHEAP, "output_cost_per_token": 10**9},
        "its `output_cost_per_token` in litellm's price table is absurd",
    ),
    "bad tier": (
        {**CHEAP, "input_cost_per_token_above_128k_tokens": -1},
        "its `input_cost_per_token_above_128k_tokens` in litellm's price table is negative",
    ),
    "bad tiers": (
        {**CHEAP, "tiered_pricing": {"a": 1}},
        "its `tiered_pricing` in litellm's price table is not a list of tables",
    ),
    "bad tier in a list": (
        {**CHEAP, "tiered_pricing": [3]},
        "its `tiered_pricing` in litellm's price table is not a list of tables",
    ),
    "bad uplift": ({**CHEAP, "regional_endpoint_uplift_multiplier": "x"}, "price table is no factor"),
    "absurd by uplift": (
        {**CHEAP, "input_cost_per_token": 0.9, "regional_endpoint_uplift_multiplier": 2},
        "a price of it in litellm's price table is absurd",
    ),
    "half free": (
        {**CHEAP, "output_cost_per_token": 0},
        "its `output_cost_per_token` in litellm's price table is 0, which cannot be all",
    ),
    "other half": (
        {**CHEAP, "input_cost_per_token": 0},
        "its `input_cost_per_token` in litellm's price table is 0, which cannot be all",
    ),
    "embedding": ({**CHEAP, "mode": "embedding"}, "has it as a model for embedding, not for chat"),
    "odd mode": ({**CHEAP, "mode": ["x"]}, "not for chat"),
    "by request": ({**CHEAP, "input_cost_per_request": 0.005}, "billed by more than tokens (`input_cost_per_request`"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_an_entry_that_cannot_be_meant_has_a_reason_and_no_price(case: str) -> None:
    entry, reason = FAULTS[case]
    read = read_entry("m", entry)
    assert read.price is None and reason in read.fault


def test_a_model_that_always_searches_has_no_price() -> None:
    entry = {**CHEAP, "search_context_cost_per_query": {"search_context_size_low": 0.01}}
    assert read_entry("gpt-4o-search-preview", entry).price is None
    assert read_entry("perplexity/sonar", entry).price is None
    assert read_entry("gpt-9", entry).price is not None, "it searches only when asked to"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *("input_cost_per_token", "output_cost_per_token", "input_cost_per_token_above_200k_tokens", "mode"),
        *("output_cost_per_reasoning_token", "cache_creation_input_token_cost", "tiered_pricing", "litellm_provider"),
        *("regional_endpoint_uplift_multiplier", "search_context_cost_per_query", "input_cost_per_request"),
    ]
)


@given(st.text(max_size=12), st.dictionaries(FIELDS, JSON) | JSON)
def test_whatever_an_entry_holds_it_has_a_price_or_a_reason(name: str, entry: Any) -> None:
    read = read_entry(name, entry)
    assert (read.price is None) == bool(read.fault)
    assert read.price is None or min(read.price) >= 0


RATES = st.integers(1, 10**10)


@given(RATES, RATES, st.dictionaries(st.integers(1, 999), RATES), st.dictionaries(st.integers(1, 999), RATES))
def test_no_rate_of_a_tier_is_above_the_price(low: int, high: int, read: dict[int, int], said: dict[int, int]) -> None:
    entry: dict[str, Any] = {"input_cost_per_token": low / 1e12, "output_cost_per_token": high / 1e12}
    entry |= {f"input_cost_per_token_above_{size}k_tokens": rate / 1e12 for size, rate in read.items()}
    entry |= {f"output_cost_per_token_above_{size}k_tokens": rate / 1e12 for size, rate in said.items()}
    price = read_entry("m", entry).price
    assert price is not None
    assert price.input in range(max(low, *read.values(), 0), max(low, *read.values(), 0) + 2)
    assert price.output in range(max(high, *said.values(), 0), max(high, *said.values(), 0) + 2)


# ---------------------------------------------------------------- names


def table(**owners: str) -> Table:
    return Table("0", {name.lower(): (owner, (at + 1, at + 1), "") for at, (name, owner) in enumerate(owners.items())})


NAMES = table(
    **{
        "gpt-4o": "openai",
        "gmi/openai/gpt-4o": "gmi",
        "ft:gpt-4o-2024-08-06": "openai",
        "anthropic.claude-9": "bedrock_converse",
        "gemini-9": "vertex_ai-language-models",
        "Mixed-Case": "openai",
        "gpt-3.5-turbo-instruct": "text-completion-openai",
        "nameless": "",
    }
)


@pytest.mark.parametrize(
    ("model", "number"),
    [
        ("gpt-4o", 1),
        ("openai/gpt-4o", 1),
        ("OpenAI/GPT-4o", 1),
        ("gmi/openai/gpt-4o", 2),
        ("ft:gpt-4o-2024-08-06:my-org:name:id", 3),
        ("openai/ft:gpt-4o-2024-08-06:my-org::id", 3),
        ("bedrock/anthropic.claude-9", 4),
        ("vertex_ai/gemini-9", 5),
        ("openai/mixed-case", 6),
        ("openai/gpt-3.5-turbo-instruct", 7),
        ("anyone/nameless", 8),
    ],
)
def test_a_model_is_found_by_the_names_that_litellm_takes(model: str, number: int) -> None:
    assert NAMES.price(model) == TokenPrice(number, number)


@pytest.mark.parametrize(
    "model", ["", "/", "gpt-4o-2024-05-13", "nobody/gpt-4o", "gpt", "openai/", "openai/gmi", "ft:gpt-4o-2024-08-06:x"]
)
def test_no_price_is_guessed(model: str) -> None:
    with pytest.raises(NoPrice, match="litellm's price table does not list it"):
        NAMES.price(model)


# ---------------------------------------------------------------- the file


@needs_litellm
def test_the_table_of_the_installed_litellm() -> None:
    found = installed_table()
    mini = found.price("openai/gpt-4o-mini")
    assert mini == found.price("gpt-4o-mini") and 0 < mini.input < mini.output
    priced = [entry for entry in found.entries.values() if entry[1] is not None]
    assert len(priced) > len(found.entries) // 2
    assert all((entry[1] is None) == bool(entry[2]) for entry in found.entries.values())
    with pytest.raises(NoPrice):
        found.price("sample_spec")


@needs_litellm
def test_the_table_is_read_without_importing_litellm() -> None:
    script = (
        "import sys; from masdsl.pricing import listed_price; assert listed_price('openai/gpt-4o-mini');"
        "print(sorted({'litellm', 'openai', 'httpx', 'pydantic', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_what_was_read_is_kept_under_the_digest_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install: Install
) -> None:
    monkeypatch.setenv("MASDSL_CACHE", str(tmp_path / "cache"))
    path = str(install(m=CHEAP))
    first = read_table(path)
    (kept,) = (tmp_path / "cache").iterdir()
    monkeypatch.setattr(pricing_table, "read_entry", lambda *_: pytest.fail("it is kept"))
    assert read_table(path) == first
    monkeypatch.undo()
    monkeypatch.setenv("MASDSL_CACHE", str(tmp_path / "cache"))
    for damage in (b"", b"nonsense", kept.read_bytes()[:-3], kept.read_bytes().replace(b"openai", b"0penai")):
        kept.write_bytes(damage)
        assert read_table(path) == first, "a damaged file is not used"
    kept.chmod(0o666)
    assert read_table(path) == first
    install(m={**CHEAP, "input_cost_per_token": 5e-06})
    assert read_table(path).price("m") == TokenPrice(5_000_000, 2_000_000), "another table, another file"


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000, b"\x00" * 1000, b'{"a": 1e}'])
def test_a_file_that_is_no_table(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(data)
    with pytest.raises(NoPrice, match="litellm's price table is not .*; install litellm again"):
        read_table(str(path))


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoPrice, match="cannot be read: No such file"):
        read_table(str(tmp_path / "t.json"))
    monkeypatch.setattr(pricing_table, "TABLE_BYTES", 10)
    (tmp_path / "t.json").write_text("{}" + " " * 9)
    with pytest.raises(NoPrice, match="larger than 10 bytes"):
        read_table(str(tmp_path / "t.json"))


def test_without_litellm_no_price_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(NoPrice, match="litellm, whose price table would be used, is not installed"):
        pricing_table.table_path()


# ---------------------------------------------------------------- where a price comes from


def entry(kind: str = "litellm", **values: Any) -> ModelConfig:
    return ModelConfig("mine", kind, **values)


def test_models_on_this_machine_and_scripted_ones_cost_nothing() -> None:
    prices = Prices(DEFAULT)
    for kind in (BUILT_IN, "gguf", "scripted"):
        assert prices.of(entry(kind, path="x")) == FREE
    assert prices.of(entry("scripted", path="x", input_price=1.0, output_price=0.0)) == TokenPrice(1_000_000, 0)


def test_only_the_configuration_knows_the_price_of_a_python_object() -> None:
    assert Prices(DEFAULT).of(entry("python", factory="m:f", input_price=1.0, output_price=0.0)) == TokenPrice(
        1_000_000, 0
    )
    with pytest.raises(NoPrice, match="a Python object of yours, so only you know the price"):
        Prices(DEFAULT).of(entry("python", factory="m:f"))


def test_the_configuration_comes_first_then_the_lock_then_the_table(install: Install, tmp_path: Path) -> None:
    install(m=CHEAP)
    prices = Prices(DEFAULT, str(tmp_path))
    assert prices.of(entry(model="m")) == TokenPrice(1_000_000, 2_000_000)
    (tmp_path / "mas.lock").write_text(render_lock(Lock("1", "2", {"m": TokenPrice(7, 8)})))
    assert prices.of(entry(model="m")) == TokenPrice(7, 8)
    assert prices.of(entry(model="m", input_price=0.15, output_price=1e-6)) == TokenPrice(150_000, 1)
    with pytest.raises(NotLocked):
        prices.of(entry(model="n"))


def test_the_lock_lies_beside_the_configuration(tmp_path: Path) -> None:
    config = DEFAULT._replace(path=str(tmp_path / "mas.toml"))
    assert Prices(config, "elsewhere").lock_path == str(tmp_path / "mas.lock")
    assert Prices(DEFAULT, "folder").lock_path == "folder/mas.lock"
    assert Prices(DEFAULT, None).lock_path is None


@pytest.mark.parametrize("kind", ["openai", "litellm"])
def test_at_an_address_of_ones_own_no_list_counts(kind: str, install: Install) -> None:
    install(**{"gpt-4o": CHEAP})
    with pytest.raises(NoPrice, match="at an address of your own"):
        Prices(DEFAULT).of(entry(kind, model="gpt-4o", url="https://eu.api.openai.com/v1"))
    with pytest.raises(NoPrice, match="at an address of your own"):
        Prices(DEFAULT).of(entry(kind, model="gpt-4o", url="https://api.openai.com.example/v1"))
    assert Prices(DEFAULT).of(entry(kind, model="gpt-4o", url="https://api.openai.com/v1")).input == 1_000_000
    assert listed_price("gpt-4o", "http://127.0.0.1:1") is None


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, 1e30])
def test_a_price_given_from_python_that_cannot_be_meant(bad: float) -> None:
    with pytest.raises(NoPrice, match="a price of it in the configuration is "):
        Prices(DEFAULT).of(entry(model="m", input_price=bad, output_price=0.0))


# ---------------------------------------------------------------- rates of a program

PROGRAM = """mas 1
agent a(x) -> text on fast "Say {{ x }}."
agent b(x) -> text on "openai/m" "Say {{ x }}."
agent c(x) -> text "Say {{ x }}."
agent lonely(x) -> text on "openai/unknown" "Say {{ x }}."
flow main(x) -> text {
  y = a(x)
  z = b(y)
  return c(z)
}
"""
TIERS = {"default": "smollm2", "fast": "mine", "smart": "smollm2"}


def config(**models: ModelConfig) -> Config:
    return DEFAULT._replace(tiers=TIERS, models=models)


def checked(text: str, settings: Config) -> tuple[Any, Findings]:
    findings = Findings()
    program = check_source(Source("<test>", text), settings, findings, priced=False)
    assert program is not None, render_short(findings.sorted())
    return program, Findings()


def test_every_agent_has_a_rate(install: Install) -> None:
    install(m=CHEAP)
    mine = ModelConfig("mine", "gguf", path="x", tokenizer="/t.json")
    program, findings = checked(PROGRAM, config(mine=mine))
    rates = rates_of(program, config(mine=mine), findings)
    assert rates["a"] == ("mine", FREE, True, "/t.json")
    assert rates["b"] == ("openai/m", TokenPrice(1_000_000, 2_000_000), False, None)
    assert rates["c"] == ("smollm2", FREE, True, None), "a role without a model is on the default tier"
    assert rates["lonely"].price is None
    assert findings.ok, "an agent that nothing reaches needs no price"
    assert reached_agents(program) == {"a", "b", "c"}
    assert listed_models(program, config(mine=mine), findings) == {"openai/m"}
    assert prices_of(program, config(mine=mine)) == {key: rates[key].price for key in "abc"}
    assert tier_prices(program, config(mine=mine)) == dict.fromkeys(TIERS, FREE)


def messages(text: str, settings: Config) -> list[str]:
    findings = Findings()
    check_source(Source("<test>", text), settings, findings)
    return [line.partition(": ")[2] for line in render_short(findings.sorted()).splitlines() if " MAS7" not in line]


def test_an_unpriced_model_is_reported_once_where_it_is_named(install: Install) -> None:
    install()
    mine = ModelConfig("mine", "openai", model="llama", url="http://127.0.0.1:1")
    again = PROGRAM.replace("agent lonely", 'agent d(x) -> text on fast "Say {{ x }}."\nagent lonely')
    found = messages(again.replace("c(z)", "d(z)"), config(mine=mine))
    assert len(found) == 2
    assert found[0].startswith("MAS506 the model `mine` of the tier `fast` has no price (configuration: no mas.toml)")
    assert "`input_price = ..` and `output_price = ..` under [models.mine] in mas.toml" in found[0]
    assert found[1].startswith("MAS506 the model `openai/m` has no price")
    assert 'add `kind = "litellm"`, `model = "openai/m"`, `input_price' in found[1]
    assert '[models."openai/m"]' in found[1]


def test_the_help_for_an_unpriced_model_can_be_followed(tmp_path: Path, install: Install) -> None:
    install()
    (tmp_path / "x.mas").write_text(PROGRAM.replace("on fast ", ""))
    (tmp_path / "mas.toml").write_text(
        '[models."openai/m"]\nkind = "litellm"\nmodel = "openai/m"\ninput_price = 1\noutput_price = 2\n'
    )
    findings = Findings()
    program = check_file(str(tmp_path / "x.mas"), findings).program
    assert program is not None and findings.ok, render_short(findings.sorted())


def test_a_project_file_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "x.mas").write_text(PROGRAM)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.masdsl.tiers]\nfast = "own"\n'
        '[tool.masdsl.models.own]\nkind = "openai"\nmodel = "m"\nurl = "http://127.0.0.1:1"\n'
    )
    findings = Findings()
    check_file(str(tmp_path / "x.mas"), findings)
    assert "under [tool.masdsl.models.own] in pyproject.toml" in render_short(findings.sorted())


def test_an_agent_that_only_a_test_reaches_counts(install: Install) -> None:
    install()
    text = (
        'mas 1\nagent b(x) -> text on "openai/m" "Say {{ x }}."\nflow main(x) -> text { return x }\n'
        'test "b" {\n  given b = "x"\n  y = b("x")\n  expect y == "x"\n}\n'
    )
    assert [line[:6] for line in messages(text, DEFAULT)] == ["MAS506"]


def test_a_host_that_brings_its_own_models_needs_no_prices(tmp_path: Path, install: Install) -> None:
    import masdsl
    from masdsl.runtime.models.scripted import ScriptedModel

    install()
    (tmp_path / "x.mas").write_text(PROGRAM.replace("on fast ", ""))
    with pytest.raises(masdsl.ProgramError, match="MAS506"):
        masdsl.load(str(tmp_path / "x.mas"))
    program = masdsl.load(str(tmp_path / "x.mas"), models=ScriptedModel({"*": "hello"}))
    assert program.main.sync("x") == "hello"


def test_a_program_on_local_models_reads_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing_table, "table_path", lambda: pytest.fail("the table is not needed"))
    (tmp_path / "mas.lock").write_bytes(b"damaged")
    (tmp_path / "x.mas").write_text('mas 1\nagent a(x) -> text "Say {{ x }}."\nflow main(x) -> text { return a(x) }\n')
    findings = Findings()
    check_file(str(tmp_path / "x.mas"), findings)
    assert findings.sorted() == ()
