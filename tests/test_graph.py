"""Pictures of programs: what is in them, that every format is well formed whatever a text may be, and how they look.

The golden files in `data/graph` are rewritten by `pytest tests/test_graph.py --update`; read the difference.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl import pipeline
from masdsl.check.program import Flow, Program
from masdsl.check.uses import invokes, statements_of
from masdsl.cli import main
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.graph import dot, mermaid, model, svg
from masdsl.graph.blocks import working
from masdsl.graph.data import SCHEMA, as_data
from masdsl.graph.difference import difference
from masdsl.graph.layers import isotonic
from masdsl.graph.links import is_template, link_to
from masdsl.graph.make import NoFlow
from masdsl.graph.model import Cluster, Edge, Graph, Place, Vertex
from masdsl.graph.overlay import overlay
from masdsl.graph.sketch import TooLarge
from masdsl.graph.words import lines_of
from masdsl.journal.base import Row
from masdsl.source import Source
from tests.harness import mermaid as own_parser
from tests.harness.generate import program as generated
from tests.harness.programs import granted, write

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "data" / "graph"
PROGRAMS = sorted((*(ROOT / "examples").rglob("*.mas"), *(ROOT / "stdlib").glob("*.mas")))
LINK = "{file}#L{line}"
CONFIG = DEFAULT._replace(tools=granted("look", "send"))

try:
    import fast_sugiyama  # noqa: F401

    has_layout = True
except ModuleNotFoundError:
    has_layout = False
needs_layout = pytest.mark.skipif(not has_layout, reason="fast-sugiyama is not here: pip install -e '.[graph]'")


def checked(path: Path) -> pipeline.Checked:
    findings = Findings()
    done = pipeline.check_file(str(path), findings)
    assert done.program is not None, [one.diagnostic.title() for one in findings.sorted()]
    return done


def drawn(path: Path, flow: str | None = None, depth: int | None = None) -> Graph:
    found = pipeline.graph(checked(path), flow, depth)
    assert found is not None
    return found


def of_text(folder: Path, text: str, depth: int | None = None, config: str = "") -> Graph:
    return drawn(write(folder, text, config=config), depth=depth)


# ---------------------------------------------------------------- what is in a picture


def steps_of(program: Program, flow: Flow, address: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield every step of a run of a flow, by its address, unfolded so deep; and the steps that stand for flows."""
    by_key = {one.key: one for one in program.flows}
    works = working(program)
    for node in statements_of(flow.body):
        value = getattr(node, "value", None)
        for step in () if value is None else invokes(value):
            here = address + step.path[len(flow.name) :]
            yield here, step.kind
            if step.kind == "flow" and depth > 0 and step.callee in works:
                yield from steps_of(program, by_key[step.callee], here, depth - 1)


def assert_every_step_once(program: Program, picture: Graph, depth: int) -> None:
    entries = [cluster.id for cluster in picture.clusters if cluster.kind == model.RUN]
    wanted = Counter(
        address
        for flow in program.flows
        if flow.key in entries
        for address, _ in steps_of(program, flow, flow.key, depth)
    )
    found = Counter(vertex.id for vertex in picture.vertices if vertex.kind in model.STEPS)
    found += Counter(cluster.id for cluster in picture.clusters if cluster.kind == model.CALLED)
    assert found == wanted
    assert set(wanted.values()) <= {1}


def assert_is_whole(picture: Graph) -> None:
    """Every part is inside one that is there, and every edge has two ends."""
    clusters = {cluster.id for cluster in picture.clusters}
    ids = [vertex.id for vertex in picture.vertices]
    assert len(set(ids)) == len(ids) and not clusters & set(ids)
    assert all(vertex.cluster in clusters for vertex in picture.vertices)
    assert all(cluster.parent in clusters or cluster.kind == model.RUN for cluster in picture.clusters)
    assert all({edge.source, edge.target} <= clusters | set(ids) for edge in picture.edges)
    keys = [(edge.source, edge.target, edge.kind) for edge in picture.edges]
    assert len(set(keys)) == len(keys)


