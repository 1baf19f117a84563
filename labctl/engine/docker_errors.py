"""The docker SDK's errors -> labctl.engine.errors. Docker has few status codes, so its words decide."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from labctl.engine import errors

_PORT_WORDS = (
    "port is already allocated",
    "ports are not available",
    "address already in use",
    "failed to bind port",
    "failed to bind host port",
    "error while attempting to bind",
    "cannot assign requested address",
)
_ADDRESS_WORDS = ("address already in use", "requested address is not available", "no available ipv4 addresses")
_START_WORDS = (
    "oci runtime",
    "executable file not found",
    "permission denied",
    "no such file or directory",
    "not a directory",
    "is a directory",
    "failed to create task",
    "failed to create shim",
)
_UNREACHABLE_WORDS = (
    "no such host",
    "dial tcp",
    "connection refused",
    "i/o timeout",
    "network is unreachable",
    "server misbehaving",
    "client.timeout",
    "tls handshake",
    "context deadline exceeded",
    "eof",
)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise what the SDK raises inside as errors of this package."""
    import requests
    from docker import errors as sdk

    try:
        yield
    except errors.EngineError:
        raise
    except sdk.APIError as error:
        raise classify(error.status_code or 0, error.explanation or str(error)) from error
    except requests.HTTPError as error:
        response = error.response
        raise classify(response.status_code, response.text) from error
    except (sdk.DockerException, requests.RequestException, OSError) as error:
        raise errors.EngineUnreachable(
            f"the container engine does not answer: {error}", hint="is Docker running?"
        ) from error


def classify(status: int, text: str) -> errors.EngineError:
    """The error for an HTTP status and Docker's explanation."""
    text, words = str(text).strip(), str(text).lower()
    # a program that is missing is 404 too: `exec: "nope": executable file not found`
    if status == 404 and 'exec: "' not in words:
        return errors.NoSuchContainer(text)
    if status == 409 and "is already in use by container" in words:
        holder = re.search(r'by container "?([0-9a-f]{12,64})', text)
        return errors.NameInUse(text, holder=holder[1] if holder else "")
    if _is_port(words):
        return errors.PortUnavailable(_port(text), text)
    if any(w in words for w in _ADDRESS_WORDS):
        return errors.AddressInUse(text)
    if any(w in words for w in _START_WORDS):
        return errors.StartFailed(text)
    return errors.EngineError(text)


def _is_port(words: str) -> bool:
    # "Address already in use" alone is an IP address on a network; with a port or the userland proxy it is a port.
    return any(w in words for w in _PORT_WORDS) and bool(re.search(r"port|listen|bind|userland proxy", words))


def _port(text: str) -> int:
    found = re.search(r":(\d{1,5}) failed|(?:listen|bind|port)\S* (?:for )?\S*?:(\d{1,5})\b", text, re.IGNORECASE)
    numbers = [g for g in found.groups() if g] if found else re.findall(r":(\d{1,5})\b", text)
    return int(numbers[0]) if numbers else 0


@contextlib.contextmanager
def as_image_unavailable(image: str) -> Iterator[None]:
    """Raise any failure of a pull as ImageUnavailable."""
    try:
        yield
    except errors.EngineUnreachable:
        raise
    except errors.EngineError as error:
        is_unreachable = any(w in error.text.lower() for w in _UNREACHABLE_WORDS)
        raise errors.ImageUnavailable(image, error.text, is_unreachable=is_unreachable) from error
