"""The preference stage as a whole: from a plan to an adapter for each role, each from pi_ref; the same again goes on.

OUT/manifest.json                 what was asked for, of which data and base, with which versions
OUT/ROLE/checkpoints/             what a run that was broken off goes on from
OUT/ROLE/adapter/                 the LoRA adapter, as safetensors
OUT/ROLE/log.jsonl, result.json   every logged step; how it ended. A role with a result is done
"""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from hashlib import file_digest
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

from masdsl import __version__
from masdsl.batch.rows import DataFault
from masdsl.batch.systems import config_of
from masdsl.meta.host import Host
from training.adapters import load_adapter, save_adapter
from training.backbone import Located, identity, load, locate
from training.cto.checkpoints import last_checkpoint
from training.cto.plan import Plan
from training.cto.rows import Row, needs_values, of_role, read_preferences, refuse_twice, weighted
from training.data.pools import write_text
from training.rates.asking import read_asked
from training.rewards import Judge
from training.settings import TrainingFault, settings_json
from training.tree import Role

FORMAT: Final = 1
_LIBRARIES: Final = ("torch", "transformers", "trl", "peft")
Tell = Callable[[str], None]


class Done(NamedTuple):
    """How the training of a role ended: optimizer steps, rows, the last log of each kind, seconds, and the adapter."""

    role: Role
    steps: int
    rows: int
    left_out: int
    first: dict[str, float]
    last: dict[str, float]
    seconds: float
    adapter: str


def run(plan: Plan, out: str, *, tell: Tell = print, callbacks: Sequence[Any] = ()) -> tuple[Done, ...]:
    """Train every role that a plan asks for, one after another, each from pi_ref; what is done already is left alone.

    `callbacks` are further ones of `transformers.TrainerCallback`.

    Raises TrainingFault, DataFault and what reading a configuration of models raises, for what cannot be used.
    """
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise TrainingFault(f"{' and '.join(missing)} is not installed: pip install 'masdsl[train]'")
    out = os.path.abspath(out)
    rows = read_preferences(plan.data.pairs) if plan.data.pairs and plan.loss.kind != "grpo" else ()
    held_out = read_preferences(plan.data.held_out) if plan.data.held_out and rows else ()
    by_role = {role: _chosen(plan, rows, role) for role in _roles(plan, rows)}
    judge = _judge(plan)
    os.makedirs(out, exist_ok=True)
    texts = [text for row in rows for text in (*(one.content for one in row.prompt), row.chosen, row.rejected)]
    base = locate(plan.base, home=out, texts=texts or _prompts(judge))
    digest = identity(base)
    _keep_manifest(plan, out, digest)
    done = []
    for role, chosen in by_role.items():
        kept = [row for row in held_out if row.role == role]
        done.append(_train(plan, role, chosen, kept, judge, base, digest, os.path.join(out, role), tell, callbacks))
        gc.collect()
    return tuple(done)


def _roles(plan: Plan, rows: Sequence[Row]) -> tuple[Role, ...]:
    """Return the roles that are trained: of `all`, those that have rows."""
    if plan.loss.kind == "grpo" or plan.data.role != "all":
        return plan.data.roles
    return tuple(role for role in plan.data.roles if any(row.role == role for row in rows))


def _chosen(plan: Plan, rows: Sequence[Row], role: Role) -> tuple[Row, ...]:
    if plan.loss.kind == "grpo":
        return ()
    path = plan.data.pairs or ""
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


