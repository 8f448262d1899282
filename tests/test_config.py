"""The configuration: what each key means, and where each mistake is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from masdsl.config import DEFAULT, Ceiling, Config, Grant, ModelConfig, find_config, load_config
from masdsl.config.reader import parse_config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.source import Source


def read(text: str, name: str = "mas.toml") -> tuple[Config, list[str]]:
    findings = Findings()
    config = parse_config(Source(name, text), f"/home/project/{name}", findings)
    return config, render_short(findings.sorted()).splitlines()


def test_everything_that_a_file_can_say() -> None:
    config, problems = read(
        """
        [tiers]
        default = "mine"
        smart = "openai/gpt-4o-mini"
        [models.mine]
        kind = "openai"
        url = "http://127.0.0.1:8000/v1"
        model = "llama"
        key_env = "MY_KEY"
        input_price = 0.15
        output_price = 1
        timeout = 30
        context = 8192
        tokenizer = "mine/tokenizer.json"
        [models.own]
        kind = "python"
        factory = "models.mine:make"
        options = { skill = 0.8, families = ["sums"] }
        path = "weights"
        [models]
        tiny = { kind = "gguf", path = "weights/tiny.gguf" }
        [sizes]
        text = 400
        [tools]
        "math.add" = "tools.math:add"
        web.search = "tools:Search.run"
        [lints]
        dead_call = "error"
        [budget]
        calls = 100
        tokens = 200000
        usd = 0.5
        seconds = 1.5
        """
    )
    assert problems == []
    assert config.tiers == {"default": "mine", "fast": "mine", "smart": "openai/gpt-4o-mini"}
    mine = ModelConfig(
        "mine", "openai", "llama", "http://127.0.0.1:8000/v1", "MY_KEY", None, 0.15, 1, timeout=30, context=8192
    )._replace(tokenizer="/home/project/mine/tokenizer.json")
    assert config.models["mine"] == mine
    assert config.models["tiny"].path == "/home/project/weights/tiny.gguf"
    own = ModelConfig("own", "python", path="/home/project/weights", factory="models.mine:make", folder="/home/project")
    assert config.models["own"] == own._replace(options={"skill": 0.8, "families": ["sums"]})
    assert config.text_size == 400
    assert config.tools == {
        "math.add": Grant("python", function="tools.math:add"),
        "web.search": Grant("python", function="tools:Search.run"),
    }
    assert config.lints == {"dead_call": "error"}
    assert config.ceiling == Ceiling(100, 200000, 0.5, 1.5)
    assert config.folder() == "/home/project"


def test_an_empty_file_is_the_default() -> None:
    assert read("") == (DEFAULT._replace(path="/home/project/mas.toml"), [])


PROBLEMS = {
    "[tiers]\nfast = smollm2": "2:8: MAS501 the configuration is not TOML",
    'x = """': "1:8: MAS501 the configuration is not TOML",
    "[sizes]\n\n  txt = 3": "3:3: MAS502 [sizes] has no key `txt`; did you mean `text`?",
    "[tier]\nfast = 'smollm2'": "1:2: MAS502 the configuration has no key `tier`; did you mean `tiers`?",
    "zzzzzz = 1": "1:1: MAS502 the configuration has no key `zzzzzz`; remove it, or use one of `tiers`, `models`",
    "[sizes]\ntext = 'big' # why": "2:8: MAS503 `[sizes] text` must be a whole number of tokens from 1 to",
    "sizes.text = 0": "1:14: MAS503 `[sizes] text` must be",
    "sizes.text = true": "1:14: MAS503 `[sizes] text` must be",
    "tiers = 3": "1:9: MAS503 `tiers` must be a table",
    "[tiers]\nFast = 'smollm2'": "2:1: MAS503 `[tiers] Fast` must be a name of small letters",
    "[tiers]\nfast = 3": "2:8: MAS503 `[tiers] fast` must be a text",
    "[tiers]\nfast = 'smolm'": "2:8: MAS505 there is no model `smolm`; did you mean `smollm2`?",
    "[tiers]\nfast = 'gpt-4o'": "2:8: MAS505 there is no model `gpt-4o`; define it under [models.gpt-4o], or name",
    "[models.a]\nmodel = 'x'": '1:2: MAS504 the model `a` has no `kind`; add `kind = "openai"`',
    "[models.a]\nkind = 'opnai'": '2:8: MAS503 `[models.a] kind` must be a kind of model; did you mean "openai"?',
    "[models]\na = { kind = 'gguf', url = 'http://x', path = 'x' }": (
        "2:22: MAS502 a model of kind `gguf` has no key `url`"
    ),
    "[models.a]\nkind = 'litellm'": "1:2: MAS504 the model `a` of kind `litellm` has no `model`",
    "[models.a]\nkind = 'openai'\nmodel = 'x'\nurl = 'localhost'": "4:7: MAS503 `[models.a] url` must be a URL",
    "[models.a]\nkind = 'litellm'\nmodel = 'x'\nkey_env = 'sk-1234'": "4:11: MAS503 `[models.a] key_env` must be",
    "[models.a]\nkind = 'litellm'\nmodel = 'x'\ninput_price = -1": "4:15: MAS503 `[models.a] input_price` must be",
    "[models.a]\nkind = 'litellm'\nmodel = 'x'\ntimeout = inf": "4:11: MAS503 `[models.a] timeout` must be",
    "[tools]\nadd = 'math'": "2:7: MAS503 `[tools] add` must be a Python function",
    "[lints]\ndead_cal = 'off'": "2:1: MAS502 [lints] has no key `dead_cal`; did you mean `dead_call`?",
    "[lints]\ndead_call = 'no'": '2:13: MAS503 `[lints] dead_call` must be a level; write "off", "warning" or',
    "[models.a]\nkind = 'litellm'\nmodel = 'x'\ninput_price = 1e9\noutput_price = 1": (
        "4:15: MAS503 `[models.a] input_price` must be a number of USD per million tokens, from 0 to 1000000"
    ),
    "[models.a]\nkind = 'litellm'\nmodel = 'x'\noutput_price = nan\ninput_price = 1": "4:16: MAS503",
    "[models.a]\nkind = 'litellm'\nmodel = 'x'\ninput_price = '1'": "4:15: MAS503",
    "[models.a]\nkind = 'litellm'\nmodel = 'x'\ninput_price = 1": (
        "4:1: MAS504 the model `a` of kind `litellm` has no `output_price`; add `output_price = 0.60`"
    ),
    "[models.a]\nkind = 'scripted'\npath = 'x'\noutput_price = 1": (
        "4:1: MAS504 the model `a` of kind `scripted` has no `input_price`; add `input_price = 0.15`"
    ),
    "[models.a]\nkind = 'gguf'\npath = 'x'\ntokenizer = 3": "4:13: MAS503 `[models.a] tokenizer` must be a text",
    "[models.a]\nkind = 'scripted'\npath = 'x'\ntokenizer = 'y'": "4:1: MAS502 a model of kind `scripted` has no key",
    "[models.a]\nkind = 'python'": (
        '1:2: MAS504 the model `a` of kind `python` has no `factory`; add `factory = "package.module:function"`'
    ),
    "[models.a]\nkind = 'python'\nfactory = 'os.system'": (
        "3:11: MAS503 `[models.a] factory` must be a Python function, `package.module:function`; name the module"
    ),
    "[models.a]\nkind = 'python'\nfactory = 'm:f'\noptions = { name = 'x' }": (
        "4:11: MAS503 `[models.a] options` must be a table of what the factory is called with, without `name` and"
    ),
    "[models.a]\nkind = 'python'\nfactory = 'm:f'\nskill = 1": "4:1: MAS502 a model of kind `python` has no key",
    "budget = 3": "1:10: MAS503 `budget` must be a table",
    "[budget]\ncall = 3": "2:1: MAS502 [budget] has no key `call`; did you mean `calls`?",
    "[budget]\ncalls = 0": "2:9: MAS503 `[budget] calls` must be a whole number from 1 to 1000000000000",
    "[budget]\ncalls = 1.5": "2:9: MAS503 `[budget] calls` must be a whole number",
    "[budget]\ntokens = -1": "2:10: MAS503 `[budget] tokens` must be a whole number",
    "[budget]\ntokens = 10000000000000": "2:10: MAS503 `[budget] tokens` must be a whole number",
    "[budget]\ntokens = true": "2:10: MAS503 `[budget] tokens` must be a whole number",
    "[budget]\nusd = -0.01": "2:7: MAS503 `[budget] usd` must be a number of USD from 0; write a number, as in 0.50",
    "[budget]\nusd = '1'": "2:7: MAS503 `[budget] usd` must be a number of USD",
    "[budget]\nseconds = 0": "2:11: MAS503 `[budget] seconds` must be a number of seconds above 0",
    "[budget]\nseconds = inf": "2:11: MAS503 `[budget] seconds` must be a number of seconds above 0",
    "[budget]\ncalls = 100\ntokens = 99": (
        "3:10: MAS503 `[budget] tokens` must be at least `calls`, 100; raise it or lower `calls`: each call takes"
    ),
    "tools.math.add = 3": "1:18: MAS503 `[tools.math] add` must be a Python function",
}


