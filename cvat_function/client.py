"""A CVAT server as our commands see it: the login, and one true sentence for whatever goes wrong.

Uses what every cvat-sdk since 2.12 offers. Requests that the server refuses for now (429, 503) are repeated
when it asks, or after growing pauses.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from cvat_function import releases
from fcfi_core.errors import DataError, SettingsError

if TYPE_CHECKING:
    from cvat_sdk import Client

Answer = TypeVar("Answer")

REFUSED_FOR_NOW = (429, 503)
ATTEMPTS = 8
LONGEST_PAUSE = 120.0

_NOT_UP = (502, 503, 504)
_READ_ONLY = (
    "a personal access token only reads unless 'Read-only' was switched off when it was made: "
    "make one that may write, or log in with --user"
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare where the server is and who logs in."""
    parser.add_argument("--server-host", default="http://localhost", metavar="URL", help="where CVAT is")
    parser.add_argument("--server-port", type=int, metavar="PORT", help="its port, unless the URL has it")
    parser.add_argument("--user", metavar="USER[:PASS]", help="log in so; PASS may be a variable")
    parser.add_argument("--organization", metavar="SLUG", help="the organisation that owns the task")
    parser.add_argument("--insecure", action="store_true", help="accept any TLS certificate")


def address(arguments: Namespace) -> str:
    """Return the server's address; raises SettingsError if it names no protocol."""
    host: str = arguments.server_host.rstrip("/")
    if not host.lower().startswith(("http://", "https://")):
        raise SettingsError(
            f"--server-host {host} does not say how to talk to it; give http://{host} or https://{host}."
        )
    return f"{host}:{arguments.server_port}" if arguments.server_port else host


def connect(arguments: Namespace) -> Client:
    """Return a client logged in as the command line's ``arguments`` say.

    Raises:
        SettingsError: if the address names no protocol, or no login is given.
        DataError: if cvat-sdk is not installed, CVAT is not there, or it does not know the login.
    """
    url = address(arguments)
    try:
        from cvat_sdk import Client, Config, exceptions
    except ImportError:
        raise DataError(
            "cvat-sdk is not installed; run pip install cvat-sdk (of your server's version)."
        ) from None
    from urllib3.exceptions import HTTPError

    try:
        client = Client(url, config=Config(verify_ssl=not arguments.insecure), check_server_version=False)
        # After its own attempts urllib3 shall hand over the answer: its status says more than "too many".
        client.api_client.configuration.retries.raise_on_status = False
        version_of(client, url)
        credentials = _credentials(arguments.user)
        client.login(credentials)
        client.users.retrieve_current_user()
    except exceptions.ApiException as error:
        raise DataError(_login_refused(url, arguments.user, error)) from None
    except (HTTPError, exceptions.CvatSdkException) as error:
        raise DataError(f"{url} cannot be reached: {_reason(error)}.") from None
    except (exceptions.OpenApiException, TypeError) as error:
        raise DataError(f"cvat-sdk cannot read the answer of {url} ({error}); is that a CVAT?") from None
    if arguments.organization is not None:
        client.organization_slug = arguments.organization
    # A lost answer to a write must not be asked for again blindly: see Work.write.
    client.api_client.configuration.retries.allowed_methods = frozenset({"GET", "HEAD", "OPTIONS"})
    return client


