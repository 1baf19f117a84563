"""Docker's words, as engines from 20.10 to 28 write them."""

from __future__ import annotations

import pytest

from labctl.engine import errors
from labctl.engine.docker_errors import classify

CASES: list[tuple[int, str, type[errors.EngineError]]] = [
    (404, "No such container: x", errors.NoSuchContainer),
    (404, "No such image: x:latest", errors.NoSuchContainer),
    (404, "no such image: labctl/netexec: No such image: labctl/netexec:latest", errors.NoSuchContainer),
    (404, "get x: no such volume", errors.NoSuchContainer),
    (
        409,
        'Conflict. The container name "/e-4" is already in use by container "1c011be298749ceb". You have to remove it.',
        errors.NameInUse,
    ),
    (403, "Address already in use", errors.AddressInUse),
    (400, "failed to set up container networking: Address already in use", errors.AddressInUse),
    (
        400,
        'failed to create task: OCI runtime create failed: exec: "x": executable file not found in $PATH',
        errors.StartFailed,
    ),
    (400, 'exec: "x": stat x: no such file or directory', errors.StartFailed),
    (404, 'OCI runtime create failed: exec: "nosuch": executable file not found in $PATH: unknown', errors.StartFailed),
    (500, "something else", errors.EngineError),
]


@pytest.mark.parametrize(("status", "text", "expected"), CASES)
def test_words_tell_the_cause(status: int, text: str, expected: type[errors.EngineError]) -> None:
    error = classify(status, text)
    assert type(error) is expected and error.text == text


@pytest.mark.parametrize(
    "text",
    [
        "driver failed programming external connectivity on endpoint a (b): "
        "Bind for 127.0.0.1:8080 failed: port is already allocated",
        "driver failed programming external connectivity on endpoint a (b): Error starting userland proxy: "
        "listen tcp4 127.0.0.1:8080: bind: address already in use",
        "failed to set up container networking: driver failed programming external connectivity on endpoint a (b): "
        "failed to bind host port for 127.0.0.1:8080:172.19.0.2:80/tcp: address already in use",
        "failed to bind host port 127.0.0.1:8080/tcp: address already in use",
        "Ports are not available: exposing port TCP 127.0.0.1:8080 -> 0.0.0.0:0: "
        "listen tcp 127.0.0.1:8080: bind: address already in use",
    ],
)
def test_a_taken_port_is_told_with_its_number(text: str) -> None:
    error = classify(500, text)
    assert isinstance(error, errors.PortUnavailable) and error.port == 8080


def test_the_holder_of_a_name_is_told() -> None:
    error = classify(409, 'The container name "/a" is already in use by container "0123456789abcdef". Remove it.')
    assert isinstance(error, errors.NameInUse) and error.holder == "0123456789abcdef"