@pytest.mark.parametrize("text", PROBLEMS)
def test_each_mistake_is_reported_where_it_stands(text: str) -> None:
    _, problems = read(text)
    assert len(problems) >= 1
    assert problems[0].startswith(f"mas.toml:{PROBLEMS[text]}"), problems


def test_pyproject_is_read_under_tool_masdsl() -> None:
    text = "[project]\nname = 'x'\n[tool.masdsl.sizes]\ntext = 100\n[tool.masdsl.tiers]\nfsat = 7\n"
    config, problems = read(text, "pyproject.toml")
    assert config.text_size == 100
    assert problems == ["pyproject.toml:6:8: MAS503 `[tiers] fsat` must be a text; write it in double quotes"]


def test_a_ceiling_of_nothing_but_free_models_is_one() -> None:
    config, problems = read("[budget]\nusd = 0\ncalls = 7\ntokens = 7\n")
    assert (config.ceiling, problems) == (Ceiling(calls=7, tokens=7, usd=0), [])
    assert read("[budget]\n")[0].ceiling == Ceiling()


def test_text_in_long_strings_is_not_taken_for_keys() -> None:
    _, problems = read('[models.a]\nkind = "litellm"\nmodel = """\ntimeout = 1\n"""\ntimeout = "x"\n')
    assert problems[0].startswith("mas.toml:6:11: MAS503")


