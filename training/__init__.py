"""Training of the models that design, bind and repair programs. A part of a checkout, not of the installed package.

A room for each command (`python -m training.ROOM`), and `models`, `trainer` and `stage` for what they share;
`training/README.md` lists them.
"""
