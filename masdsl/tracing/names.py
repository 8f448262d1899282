"""Names of spans and attributes: OpenTelemetry's for generative AI, and ours, which begin with `mas.`.

Source: OpenTelemetry semantic conventions, generative AI (status: development), agent, client and tool spans. The names
are written down here because the package that has them as constants may change them with any release.
"""

from __future__ import annotations

from typing import Final

WORKFLOW: Final = "invoke_workflow"
AGENT: Final = "invoke_agent"
CHAT: Final = "chat"
TOOL: Final = "execute_tool"

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_DESCRIPTION: Final = "gen_ai.agent.description"
CONVERSATION: Final = "gen_ai.conversation.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_SEED: Final = "gen_ai.request.seed"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
ERROR_TYPE: Final = "error.type"

# Contents, which are left out unless they are asked for.
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"

RUN: Final = "mas.run.id"
STATUS: Final = "mas.run.status"
PROGRAM: Final = "mas.program"
STEP: Final = "mas.step"
SOURCE: Final = "mas.source"
"""Where the step stands: `file.mas:12`."""
ATTEMPT: Final = "mas.attempt"
VALUE: Final = "mas.value"
TAKEN: Final = "mas.taken_from"
"""Where a step has its value from without having been taken: `journal`."""
USD: Final = "mas.usd"
PATCHES: Final = "mas.patches"
BY: Final = "mas.by"
"""Who plays the role of a meta-agent: a model, or rules."""
BATCH: Final = "mas.batch.id"
RUNS: Final = "mas.batch.runs"
ENGINE: Final = "mas.batch.engine"


def bound(measure: str) -> str:
    """Return the attribute for a worst case that was proved before the run, in calls, tokens, usd or seconds."""
    return f"mas.bound.{measure}"


def spent(measure: str) -> str:
    """Return the attribute for what the ledger counted, in calls, input_tokens, output_tokens, tokens or usd."""
    return f"mas.spent.{measure}"


def spending(calls: int, tokens_in: int, tokens_out: int, usd: float) -> dict[str, float]:
    """Return what the ledger counted, as attributes."""
    counted = {"calls": calls, "input_tokens": tokens_in, "output_tokens": tokens_out, "usd": usd}
    return {spent(measure): amount for measure, amount in counted.items()}