def assert_no_part_is_dearer_than_what_is_around_it(picture: Graph) -> None:
    costs = {cluster.id: cluster.cost for cluster in picture.clusters}
    parts = [(one.id, one.cost, one.cluster) for one in picture.vertices]
    parts += [(one.id, one.cost, one.parent) for one in picture.clusters]
    for name, cost, around in parts:
        limit = costs.get(around)
        if cost is not None and limit is not None:
            assert all(own <= most for own, most in zip(cost, limit, strict=True)), (name, cost, around, limit)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_every_program_has_a_picture_with_each_of_its_steps_once(path: Path) -> None:
    done = checked(path)
    assert done.program is not None
    if not any(not flow.module for flow in done.program.flows):
        with pytest.raises(NoFlow):
            pipeline.graph(done)
        return
    for depth in (0, 8):
        picture = pipeline.graph(done, None, depth)
        assert picture is not None
        assert_every_step_once(done.program, picture, depth)
        assert_is_whole(picture)
        assert_no_part_is_dearer_than_what_is_around_it(picture)
        jsonschema.validate(as_data(picture), SCHEMA)
    picture = drawn(path)
    assert_dot_is_well_formed(dot.render(picture, LINK), picture)
    assert_mermaid_is_well_formed(mermaid.render(picture, LINK), picture)
    if has_layout:
        assert_svg_is_harmless(svg.render(picture, LINK), picture)


@given(st.integers(0, 10_000), st.integers(1, 14))
@settings(max_examples=12, deadline=None)
def test_random_programs_have_pictures_with_each_of_their_steps_once(seed: int, size: int) -> None:
    source = Source("random.mas", generated(Random(seed), size))
    program = pipeline.check_source(source, CONFIG, Findings())
    assert program is not None
    picture = pipeline.graph(pipeline.Checked(source, program, CONFIG), None, 8)
    assert picture is not None
    assert_every_step_once(program, picture, 8)
    assert_is_whole(picture)
    if has_layout:
        assert_svg_is_harmless(svg.render(picture, LINK), picture)


FLOWING = """mas 1

agent writer(topic, advice = "") -> text(50) on fast retry 1 "Write {{ topic }} {{ advice }}"
agent critic(draft) -> bool on fast "Is this good? {{ draft }}"

flow main(topic, long: bool) -> text(50) {
  title = upper(topic)
  one = writer(title)
  two = writer(topic) else writer(one) else "nothing"
  if long {
    best = writer(one, two)
  } else {
    best = two
  }
  refine: loop 3 {
    good = critic(best)
    until good
    best = writer(topic, best)
  }
  drafts = 3 of writer(best)
  shorter = each draft in drafts where len(draft) > 3: writer(draft)
  return first(shorter) else best
}
"""


def test_values_are_followed_through_names_branches_and_loops(tmp_path: Path) -> None:
    picture = of_text(tmp_path, FLOWING)
    edges = {(edge.source, edge.target): edge for edge in picture.edges}
    assert edges["main(topic)", "main.one"].names == ("title",)
    assert edges["main.two", "main.two.else"].kind == model.OTHERWISE
    assert edges["main(long)", "main.if?"].names == ("long",)
    assert edges["main.if?", "main.if.best"].kind == model.DECIDES
    assert {source for source, target in edges if target == "main.refine.good"} == {
        *("main.if.best", "main.if/else=", "main.refine.best"),
    }
    assert edges["main.refine.best", "main.refine.good"].back
    assert not edges["main.if.best", "main.refine.good"].back
    assert edges["main.refine.best", "main.refine.best"].back
    assert ("main.refine.good", "main.refine.until") in edges
    assert {source for source, target in edges if target == "main.drafts"} >= {"main.refine.best", "main.if.best"}
    assert edges["main.drafts", "main.shorter"].names == ("draft",)
    assert edges["main.drafts", "main.shorter"].tokens == 100
    vertices = {vertex.id: vertex for vertex in picture.vertices}
    assert vertices["main.drafts"].repeat == "3 of" and vertices["main.drafts"].times == 3
    assert vertices["main.shorter"].repeat == "each draft in drafts" and vertices["main.shorter"].times == 3
    assert vertices["main.two.else"].notes == ("retry 1", 'else "nothing"')
    assert [vertices[name].wave for name in ("main.one", "main.two", "main.if.best")] == [0, 0, 2]


