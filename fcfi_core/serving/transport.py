"""One HTTP exchange, to an address that was checked before the connection was made.

A host name is resolved once; the connection goes to the very address that passed the check, so that
a name which resolves differently the second time gains nothing. Time and size of the answer are bounded.
"""

from __future__ import annotations

import http.client
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from fcfi_core.allowance import checkpoint, present
from fcfi_core.errors import ImageError, without_passwords

RESOLVE_SECONDS = 10.0
CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
_CHUNK = 256 * 1024
_MOST_ADDRESSES = 8
_LEAST_SECONDS = 0.1
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Answer:
    """What a server said.

    Args:
        status: the HTTP status.
        headers: names in lower case.
        body: at most as many bytes as allowed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def origin(parts: SplitResult) -> tuple[str, str, int]:
    """Return (scheme, host, port): two addresses with equal ones are of the same server."""
    return parts.scheme, (parts.hostname or "").lower().rstrip("."), port_of(parts)


def port_of(parts: SplitResult) -> int:
    """Return the port, explicit or the scheme's own."""
    return parts.port if parts.port is not None else (443 if parts.scheme == "https" else 80)


def parse_url(url: str) -> SplitResult:
    """Return the parts of an http(s) address, without the fragment.

    Raises:
        ImageError: for other schemes, user names in the address, or characters no address may hold.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and port_of(parts) > 0
    except ValueError:
        usable = False
    if not usable or any(ord(letter) < 33 or letter in "\\\x7f" for letter in url):
        raise ImageError(f"the image address {shown(url)} is not a complete http:// or https:// address.")
    if parts.username is not None or parts.password is not None:
        raise ImageError("the image address holds a user name; use an address without one.")
    return parts._replace(fragment="")


def shown(url: str) -> str:
    """Return ``url`` for a message: shortened, and without the query, which may hold a signature."""
    text = without_passwords(url.split("?")[0])
    return repr(text if len(text) <= 200 else text[:200] + "...")


def is_public(address: str) -> bool:
    """Return whether ``address`` belongs to the open internet, looking through IPv6 wrappers of IPv4."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _resolved(host: str, port: int, seconds: float) -> list[Any]:
    """Return what ``socket.getaddrinfo`` does; raises TimeoutError if that takes too long."""
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            outcome.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            outcome.put(error)

    threading.Thread(target=resolve, name="fcfi-resolver", daemon=True).start()
    try:
        found = outcome.get(timeout=max(_LEAST_SECONDS, seconds))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(found, Exception):
        raise found
    return list(found)


class AddressGuard:
    """Decides which addresses may be asked.

    Args:
        allowed: host names, addresses, and networks whose private addresses are fine.
    """

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        self._networks = [ipaddress.ip_network(entry) for entry in allowed if "/" in entry]
        self._hosts = {entry for entry in allowed if "/" not in entry}

    def addresses(self, parts: SplitResult, *, trusted: bool) -> list[str]:
        """Return the addresses of ``parts``' host, in the order to try.

        Args:
            parts: from :func:`parse_url`.
            trusted: True for a server whose address the operator gave.

        Raises:
            ImageError: if the name cannot be resolved, or one of its addresses is not allowed.
        """
        host = origin(parts)[1]
        try:
            found = _resolved(host, port_of(parts), min(present().seconds, RESOLVE_SECONDS))
        except (OSError, UnicodeError):
            raise ImageError(
                f"the host {host!r} of the image address cannot be resolved from here."
            ) from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not trusted and host not in self._hosts:
            for address in addresses:
                if not is_public(address) and not self._listed(address):
                    raise ImageError(
                        f"the image host {host!r} has the private address {address}; if images may come from "
                        "there, add it to FCFI_ALLOWED_HOSTS."
                    )
        return addresses

    def _listed(self, address: str) -> bool:
        ip = ipaddress.ip_address(address.split("%")[0])
        return str(ip) in self._hosts or any(ip in network for network in self._networks)


