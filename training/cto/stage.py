"""The preference stage as a whole: from a plan to an adapter for each role, each from pi_ref; the same again goes on.

OUT/base/                 the base, where it is `tiny`
OUT/ROLE/run.json         what the run of a role is of
OUT/ROLE/checkpoints/     states to go on from, sealed; removed when the role is done
OUT/ROLE/model/           the LoRA adapter, as safetensors
OUT/ROLE/log.jsonl        every logged step
OUT/ROLE/manifest.json    configuration, data, base, versions, losses, seconds (clock and processor), memory
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from masdsl.batch.rows import DataFault
from masdsl.batch.systems import config_of
from masdsl.meta.host import Host
from training.cto.plan import Grpo, Plan
from training.cto.rewards import STAGES, Judge
from training.cto.rows import Row, needs_values, of_role, read_preferences, refuse_twice, weighted
from training.cto.trainers import (
    Material,
    grpo_rows,
    material_of,
    refuse_long_prompts,
    tokens_of,
    trainer_of,
    within_length,
)
from training.data.pools import write_text
from training.models.adapters import load_adapter, save_adapter
from training.models.backbone import Located, identity, load, locate
from training.rates.asking import read_asked
from training.sft.evaluation import measure_of
from training.stage.faults import TrainingFault
from training.stage.record import claim, digest_of, finished, write_manifest
from training.stage.settings import settings_json
from training.trainer.checkpoints import Sealing, last_good
from training.trainer.optimisation import CADENCE, checked_length
from training.trainer.watching import Measure, Measuring, Tell, Telling, effort, effort_told
from training.trees.tree import Role

MODEL = "model"
CHECKPOINTS = "checkpoints"


class _Given(NamedTuple):
    """What all roles share: the plan, the base with its identity, who judges replies of GRPO, and who is told."""

    plan: Plan
    base: Located
    digest: str
    judge: Judge | None
    tell: Tell
    callbacks: Sequence[Any]


def run(plan: Plan, out: str, *, tell: Tell = print, callbacks: Sequence[Any] = ()) -> tuple[dict[str, Any], ...]:
    """Train every role that a plan asks for, one after another; return their manifests. What is done is left alone.

    `callbacks` are further ones of `transformers.TrainerCallback`. It is one process.

    Raises TrainingFault, DataFault, GraderFault, OSError, and what reading a configuration of models raises. Whatever
    ends it, the same call goes on from the last whole checkpoint.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingFault("python -m training.cto trains in one process; start it without torchrun or accelerate")
    out = os.path.abspath(out)
    rows = read_preferences(plan.data.pairs) if plan.data.pairs else ()
    held_out = read_preferences(plan.data.held_out) if plan.data.held_out else ()
    by_role = {role: _chosen(plan, rows, role) for role in _roles(plan, rows)}
    judge = _judge(plan)
    texts = [text for row in rows for text in (*(one.content for one in row.prompt), row.chosen, row.rejected)]
    base = locate(plan.base, home=out, texts=texts or _prompts(judge))
    given = _Given(plan, base, identity(base), judge, tell, callbacks)
    return tuple(
        _train(given, role, chosen, [row for row in held_out if row.role == role], os.path.join(out, role))
        for role, chosen in by_role.items()
    )


def _roles(plan: Plan, rows: Sequence[Row]) -> tuple[Role, ...]:
    """Return the roles that are trained: of `all`, those that have rows."""
    if plan.data.role != "all":
        return plan.data.roles
    return tuple(role for role in plan.data.roles if any(row.role == role for row in rows))


def _chosen(plan: Plan, rows: Sequence[Row], role: Role) -> tuple[Row, ...]:
    """Return the rows of a role, weighted as the plan says; none for GRPO. Raises DataFault."""
    path = plan.data.pairs
    if path is None:
        return ()
    clip = None if plan.data.clip is None else Fraction(repr(plan.data.clip))
    refuse_twice(path, clip, plan.data.normal)
    found = of_role(rows, role, path)
    if plan.loss.kind in ("score-dpo", "kto"):
        needs_values(found, path)
    return weighted(found, clip, plan.data.normal)


def _judge(plan: Plan) -> Judge | None:
    grpo = plan.grpo
    if grpo is None:
        return None
    asked = read_asked(grpo.queries, limit=grpo.limit, calls=grpo.calls, grader=grpo.grader, signature=grpo.signature)
    config = config_of(os.path.join(os.path.dirname(grpo.queries[0]), "queries.mas"))
    return Judge(Host(config), asked, at_once=grpo.at_once)


def _prompts(judge: Judge | None) -> list[str]:
    """Return what a tokenizer may be learned from where there are no pairs."""
    return [one["content"] for prompt in (judge.prompts() if judge else []) for one in prompt]


# ---------------------------------------------------------------- one role