def test_worst_cases_are_those_of_the_bounds(tmp_path: Path) -> None:
    path = write(tmp_path, FLOWING)
    done = checked(path)
    report = pipeline.cost_report(done)
    picture = pipeline.graph(done)
    assert report is not None and picture is not None and picture.cost is not None
    most = report["flows"][0]["most"]
    assert (picture.cost.calls, picture.cost.tokens) == (most["calls"], most["tokens"])
    parts = {part["path"]: part["most"]["tokens"] for part in report["flows"][0]["parts"]}
    drawn: list[Vertex | Cluster] = [*picture.vertices, *picture.clusters]
    shown = {part.id: part.cost.tokens for part in drawn if part.cost is not None}
    assert shown["main.refine"] == parts["main.refine"]
    assert shown["main.one"] == parts["main.one"]
    for vertex in picture.vertices:
        assert vertex.cost is None or vertex.cost.calls <= most["calls"]


CARRIED = """mas 1

agent writer(topic) -> text(50) "Write {{ topic }}"

flow main(topic, long: bool) -> text(50) {
  best = writer(topic)
  more: loop 3 {
    if long {
      best = writer(best)
    } else {
      best = writer("short " + best)
    }
  }
  return best
}
"""


def test_a_name_that_several_steps_give_a_loop_is_a_part_of_its_own(tmp_path: Path) -> None:
    picture = of_text(tmp_path, CARRIED)
    (carried,) = [vertex for vertex in picture.vertices if vertex.kind == model.CARRY]
    both = {"main.more.if.best", "main.more.if.else.best"}
    assert {edge.source for edge in picture.edges if edge.target == carried.id} == both
    assert {edge.target for edge in picture.edges if edge.source == carried.id and edge.back} == both
    assert {edge.target for edge in picture.edges if edge.source == carried.id and not edge.back} == {"main()"}


def test_of_a_long_list_the_name_of_the_step_is_kept(tmp_path: Path) -> None:
    text = """mas 1
agent critic(by: text(90)) -> text(20) "As {{ by }}"
flow main() -> text(20)[3] {
  opinions = each by in ["an experienced poet", "a strict editor", "a reader"]: critic(by)
  return opinions
}
"""
    picture = of_text(tmp_path, text)
    (step,) = (one for one in picture.vertices if one.kind == model.AGENT)
    first = lines_of(step)[0]
    assert first.startswith("each by in [") and first.endswith("..: opinions")


def test_a_value_that_is_made_of_much_is_a_part_of_its_own() -> None:
    picture = drawn(ROOT / "examples" / "debate" / "debate.mas")
    (made,) = [vertex for vertex in picture.vertices if vertex.kind == model.VALUE]
    assert made.text.startswith("transcript += [Turn(")
    turns = {"main.rounds.pro", "main.rounds.con"}
    assert {edge.source for edge in picture.edges if edge.target == made.id} == {*turns, made.id}
    assert {edge.target for edge in picture.edges if edge.source == made.id and edge.back} == {*turns, made.id}


def test_labels_of_trust_are_on_steps_and_on_what_they_give() -> None:
    picture = drawn(GOLDEN / "trust.mas")
    vertices = {vertex.id: vertex for vertex in picture.vertices}
    summary, note = vertices["main.summary"].trust, vertices["main.note"].trust
    assert summary is not None and "untrusted" in summary.gives
    assert note is not None and "secret:salaries" in note.gives
    assert vertices["main.sent"].trust is not None and vertices["main.sent"].trust.takes == "model"
    taints = {(edge.source, edge.target): edge.taints for edge in picture.edges}
    assert "untrusted" in taints["main.page", "main.summary"]
    assert taints["main(url)", "main.page"] == ()
    assert ("main.summary", "main.summary.fetch") in taints


def test_a_picture_that_would_be_too_large_is_refused(tmp_path: Path) -> None:
    flows = ['agent a(x) -> text(9) "{{ x }}"', "flow f0(x) -> text(9) {\n  y = a(x)\n  return a(y)\n}"]
    for number in range(1, 14):
        inner = f"f{number - 1}"
        flows.append(f"flow f{number}(x) -> text(9) {{\n  y = {inner}(x)\n  return {inner}(y)\n}}")
    path = write(tmp_path, "mas 1\n\n" + "\n\n".join(flows) + "\n")
    with pytest.raises(TooLarge):
        drawn(path, depth=14)
    assert drawn(path).folded


