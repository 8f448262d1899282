"""Patches under a grammar: edits of places that exist, each applied and checked before the next is written.

    M_(t+1) ~ pi_rec( . | M_t, s_t)          arXiv 2509.24323, equation 6

After every edit the patch so far is applied to the program, and what comes of it is checked like any program: an edit
that brings an error is refused. Whoever wants the patch may judge more than that (`Judge`), as a run does that has to
pay for the rest: a patch may only end where it is accepted as it is, and is cut back to such an end if nothing better
comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from masdsl.check.cursor import Cursor
from masdsl.check.modules import ModuleReader
from masdsl.check.program import Program
from masdsl.config import Config
from masdsl.decode.draft import Refused, is_fault
from masdsl.decode.edits import END, Offer, Place, is_head, joined, next_edit, rest_of, statements, subject, written_by
from masdsl.decode.pieces import PieceGrammar
from masdsl.decode.profile import USUAL, Profile
from masdsl.decode.typed import Scope
from masdsl.decode.visible import calls_allowed, visible
from masdsl.decode.write import TRIES, Growing, PieceModel, Written, grown
from masdsl.diagnostics.base import ERROR, Finding, Findings
from masdsl.patch.patching import apply_patch
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program

_HEAD: Final = "patch 1\n"


class Judgement(NamedTuple):
    """What is thought of a patch: whether it may be applied as it is, and what no further edit would mend."""

    accepted: bool
    lasting: tuple[Finding, ...] = ()


Judge = Callable[[str], Judgement]


class PatchDraft(NamedTuple):
    """A patch that is being written: `text` stands, `head` is an edit whose rest is to come, at a place with `scope`.

    `offer` is the program after the edits so far, as text in `source`; `sound` is the longest part of the patch that
    may be applied as it is. `indulged` says that the program was above its budget from the start, so that an edit that
    leaves it so is taken.
    """

    base: Source
    config: Config
    read_module: ModuleReader | None
    judge: Judge
    indulged: bool
    source: Source
    offer: Offer
    text: str = _HEAD
    edits: int = 0
    head: str = ""
    scope: Scope = Scope()
    sound: str = ""
    done: bool = False


async def write_patch(
    program: Source,
    model: PieceModel,
    config: Config,
    *,
    tiers: Sequence[str] = (),
    finished: Iterable[str] = (),
    judge: Judge | None = None,
    read_module: ModuleReader | None = None,
    profile: Profile = USUAL,
    tokens: int,
    seed: int = 0,
    tries: int = TRIES,
) -> Written:
    """Let a model write a patch for a program, in at most `tokens` tokens. The text is empty where none was accepted.

    `tiers` are those that roles may be bound to, `finished` the addresses of steps that may be done again. Raises
    Refused where the program itself has errors, ModelError as the model does.
    """
    draft = begin_patch(
        program, config, tiers=tiers, finished=finished, judge=judge, read_module=read_module, profile=profile
    )
    return await grown(PATCH, draft, model, tokens=tokens, seed=seed, tries=tries)


def begin_patch(
    program: Source,
    config: Config,
    *,
    tiers: Sequence[str] = (),
    finished: Iterable[str] = (),
    judge: Judge | None = None,
    read_module: ModuleReader | None = None,
    profile: Profile = USUAL,
) -> PatchDraft:
    """Return the draft of a patch that has no edit yet. Raises Refused where the program has errors."""
    document, checked, faults = _look(program, config, read_module)
    if document is None or checked is None:
        raise Refused(faults)
    offer = Offer(document, checked, tuple(dict.fromkeys(tiers)), frozenset(finished), profile)
    return PatchDraft(program, config, read_module, judge or _any_sound_one, bool(faults), program, offer)


def _any_sound_one(_: str) -> Judgement:
    return Judgement(True)


def _next(draft: PatchDraft) -> PieceGrammar | None:
    if draft.head:
        return rest_of(draft.head, draft.offer, draft.scope)
    more = draft.edits < draft.offer.profile.edits
    return next_edit(draft.offer, may_end=draft.edits > 0 and draft.sound == draft.text, more=more)


def _fed(draft: PatchDraft, piece: str) -> PatchDraft:
    if not draft.head and piece.strip() == END:
        if draft.sound != draft.text:
            raise Refused(())
        return draft._replace(done=True)
    if not draft.head and is_head(piece):
        started = draft._replace(head=joined(piece), scope=_scope_at(draft, piece))
        if _next(started) is None:
            raise Refused(())
        return started
    edit = draft.head + piece
    offer = draft.offer._replace(written=draft.offer.written | ({written_by(edit)} - {""}))
    return _applied(draft._replace(text=draft.text + edit, head="", edits=draft.edits + 1, offer=offer))


def _applied(draft: PatchDraft) -> PatchDraft:
    """Return the draft with the program that its edits make. Raises Refused."""
    findings = Findings()
    patched = apply_patch(Source("<patch>", draft.text), draft.base, findings)
    if patched is None:
        raise Refused(tuple(findings.sorted()))
    document, checked, faults = _look(patched.source, draft.config, draft.read_module)
    wrong = tuple([one for one in faults if one.diagnostic.severity == ERROR or not draft.indulged])
    if document is None or checked is None or wrong:
        raise Refused(wrong)
    judgement = draft.judge(draft.text)
    if judgement.lasting and not judgement.accepted:
        raise Refused(judgement.lasting)
    return draft._replace(
        source=patched.source,
        offer=draft.offer._replace(document=document, program=checked),
        sound=draft.text if judgement.accepted else draft.sound,
    )


def _look(
    source: Source, config: Config, read_module: ModuleReader | None, cursor: Cursor | None = None
) -> tuple[ast.Program | None, Program | None, tuple[Finding, ...]]:
    """Parse and check a program; return it with its faults."""
    from masdsl.pipeline import check_source

    findings = Findings()
    document = parse_program(source, Findings()).document
    program = check_source(source, config, findings, read_module, watch=cursor)
    faults = tuple([one for one in findings.sorted() if is_fault(one)])
    return (document if isinstance(document, ast.Program) else None), program, faults


def _scope_at(draft: PatchDraft, head: str) -> Scope:
    """Return what is visible where an edit with this head puts something."""
    from masdsl.bounds.flows import bound

    program = draft.offer.program
    words = head.split()
    place = next((one for one in statements(draft.offer) if one.address == words[1]), None)
    if place is None:  # an agent
        return Scope(types=tuple(one for one in program.types if not one.module and one.name))
    cursor = Cursor(place.node.span.start)
    _look(draft.source, draft.config, draft.read_module, cursor)
    flow = next(one for one in program.flows if not one.module and one.name == place.address.split(".")[0])
    most = {key: one.most.calls for key, one in bound(program, {}, {}).flows.items()}
    nested = place.address.count(".") > 1
    left = calls_allowed(program, draft.config)
    scope = visible(program, cursor, flow, most, left=left, nested=nested)
    return _behind(scope, place) if words[0] == "after" else scope


def _behind(scope: Scope, place: Place) -> Scope:
    """Return what is visible behind a statement: what it binds, too."""
    if not (isinstance(place.node, ast.Bind) and place.type):
        return scope
    name = place.node.name.text
    return scope._replace(names=(*(one for one in scope.names if one[0] != name), (name, place.type)))


def _without_head(draft: PatchDraft) -> PatchDraft:
    """Return the draft without an edit that is begun: nothing may fit there, so it is not offered again."""
    if not draft.head:
        return draft
    given_up = draft.offer.given_up | {subject(draft.head)}
    return draft._replace(head="", offer=draft.offer._replace(given_up=given_up))


PATCH: Final = Growing[PatchDraft](
    shown=lambda draft: draft.text + draft.head,
    next_piece=_next,
    fed=_fed,
    done=lambda draft: draft.done,
    closed=lambda draft: draft.sound,
    retreat=_without_head,
)
