"""The trainer of each loss, as a plan says it: TRL's own where there is one, ours for L_CTO and Score-DPO.

Dropout: TRL switches it off in the policy while it trains on preferences, LoRA's too, so that the margin of a pair has
no noise. Where [lora] dropout is above 0, it is left on.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from training.cto.plan import Plan
from training.cto.rewards import STAGES, Judge, rewards_of
from training.cto.rows import Row, drawn, judged
from training.models.adapters import lora_config
from training.models.backbone import Backbone, BackboneFault
from training.stage.faults import TrainingFault
from training.trainer.optimisation import trainer_arguments

# TRL tells on every start that KTO and the like may change; the version is pinned.
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


class Material(NamedTuple):
    """What is learned from: rows of messages as TRL takes them, held-out rows (none for no evaluation)."""

    rows: Sequence[dict[str, Any]]
    held_out: Sequence[dict[str, Any]] = ()


def material_of(plan: Plan, rows: Sequence[Row], held_out: Sequence[Row]) -> Material:
    """Return preference rows in the form that the loss takes. Raises DataFault where they do not do for it."""
    kind, path = plan.loss.kind, plan.data.pairs or ""
    if kind == "kto":
        return Material(
            [one.messages() for one in judged(rows, path, plan.training.seed)],
            [one.messages() for one in judged(held_out, plan.data.held_out or "", 0)] if held_out else (),
        )
    if kind == "score-dpo":
        return Material(
            [_scored(row, found) for row, found in drawn(rows, plan.loss.draws, plan.training.seed)],
            [_scored(row, found) for row, found in drawn(held_out, None, 0)] if held_out else (),
        )
    return Material([row.messages() for row in rows], [row.messages() for row in held_out])


def _scored(row: Row, found: tuple[float, float]) -> dict[str, Any]:
    return {**row.messages(), "score_chosen": found[0], "score_rejected": found[1]}


def within_length(rows: Sequence[dict[str, Any]], tokenizer: Any, most: int) -> list[dict[str, Any]]:
    """Return the rows whose prompt and replies have no more tokens: a program that is cut off is another program."""
    return [row for row in rows if tokens_of(row, tokenizer) <= most]


def tokens_of(row: dict[str, Any], tokenizer: Any) -> int:
    """Return the tokens of a row's prompt with the longer of its replies."""
    replies = [row[name] for name in ("chosen", "rejected", "completion") if name in row]
    return max(len(tokenizer.apply_chat_template(row["prompt"] + one)["input_ids"]) for one in replies)


def trainer_of(
    plan: Plan, backbone: Backbone, material: Material, folder: str, *, judge: Judge | None, has_adapter: bool
) -> Any:
    """Return the trainer of a plan's loss, which keeps its checkpoints in a folder.

    Raises BackboneFault where [lora] does not fit the model.
    """
    from datasets import Dataset

    common: dict[str, Any] = {
        **trainer_arguments(plan.training.optimisation(), folder),
        "disable_dropout": plan.lora.dropout == 0,
        "include_num_input_tokens_seen": "no",  # GRPO's inputs are no tensors
    }
    if material.held_out:
        common["eval_strategy"] = "epoch"
    given: dict[str, Any] = {
        "model": backbone.model,
        "processing_class": backbone.tokenizer,
        "train_dataset": Dataset.from_list(list(material.rows)),
        "peft_config": None if has_adapter else lora_config(plan.lora),
    }
    try:
        if judge is not None:
            return _grpo(plan, common, given, judge)
        if material.held_out:
            given["eval_dataset"] = Dataset.from_list(list(material.held_out))
        return _preference(plan, common, given)
    except ValueError as error:
        if "target" not in str(error).lower():
            raise
        raise BackboneFault(f"[lora] targets do not fit the model: {error}; take targets = ['all-linear']") from None


def _preference(plan: Plan, common: dict[str, Any], given: dict[str, Any]) -> Any:
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

    from training.cto.losses import CtoTrainer, ScoreDpoTrainer

    kind = plan.loss.kind
    common |= {
        "beta": plan.loss.beta,
        "max_length": plan.training.max_length,
        "precompute_ref_log_probs": plan.training.precompute,
    }
    if kind == "kto":
        return KTOTrainer(args=KTOConfig(**common), **given)
    trainers: dict[str, Any] = {"cto": CtoTrainer, "dpo": DPOTrainer, "score-dpo": ScoreDpoTrainer}
    return trainers[kind](args=DPOConfig(**common), **given)


def _grpo(plan: Plan, common: dict[str, Any], given: dict[str, Any], judge: Judge) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    grpo = plan.grpo
    assert grpo is not None
    config = GRPOConfig(
        **common,
        beta=grpo.beta,
        num_generations=grpo.generations,
        max_completion_length=grpo.reply_tokens,
        temperature=grpo.temperature,
        reward_weights=[getattr(grpo.rewards, name) for name in STAGES],
    )
    return GRPOTrainer(args=config, reward_funcs=list(rewards_of(judge)), **given)


def grpo_rows(judge: Judge) -> list[dict[str, Any]]:
    """Return the prompts of GRPO, a row for each query; `sample` is its number, by which the rewards know it."""
    return [{"prompt": prompt, "sample": number} for number, prompt in enumerate(judge.prompts())]


def refuse_long_prompts(rows: Sequence[dict[str, Any]], tokenizer: Any, most: int) -> None:
    """Raise TrainingFault for prompts that leave a reply no room."""
    for number, row in enumerate(rows):
        tokens = len(tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"])
        if tokens > most:
            raise TrainingFault(
                f"the prompt of query {number} has {tokens} tokens, more than [training] max_length = {most} less "
                "[grpo] reply_tokens; raise the one, lower the other, or leave the query out"
            )