def test_five_hundred_steps_have_a_picture(tmp_path: Path) -> None:
    lines = [
        "mas 1",
        'agent a(x: text(9), y: text(9)) -> text(9) "{{ x }} {{ y }}"',
        "flow main(x: text(9)) -> text(9) {",
    ]
    lines += [f"  s{number} = a(x, {f's{number - 1}' if number else 'x'})" for number in range(500)]
    picture = of_text(tmp_path, "\n".join([*lines, "  return s499", "}", ""]))
    assert sum(vertex.kind == model.AGENT for vertex in picture.vertices) == 500
    if has_layout:
        text = svg.render(picture, "")
        assert len(text) < 2_000_000
        width = re.search(r'viewBox="0 0 ([\d.]+)', text)
        assert width is not None and float(width[1]) < 1_000  # a chain stays narrow


# ---------------------------------------------------------------- formats

_LABEL = r'"(?:[^"#<>`&\[\]{}|]|#\d+;|<br>)*"'
_MERMAID = re.compile(
    "|".join(
        (
            r"flowchart TB",
            r"  %% [^{}%]*",
            rf" +subgraph c\d+\[{_LABEL}\]",
            r" +end",
            rf" +n\d+(\(|\[/|\[\[|\{{|\{{\{{|\(\[|\[){_LABEL}(\)|/\]|\]\]|\}}|\}}\}}|\]\)|\])",
            rf"  [nc]\d+ (-->|-\.->|==>)(\|{_LABEL}\|)? [nc]\d+",
            r"  linkStyle \d+ [\w:,#. -]+",
            r"  classDef k\d+ [\w:,#. -]+",
            r"  class [n\d,]+ k\d+",
            r'  click n\d+ href "[\w./~:?#&=%+@,-]*"',
        )
    )
)


def assert_mermaid_is_well_formed(text: str, picture: Graph) -> None:
    lines = text.removesuffix("\n").split("\n")
    for line in lines:
        assert _MERMAID.fullmatch(line), line
    assert sum(bool(re.match(r" +n\d+[(\[{]", line)) for line in lines) == len(picture.vertices)
    assert sum(bool(re.match(r"  [nc]\d+ (-->|-\.->|==>)", line)) for line in lines) == len(picture.edges)
    opened = sum(line.lstrip().startswith("subgraph ") for line in lines)
    assert opened == sum(line.strip() == "end" for line in lines) == len(picture.clusters)


def assert_dot_is_well_formed(text: str, picture: Graph) -> None:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)  # what is outside of strings
    assert '"' not in bare.replace('""', "")
    assert bare.count("{") == bare.count("}") == len(picture.clusters) + 1
    assert len(re.findall(r"^ *n\d+ \[", bare, re.MULTILINE)) == len(picture.vertices)
    assert bare.count("->") == len(picture.edges)


_ELEMENTS = {"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "g", "a", "polygon"}
_ATTRIBUTES = {
    *("class", "viewBox", "width", "height", "role", "aria-labelledby", "id", "refX", "refY", "markerWidth"),
    *("markerHeight", "markerUnits", "orient", "d", "x", "y", "rx", "transform", "points", "href", "marker-end"),
    "marker-start",
}


def assert_svg_is_harmless(text: str, picture: Graph) -> ElementTree.Element:
    """The document is XML of nothing but known parts, its addresses lead to lines, and every vertex says what it is."""
    root = ElementTree.fromstring(text)
    for element in root.iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in _ELEMENTS
        assert set(element.attrib) <= _ATTRIBUTES, element.attrib
        assert re.fullmatch(r"[\w./~?#&=%+@,-]*", element.get("href", "")), element.get("href")
    space = "{http://www.w3.org/2000/svg}"
    nodes = [
        one
        for one in root.iter(f"{space}g")
        if one.get("class", "").startswith("node ") and one.find(f"{space}title") is not None
    ]
    assert len(nodes) == len(picture.vertices)
    assert root.find(f"{space}title") is not None and root.find(f"{space}desc") is not None
    assert "<script" not in text.lower() and "url(http" not in text
    return root


HOSTILE = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        (
            '"]; click n0 call alert(1)',
            "</text><script>alert(1)</script>",
            '" onload="alert(1)',
            "end\nsubgraph x",
            "`**bold**` #quot; #35; %%{init: {}}%%",
            'a" ] ; n1 -> n2 [ label="',
            "\\",
            '\\"',
            "<b>html</b>",
            "]]>",
            "\x00\x1b[31m\u202e\ud800\ufffe",
            "javascript:alert(1)",
            "--> n0 ==> |x| {{y}}",
        )
    ),
)


