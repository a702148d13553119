"""Which addresses are asked, and how long an answer may take."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from fcfi_core.allowance import Allowance, granted
from fcfi_core.errors import ImageError
from fcfi_core.serving.transport import AddressGuard, exchange, is_public, origin, parse_url


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
    ],
)
def test_private_addresses_are_told(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_told(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://host:99999/x",
        "http://host:port/x",
        "http://[::1/x",
        "http://user:secret@host/x",
        "http://host/a b",
        "http://host/a\\b",
        "http://host/a\nb",
        "//host/x",
    ],
)
def test_unusable_addresses_are_refused(url):
    with pytest.raises(ImageError):
        parse_url(url)


def test_the_same_server_in_other_words():
    assert origin(parse_url("http://Host./a")) == origin(parse_url("http://host:80/b"))
    assert origin(parse_url("https://host/a")) != origin(parse_url("http://host/a"))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/x", "http://localhost/x", "http://[::1]/x", "http://2130706433/x", "http://0x7f.1/x"],
)
def test_private_hosts_are_refused_in_every_spelling(url):
    with pytest.raises(ImageError, match=r"FCFI_ALLOWED_HOSTS|cannot be resolved"):
        AddressGuard().addresses(parse_url(url), trusted=False)


@pytest.mark.parametrize("allowed", ["localhost", "127.0.0.0/8", "127.0.0.1"])
def test_allowed_hosts_and_networks_may_be_asked(allowed):
    guard = AddressGuard((allowed, "::1"))
    host = "localhost" if allowed == "localhost" else "127.0.0.1"
    assert guard.addresses(parse_url(f"http://{host}/x"), trusted=False)


def test_one_private_address_among_public_ones_is_enough(monkeypatch):
    found = [(0, 0, 0, "", ("8.8.8.8", 80)), (0, 0, 0, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ImageError, match=r"10\.0\.0\.1"):
        AddressGuard().addresses(parse_url("http://rebound.example/x"), trusted=False)


def ask(url, *, most_bytes=1000, seconds=5.0, addresses=("127.0.0.1",)):
    return exchange(parse_url(url), list(addresses), most_bytes=most_bytes, seconds=seconds)


def test_the_checked_address_is_the_one_that_is_asked(site):
    site.answers["/x?a=1"] = (200, {"ETag": '"1"'}, b"content")
    port = site.server.server_port
    answer = ask(f"http://never-resolved.example:{port}/x?a=1")
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, b"content", '"1"')
    (_, _, headers, _) = site.asked[0]
    assert headers["Host"] == f"never-resolved.example:{port}"
    assert headers["Accept-Encoding"] == "identity"


def test_the_next_address_is_tried(site):
    site.answers["/x"] = (200, {}, b"ok")
    assert ask(f"{site.url}/x", addresses=["127.0.0.9", "127.0.0.1"]).body == b"ok"


def test_too_many_bytes_are_refused_announced_or_not(site):
    site.answers["/announced"] = (200, {}, b"x" * 2000)
    site.answers["/silent"] = (200, {"Content-Length": "", "Connection": "close"}, b"x" * 2000)
    for path in ("announced", "silent"):
        with pytest.raises(ImageError, match="FCFI_IMAGE_MEGABYTES"):
            ask(f"{site.url}/{path}")


def test_an_answer_cut_short_is_refused(site):
    site.answers["/x"] = (200, {"Content-Length": "500", "Connection": "close"}, b"x")
    with pytest.raises(ImageError, match="cannot be reached"):
        ask(f"{site.url}/x")


def test_nobody_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ImageError, match="connection refused"):
            ask(f"http://127.0.0.1:{free.getsockname()[1]}/x")


def test_a_server_that_drips_is_left_in_time():
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def drip():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        start = time.monotonic()
        with pytest.raises(ImageError, match=r"longer than 0\.3 s"):
            ask(f"http://127.0.0.1:{server.getsockname()[1]}/x", most_bytes=10**7, seconds=0.3)
        assert time.monotonic() - start < 2
        stop.set()
        thread.join(5)


def test_what_speaks_no_http_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-hello\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        with pytest.raises(ImageError, match="BadStatusLine"):
            ask(f"http://127.0.0.1:{server.getsockname()[1]}/x")
        thread.join(5)


def test_addresses_that_do_not_answer_share_one_limit(monkeypatch):
    """Eight of them, and three seconds in all."""

    def never(address, timeout):
        tried.append(timeout)
        time.sleep(timeout)
        raise TimeoutError

    tried = []
    monkeypatch.setattr(socket, "create_connection", never)
    start = time.monotonic()
    with pytest.raises(ImageError, match=r"took longer|no answer in time"):
        exchange(parse_url("http://dead.example/"), ["10.0.0.1"] * 8, most_bytes=10, seconds=0.4)
    assert time.monotonic() - start < 3
    assert sum(tried) < 1


def test_a_name_that_takes_long_to_resolve_is_given_up(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(30))
    with granted(Allowance(time.monotonic() + 0.2)), pytest.raises(ImageError, match="cannot be resolved"):
        AddressGuard().addresses(parse_url("http://slow.example/"), trusted=False)
    release.set()


def test_a_fetch_nobody_waits_for_is_broken_off(site):
    begun, release = threading.Event(), threading.Event()

    def slow(handler):
        begun.set()
        release.wait(10)
        return 200, {}, b"late"

    site.answers["/slow"] = slow
    work, ended = Allowance(), []

    def fetch():
        with granted(work):
            try:
                exchange(parse_url(f"{site.url}/slow"), ["127.0.0.1"], most_bytes=10, seconds=20)
            except KeyError as error:
                ended.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert begun.wait(5)
    work.stop(KeyError("gone"))
    thread.join(5)
    release.set()
    assert ended


@pytest.mark.parametrize(
    "address", ["http://me:secret@host/x", "http://me:secret@/x", "ftp://me:secret@host"]
)
def test_passwords_in_addresses_are_not_told(address):
    with pytest.raises(ImageError) as refused:
        parse_url(address)
    assert "secret" not in str(refused.value)
