"""L_CTO as a loss of TRL's DPOTrainer: the weight outside the log-sigmoid, and Score-DPO with scores inside, beside it.

    (11)  L_CTO = E_D [ Delta V * -log sigma( beta * (log(pi/pi_ref)(a_win|c) - log(pi/pi_ref)(a_lose|c)) ) ]

Source: MAS² (arXiv:2509.24323), section 3.3; Score-DPO: ScoreFlow (arXiv:2502.04306). `training.cto.preference_loss` is
the same on plain numbers, and the tests hold one against the other.

There are three ways to give TRL 1.16 weights. A hook that scales the gradient of each row's log-probabilities trains
the same, but the loss that is logged is DPO's. One pair at a time through `DPOConfig.loss_weights` has every metric,
but no batches, and no place for Score-DPO's scores inside. The way here writes equation (11) out: TRL keeps
tokenization, collation, the reference (also computed in advance), accumulation and checkpoints; only `compute_loss` is
ours. The second way is the independent implementation in the tests.

E_D is the mean over pairs. TRL takes the mean of the means of micro-batches, which is another number where the last of
them is smaller; here a pair counts the same wherever it falls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from trl import DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

WEIGHT: Final = "value_gap"
"""The column of Delta V, as `python -m training.pairs` writes it."""
SCORES: Final = ("score_chosen", "score_rejected")
"""The columns of s_w and s_l, from 0 to 1."""


@dataclass
class PairCollator(DataCollatorForPreference):  # type: ignore[misc]  # trl has no types
    """TRL's collator for pairs, which also carries columns of numbers, one for each pair."""

    numbers: tuple[str, ...] = ()

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Return a batch: chosen above rejected, and a tensor for each column of numbers."""
        batch: dict[str, Any] = super().torch_call(examples)
        for name in self.numbers:
            batch[name] = torch.tensor([float(one[name]) for one in examples])
        return batch


class PairTrainer(DPOTrainer):  # type: ignore[misc]  # trl has no types
    """DPOTrainer with a loss of its own for each pair, which may use columns of numbers (`numbers`)."""

    numbers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, args: Any, processing_class: Any, **rest: Any) -> None:
        if processing_class.pad_token is None:
            processing_class.pad_token = processing_class.eos_token
        collator = PairCollator(processing_class.pad_token_id, args.max_length, args.truncation_mode)
        collator.numbers = self.numbers
        self._pairs_in_step = self._batches_in_step = 1
        super().__init__(args=args, processing_class=processing_class, data_collator=collator, **rest)

    def losses(self, chosen: Tensor, rejected: Tensor, numbers: dict[str, Tensor]) -> Tensor:
        """Return the loss of each pair for its log(pi/pi_ref), of the chosen and of the rejected action."""
        return -logsigmoid(self.beta * (chosen - rejected))

    # ------------------------------------------------------------ what TRL asks for

    def _set_signature_columns_if_needed(self) -> None:
        """Keep the columns of numbers when TRL drops those that no model takes."""
        super()._set_signature_columns_if_needed()
        self._signature_columns += [name for name in self.numbers if name not in self._signature_columns]

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> Any:
        """Return log pi_ref of both actions; the model must not see the columns of numbers."""
        return super().compute_ref_log_probs(model, {k: v for k, v in inputs.items() if k not in self.numbers})

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        """Return the micro-batches of an optimizer step, and note how many pairs they have."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._pairs_in_step = sum(len(one["input_ids"]) // 2 for one in batches)
        self._batches_in_step = len(batches)
        return batches, items

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return what a micro-batch adds to E_D, times the micro-batches of the step (by which TRL divides it)."""
        inputs = dict(inputs)
        numbers = {name: inputs.pop(name) for name in self.numbers}
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        outputs = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            labels=labels,
            use_cache=False,
            fused_lm_head=True,
        )
        if self.precompute_ref_logps:
            reference = inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]
        else:
            reference = self.compute_ref_log_probs(self.ref_model or self.model, inputs)
        chosen, rejected = (
            policy - fixed for policy, fixed in zip(outputs.log_probs.sum(dim=1).chunk(2), reference, strict=True)
        )
        losses = self.losses(chosen, rejected, numbers)
        self._note(losses, self.beta * chosen, self.beta * rejected, numbers)
        if self.model.training:
            loss = losses.sum() * self._batches_in_step / self._pairs_in_step
        else:
            loss = losses.mean()
        return (loss, outputs) if return_outputs else loss

    def _note(self, losses: Tensor, chosen: Tensor, rejected: Tensor, numbers: dict[str, Tensor]) -> None:
        """Log implicit rewards under TRL's names, so that runs of all losses can be compared."""
        noted = {
            "rewards/chosen": chosen,
            "rewards/rejected": rejected,
            "rewards/margins": chosen - rejected,
            "rewards/accuracies": (chosen > rejected).float(),
            "loss_of_dpo": -logsigmoid(chosen - rejected),
            **numbers,
        }
        metrics = self._metrics["train" if self.model.training else "eval"]
        for name, values in noted.items():
            metrics[name].append(self.accelerator.gather(values.detach()).mean().item())


class CtoTrainer(PairTrainer):
    """L_CTO (11)."""

    numbers = (WEIGHT,)

    def losses(self, chosen: Tensor, rejected: Tensor, numbers: dict[str, Tensor]) -> Tensor:
        """Return Delta V * -log sigma(beta * (log ratio of the chosen - log ratio of the rejected))."""
        return numbers[WEIGHT] * -logsigmoid(self.beta * (chosen - rejected))


class ScoreDpoTrainer(PairTrainer):
    """Score-DPO: the scores inside the log-sigmoid."""

    numbers = SCORES

    def losses(self, chosen: Tensor, rejected: Tensor, numbers: dict[str, Tensor]) -> Tensor:
        """Return -log sigma(beta * (s_w * log ratio of the chosen - (1 - s_l) * log ratio of the rejected))."""
        won, lost = (numbers[name] for name in SCORES)
        return -logsigmoid(self.beta * (won * chosen - (1 - lost) * rejected))