@st.composite
def hostile_graphs(draw: st.DrawFn) -> Graph:
    place = Place(draw(HOSTILE), 3, 1)
    steps = (model.INPUT, model.RESULT, model.AGENT, model.TOOL, model.FLOW, model.LENT, model.CHOICE, model.UNTIL)
    kinds = (*steps, model.VALUE, model.CARRY, model.LEAVE)
    vertices = tuple(
        Vertex(
            *(f"v{number}", draw(st.sampled_from(kinds)), draw(HOSTILE), draw(HOSTILE), "c", place, draw(HOSTILE)),
            repeat=draw(HOSTILE),
            tier=draw(HOSTILE),
            model=draw(HOSTILE),
            about=draw(HOSTILE),
            notes=(draw(HOSTILE),),
            declared=draw(HOSTILE),
            was=(draw(HOSTILE),),
            ran=model.Ran(1, failed=1, reason=draw(HOSTILE)),
        )
        for number in range(draw(st.integers(1, 4)))
    )
    edges = tuple(
        Edge(one.id, other.id, draw(st.sampled_from((model.DATA, model.DECIDES))), (draw(HOSTILE),), 3)
        for one in vertices
        for other in vertices
        if draw(st.booleans())
    )
    cluster = Cluster("c", model.RUN, draw(HOSTILE), "", place, was=(draw(HOSTILE),))
    return Graph(draw(HOSTILE), vertices, (cluster,), edges, headline=(draw(HOSTILE),))


@given(hostile_graphs())
@settings(max_examples=15, deadline=None)
def test_no_text_leaves_its_place_in_any_format(picture: Graph) -> None:
    assert_mermaid_is_well_formed(mermaid.render(picture, LINK), picture)
    assert_dot_is_well_formed(dot.render(picture, LINK), picture)
    json.dumps(as_data(picture))
    if has_layout:
        assert_svg_is_harmless(svg.render(picture, LINK), picture)


@given(st.text(max_size=60))
def test_an_address_stays_one_whatever_a_file_is_called(name: str) -> None:
    address = link_to(LINK, Place(name.encode("utf-8", "replace").decode(), 7, 1))
    assert re.fullmatch(r"[\w./~?#&=%+@,-]*#L7", address)
    assert not address.startswith("//")


@pytest.mark.parametrize(
    ("template", "fits"),
    [
        ("{file}#L{line}", True),
        ("https://host/x/{file}#L{line}", True),
        ("vscode://file/{file}:{line}:{column}", True),
        ("javascript:alert(1)", False),
        ("data:text/html,{file}", False),
        ("", True),
    ],
)
def test_templates_of_addresses_lead_to_texts_only(template: str, fits: bool) -> None:
    assert is_template(template) is fits


@pytest.mark.filterwarnings("ignore")  # pydot's own
def test_dot_is_read_by_a_parser_that_is_not_ours() -> None:
    pydot = pytest.importorskip("pydot", reason="pydot is not here: pip install -e '.[dev]'")
    for name in ("debate/debate.mas", "pool/lats.mas", "pool/mdagents.mas"):
        picture = drawn(ROOT / "examples" / name)
        (read,) = pydot.graph_from_dot_data(dot.render(picture, LINK))
        assert len(read.get_edges()) == len(picture.edges)


