"""What a meta-agent may spend: a chat model that counts, and refuses what no longer fits.

Each call is counted as the runtime's ledger does it: its worst case has to fit before it is sent (the request by the
rule of `masdsl.sizes`, and the longest reply it allows, which is shortened to what is left), and it is settled with the
provider's own count as far as that is possible.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from masdsl import tracing
from masdsl.meta.records import KeptReply
from masdsl.meta.task import Spent
from masdsl.money import show_usd
from masdsl.redaction import one_line
from masdsl.runtime.accounts import request_tokens, token_price, usage
from masdsl.runtime.alarm import Alarm
from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel, ModelError, Reply, Request
from masdsl.runtime.models.limits import in_a_place
from masdsl.runtime.threads import has_text
from masdsl.sizes import FIRST_PAUSE, LONGEST_PAUSE, MODEL_SECONDS

SHORTEST_REPLY: Final = 16
"""A call that leaves less room for a reply, in tokens, is not worth its request."""


class NothingLeft(ModelError):
    """What is left does not allow another call. Nothing was sent."""

    def __init__(self, detail: str) -> None:
        super().__init__("unavailable", detail)


class Purse(ModelAround):
    """A chat model within limits: of tokens of prompts and replies together, of calls, of picodollars (None: no limit).

    `timeout` is in seconds, for each call. `spent` says what the calls have taken.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        tokens: int | None = None,
        calls: int | None = None,
        picodollars: int | None = None,
        timeout: float = MODEL_SECONDS,
    ) -> None:
        super().__init__(model)
        self._tokens = tokens
        self._calls = calls
        self._picodollars = picodollars
        self._timeout = timeout
        self.spent = Spent()

    async def complete(self, request: Request) -> Reply:
        """Answer one request within what is left. Raises NothingLeft, and ModelError whatever the model raises."""
        price = token_price(self._model.price)
        reads = request_tokens(request.messages)
        writes = min(request.max_tokens, self._room(reads))
        seconds = self._timeout if request.timeout is None else min(self._timeout, request.timeout)
        tokens_in, tokens_out = reads, writes  # what counts where nobody says what a call has cost
        asked = request._replace(max_tokens=writes, timeout=seconds)
        alarm, began = Alarm(), monotonic()
        reply: Reply | None = None
        failure: ModelError | None = None
        try:
            async with in_a_place(self._model, asked):
                reply = await alarm.bounded(self._model.complete(asked), seconds)
            counts = usage(reply, reads, writes)
            tokens_in, tokens_out = counts.tokens_in, counts.tokens_out
        except TimeoutError:
            failure = ModelError("timeout", f"no reply from {self.name} within {seconds:g} s", billed=True)
            raise failure from None
        except ModelError as error:
            failure = error
            if error.kind != "timeout":
                tokens_in, tokens_out = reads if error.billed else 0, 0
            raise
        except Exception as error:
            what = f": {error}" if has_text(error) else ""
            failure = ModelError("bad_request", one_line(f"{type(error).__name__}{what}"), billed=True)
            raise failure from error
        finally:
            alarm.close()
            picodollars = 0 if price is None else price.of(tokens_in, tokens_out)
            spent = Spent(1, tokens_in, tokens_out, picodollars)
            self.spent = self.spent.plus(spent)
            outcome = failure if reply is None else reply
            is_kept = isinstance(reply, KeptReply)
            tracing.called(self.name, asked, outcome, spent[1:], monotonic() - began, is_kept=is_kept)
        return reply

    async def close(self) -> None:
        """Do nothing: the model belongs to whoever made it."""

    def _room(self, reads: int) -> int:
        """Return how many tokens a reply may have after a request of so many. Raises NothingLeft."""
        room: int | None = None
        if self._calls is not None and self.spent.calls >= self._calls:
            raise NothingLeft(f"all {self._calls} calls are used up")
        if self._tokens is not None:
            room = self._tokens - self.spent.tokens - reads
            if room < SHORTEST_REPLY:
                left = self._tokens - self.spent.tokens
                raise NothingLeft(f"{left} of {self._tokens} tokens are left, and the request counts {reads}")
        if self._picodollars is not None:
            price = token_price(self._model.price)
            if price is None:
                raise NothingLeft(f"the price of {self.name} is unknown, so a limit in USD cannot be kept")
            left = self._picodollars - self.spent.picodollars
            if left < price.of(reads, SHORTEST_REPLY):
                raise NothingLeft(f"{show_usd(max(left, 0))} are left, too little for another call of {self.name}")
            if price.output:
                affordable = (left - price.of(reads, 0)) // price.output
                room = affordable if room is None else min(room, affordable)
        return 10**9 if room is None else room


def pause_after(error: ModelError, attempt: int) -> float:
    """Return the seconds to wait before another try after a failure, from the first attempt (0) on."""
    asked = error.retry_after or 0.0
    doubled: float = FIRST_PAUSE * 2**attempt
    return min(max(asked, doubled), LONGEST_PAUSE)
