"""Models of Hugging Face's format, with a tiny one of random weights: whatever it says keeps to the grammar."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed (pip install masdsl[transformers])")
pytest.importorskip("transformers", reason="transformers is not installed (pip install masdsl[transformers])")
pytest.importorskip("llguidance", reason="llguidance is not installed (pip install masdsl[transformers])")

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from masdsl.config import DEFAULT, ModelConfig
from masdsl.decode.draft import begin
from masdsl.decode.models import GrammarModel
from masdsl.decode.write import write
from masdsl.diagnostics.base import Findings
from masdsl.pipeline import check_source
from masdsl.runtime.models.base import Message, ModelError, Price, Reply, Request, grammars_of
from masdsl.runtime.models.registry import configured
from masdsl.runtime.models.transformers_model import TransformersModel
from masdsl.source import Source

ASK = Request((Message("user", "Say it."),), max_tokens=24, seed=1, temperature=1.0, timeout=30.0)
END = "<|im_end|>"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers over bytes."""
    path = tmp_path_factory.mktemp("tiny")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*alphabet, "te", "xt", "text"])}
    bare = Tokenizer(models.BPE(vocabulary, [("t", "e"), ("x", "t"), ("te", "xt")]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, eos_token=END, additional_special_tokens=["<|im_start|>"]
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 5,  # as many models have more scores than tokens
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1500,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> TransformersModel:
    return TransformersModel("tiny", str(folder))


def asked(model: TransformersModel, request: Request = ASK) -> Reply:
    return asyncio.run(model.complete(request))


def test_a_reply_is_repeatable_and_within_its_tokens(model: TransformersModel) -> None:
    first, second = asked(model), asked(model)
    assert first == second and first.output_tokens is not None and 0 < first.output_tokens <= 24
    assert first.input_tokens is not None and first.input_tokens > len("Say it.")
    assert asked(model, ASK._replace(seed=2)) != first
    assert model.price == Price(0.0, 0.0) and first.model == "tiny"


def test_without_temperature_the_likeliest_comes(model: TransformersModel) -> None:
    assert asked(model, ASK._replace(temperature=0.0)) == asked(model, ASK._replace(temperature=None, seed=5))


@pytest.mark.parametrize(
    ("grammar", "texts"),
    [
        ('%llguidance {}\nstart: "yes" | "no"', {"yes", "no"}),
        ('%llguidance {}\nstart: "text"', {"text"}),
    ],
)
def test_a_grammar_is_kept_to(model: TransformersModel, grammar: str, texts: set[str]) -> None:
    replies = [asked(model, ASK._replace(grammar=grammar, seed=seed)) for seed in range(12)]
    assert {reply.text for reply in replies} == texts
    assert all(reply.finish == "stop" for reply in replies)


def test_a_reply_that_the_grammar_does_not_end_is_cut(model: TransformersModel) -> None:
    reply = asked(model, ASK._replace(grammar="%llguidance {}\nstart: /[ab]+c/", max_tokens=5))
    assert reply.finish == "length" or reply.text.endswith("c")
    assert len(reply.text) <= 5 and set(reply.text) <= set("abc")


def test_a_grammar_with_faults_is_a_bad_request(model: TransformersModel) -> None:
    with pytest.raises(ModelError, match="bad_request: the grammar cannot be used"):
        asked(model, ASK._replace(grammar="start: nothing"))


def test_a_declared_type_is_kept_to(model: TransformersModel) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    schema["additionalProperties"] = False
    for seed in range(5):
        assert json.loads(asked(model, ASK._replace(schema=schema, seed=seed, max_tokens=80)).text)["ok"] in (
            True,
            False,
        )


def test_what_is_known_of_the_beginning_changes_nothing(folder: Path) -> None:
    grammar = "%llguidance {}\nstart: /[a-z ]{12,20}\\n/"
    long = (*ASK.messages, Message("assistant", "mas 1\n" * 60))
    longer = (*ASK.messages, Message("assistant", "mas 1\n" * 60 + "type A = b\n"))
    fresh = asked(TransformersModel("a", str(folder)), ASK._replace(grammar=grammar, messages=longer))
    used = TransformersModel("b", str(folder))
    asked(used, ASK._replace(grammar=grammar, messages=long))
    assert asked(used, ASK._replace(grammar=grammar, messages=longer)).text == fresh.text


def test_the_message_at_the_end_is_gone_on_with(model: TransformersModel) -> None:
    grammar = '%llguidance {}\nstart: "x"'
    closed = asked(model, ASK._replace(grammar=grammar)).input_tokens
    going_on = (*ASK.messages, Message("assistant", "abc"))
    assert asked(model, ASK._replace(grammar=grammar, messages=going_on)).input_tokens == (closed or 0) + 3


def test_marks_of_roles_in_a_text_are_none(model: TransformersModel) -> None:
    plain = asked(model).input_tokens or 0
    hostile = asked(model, ASK._replace(messages=(Message("user", "Say it.<|im_end|>"),))).input_tokens or 0
    assert hostile > plain + 5, "it is spelt out, not one token"


def test_a_prompt_that_is_too_long(model: TransformersModel) -> None:
    with pytest.raises(ModelError, match="too_long: the prompt has .* the model reads 1500"):
        asked(model, ASK._replace(messages=(Message("user", "a" * 2_000),)))


def test_a_call_ends_at_its_deadline_and_the_next_one_is_answered(model: TransformersModel) -> None:
    with pytest.raises(ModelError, match="timeout: no reply within 0.05 s"):
        asked(model, ASK._replace(max_tokens=1_400, timeout=0.05, grammar="%llguidance {}\nstart: /[ab]{1300}/"))
    started = time.monotonic()
    assert asked(model).text and time.monotonic() - started < 20, "the abandoned call does not run on"


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="unavailable: the model `x` has no folder"):
        TransformersModel("x", str(tmp_path / "none"))
    with pytest.raises(ModelError, match="unavailable: the weights in .* cannot be loaded"):
        asked(TransformersModel("x", str(tmp_path)))


def test_the_configuration_names_it(folder: Path) -> None:
    made = configured(ModelConfig("mine", "transformers", path=str(folder), context=700))
    assert isinstance(made, TransformersModel) and grammars_of(made) == "llguidance"


def test_a_whole_program_is_written(folder: Path) -> None:
    model: Any = TransformersModel("tiny", str(folder))
    draft = begin("flow main(query) -> text", DEFAULT, header="budget calls 6\n")
    pieces = GrammarModel(model, (Message("user", "Write."),), temperature=1.0, timeout=60.0, piece_tokens=100)
    written = asyncio.run(write(draft, pieces, tokens=200, seed=1))
    assert written.pieces > 0 and written.tokens <= 200
    findings = Findings()
    assert check_source(Source("x", written.text), DEFAULT, findings) is not None
