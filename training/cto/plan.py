"""What `python -m training.cto` is to do (`training/configs/cto.toml` explains every key)."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, TypeAlias

from masdsl.meta.task import SIGNATURE
from training.models.adapters import Lora
from training.models.backbone import Base
from training.pairs.preferences import Normal
from training.sft.evaluation import Evaluation
from training.stage.settings import Count, Path, Positive, Range
from training.trainer.optimisation import Optimisation
from training.trees.tree import ROLES, Role

Loss: TypeAlias = Literal["cto", "dpo", "score-dpo", "kto", "grpo"]
Above0: TypeAlias = Annotated[float, Range(above=0)]
From0: TypeAlias = Annotated[float, Range(least=0)]


class Data(NamedTuple):
    """The table [data]: the preference rows, which of them, and what is done with their weights."""

    pairs: Path | None = None
    held_out: Path | None = None
    role: Literal["generator", "implementer", "rectifier", "all"] = "all"
    clip: Above0 | None = None
    normalise: Literal["none", "mean"] = "none"

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that are asked for, in the order in which they are trained."""
        return ROLES if self.role == "all" else (self.role,)

    @property
    def normal(self) -> Normal:
        """`normalise`, as `training.pairs` calls it."""
        return self.normalise


class Start(NamedTuple):
    """The table [start]: pi_ref is the base, with this adapter where there is one; then that one is trained further."""

    adapter: Path | None = None


class Objective(NamedTuple):
    """The table [loss]. `beta` is not in MAS²: 0.1 is TRL's default and ours. `draws` are pairs of Score-DPO."""

    kind: Loss = "cto"
    beta: Above0 = 0.1
    draws: Positive | None = None


class Training(NamedTuple):
    """The table [training]: learning rate, epochs and four micro-batches a step are those of MAS² (section 4.1).

    The rest is ours. `batch` is the number of pairs (for GRPO: of replies) of one optimizer step, `at_once` how many of
    them are computed together. `steps` in place of `epochs` ends a training early. `max_length` is in tokens, prompt
    and reply together. `bf16` is mixed precision (autocast); `checkpointing` computes activations twice to hold less of
    them. `precompute` computes log pi_ref once, before training.
    """

    learning_rate: Annotated[float, Range(above=0, most=1)] = 5e-5
    epochs: Above0 = 2.0
    steps: Positive | None = None
    batch: Positive = 4
    at_once: Positive = 1
    max_length: Annotated[int, Range(least=8)] = 2048
    schedule: Literal["cosine", "linear", "constant"] = "linear"
    warmup: Annotated[float, Range(least=0, most=0.5)] = 0.0
    weight_decay: From0 = 0.0
    clip: Above0 = 1.0
    seed: Count = 0
    bf16: bool = False
    checkpointing: bool = False
    precompute: bool = True
    save_every: Positive = 25
    keep: Annotated[int, Range(least=2)] = 2
    log_every: Positive = 1

    def contradiction(self) -> tuple[str, str] | None:
        """Return what cannot be, as `Optimisation` does."""
        return self.optimisation().contradiction()

    def optimisation(self) -> Optimisation:
        """Return it as the table that all trainers share."""
        shared = {name: value for name, value in self._asdict().items() if name != "precompute"}
        return Optimisation(method="lora", **shared)


class Rewards(NamedTuple):
    """The table [grpo.rewards]: what a reply is worth that parses, checks, fits, and answers right."""

    parses: From0 = 0.1
    checks: From0 = 0.2
    fits: From0 = 0.2
    right: From0 = 1.0

    def contradiction(self) -> tuple[str, str] | None:
        """Return what cannot be: no reward at all."""
        return None if any(self) else ("right", "all rewards are 0, so nothing can be learned")


class Grpo(NamedTuple):
    """The table [grpo]: queries with answers, how the generator is asked, and what its replies are worth.

    `calls`, `grader` and `signature` are for rows that say nothing of them. Models of the systems are those of the
    `mas.toml` at or above the folder of the first file of `queries`.
    """

    queries: tuple[Path, ...]
    limit: Count = 0
    calls: Positive = 20
    grader: str = ""
    signature: str = SIGNATURE
    generations: Annotated[int, Range(least=2)] = 4
    reply_tokens: Positive = 512
    temperature: Above0 = 1.0
    beta: From0 = 0.0
    at_once: Positive = 8
    rewards: Rewards = Rewards()

    def contradiction(self) -> tuple[str, str] | None:
        """Return what cannot be: no queries."""
        return None if self.queries else ("queries", "it is empty; name a file of queries with answers")


class Plan(NamedTuple):
    """A whole configuration."""

    base: Base
    data: Data = Data()
    start: Start = Start()
    loss: Objective = Objective()
    lora: Lora = Lora()
    training: Training = Training()
    grpo: Grpo | None = None
    evaluation: Evaluation | None = None

    def contradiction(self) -> tuple[str, str] | None:
        """Return what does not fit together: the key that is wrong, and why."""
        kind = self.loss.kind
        if self.evaluation is not None and self.data.role not in ("generator", "all"):
            return "evaluation", f"it measures a generator, and role is {self.data.role}; leave the table out"
        if kind == "grpo":
            if self.grpo is None:
                return "loss", 'kind = "grpo" needs a table [grpo] with `queries`'
            if self.data.role != "generator":
                return "data", 'role: GRPO trains the generator alone; write role = "generator"'
            if self.training.batch % self.grpo.generations:
                return "grpo", (
                    f"generations = {self.grpo.generations} does not divide [training] batch = {self.training.batch}; "
                    "the replies to one query are in one step"
                )
            if self.data.pairs is not None or self.data.held_out is not None:
                return "data", "pairs: GRPO learns from queries, not from pairs; leave it and held_out out"
            return None
        if self.data.pairs is None:
            return "data", f"pairs: the loss {kind} learns from a file of `python -m training.pairs`; name it"
        if self.grpo is not None:
            return "grpo", f'it is for kind = "grpo", and the loss is {kind}; leave it out'
        if kind != "score-dpo" and self.loss.draws is not None:
            return "loss", f"draws: pairs are drawn for score-dpo alone, and the loss is {kind}; leave it out"
        if kind != "cto" and (self.data.clip is not None or self.data.normalise != "none"):
            return "data", f"clip and normalise change Delta V, which the loss {kind} does not use; leave them out"
        if kind == "kto" and self.training.at_once < 2:
            return "training", "at_once: KTO estimates a mean over actions computed together; write at_once = 2 or more"
        return None