def _train(
    plan: Plan,
    role: Role,
    rows: Sequence[Row],
    held_out: Sequence[Row],
    judge: Judge | None,
    base: Located,
    digest: str,
    folder: str,
    tell: Tell,
    callbacks: Sequence[Any],
) -> Done:
    from transformers import PrinterCallback

    from training.cto.trainers import Material, grpo_rows, material_of, refuse_long_prompts, trainer_of, within_length

    known = os.path.join(folder, "result.json")
    if os.path.isfile(known):
        tell(f"{role}: done already, {folder}")
        return _read_done(known)
    checkpoints = os.path.join(folder, "checkpoints")
    last = last_checkpoint(checkpoints)
    backbone = load(base)
    if plan.reference.adapter:
        model = load_adapter(backbone.model, plan.reference.adapter, base, trainable=True)
        backbone = backbone._replace(model=model)
    if judge is not None:
        material, left_out = Material(grpo_rows(judge)), 0
        room = plan.training.max_length - (plan.grpo.reply_tokens if plan.grpo else 0)
        refuse_long_prompts(material.rows, backbone.tokenizer, room)
    else:
        whole = material_of(plan, rows, held_out)
        most = plan.training.max_length
        material = Material(*(within_length(one, backbone.tokenizer, most) for one in whole))
        left_out = len(whole.rows) - len(material.rows)
        if left_out:
            tell(f"{role}: {left_out} of {len(whole.rows)} rows have more than max_length = {most} tokens; left out")
        if not material.rows:
            raise DataFault(f"no row of the {role} is within [training] max_length = {most} tokens; raise it")
    trainer = trainer_of(
        plan, backbone, material, checkpoints, judge=judge, has_adapter=plan.reference.adapter is not None
    )
    trainer.remove_callback(PrinterCallback)
    for one in (_telling(role, tell), *callbacks):
        trainer.add_callback(one)
    if last:
        tell(f"{role}: going on from {last}")
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=last)
    logs = [one for one in trainer.state.log_history if "loss" in one or "eval_loss" in one]
    steps = [one for one in logs if "loss" in one]
    if any(one["loss"] != one["loss"] or one.get("grad_norm", 0) != one.get("grad_norm", 0) for one in steps):
        raise TrainingFault(
            f"{role}: the loss or its gradient became NaN; lower [training] learning_rate, or take bf16 = "
            f"false; remove {folder} before the next try"
        )
    adapter = os.path.join(folder, "adapter")
    model = trainer.accelerator.unwrap_model(trainer.model)
    if "ref" in model.peft_config:  # TRL's copy of the adapter that training began with
        model.delete_adapter("ref")
    save_adapter(model, adapter, base, digest)
    write_text(os.path.join(folder, "log.jsonl"), "".join(json.dumps(one) + "\n" for one in logs))
    done = Done(
        role,
        trainer.state.global_step,
        len(material.rows),
        left_out,
        steps[0],
        steps[-1],
        round(time.monotonic() - began, 1),
        adapter,
    )
    write_text(known, json.dumps({"format": FORMAT, **done._asdict()}, indent=2) + "\n")
    tell(f"{role}: {done.steps} steps on {done.rows} rows: {adapter}")
    return done


def _telling(role: Role, tell: Tell) -> Any:
    """Return a callback that tells each logged step in one line."""
    from transformers import TrainerCallback

    shown = ("loss", "rewards/margins", "rewards/accuracies", "reward", "eval_loss")

    class Telling(TrainerCallback):  # type: ignore[misc]  # transformers is not looked into
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            found = [f"{name} {float(logs[name]):.4g}" for name in shown if name in (logs or {})]
            if found:
                tell(f"{role}: step {state.global_step} of {state.max_steps}: {', '.join(found)}")

    return Telling()


def _read_done(path: str) -> Done:
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        return Done(*(data[name] for name in Done._fields))
    except (OSError, ValueError, KeyError, TypeError):
        raise TrainingFault(f"{path} is damaged; remove it, and the same command goes on from the checkpoint") from None


# ---------------------------------------------------------------- the manifest


def _keep_manifest(plan: Plan, out: str, digest: str) -> None:
    """Write what is trained on what; raise TrainingFault where the folder has another training."""
    path = os.path.join(out, "manifest.json")
    files: dict[str, str | None] = {"data.pairs": plan.data.pairs, "data.held_out": plan.data.held_out}
    for number, place in enumerate(plan.grpo.queries if plan.grpo else ()):
        files[f"grpo.queries.{number}"] = place
    made = {
        "format": FORMAT,
        "settings": settings_json(plan),
        "base_sha256": digest,
        "files": {name: _digest_of(place) for name, place in files.items() if place},
    }
    versions = {"masdsl": __version__, **{name: version(name) for name in _LIBRARIES}}
    if not os.path.exists(path):
        write_text(path, json.dumps({**made, "versions": versions}, indent=2) + "\n")
        return
    try:
        with open(path, encoding="utf-8") as file:
            before = json.load(file)
        changed = sorted(name for name in made if before.get(name) != made[name])
    except (OSError, ValueError, AttributeError) as error:
        raise TrainingFault(f"{path} cannot be read ({error}); name another folder with --out") from None
    if changed:
        told = ", ".join(_difference(before.get("settings", {}), made["settings"])) or ", ".join(changed)
        raise TrainingFault(
            f"{out} has a training with other {told}; take those again to go on, or name another folder with --out"
        )


def _difference(before: Any, now: Any, at: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        names = sorted({*before, *now})
        return [
            told for name in names for told in _difference(before.get(name), now.get(name), f"{at}.{name}".strip("."))
        ]
    return [] if before == now else [at]


def _digest_of(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # a data set of the hub
