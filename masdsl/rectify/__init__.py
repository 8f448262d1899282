"""Runs that are repaired while they run: when something goes wrong, a rectifier may patch the program.

base            what a rectifier is, what triggers it, what comes of it
state           what it is shown
rules           the one that is built in
checks          whether its patch may be applied: capabilities, influence, remaining
durable         the run itself: steps, trouble, patch, and on from where it stood
"""

from __future__ import annotations

from masdsl.rectify.base import Cause, Intervention, Proposal, Rectifier, Trigger
from masdsl.rectify.rules import RuleRectifier
from masdsl.rectify.state import State

__all__ = ["Cause", "Intervention", "Proposal", "Rectifier", "RuleRectifier", "State", "Trigger"]
