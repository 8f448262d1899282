"""From names to models: tiers, entries of the configuration, the embedded model, providers, and wrong names."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from masdsl.config import DEFAULT, Config, ModelConfig
from masdsl.runtime.models import store
from masdsl.runtime.models.base import Message, ModelError, Price, Request, calls_tools, context_of
from masdsl.runtime.models.litellm_model import LiteLLMModel
from masdsl.runtime.models.local import LocalModel
from masdsl.runtime.models.openai import OpenAIModel
from masdsl.runtime.models.registry import Models, resolver
from masdsl.runtime.models.scripted import ScriptedModel

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def weights_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the weights and xllamacpp were on this machine."""
    monkeypatch.setattr(store, "where", lambda name: f"/weights/{name}.gguf")
    monkeypatch.setattr(util, "find_spec", lambda name: object())


def config(**changes: Any) -> Config:
    return DEFAULT._replace(path="/project/mas.toml", **changes)


def entry(kind: str, **values: Any) -> Config:
    return config(models={"mine": ModelConfig("mine", kind, **values)}, tiers={**DEFAULT.tiers, "fast": "mine"})


def why_not(models: Models, name: str, *, tier: bool) -> str:
    with pytest.raises(ModelError) as failed:
        models(name, tier=tier)
    assert failed.value.kind == "unavailable"
    return failed.value.detail


@pytest.mark.usefixtures("weights_here")
def test_without_a_configuration_all_tiers_are_the_embedded_model() -> None:
    models = Models()
    found = [models(tier, tier=True) for tier in ("default", "fast", "smart")]
    assert found[0] is found[1] is found[2] is models("smollm2", tier=False)
    assert isinstance(found[0], LocalModel) and (found[0].name, found[0].price) == ("smollm2", Price(0.0, 0.0))


def test_an_entry_of_kind_openai() -> None:
    models = Models(entry("openai", url="http://127.0.0.1:1/v1", model="m", input_price=1.0, output_price=2.0))
    model = models("fast", tier=True)
    assert isinstance(model, OpenAIModel) and model is models("mine", tier=False)
    assert (model.name, model.price) == ("mine", Price(1.0, 2.0))


def test_half_a_price_is_none() -> None:
    assert Models(entry("openai", url="http://x", model="m", input_price=1.0))("fast", tier=True).price is None


def test_an_entry_of_kind_litellm() -> None:
    model = Models(entry("litellm", model="openai/x", input_price=0.0, output_price=0.0))("fast", tier=True)
    assert isinstance(model, LiteLLMModel) and (model.name, model.price) == ("mine", Price(0.0, 0.0))


def test_a_name_of_litellm() -> None:
    models = Models(config(tiers={**DEFAULT.tiers, "smart": "openai/gpt-4o-mini"}))
    for model in (models("smart", tier=True), models("anthropic/any", tier=False)):
        assert isinstance(model, LiteLLMModel)


@pytest.mark.usefixtures("weights_here")
def test_an_entry_of_kind_gguf(tmp_path: Path) -> None:
    models = Models(entry("gguf", path=str(tmp_path / "w.gguf"), context=512))
    assert why_not(models, "fast", tier=True) == f"the model `mine` has no file {tmp_path / 'w.gguf'}"
    (tmp_path / "w.gguf").write_bytes(b"GGUF")
    assert isinstance(models("fast", tier=True), LocalModel), "a failure is not remembered"


def test_an_entry_of_kind_scripted(tmp_path: Path) -> None:
    models = Models(entry("scripted", path=str(tmp_path / "x.toml")))
    assert "the model `mine`: " in why_not(models, "fast", tier=True)
    (tmp_path / "x.toml").write_text('[replies]\na = "hello"\n')
    model = models("fast", tier=True)
    assert isinstance(model, ScriptedModel)
    assert asyncio.run(model.complete(Request((Message("user", "x"),), agent="a"))).text == "hello"