def test_what_is_right_counts_beside_what_is_wrong() -> None:
    config, problems = read("[sizes]\ntext = 100\n[tiers]\nfast = 1\n")
    assert (config.text_size, len(problems)) == (100, 1)


def test_the_nearest_file_upwards_counts(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "mas.toml").write_text("[sizes]\ntext = 1\n")
    assert find_config(str(deep)) == str(tmp_path / "mas.toml")
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert find_config(str(deep)) == str(tmp_path / "mas.toml")
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.masdsl.sizes]\ntext = 2\n")
    assert find_config(str(deep)) == str(tmp_path / "a" / "pyproject.toml")
    (tmp_path / "a" / "mas.toml").write_text("[sizes]\ntext = 3\n")
    findings = Findings()
    assert load_config(str(deep), findings).text_size == 3
    assert findings.ok


@pytest.mark.parametrize(("level", "code"), [("off", 0), ("warning", 0), ("error", 1)])
def test_the_level_of_a_lint_decides_what_check_returns(tmp_path: Path, level: str, code: int) -> None:
    from masdsl.cli import main

    (tmp_path / "mas.toml").write_text(f'[lints]\nunused = "{level}"\n')
    (tmp_path / "x.mas").write_text('mas 1\nagent a(x) -> text "Say."\nflow main(x) -> text { return x }\n')
    assert main(["check", str(tmp_path)]) == code