@pytest.fixture(scope="session")
def parser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of Mermaid's own parser, kept in pytest's cache."""
    name = f"mermaid-{own_parser.MERMAID}"
    cache = getattr(request.config, "cache", None)
    folder = tmp_path_factory.mktemp(name) if cache is None else cache.mkdir(name)
    try:
        own_parser.install(folder)
    except own_parser.NotHere as why:
        pytest.skip(str(why))
    return folder


def test_mermaid_is_read_by_its_own_parser(tmp_path: Path, parser: Path) -> None:
    hostile = 'mas 1\n\nflow main(x) -> text {\n  if x == "%%{init}%% \\"end\\" [](){}<b>;`#35;|-->" { return "@{}" }\n'
    pictures = {path.stem: drawn(path) for path in PROGRAMS[::6] if path.stem not in ("math", "text")}
    pictures["hostile"] = of_text(tmp_path, f"{hostile}  return x\n}}\n")
    (tmp_path / "run").mkdir()
    pictures["run"] = overlay(of_text(tmp_path / "run", PATCHED), [row(1, "failed", "main.code", reason='"]--> ;')])
    files = []
    for name, picture in pictures.items():
        files.append(tmp_path / f"{name}.mmd")
        files[-1].write_text(mermaid.render(picture, LINK), encoding="utf-8")
    files.append(tmp_path / "wrong.mmd")
    files[-1].write_text('flowchart TB\n  a["x" --> b\n')
    *told, wrong = own_parser.parsed(parser, files)
    assert "Parse error" in wrong["error"]
    for (name, picture), found in zip(pictures.items(), told, strict=True):
        counts = {"vertices": len(picture.vertices), "edges": len(picture.edges), "groups": len(picture.clusters)}
        assert found == counts, name


# ---------------------------------------------------------------- golden files

CASES = {
    "hello": ROOT / "examples" / "hello" / "hello.mas",
    "debate": ROOT / "examples" / "debate" / "debate.mas",
    "lats": ROOT / "examples" / "pool" / "lats.mas",
    "trust": GOLDEN / "trust.mas",
}


@pytest.mark.parametrize("name", CASES)
def test_pictures_are_as_they_were(name: str, request: pytest.FixtureRequest) -> None:
    picture = drawn(CASES[name])
    root = f"{CASES[name].parent}/"
    for ending, text in {
        "mmd": mermaid.render(picture),
        "dot": dot.render(picture).replace(root, ""),
        "json": (json.dumps(as_data(picture), indent=1) + "\n").replace(root, ""),
    }.items():
        golden = GOLDEN / f"{name}.{ending}"
        if request.config.getoption("--update"):
            golden.write_text(text, encoding="utf-8")
        assert golden.read_text(encoding="utf-8") == text, (
            "pytest tests/test_graph.py --update, and read the difference"
        )


# ---------------------------------------------------------------- layout


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.1, 10)), min_size=1, max_size=12))
def test_isotonic_regression_is_in_order_and_keeps_what_is(pairs: list[tuple[float, float]]) -> None:
    wanted, weights = [one for one, _ in pairs], [weight for _, weight in pairs]
    found = isotonic(wanted, weights)
    assert all(one <= other + 1e-9 for one, other in pairwise(found))
    assert isotonic(found, weights) == pytest.approx(found)
    assert sum(weights) * 0 + sum(w * x for w, x in zip(weights, found, strict=True)) == pytest.approx(
        sum(w * x for w, x in zip(weights, wanted, strict=True)), abs=1e-6
    )
    if sorted(wanted) == wanted:
        assert found == pytest.approx(wanted)


@needs_layout
@pytest.mark.parametrize(
    "path", [one for one in PROGRAMS if one.stem not in ("math", "text")][::5], ids=lambda one: one.stem
)
def test_boxes_do_not_overlap_and_are_inside_of_their_groups(path: Path) -> None:
    picture = drawn(path)
    texts = {vertex.id: svg._texts(vertex) for vertex in picture.vertices}
    layout = svg._laid_out(picture, texts)
    parents = {vertex.id: vertex.cluster for vertex in picture.vertices}
    parents |= {cluster.id: cluster.parent for cluster in picture.clusters}
    for name, box in layout.boxes.items():
        around = layout.boxes.get(parents[name])
        if around is not None:
            assert around.x <= box.x and box.x + box.width <= around.x + around.width + 0.01, name
            assert around.y <= box.y and box.y + box.height <= around.y + around.height + 0.01, name
        for other, beside in layout.boxes.items():
            if other > name and parents[other] == parents[name]:
                apart = (
                    box.x + box.width <= beside.x + 0.01
                    or beside.x + beside.width <= box.x + 0.01
                    or box.y + box.height <= beside.y + 0.01
                    or beside.y + beside.height <= box.y + 0.01
                )
                assert apart, (name, other)


# ---------------------------------------------------------------- changes and runs


@pytest.mark.parametrize(
    "path", [one for one in PROGRAMS if one.stem not in ("math", "text")][::9], ids=lambda path: path.stem
)
def test_a_picture_differs_in_nothing_from_itself(path: Path) -> None:
    picture = drawn(path)
    assert difference(picture, picture) == picture


@given(st.integers(0, 500), st.integers(0, 500))
@settings(max_examples=8, deadline=None)
def test_a_difference_has_both_pictures_and_says_of_each_part_whose_it_is(one: int, two: int) -> None:
    pictures = []
    for seed in (one, two):
        source = Source("random.mas", generated(Random(seed), 6))
        program = pipeline.check_source(source, CONFIG, Findings())
        assert program is not None
        pictures.append(pipeline.graph(pipeline.Checked(source, program, CONFIG), None, 2))
    before, after = pictures
    assert before is not None and after is not None
    both = difference(before, after)
    assert_is_whole(both)
    kept = [part.id for part in both.vertices if part.state != model.DROPPED]
    assert kept == [part.id for part in after.vertices]
    assert len([part for part in both.vertices if part.state != model.ADDED]) == len(before.vertices)


PATCHED = """mas 1

