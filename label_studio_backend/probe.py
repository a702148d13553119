"""Whether the server in this container answers: ``python -m label_studio_backend.probe``, for health checks.

Imports nothing but the standard library, so that asking every half minute costs nothing. An answer that
wants a password is an answer.
"""

from __future__ import annotations

import http.client
import os
import sys


def main() -> int:
    """Return 0 if ``/health`` answers within two seconds, else 1."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("FCFI_PORT") or 9090), timeout=2)
    try:
        connection.request("GET", "/health")
        return 0 if connection.getresponse().status in (200, 401) else 1
    except OSError:
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