def exchange(
    parts: SplitResult,
    addresses: list[str],
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    most_bytes: int,
    seconds: float,
) -> Answer:
    """Send one request to one of ``addresses`` and return the whole answer; redirects are not followed.

    Args:
        parts: where to; names the host for TLS and the ``Host`` header.
        addresses: from :meth:`AddressGuard.addresses`.
        method, headers, body: of the request.
        most_bytes: the answer may have at most so many.
        seconds: time for all of it.

    Raises:
        ImageError: if the server cannot be reached, is too slow, or sends too much.
    """
    host, place = parts.hostname or "", f"{parts.scheme}://{parts.netloc}"
    seconds = max(_LEAST_SECONDS, min(seconds, present().seconds))
    connection = _Connection(host, port_of(parts), addresses, parts.scheme == "https", seconds)
    with present().interruptible(connection.break_off), _deadline(connection, seconds) as over:
        try:
            target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
            query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
            connection.request(
                method,
                f"{target}?{query}" if query else target,
                body=body,
                headers={
                    "User-Agent": "fcfi",
                    "Accept-Encoding": "identity",
                    "Host": parts.netloc,
                    **(headers or {}),
                },
            )
            with connection.getresponse() as response:
                content = _read(response, most_bytes, place)
        except ImageError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            checkpoint()
            if over.is_set():
                raise ImageError(f"{place} took longer than {seconds:g} s to send the image.") from None
            raise ImageError(f"{place} cannot be reached from here ({_reason(error)}).") from None
        finally:
            connection.close()
    if over.is_set():
        raise ImageError(f"{place} took longer than {seconds:g} s to send the image.")
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)


class _Connection(http.client.HTTPConnection):
    """A connection to one of some addresses, with TLS for the host's name if asked for."""

    def __init__(self, host: str, port: int, addresses: list[str], secure: bool, seconds: float) -> None:
        super().__init__(host, port, timeout=min(seconds, READ_SECONDS))
        self._addresses = addresses[:_MOST_ADDRESSES]
        self._secure = secure
        self._until = time.monotonic() + seconds
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        last: OSError = OSError("no address")
        for address in self._addresses:
            checkpoint()
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                self.sock = socket.create_connection((address, self.port), min(left, CONNECT_SECONDS))
            except OSError as error:
                last = error
                continue
            self.sock.settimeout(self.timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._secure:
                self.sock = ssl.create_default_context().wrap_socket(
                    self.sock, server_hostname=self.host, do_handshake_on_connect=False
                )
            self._socket = self.sock
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.do_handshake()
            return
        raise last

    def break_off(self) -> None:
        """End whatever is under way, from another thread, also when only the answer holds the socket."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


@contextmanager
def _deadline(connection: _Connection, seconds: float) -> Iterator[threading.Event]:
    """Break off the connection after ``seconds``: a server that drips cannot hold a worker."""
    over = threading.Event()

    def break_off() -> None:
        over.set()
        connection.break_off()

    timer = threading.Timer(seconds, break_off)
    timer.daemon = True
    timer.start()
    try:
        yield over
    finally:
        timer.cancel()


def _read(response: http.client.HTTPResponse, most_bytes: int, place: str) -> bytes:
    announced = response.getheader("Content-Length", "")
    too_large = ImageError(
        f"{place} sends more than {most_bytes / 1e6:g} MB; use a smaller image or raise FCFI_IMAGE_MEGABYTES."
    )
    if announced.isdigit() and len(announced) < 20 and int(announced) > most_bytes:
        raise too_large
    chunks, size = [], 0
    while chunk := response.read(_CHUNK):
        checkpoint()
        chunks.append(chunk)
        size += len(chunk)
        if size > most_bytes:
            raise too_large
    if announced.isdigit() and size < int(announced):
        raise OSError("the connection broke off")
    return b"".join(chunks)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message}; for an authority of your own, "
            "name the file of its certificate in SSL_CERT_FILE"
        )
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return (
        type(error).__name__
        if not isinstance(error, OSError)
        else (error.strerror or str(error) or "broken off")
    )