agent coder(spec, notes = "") -> text(90) "Write {{ spec }} {{ notes }}"
agent reviewer(code: text(90)) -> bool on fast "Is {{ code }} good?"

flow main(spec) -> text(90) {
  code = coder(spec)
  title = coder(spec)
  refine: loop 3 {
    good = reviewer(code)
    until good
    code = coder(spec, title)
  }
  return code
}
"""
PATCH = """patch 1
bind coder = fast
set main.refine.times = 2
add agent check(code: text(90)) -> bool else true on fast
  "Does {{ code }} run?"
after main.refine.code {
  runs = check(code)
  until runs
}
rename main.refine = polish
rename main.title = heading
"""


def test_a_patch_is_seen_before_and_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, PATCHED)
    (tmp_path / "p.mas").write_text(PATCH)
    assert main(["graph", str(path), "--patch", str(tmp_path / "p.mas"), "--as", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    jsonschema.validate(data, SCHEMA)
    states = {one["id"]: one.get("state", "") for one in (*data["vertices"], *data["clusters"])}
    assert states["main.code"] == model.CHANGED and states["main.polish"] == model.CHANGED
    assert states["main.polish.runs"] == model.ADDED and states["main.polish.good"] == ""
    assert states["main.heading"] == model.CHANGED
    assert model.DROPPED not in states.values()
    was = {one["id"]: one.get("was") for one in data["vertices"]}
    assert was["main.code"] == ["default: smollm2"]
    assert any(line.startswith("calls <= ") and "->" in line for line in data["headline"])
    (tmp_path / "r.mas").write_text("patch 1\nreplace main.return {\n  return title\n}\n")
    if has_layout:  # only a line is dropped: the legend says what that one means
        assert main(["graph", str(path), "--patch", str(tmp_path / "r.mas"), "--as", "svg"]) == 0
        assert ">dropped by a patch<" in capsys.readouterr().out
    (tmp_path / "q.mas").write_text("patch 1\ndrop main.refine\n")
    assert main(["graph", str(path), "--patch", str(tmp_path / "q.mas"), "--as", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    gone = {one["id"] for one in (*data["vertices"], *data["clusters"]) if one.get("state") == model.DROPPED}
    assert {"main.refine", "main.refine.good", "main.refine.until", "main.refine.code"} <= gone


def row(seq: int, kind: str, path: str, indices: tuple[int, ...] = (), part: int = 0, **body: object) -> Row:
    return Row(seq, kind, path, indices, part, b"", b"", body, 0.0)


PAID: dict[str, Any] = {"tokens_in": 10, "tokens_out": 2, "picodollars": 5, "seconds": 0.5}


def test_a_run_is_told_step_by_step(tmp_path: Path) -> None:
    rows = [
        row(1, "intent", "main.code", **PAID),
        row(2, "fault", "main.code", detail="it is busy", **PAID),
        row(3, "intent", "main.code", part=1, **PAID),
        row(4, "reply", "main.code", part=1, value="x", **PAID),
        row(5, "reply", "main.refine.good", (0,), value=False, **PAID),
        row(6, "reply", "main.refine.good", (1,), value=False, **PAID),
        row(7, "fault", "main.refine.code", (0,), detail="no", **PAID),
        row(8, "failed", "main.refine.code", (0,), reason="it will not"),
        row(9, "intent", "main.refine.code", (1,), **PAID),
    ]
    picture = overlay(of_text(tmp_path, PATCHED), rows, ["a run"])
    ran = {vertex.id: vertex.ran for vertex in picture.vertices}
    code, good, again = ran["main.code"], ran["main.refine.good"], ran["main.refine.code"]
    assert code is not None and (code.times, code.calls, code.tokens, code.faults, code.retries) == (1, 2, 24, 1, 1)
    assert good is not None and (good.times, good.values) == (2, 2)
    assert again is not None and (again.failed, again.running, again.reason) == (1, 1, "it will not")
    assert ran["main.title"] == model.Ran()
    assert ran["main(spec)"] is None
    loop = next(cluster.ran for cluster in picture.clusters if cluster.id == "main.refine")
    assert loop is not None and loop.times == 2 and loop.calls == 3
    assert "not reached" in mermaid.render(picture)
    jsonschema.validate(as_data(picture), SCHEMA)


def test_what_happens_below_a_folded_step_counts_for_it() -> None:
    from masdsl.graph.overlay import ran_by_path

    rows = [row(1, "reply", "main.a.b", value=1, **PAID), row(2, "reply", "main.a.c", value=1, **PAID)]
    assert ran_by_path(rows, ["main.a"])["main.a"].calls == 2
    assert ran_by_path(rows, ["main.z"]) == {}


# ---------------------------------------------------------------- the command


def test_the_ending_says_the_format_and_links_can_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, PATCHED)
    monkeypatch.chdir(tmp_path)
    assert main(["graph", "program.mas"]) == 0
    assert 'click n0 href "program.mas#L6"' in capsys.readouterr().out
    assert main(["graph", "program.mas", "--link", "", "-o", "x.dot"]) == 0
    assert "URL=" not in (tmp_path / "x.dot").read_text()
    assert main(["graph", "program.mas", "-o", "x.json"]) == 0
    assert json.loads((tmp_path / "x.json").read_text())["version"] == 1
    if has_layout:
        assert main(["graph", "program.mas", "-o", "x.svg"]) == 0
        assert 'href="program.mas#L7"' in (tmp_path / "x.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "nothing to draw"),
        (["none.mas"], 2, "none.mas"),
        (["program.mas", "--flow", "x"], 2, "there are `main`"),
        (["program.mas", "--depth", "-1"], 2, "no depth"),
        (["program.mas", "--link", "javascript:x"], 2, "no template"),
        (["program.mas", "--run", "x", "--patch", "y"], 2, "two pictures"),
        (["program.mas", "--run", "nobody"], 2, "nobody"),
        (["wrong.mas"], 1, "MAS018"),
        (["types.mas"], 2, "no flow that could be drawn"),
        (["program.mas", "--patch", "wrong.mas"], 1, "error"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(
        tmp_path,
        PATCHED,
        files={"wrong.mas": "mas 1\nflow main( -> text {\n", "types.mas": "mas 1\n\ntype A = b | c\n"},
    )
    monkeypatch.chdir(tmp_path)
    assert main(["graph", *arguments]) == code
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


def test_a_kept_run_that_was_patched_is_drawn_with_what_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """mas 1

