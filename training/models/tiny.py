"""A very small Llama with a tokenizer of its own, for tests, the miniature of CI, and experiments.

Its weights are random but always the same for a seed, its byte-level BPE is learned from given texts: what it says is
worthless before training, and everything about it (chat template, special tokens, safetensors) is like in a large one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, NamedTuple

from training.stage.settings import Count, Positive, Range

CHATML: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_PAD, _START, _END = "<|pad|>", "<|im_start|>", "<|im_end|>"


class Tiny(NamedTuple):
    """Sizes of the model: `vocabulary` and `context` in tokens. The defaults make 0.1 million parameters."""

    hidden: Annotated[int, Range(least=8)] = 64
    layers: Positive = 2
    heads: Positive = 4
    vocabulary: Annotated[int, Range(least=300)] = 512
    context: Annotated[int, Range(least=16)] = 1024
    seed: Count = 0

    def contradiction(self) -> tuple[str, str] | None:
        """Return what cannot be: heads of different sizes."""
        if self.hidden % (2 * self.heads) == 0:
            return None
        return "heads", f"hidden = {self.hidden} is no multiple of twice the heads, {2 * self.heads}"


def make_tiny(tiny: Tiny, texts: Iterable[str], folder: str) -> None:
    """Write the model and a tokenizer learned from `texts` into a folder, as safetensors."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(tiny, texts)
    config = LlamaConfig(
        vocab_size=tiny.vocabulary,
        hidden_size=tiny.hidden,
        intermediate_size=3 * tiny.hidden,
        num_hidden_layers=tiny.layers,
        num_attention_heads=tiny.heads,
        num_key_value_heads=tiny.heads,
        max_position_embeddings=tiny.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(tiny.seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer(tiny: Tiny, texts: Iterable[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=tiny.vocabulary,
        special_tokens=[_PAD, _START, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=_END, pad_token=_PAD, chat_template=CHATML, model_max_length=tiny.context
    )