def version_of(client: Client, url: str) -> str:
    """Return the version that the server tells; raises DataError if what answers is no CVAT."""
    from cvat_sdk.exceptions import ApiException

    try:
        response = client.api_client.server_api.retrieve_about(_parse_response=False)[1]
        about = json.loads(response.data)
        return str(about["version"])
    except ApiException as error:
        if error.status in _NOT_UP:
            raise DataError(
                f"{url} answers {error.status} {error.reason}: CVAT behind it is not up, or not yet; "
                "look at its containers."
            ) from None
        raise DataError(
            f"{url} answers {error.status} {error.reason}, not as CVAT does; give the address that your "
            "browser shows for CVAT, without what follows the host."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{url} does not answer as CVAT does; give the address of CVAT itself.") from None


def other_version(client: Client) -> str | None:
    """Return a remark if cvat-sdk is not of the server's version, else None."""
    from cvat_sdk import version

    url = client.api_client.configuration.host
    server, ours = version_of(client, url), version.VERSION
    theirs, mine = releases.numbers(server), releases.numbers(ours)
    if theirs is None or mine is None or theirs[:2] == mine[:2]:
        return None
    wanted = ".".join(map(str, theirs[:2]))
    return (
        f"cvat-sdk is {ours}, the server {server}; should something fail, pip install 'cvat-sdk~={wanted}.0'."
    )


@contextmanager
def in_a_sentence() -> Iterator[None]:
    """Raise DataError for whatever goes wrong between here and the server."""
    from cvat_sdk.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        raise DataError(_refused(error, "")) from None
    except HTTPError as error:
        raise DataError(f"the server cannot be reached: {_reason(error)}.") from None


def patiently(call: Callable[[], Answer], *, what: str = "") -> Answer:
    """Return ``call()``, repeated while the server refuses for now.

    Args:
        what: what is asked for, as it is named when it is not there: ``task 12``.

    Raises:
        DataError: if the server refuses for good or too often, is gone, or speaks another version.
    """
    from cvat_sdk.exceptions import ApiException, OpenApiException
    from urllib3.exceptions import HTTPError

    for attempt in range(ATTEMPTS):
        try:
            return call()
        except ApiException as error:
            if error.status not in REFUSED_FOR_NOW or attempt == ATTEMPTS - 1:
                raise DataError(_refused(error, what)) from None
            time.sleep(asked_pause(error.headers) or min(2.0**attempt, LONGEST_PAUSE))
        except HTTPError as error:
            raise DataError(f"the server cannot be reached: {_reason(error)}.") from None
        except (OpenApiException, TypeError) as error:
            from cvat_sdk import version

            raise DataError(
                f"cvat-sdk {version.VERSION} cannot read the server's answer ({error}); install the server's "
                "version of it."
            ) from None
    raise AssertionError("the last attempt returns or raises")


def asked_pause(headers: Mapping[str, str] | None) -> float:
    """Return the seconds of the header Retry-After, 0 if there is none in seconds."""
    text = (headers or {}).get("Retry-After", "")
    return min(float(text), LONGEST_PAUSE) if text.isdigit() else 0.0


def _credentials(user: str | None) -> Any:
    """Return what the login needs: ``USER[:PASSWORD]``, or the token in CVAT_ACCESS_TOKEN."""
    if user is not None:
        name, _, password = user.partition(":")
        return name, password or os.environ.get("PASS") or getpass.getpass(f"Password of {name}: ")
    token = os.environ.get("CVAT_ACCESS_TOKEN")
    if not token:
        raise SettingsError("no login was given; add --user NAME, or set CVAT_ACCESS_TOKEN.")
    from cvat_sdk.core.client import AccessTokenCredentials

    return AccessTokenCredentials(token)


def _login_refused(url: str, user: str | None, error: Any) -> str:
    if error.status in (400, 401, 403):
        if user is None:
            return f"{url} does not accept the token in CVAT_ACCESS_TOKEN: mistyped, expired or revoked?"
        return f"{url} does not accept this password for the user {user.partition(':')[0]}."
    return f"{url} answered the login with {error.status} {error.reason}."


def _refused(error: Any, what: str) -> str:
    """Return what the server's refusal means."""
    if error.status == 404 and what:
        return (
            f"there is no {what}, or this login may not see it (its organisation is named by --organization)."
        )
    if error.status == 403:
        return f"the server forbids this ({_detail(error.body)}), and nothing was changed; {_READ_ONLY}."
    detail = _detail(error.body)
    return (
        f"the server answered {error.status} {error.reason}{detail and f': {detail}'}; nothing was changed."
    )


def _detail(body: Any) -> str:
    """Return the reason in the body of an answer, empty if it holds none for people."""
    try:
        told = json.loads(body)
    except (TypeError, ValueError):
        return ""
    if isinstance(told, dict):
        told = told.get("detail") or next(iter(told.values()), "")
    if isinstance(told, list):
        told = "; ".join(str(one) for one in told)
    return str(told).strip().rstrip(".")[:300]


def _reason(error: BaseException) -> str:
    """Return why there is no connection, without the machinery's own wording where that is known."""
    text = str(error)
    for sign, reason in (
        ("WRONG_VERSION_NUMBER", "it speaks http there, not https"),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted; set SSL_CERT_FILE, or use --insecure"),
        ("Name or service not known", "no machine has this name"),
        ("Temporary failure in name resolution", "no machine has this name, or the network is down"),
        ("Connection refused", "nothing answers at this port"),
        ("Connection reset", "it closes the connection"),
        ("Remote end closed", "it closes the connection"),
    ):
        if sign in text:
            return reason
    return text.rstrip(".")