OWN_MODELS = """from masdsl.runtime.models.base import Price, Reply
class Echo:
    price, tool_calls, context = Price(9.0, 9.0), True, 77
    def __init__(self, name, path="", loud=False):
        self.name, self.path, self.loud = "other", path, loud
    async def complete(self, request):
        text = request.messages[-1].content
        return Reply((text.upper() if self.loud else text) + self.path)
    async def close(self): pass
class Sync(Echo):
    def complete(self, request): pass
class Nameless:
    def __init__(self, name): pass
def fails(name): raise KeyError("a\\nb")
nothing = lambda name: None
number = 7
"""


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with models in Python, of which nothing stays imported."""
    (tmp_path / "own_models_of_a_test.py").write_text(OWN_MODELS)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "own_models_of_a_test", raising=False)
    return str(tmp_path)


def own(folder: str, name: str, **values: Any) -> Models:
    return Models(entry("python", factory=f"own_models_of_a_test:{name}", folder=folder, **values))


def test_an_entry_of_kind_python_is_what_the_factory_gives_under_the_terms_of_the_entry(own_models: str) -> None:
    terms = {"input_price": 1.0, "output_price": 2.0, "options": {"loud": True}, "path": "/p"}
    model = own(own_models, "Echo", **terms)("fast", tier=True)
    assert asyncio.run(model.complete(Request((Message("user", "x"),)))).text == "X/p"
    assert (model.name, model.price, calls_tools(model), context_of(model)) == ("mine", Price(1.0, 2.0), False, 77)
    told = own(own_models, "Echo", tool_calls=True, context=512)("fast", tier=True)
    assert (told.price, calls_tools(told), context_of(told)) == (None, True, 512)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("missing", {}, "cannot be imported: AttributeError"),
        ("number", {}, "is a int, not a function; mend `factory`"),
        ("fails", {}, "fails: KeyError: 'a\\nb'; mend it, or what `options` has"),
        ("Echo", {"quiet": 1}, "fails: TypeError: Echo.__init__() got an unexpected keyword argument 'quiet'"),
        ("nothing", {}, "gives a NoneType without `name`; it must give a model"),
        ("Nameless", {}, "gives a Nameless without `name`"),
        ("Sync", {}, "gives a Sync without `async complete`"),
    ],
)
def test_a_factory_that_gives_no_model(own_models: str, name: str, options: dict[str, Any], told: str) -> None:
    why = why_not(own(own_models, name, options=options), "fast", tier=True)
    assert why.startswith("the model `mine`: ") and told in why and "\n" not in why


def test_a_module_that_is_not_there(own_models: str) -> None:
    why = why_not(Models(entry("python", factory="no_such_module_here:x", folder=own_models)), "fast", tier=True)
    assert "`no_such_module_here:x` cannot be imported: ModuleNotFoundError" in why


@pytest.mark.parametrize(
    ("name", "tier", "detail"),
    [
        (
            "fsat",
            True,
            "there is no tier `fsat` in /project/mas.toml (there are default, fast, smart); did you mean `fast`?",
        ),
        ("cheap", True, '(there are default, fast, smart); add it: [tiers] cheap = "smollm2"'),
        ("smolm2", False, "there is no model `smolm2`; did you mean `smollm2`?"),
        (
            "gpt-4o",
            False,
            "there is no model `gpt-4o` (there are mine, smollm2); describe it in mas.toml under [models.gpt-4o]",
        ),
        ("fast", False, "there is no model `fast`"),
        ("smollm2", True, '`smollm2` is no tier but a model: quote it, on "smollm2"'),
    ],
)
def test_names_that_stand_for_nothing(name: str, tier: bool, detail: str) -> None:
    models = Models(config(models={"mine": ModelConfig("mine", "openai", url="http://x", model="m")}))
    assert detail in why_not(models, name, tier=tier)


def test_a_tier_without_a_configuration() -> None:
    assert "there is no tier `cheap` without a mas.toml" in why_not(Models(), "cheap", tier=True)


def test_missing_weights_name_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MASDSL_CACHE", str(tmp_path))
    monkeypatch.setattr(util, "find_spec", lambda name: object())
    said = why_not(Models(), "default", tier=True)
    assert said == "the weights of `smollm2` are not on this machine; fetch them: mas models pull smollm2"
    assert list(tmp_path.iterdir()) == [], "nothing is fetched unasked"


def test_missing_xllamacpp_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    assert why_not(Models(), "default", tier=True).endswith('pip install "masdsl[local]"')


def test_the_configuration_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mas.toml").write_text(
        '[tiers]\nfast = "mine"\n[models.mine]\nkind = "openai"\nurl = "http://127.0.0.1:1"\nmodel = "m"\n'
    )
    assert isinstance(resolver(folder=str(tmp_path))("fast", tier=True), OpenAIModel)
    (tmp_path / "mas.toml").write_text("[tiers]\nfast = 3\n")
    with pytest.raises(
        ModelError, match=r"unavailable: the configuration cannot be used: .*mas.toml:2: `\[tiers\] fast` must"
    ):
        resolver(folder=str(tmp_path))


def test_finding_models_loads_no_library(tmp_path: Path) -> None:
    script = (
        "import sys; from masdsl.config import DEFAULT; from masdsl.runtime.models.registry import resolver\n"
        "from masdsl.runtime.models.base import ModelError\n"
        "models = resolver(DEFAULT._replace(tiers={'fast': 'openai/gpt-4o-mini', 'default': 'smollm2'}))\n"
        "models('fast', tier=True)\n"
        "try: models('default', tier=True)\n"
        "except ModelError: pass\n"
        "print(sorted({'litellm', 'openai', 'httpx', 'xllamacpp', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "[]\n", done.stdout + done.stderr
