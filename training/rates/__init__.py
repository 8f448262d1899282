"""What generators emit: how often it parses, checks, keeps to the budget, runs, and answers rightly.

asking       queries with all that a generator is told of them
measuring    one query, one generator: what it wrote, and what became of that, stage by stage
rates        shares with confidence intervals, as a table; `rates_in_memory` for evaluation while a model is trained
settings     what a measurement is to do, in TOML
command      `python -m training.rates CONFIG --out DIR`, which goes on where it stopped

Nothing takes the place of a program that is none: no fallback, no second try, and machine fixes have a column of their
own. (MAS-GPT's code answers by self-consistency where its model's program fails, and counts that as the model's.)
"""
