"""What all tests share: how Hypothesis works here, and a web server to ask.

The same examples are tried in every run, so that a failure means a change; ``pytest
--hypothesis-profile=explore`` looks for new ones. No limits on time: other work on the machine is
not a defect.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("repeatable"), derandomize=False)
settings.load_profile("repeatable")


class Site:
    """A web server on loopback that remembers what it was asked.

    ``answers`` maps a path (with its query) to (status, headers, body) or to a function of the handler
    that returns one.
    """

    def __init__(self):
        self.answers = {}
        self.asked = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.sent = self.rfile.read(length)
                site.asked.append((self.command, self.path, dict(self.headers.items()), self.sent))
                answer = site.answers.get(self.path, (404, {}, b"not here"))
                status, headers, body = answer(self) if callable(answer) else answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_DELETE = do_GET

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def authorisations(self):
        return [headers.get("Authorization") for _, _, headers, _ in self.asked]


@pytest.fixture
def site():
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def other_site():
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()
