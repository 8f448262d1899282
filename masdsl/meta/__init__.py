"""Models that design, bind and repair programs: a system for a query, made, run and mended within one budget.

task        what is asked for, what was written, and what that took
host        what systems stand on here, and whether one fits a task
guide       the language on one page, for a model
emission    how a model's words become a program, a binding or a patch that is right (extract, fitting, purse)
systems     programs as templates, under the signature of a task
fallback    the simplest systems, and when one of them is run in place of a designed one
retrieval   systems that are near to a query, by words or by meaning (embedding)
roles       who writes: generator, implementer, rectifier (team: who that is here; prompting: what they are told)
session     the three roles together: design, bind, run, repair, answer (design, ledger, outcome)
records     what a journal keeps of it, and what is learned from that (recording)
library     modules of the user's own, with records of how they proved themselves (promotion, evaluation, storage)
immunity    rules that repairs teach (places, rulebook); learned: what a session takes from the library, and gives back
queries     from a query to a session, begun, resumed or shown again; binding: a binding by itself
"""
