"""Training of the models that design, bind and repair programs. A part of a checkout, not of the installed package.

Run its parts as `python -m training.X`; `training/README.md` lists them.
"""
