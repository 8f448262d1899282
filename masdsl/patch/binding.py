"""Bindings: which model plays which role. A template and a binding are a program; a binding is a patch as well."""

from __future__ import annotations

from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.patches import RoleBoundTwice, RoleTaken, UnknownRole
from masdsl.diagnostics.suggest import nearest
from masdsl.patch import properties
from masdsl.patch.patching import Check, Patched, patched
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.comments import NO_NOTES
from masdsl.syntax.parse import parse_binding, parse_program


def binding_as_patch(binding: ast.Binding) -> ast.Patch:
    """Return the patch that assigns the same roles. (It would also change one that has a model; a binding may not.)"""
    return ast.Patch(binding.edition, None, tuple([ast.BindEdit(one, span=one.span) for one in binding.assignments]))


def binding_of(program: ast.Program) -> ast.Binding | None:
    """Return the binding that says which agent has which model; None where no agent has one."""
    assignments = tuple(
        [
            ast.Assignment(item.name, model)
            for item in program.items
            if isinstance(item, ast.Agent | ast.Variant) and (model := properties.get(item, "on")) is not None
        ]
    )
    return ast.Binding(1, assignments) if assignments else None


def template_of(program: ast.Program) -> ast.Program:
    """Return a program with the models of its agents taken away; `binding_of` tells them."""
    items = [
        properties.with_property(item, "on", None) if isinstance(item, ast.Agent | ast.Variant) else item
        for item in program.items
    ]
    return program.replace(items=tuple(items))


def bind(binding: Source, template: Source, findings: Findings, check: Check | None = None) -> Patched | None:
    """Return the program that a template and a binding are; None, with findings, where they do not fit.

    Every line has to name a role that the template leaves open, each once. Roles may stay open. `check` is as for
    `patching.apply_patch`.
    """
    parsed = parse_binding(binding, findings)
    program = parse_program(template, findings)
    if not (parsed.ok and program.ok):
        return None
    document = parsed.document
    assert isinstance(document, ast.Binding) and isinstance(program.document, ast.Program)
    if not _fits(document, binding, program.document, findings):
        return None
    return patched(binding_as_patch(document), binding, NO_NOTES, program, findings, check)


def _fits(binding: ast.Binding, source: Source, program: ast.Program, findings: Findings) -> bool:
    agents = {item.name.text: item for item in program.items if isinstance(item, ast.Agent | ast.Variant)}
    models = {name: properties.get(agent, "on") for name, agent in agents.items()}
    seen: dict[str, ast.Name] = {}
    fits = True
    for assignment in binding.assignments:
        role = assignment.role
        name = role.text
        if name in seen:
            findings.add(source, RoleBoundTwice(name, seen[name].span, span=role.span))
        elif name not in agents:
            open_roles = tuple([other for other, model in models.items() if model is None])
            findings.add(source, UnknownRole(name, nearest(name, open_roles), open_roles, span=role.span))
        elif models[name] is not None:
            model = models[name].text if isinstance(models[name], ast.Name) else models[name].value
            findings.add(source, RoleTaken(name, model, span=role.span))
        else:
            seen[name] = role
            continue
        seen.setdefault(name, role)
        fits = False
    return fits