rectify tries 1
budget calls 9

agent coder(spec) -> text(90) on fast "Write {{ spec }}"
agent critic(code: text(90)) -> text(90) on fast "Criticise {{ code }}"

flow main(spec) -> text(90) {
  code = coder(spec)
  note = critic(code)
  return code + note
}
"""
    config = '[tiers]\nfast = "one"\nsmart = "two"\n[models.one]\nkind = "scripted"\npath = "one.toml"\n'
    config += '[models.two]\nkind = "scripted"\npath = "two.toml"\n'
    write(tmp_path, text, config=config)
    (tmp_path / "one.toml").write_text('[replies]\ncoder = "x"\ncritic = { "$fails" = "refused" }\n')
    (tmp_path / "two.toml").write_text('[replies]\ncritic = "good"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASDSL_STATE", str(tmp_path / "state"))
    assert main(["run", "program.mas", "spec=s"]) == 0
    capsys.readouterr()
    assert main(["runs", "--json"]) == 0
    (kept,) = json.loads(capsys.readouterr().out)
    assert main(["graph", "--run", kept["id"], "--as", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    vertices = {one["id"]: one for one in data["vertices"]}
    assert vertices["main.note"]["state"] == model.CHANGED
    assert vertices["main.note"]["ran"]["faults"] >= 1 and vertices["main.note"]["ran"]["values"] == 1
    assert vertices["main.code"]["ran"]["calls"] == 1
    assert any("patched 1 time" in line for line in data["headline"])