def _train(given: _Given, role: Role, rows: Sequence[Row], held_out: Sequence[Row], folder: str) -> dict[str, Any]:
    """Train one role and return its manifest."""
    from transformers import PrinterCallback

    plan, tell = given.plan, given.tell
    facts = _facts(plan, role, given.digest)
    known = finished(folder, facts)
    if known is not None and os.path.isdir(os.path.join(folder, MODEL)):
        tell(f"{role}: finished already: {os.path.join(folder, MODEL)}")
        return known
    backbone = load(given.base)
    checked_length(plan.training.max_length, backbone.model)
    adapter = plan.start.adapter
    if adapter is not None:
        backbone = backbone._replace(model=load_adapter(backbone.model, adapter, given.base, trainable=True))
    material, left_out = _material(given, role, rows, held_out, backbone.tokenizer)
    checkpoints = os.path.join(folder, CHECKPOINTS)
    claim(folder, facts)
    trainer = trainer_of(plan, backbone, material, checkpoints, judge=given.judge, has_adapter=adapter is not None)
    trainer.remove_callback(PrinterCallback)
    for one in (Telling(lambda line: tell(f"{role}: {line}")), Sealing(), *given.callbacks):
        trainer.add_callback(one)
    if plan.evaluation is not None and role == "generator":
        measure = _with_reward(measure_of(plan.evaluation, folder), plan.grpo)
        trainer.add_callback(Measuring(measure, plan.evaluation.every, tell, first=plan.evaluation.first))
    last = last_good(checkpoints, tell)
    if last is not None:
        tell(f"{role}: going on from {last}")
    trainer.train(resume_from_checkpoint=last)
    model = trainer.accelerator.unwrap_model(trainer.model)
    if "ref" in model.peft_config:  # TRL's copy of the adapter that training began with
        model.delete_adapter("ref")
    save_adapter(model, os.path.join(folder, MODEL), given.base, given.digest)
    history = [one for one in trainer.state.log_history if "train_runtime" not in one]
    write_text(os.path.join(folder, "log.jsonl"), "".join(json.dumps(one) + "\n" for one in history))
    manifest = write_manifest(
        folder, facts, {"rows": len(material.rows), "rows_left_out": left_out, **_results(trainer)}
    )
    shutil.rmtree(checkpoints, ignore_errors=True)
    told = f"{manifest['steps']} steps, loss {manifest['loss']:.4f}, {effort_told(manifest)}"
    tell(f"{os.path.join(folder, MODEL)}: {told}")
    return manifest


def _with_reward(measure: Measure, grpo: Grpo | None) -> Measure:
    """Return what also tells GRPO's reward of what is measured: the weighted sum of the rates."""
    if grpo is None:
        return measure
    weights = {stage: getattr(grpo.rewards, stage) for stage in STAGES}  # `training.rates` has shares of these names

    def measured(model: Any, tokenizer: Any, step: int) -> dict[str, float]:
        rates = dict(measure(model, tokenizer, step))
        for suffix in ("", ", decoder"):
            if f"parses{suffix}" in rates:
                worth = sum(weight * rates.get(f"{rate}{suffix}", 0.0) for rate, weight in weights.items())
                rates[f"reward{suffix}"] = round(worth, 4)
        return rates

    return measured


def _material(
    given: _Given, role: Role, rows: Sequence[Row], held_out: Sequence[Row], tokenizer: Any
) -> tuple[Material, int]:
    """Return what is learned from, and how many rows were too long. Raises DataFault and TrainingFault."""
    plan, most = given.plan, given.plan.training.max_length
    if given.judge is not None and plan.grpo is not None:
        material = Material(grpo_rows(given.judge))
        refuse_long_prompts(material.rows, tokenizer, most - plan.grpo.reply_tokens)
        return material, 0
    whole = material_of(plan, rows, held_out)
    material = Material(*(within_length(one, tokenizer, most) for one in whole))
    left_out = len(whole.rows) - len(material.rows)
    if not material.rows:
        shortest = min(tokens_of(row, tokenizer) for row in whole.rows)
        raise DataFault(
            f"no row of the {role} is within [training] max_length = {most} tokens, the shortest has {shortest}; raise "
            "it, as far as the model's context goes"
        )
    if left_out:
        given.tell(f"{role}: {left_out} of {len(whole.rows)} rows left out, longer than max_length = {most} tokens")
    return material, left_out


def _facts(plan: Plan, role: Role, digest: str) -> dict[str, Any]:
    """Return what decides the outcome of a run."""
    told = settings_json(plan._replace(evaluation=None))
    told["training"] = {name: value for name, value in told["training"].items() if name not in CADENCE}
    told["data"] = {**told["data"], "role": role}
    paths = [plan.data.pairs, plan.data.held_out, *(plan.grpo.queries if plan.grpo else ())]
    adapter = plan.start.adapter
    return {
        "command": "python -m training.cto",
        "settings": told,
        "data_sha256": {path: digest_of(path) for path in paths if path and os.path.isfile(path)},
        "base_sha256": digest,
        "adapter_sha256": digest_of(os.path.join(adapter, "adapter_model.safetensors")) if adapter else None,
    }


def _results(trainer: Any) -> dict[str, Any]:
    """Return what the trainer's log says: the first and the last step with all figures, and the losses between."""
    history = trainer.state.log_history
    steps = [one for one in history if "loss" in one]
    return {
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "loss": steps[-1]["loss"],
        "seconds": steps[-1]["seconds"],
        **effort(history, trainer.state.global_step),
        "parameters": trainer.model.num_parameters(),
        "parameters_trained": trainer.model.num_parameters(only_trainable=True),
        "first": steps[0],
        "last": steps[-1],
        "losses": [[one["step"], round(one["loss"], 6)] for one in steps],
        "held_out": [[one["step"], round(one["eval_loss"], 6)] for one in history if "eval_loss" in one],
        "rates": [{"step": one["step"], **one["rates"]} for one in history if "rates" in one],
    }
