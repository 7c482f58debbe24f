"""Calls to other servers: whom they never reach, and that a server which hangs or lies ends in one sentence and soon."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.calling_out import MOST_BYTES, Answer, Caller, Unreachable
from app.destinations import Refused, may_be_called

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

PRIVATE = """
127.0.0.1 127.1.2.3 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.100.100.200 169.254.169.254
192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
168.63.129.16 192.88.99.1 192.0.0.8 192.0.0.192 64:ff9b::c000:c0 3fff::1
:: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::7f00:1 2002:7f00:1:: 2002:808:808:: 2001:0:4136:e378:8000:63bf:3fff:fdd2
fe80::1 fe80::1%eth0 fec0::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1 100::1 localhost 127.1 2130706433
""".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_never_called(address: str) -> None:
    assert not may_be_called(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_a_public_address_may_be_called(address: str) -> None:
    assert may_be_called(address)


def test_a_named_host_may_lie_in_a_network_of_the_house_but_never_on_the_link() -> None:
    for address in ("10.1.2.3", "192.168.0.9", "127.0.0.1", "::1", "fd12::1", "8.8.8.8", "100.64.0.9"):
        assert may_be_called(address, own=True), address
    for address in (
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "::ffff:169.254.169.254",
    ):
        assert not may_be_called(address, own=True), address


# As the system itself reads them, whatever their spelling.
SPELLINGS = """
http://127.0.0.1/ https://127.0.0.1/ https://127.1/ https://0/ https://0.0.0.0/ https://2130706433/ https://0x7f000001/
https://0x7f.1/ https://0177.0.0.1/ https://017700000001/ https://127.0.0.1./ https://[::1]/ https://[::]/ https://[::ffff:127.0.0.1]/
https://[::ffff:7f00:1]/ https://[0:0:0:0:0:ffff:7f00:1]/ https://[64:ff9b::7f00:1]/ https://[2002:7f00:1::]/ https://[fe80::1]/
https://[fe80::1%25lo]/ https://10.0.0.1/ https://192.168.1.1/ https://169.254.169.254/latest/meta-data https://2852039166/
https://0xa9fea9fe/ https://[fd00:ec2::254]/ https://user:pw@8.8.8.8/ https://8.8.8.8@127.0.0.1/ https://8.8.8.8:22/
https://8.8.8.8:0/ https://8.8.8.8:99999/ https://8.8.8.8\\@127.0.0.1/ https:///etc/passwd file:///etc/passwd gopher://8.8.8.8/
ftp://8.8.8.8/ //8.8.8.8/ 8.8.8.8 javascript:alert(1) https://ex%61mple.com/ https://exa_mple..com/ https://-x.com/
https://⑧.8.8.8/ https://１２７.0.0.1/ https://127。0。0。1/ https:// https://[ https://[::1 https://8.8.8.8:x/
""".split()


@pytest.mark.parametrize(
    "url", [*SPELLINGS, "https://8.8.8.8/a b", "https://8.8.8.8/\r\nX: y", "https://x/" + "a" * 2000, ""]
)
def test_a_url_that_leads_inside_or_can_be_read_in_two_ways_is_refused(url: str) -> None:
    caller = Caller(resolver=_numeric)
    with pytest.raises((Refused, Unreachable)):
        caller.addresses(caller.target(url))


def _numeric(host: str, port: int) -> list[str]:
    """What the system makes of odd spellings, without asking any server."""
    try:
        return [socket.inet_ntoa(socket.inet_aton(host.removesuffix(".")))]
    except OSError:
        if ":" in host:
            return [host]
        raise


def test_one_private_address_among_public_ones_spoils_them_all() -> None:
    caller = Caller(resolver=lambda host, port: ["8.8.8.8", "127.0.0.1"])
    with pytest.raises(Refused, match=r"leads to 127\.0\.0\.1"):
        caller.post("https://example.com/", b"{}", {})


def test_a_name_is_resolved_once_and_the_connection_goes_where_was_checked() -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["203.0.113.1" if len(asked) > 1 else "127.0.0.1"]

    with serving(lambda c: c.sendall(OK)) as (port, heard):
        caller = Caller(own=frozenset({f"rebind.example:{port}"}), resolver=rebinding)
        assert caller.post(f"http://rebind.example:{port}/hook?a=1", b"{}", {"X-One": "1"}).status == 200
    assert asked == ["rebind.example"]
    assert f"Host: rebind.example:{port}\r\n".encode() in heard[0]
    assert heard[0].startswith(b"POST /hook?a=1 HTTP/1.1\r\n")


def test_an_address_that_takes_for_ever_to_find_is_given_up() -> None:
    def slow(host: str, port: int) -> list[str]:
        time.sleep(3)
        return []

    caller = Caller(resolver=slow, seconds=0.2)
    began = time.monotonic()
    with pytest.raises(Unreachable, match="in time"):
        caller.post("https://slow.example/", b"{}", {})
    assert time.monotonic() - began < 1


@contextmanager
def serving(
    answer: Callable[[socket.socket], object], wrap: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """A server that reads one request and does as it likes; its port, and what it heard."""
    listening = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                opened, _ = listening.accept()
                connection = wrap.wrap_socket(opened, server_side=True) if wrap else opened
            except OSError:
                if listening.fileno() < 0:
                    return
                continue
            with connection:
                try:
                    request = b""
                    while not request.endswith(b"{}"):  # closing with something unread would reset the connection
                        request += connection.recv(65536)
                    heard.append(request)
                    answer(connection)
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1], heard
    finally:
        listening.close()


def call(answer: Callable[[socket.socket], object], seconds: float = 0.6) -> Answer:
    with serving(answer) as (port, _):
        caller = Caller(own=frozenset({f"127.0.0.1:{port}"}), seconds=seconds)
        return caller.post(f"http://127.0.0.1:{port}/", b"{}", {})


def _drip(prefix: bytes, each: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(prefix)
        for _ in range(100):
            time.sleep(0.05)
            connection.sendall(each)

    return answer


def _hang(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
    time.sleep(2)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


MISBEHAVING: dict[str, tuple[Callable[[socket.socket], object], str]] = {
    "hangs": (lambda c: time.sleep(2), "longer than"),
    "drips its headers": (_drip(b"HTTP/1.1 200 OK\r\nX: ", b"a"), "longer than"),
    "drips its body": (_drip(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b"a"), "longer than"),
    "hangs in its body": (_hang, "longer than"),
    "says nothing": (lambda c: None, "closed the connection"),
    "resets": (_reset, "closed the connection"),
    "is cut short": (lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{}"), "shorter than it said"),
    "is cut short in pieces": (
        lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{"),
        "broke off",
    ),
    "lies about pieces": (
        lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
        "broke off",
    ),
    "speaks another language": (lambda c: c.sendall(b"220 mail.example ESMTP\r\n"), "not HTTP"),
    "has a huge header": (lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"), "broke off"),
    "has a thousand headers": (lambda c: c.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 1000 + b"\r\n"), "broke off"),
}


@pytest.mark.parametrize("how", MISBEHAVING)
def test_a_server_that_misbehaves_ends_in_a_sentence_in_time(how: str) -> None:
    answer, sentence = MISBEHAVING[how]
    began = time.monotonic()
    with pytest.raises(Unreachable, match=sentence):
        call(answer)
    assert time.monotonic() - began < 1.5


def test_a_refused_connection_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match="refused the connection"):
        Caller(own=frozenset({f"127.0.0.1:{port}"})).post(f"http://127.0.0.1:{port}/", b"", {})


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    found = call(
        lambda c: c.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    )
    assert (found.status, found.body) == (302, b"")


def test_an_endless_answer_is_read_only_so_far() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"a" * 65536)

    assert call(endless, seconds=5).body is None
    whole = b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * MOST_BYTES
    assert call(lambda c: c.sendall(whole), seconds=5).body == b"a" * MOST_BYTES


def test_the_certificate_must_be_the_hosts_though_the_connection_goes_to_an_address(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hook.example"]
    more = ["-addext", "subjectAltName=DNS:hook.example", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *more], check=True, capture_output=True, timeout=60)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    names: list[str | None] = []
    server.sni_callback = lambda connection, name, context: names.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with serving(lambda c: c.sendall(OK), server) as (port, _):
        own = frozenset({f"hook.example:{port}", f"other.example:{port}"})
        resolver = lambda host, port: ["127.0.0.1"]  # noqa: E731
        caller = Caller(own=own, resolver=resolver, context=trusting, seconds=5)
        assert caller.post(f"https://hook.example:{port}/", b"{}", {}).body == b"{}"
        with pytest.raises(Unreachable, match="certificate is not valid"):
            caller.post(f"https://other.example:{port}/", b"{}", {})
        with pytest.raises(Unreachable, match="certificate is not valid"):
            Caller(own=own, resolver=resolver, seconds=5).post(f"https://hook.example:{port}/", b"{}", {})
    assert names[0] == "hook.example"
