"""Models that design, bind and repair programs: a system for a query, made, run and mended within one budget.

task        what is asked for, what was written, and what that took
guide       the language on one page, for a model
emission    how a model's words become a program, a binding or a patch that is right
roles       who writes: generator, implementer, rectifier
retrieval   systems that are near to a query
session     the three roles together: design, bind, run, repair, answer
"""
