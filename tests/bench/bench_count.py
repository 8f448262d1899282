"""The count of a text's tokens beside the length of its UTF-8, and beside a real tokenizer.

    python -m tests.bench.bench_count [--rounds 30]

Every prompt and every value is counted, so the count must cost next to nothing beside what a real tokenizer takes
(tiktoken's cl100k_base, in Rust). CPU time for 256 KB of English, Python and Chinese each, from the texts of the tests.
"""

from __future__ import annotations

import argparse

from masdsl.sizes import clip_text, counted_tokens, text_tokens
from tests.bench.measure import in_turns, table, timed
from tests.harness.counting import texts, tokenizers

BYTES = 256 * 1024


def sample(name: str) -> str:
    """Return a text of the tests again and again, up to 256 KB."""
    text = texts()[name]
    return (text * (BYTES // len(text) + 1)).encode()[:BYTES].decode(errors="ignore")


def row(name: str, rounds: int) -> list[str]:
    """Return the table's row for one text."""
    text = sample(name)
    half = text_tokens(text) // 2
    tokenizer = tokenizers()["cl100k_base"]
    count, clip, length, real = in_turns(
        rounds,
        timed(lambda: counted_tokens(text)),
        timed(lambda: clip_text(text, half)),
        timed(lambda: len(text.encode())),
        timed(lambda: tokenizer(text)),
    )
    return [
        name,
        *(f"{cost.cpu * 1000:.2f} ms" for cost in (count, clip, length, real)),
        f"{count.cpu / length.cpu:.0f}",
        f"{real.cpu / count.cpu:.0f}",
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="counting a text's tokens beside its length and a real tokenizer")
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    headings = ["256 KB of", "counted_tokens", "clip_text, half", "len(encode())", "cl100k_base", "times the length's"]
    rows = [row(name, rounds) for name in ("english", "python", "chinese")]
    print(table([*headings, "times faster than cl100k"], rows))


if __name__ == "__main__":
    main()
