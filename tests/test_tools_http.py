"""Reading the web: what is on the list, and nothing else, however an address is written and wherever it leads."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.tools import http
from masdsl.tools.addresses import Allowed, is_public, parse
from masdsl.tools.base import Declared, ToolFault, ToolUnusable
from masdsl.tools.http import http_reader
from masdsl.types import Int, List, Optional, Record, Text, Type

# ---------------------------------------------------------------- the list


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("docs.python.org", "https://docs.python.org/3/library/"),
        ("docs.python.org", "https://DOCS.python.org.:443/a?b=c#d"),
        ("*.wikipedia.org", "https://en.wikipedia.org/wiki/Cat"),
        ("*.wikipedia.org", "https://wikipedia.org/"),
        ("https://example.org/help", "https://example.org/help"),
        ("https://example.org/help", "https://example.org/help/a/../b"),
        ("https://example.org/help/", "https://example.org/help/x"),
        ("http://example.org:8080", "http://example.org:8080/x"),
        ("http://[::1]:80/", "http://[0:0::1]/x"),
        ("b\u00fccher.example", "https://xn--bcher-kva.example/"),
        ("https://example.org/a b".replace(" ", "%20"), "https://example.org/a%20b/c"),
    ],
)
def test_what_is_on_the_list_may_be_read(entry: str, address: str) -> None:
    Allowed([entry]).check(parse(address))


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("docs.python.org", "http://docs.python.org/"),
        ("docs.python.org", "https://docs.python.org:8443/"),
        ("docs.python.org", "https://python.org/"),
        ("docs.python.org", "https://docs.python.org.evil.example/"),
        ("docs.python.org", "https://evildocs.python.org/"),
        ("*.wikipedia.org", "https://evilwikipedia.org/"),
        ("https://example.org/help", "https://example.org/helpers"),
        ("https://example.org/help", "https://example.org/help/../secret"),
        ("https://example.org/help", "https://example.org/help/%2e%2e/secret"),
        ("https://example.org/help", "https://example.org/help/..%2fsecret"),
        ("https://example.org/help", "https://example.org//help"[:20] + "/secret"),
        ("https://example.org/help", "https://example.org/"),
        ("example.org", "https://example.org@evil.example/"),
        ("example.org", "https://user:pass@example.org/"),
        ("example.org", "https://evil.example\\@example.org/"),
        ("example.org", "https://evil.example/?https://example.org/"),
        ("example.org", "https://example.org:99999/"),
        ("example.org", "https://example.org\x00.evil/"),
        ("example.org", "https://exam\nple.org/"),
        ("example.org", "file:///etc/passwd"),
        ("example.org", "example.org"),
        ("example.org", "//example.org/"),
        ("example.org", "https:///x"),
        ("example.org", "https://[::1/"),
        ("example.org", "https://" + "a" * 3000),
        ("127.0.0.1", "https://2130706433/"),
        ("127.0.0.1", "https://0x7f.1/"),
    ],
)
def test_everything_else_may_not(entry: str, address: str) -> None:
    with pytest.raises(ToolFault):
        Allowed([entry]).check(parse(address))


@given(st.text(alphabet="abc./:@%2eEfF\\?#[]*-_ \u00fc\n", max_size=40))
def test_an_address_that_passes_goes_to_the_host_that_was_checked(rest: str) -> None:
    """Whatever is written: what passes has the host of the list, and a path below the listed one."""
    try:
        address = parse(f"https://good.example/p{rest}")
        Allowed(["https://good.example/p"]).check(address)
    except ToolFault:
        return
    assert (address.scheme, address.host, address.port) == ("https", "good.example", 443)
    assert address.path == "/p" or address.path.startswith("/p/")
    assert ".." not in address.path.split("/")
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("address", "public"),
    {
        "93.184.215.14": True,
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c": True,
        "127.0.0.1": False,
        "10.1.2.3": False,
        "172.16.0.1": False,
        "192.168.1.1": False,
        "169.254.169.254": False,
        "100.64.0.1": False,
        "0.0.0.0": False,
        "224.0.0.1": False,
        "255.255.255.255": False,
        "::1": False,
        "::": False,
        "fe80::1%eth0": False,
        "fc00::1": False,
        "ff02::1": False,
        "::ffff:127.0.0.1": False,
        "::ffff:93.184.215.14": True,
        "64:ff9b::7f00:1": False,
        "64:ff9b::5db8:d70e": True,
        "2002:7f00:1::": False,
        "2001:0:53aa:64c:0:7f45:80ff:fffe": False,
        "no address": False,
    }.items(),
)
def test_which_network_addresses_are_of_the_open_internet(address: str, public: bool) -> None:
    assert is_public(address) == public


def test_a_name_on_the_list_may_not_stand_for_a_private_address() -> None:
    address = parse("https://example.org/")
    with pytest.raises(ToolFault, match=r"example\.org is an address of a private network, which is not read"):
        Allowed(["example.org"]).check_network(address, "10.0.0.1")
    Allowed(["example.org"]).check_network(address, "93.184.215.14")
    Allowed(["example.org"], private=True).check_network(address, "10.0.0.1")
    local = Allowed(["http://10.0.0.1:80/", "example.org"])
    local.check_network(parse("http://10.0.0.1/x"), "10.0.0.1")
    with pytest.raises(ToolFault):  # that one entry is private does not open the others
        local.check_network(address, "10.0.0.1")


# ---------------------------------------------------------------- a real server


class Site(BaseHTTPRequestHandler):
    """Pages by path."""

    server: Server

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        self.server.seen.append((self.path, dict(self.headers)))
        body, kind, status, more = b"", "text/html; charset=utf-8", 200, {}
        match self.path.partition("?")[0].split("/")[1:]:
            case ["page"]:
                body = "<title>T\u00e9a</title><p>Gr\u00fcn.</p><a href='/next'>n</a><a href='https://evil.example/'>e</a>".encode()
            case ["latin"]:
                body, kind = "gr\u00fcn".encode("latin-1"), "text/plain; charset=ISO-8859-1"
            case ["meta"]:
                body, kind = '<meta charset="windows-1252"><p>\u20ac'.encode("cp1252"), "text/html"
            case ["odd"]:
                body, kind = b"x", "text/plain; charset=unicode_escape"
            case ["json"]:
                body, kind = b'{"a": 1}', "application/json"
            case ["image"]:
                body, kind = b"\x89PNG", "image/png"
            case ["long"]:
                body, kind = b"word " * 5000, "text/plain"
            case ["huge"]:
                body, kind = b"x" * 3_000_000, "text/plain"
            case ["missing"]:
                body, status = b"no", 404
            case ["hop", target]:
                places = {"in": "/page", "out": f"http://localhost:{port}/page", "loop": "/hop/loop"}
                status, more = 302, {"Location": places[target]}
            case ["away"]:
                status, more = 301, {"Location": "https://evil.example/"}
            case ["drip"]:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                for _ in range(200):
                    time.sleep(0.05)
                    try:
                        self.wfile.write(b"x")
                        self.wfile.flush()
                    except OSError:
                        self.server.dropped.set()
                        return
                return
            case ["garbage"]:
                self.wfile.write(b"\x00\x01\x02 nonsense\r\n\r\n")
                return
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves the pages on a free port; remembers who asked for what, and whether somebody hung up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Site)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.dropped = threading.Event()


@pytest.fixture
def site() -> Iterator[Any]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def getter(site: Any, returns: Type, timeout: float = 10.0, **options: Any) -> Callable[..., Any]:
    allow = options.pop("allow", [f"http://127.0.0.1:{site.server_address[1]}"])
    tool = http_reader(allow, **options)
    get = tool.function(Declared("get", "web.get", {"url": Text(60)}, frozenset(), returns, False, timeout))
    return lambda path, **more: get(url=f"http://127.0.0.1:{site.server_address[1]}{path}", **more)


WHOLE = Record(
    None,
    "",
    (
        ("text", Text(100)),
        ("title", Text(20)),
        ("status", Int()),
        ("pages", Int()),
        ("page", Int()),
        ("links", List(Text(60), 0, 9)),
    ),
)


def test_a_page_is_read_as_text(site: Any) -> None:
    port = site.server_address[1]
    assert getter(site, WHOLE)("/page?q=1") == {
        "text": "Gr\u00fcn.\nne",
        "title": "T\u00e9a",
        "status": 200,
        "pages": 1,
        "page": 1,
        "links": [f"http://127.0.0.1:{port}/next"],
    }
    path, headers = site.seen[-1]
    assert path == "/page?q=1"
    assert headers["Host"] == f"127.0.0.1:{port}"
    assert set(headers) == {"Host", "Accept", "Accept-Encoding", "Connection", "User-Agent"}


def test_a_page_may_be_of_any_encoding_and_kind_of_text(site: Any) -> None:
    get = getter(site, Text(100))
    assert get("/latin") == "gr\u00fcn"
    assert get("/meta") == "\u20ac"
    assert get("/odd") == "x"
    assert get("/json") == '{"a": 1}'
    with pytest.raises(ToolFault, match="is no text but image/png"):
        get("/image")


def test_a_long_page_is_read_in_parts_and_never_beyond_its_cap(site: Any) -> None:
    get = getter(site, WHOLE)
    first, second = get("/long"), get("/long", page=2)
    assert first["pages"] == second["pages"] > 1
    assert (first["page"], second["page"]) == (1, 2)
    with pytest.raises(ToolFault, match="there is no page 9999"):
        get("/long", page=9999)
    port = site.server_address[1]
    allowed = Allowed([f"http://127.0.0.1:{port}"])
    answer = http.fetch(f"http://127.0.0.1:{port}/huge", allowed, time.monotonic() + 9, 50_000)
    assert (len(answer.body), answer.whole) == (50_000, False)


def test_redirects_are_followed_on_the_list_alone(site: Any) -> None:
    get = getter(site, Text(100))
    assert get("/hop/in").startswith("Gr\u00fcn.")
    with pytest.raises(ToolFault, match=r"http://localhost:\d+/page may not be read: allowed are http://127"):
        get("/hop/out")
    with pytest.raises(ToolFault, match=r"https://evil\.example/ may not be read"):
        get("/away")
    with pytest.raises(ToolFault, match="redirects more than 5 times"):
        get("/hop/loop")


def test_a_name_that_stands_for_this_machine_is_refused(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    port = site.server_address[1]
    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [place])
    until = time.monotonic() + 9
    with pytest.raises(ToolFault, match=r"rebound\.example is an address of a private network"):
        http.fetch(f"http://rebound.example:{port}/page", Allowed([f"http://rebound.example:{port}"]), until)
    assert site.seen == []
    private = Allowed([f"http://rebound.example:{port}"], private=True)
    assert http.fetch(f"http://rebound.example:{port}/page", private, until).status == 200
    assert site.seen[-1][1]["Host"] == f"rebound.example:{port}"


def test_a_server_that_sends_a_byte_now_and_then_is_cut_at_the_time(site: Any) -> None:
    with pytest.raises(ToolFault, match=r"127\.0\.0\.1 did not answer in time"):
        getter(site, Text(100), timeout=0.5)("/drip")
    assert site.dropped.wait(10)  # nothing goes on in the background


def test_what_goes_wrong_is_said(site: Any) -> None:
    get = getter(site, Text(100))
    with pytest.raises(ToolFault, match="/missing answered 404 Not Found"):
        get("/missing")
    with pytest.raises(ToolFault, match=r"127\.0\.0\.1 cannot be read: BadStatusLine"):
        get("/garbage")
    with pytest.raises(ToolFault, match="that is no address"):
        http_reader(["example.org"]).function(
            Declared("get", "web.get", {}, frozenset(), Optional(Text(9)), False, 9.0)
        )(url="nonsense")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ToolFault, match=r"127\.0\.0\.1 cannot be read: ConnectionRefusedError"):
            http.fetch(f"http://127.0.0.1:{port}/", Allowed([f"http://127.0.0.1:{port}"]), time.monotonic() + 5)
    with pytest.raises(ToolUnusable):
        http_reader(["https://user@x/"]).check()
