"""``fcfi serve`` as a process: what it says when it cannot start, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from fcfi_core.errors import SettingsError
from fcfi_core.serving.process import listen

PROGRAM = "import sys; from fcfi_core.cli import main; sys.exit(main())"


@pytest.fixture
def taken():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one.getsockname()[1]


@pytest.fixture
def free():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(*words, **variables):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("FCFI_", "LABEL_"))
    }
    environment |= {"OMP_NUM_THREADS": "1", **variables}
    words = [sys.executable, "-c", PROGRAM, "serve", "--model", "default", *words]
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def server(free):
    child = start("--port", str(free), FCFI_HEADER_SECONDS="1", FCFI_BODY_SECONDS="1", FCFI_CONNECTIONS="20")
    lines = []
    while not any("127.0.0.1" in line for line in lines):
        line = child.stderr.readline()
        assert line, lines
        lines.append(line)
    child.port = free
    yield child
    child.terminate()
    try:
        child.wait(30)
    finally:
        child.kill()  # does nothing to one that has ended
    child.stderr.close()
    child.stdout.close()


def connected(server):
    return socket.create_connection(("127.0.0.1", server.port), 10)


def asked(server, path="/health"):
    with connected(server) as one:
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := one.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("nowhere.invalid", 9090, "is no address"),
        ("203.0.113.7", 9090, "cannot listen"),
        ("x" * 300, 9090, "is no address"),
        ("127.0.0.1\n", 9090, "is no address"),
        ("", 70000, "is no address|cannot listen"),
    ],
)
def test_impossible_addresses_are_one_sentence(host, port, says):
    with pytest.raises(SettingsError, match=says):
        listen(host, port).close()


def test_a_taken_port_is_one_sentence_and_no_address_is_printed(taken):
    child = start("--port", str(taken))
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 2
    assert said.count("\n") == 1
    assert f"127.0.0.1:{taken}" in said
    assert "playground" not in said


@pytest.mark.parametrize(
    "words", [["--port", "0"], ["--port", "70000"], ["--port", "x"], ["--host", "no.invalid"]]
)
def test_bad_options_end_with_2_and_one_sentence(words):
    child = start(*words)
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 2
    assert said.count("\n") == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(server, how):
    began = time.monotonic()
    server.send_signal(how)
    rest = server.communicate(timeout=60)
    assert "Traceback" not in "".join(rest)
    assert server.returncode in (0, -how)
    assert time.monotonic() - began < 15


def test_half_a_head_and_half_a_body_are_not_waited_for(server):
    with connected(server) as silent, connected(server) as half, connected(server) as body:
        half.sendall(b"GET /health HTTP/1.1\r\nHost: loc")
        body.sendall(
            b"POST /playground/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            b"Content-Length: 1000000\r\n\r\nhalf"
        )
        assert b'"status":"UP"' in asked(server)
        for one in (silent, half):
            one.settimeout(10)
            assert one.recv(100) == b""  # closed without an answer
        body.settimeout(10)
        assert b" 408 " in body.recv(1000)


def test_connections_are_bounded_and_come_free_again(server):
    many = [connected(server) for _ in range(60)]
    time.sleep(2.5)  # none of them says anything, so all are closed
    for one in many:
        one.close()
    assert b'"status":"UP"' in asked(server)
