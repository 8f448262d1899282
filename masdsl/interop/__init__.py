"""Programs for other frameworks: LangGraph's Python, and Open Agent Specification in both directions (docs/interop.md).

What another framework cannot say is refused where it stands (MAS970), never left out: an exported program gives, for
the same replies, what the program gives here. None of the frameworks is needed to export or to import.
"""
