"""One run of a probe: a command in the container, or a connection from its node. Words are the kubelet's."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.api.objects import Object
from labctl.engine.errors import EngineError
from labctl.engine.protocol import Engine
from labctl.kubelet.expansion import expand
from labctl.kubelet.pod_state import PodState

MAX_OUTPUT = 10 * 1024
_USER_AGENT = "kube-probe/1.36"


@dataclass(frozen=True, slots=True)
class Result:
    """Whether the check succeeded, and what to say if not. An error means that the check could not be made."""

    is_success: bool
    output: str = ""
    is_error: bool = False
    is_warning: bool = False


async def run_command(engine: Engine, container_id: str, command: Sequence[str]) -> tuple[int, bytes]:
    """Exit code and the first kilobytes of the output, both streams together."""
    stream = await engine.exec(container_id, command)
    try:
        output = b""
        async for _, data in stream.output():
            output = (output + data)[:MAX_OUTPUT]
        return await stream.exit_code(), output
    finally:
        await stream.close()


async def check(probe: Mapping[str, Any], state: PodState, container: Object, container_id: str) -> Result:
    """Run a probe (or a hook's action) once, within its timeout."""
    timeout_s = probe.get("timeoutSeconds") or 1
    if "exec" in probe:
        return await _exec(probe["exec"], state, container, container_id, timeout_s)
    if "grpc" in probe:
        from labctl.kubelet import grpc_check  # rare

        return await grpc_check.check(probe["grpc"], state, timeout_s)
    action = probe.get("httpGet") or probe.get("tcpSocket")
    if action is None:
        return Result(False, f"missing probe handler for {state.full_name}:{container['name']}", is_error=True)
    port = port_number(action["port"], container)
    if port is None:
        return Result(False, f"couldn't find port: {action['port']}", is_error=True)
    host = action.get("host") or next(iter(state.pod_ips), "")
    if "httpGet" in probe:
        return await _http(action, state, host, port, timeout_s)
    return await _tcp(state, host, port, timeout_s)


def port_number(port: int | str, container: Object) -> int | None:
    """A port by number or by the name of one of the container's ports."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    ports = container.get("ports") or ()
    return next((int(p["containerPort"]) for p in ports if p.get("name") == port), None)


async def _exec(
    action: Mapping[str, Any], state: PodState, container: Object, container_id: str, timeout_s: float
) -> Result:
    known = {v["name"]: v["value"] for v in container.get("env") or () if v.get("value")}
    command = [expand(word, known) for word in action.get("command") or ()]
    try:
        async with asyncio.timeout(timeout_s):
            code, output = await run_command(state.kit.engine, container_id, command)
    except TimeoutError:
        return Result(False, f'command timed out: "{" ".join(command)}" timed out after {timeout_s:g}s')
    except EngineError as error:
        return Result(False, error.text, is_error=True)
    text = output.decode(errors="replace")
    if code in (126, 127) and text.startswith("OCI runtime exec failed"):
        return Result(
            False, f"rpc error: code = Unknown desc = failed to exec in container: {text.strip()}", is_error=True
        )
    return Result(code == 0, text)


async def _tcp(state: PodState, host: str, port: int, timeout_s: float) -> Result:
    where = f"{_bracketed(host)}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await state.kit.dialer.open(state.node, host, port)
    except TimeoutError:
        return Result(False, f"dial tcp {where}: i/o timeout")
    except OSError as error:
        return Result(False, f"dial tcp {where}: connect: {_words(error)}")
    writer.close()
    return Result(True)


async def _http(action: Mapping[str, Any], state: PodState, host: str, port: int, timeout_s: float) -> Result:
    scheme = (action.get("scheme") or "HTTP").lower()
    path = action.get("path") or "/"
    url = f"{scheme}://{_bracketed(host)}:{port}{path if path.startswith('/') else '/' + path}"
    try:
        async with asyncio.timeout(timeout_s):
            code = await _get(action, state, host, port, scheme)
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Result(False, f'Get "{url}": {why}')
    except asyncio.IncompleteReadError:
        return Result(False, f'Get "{url}": EOF')
    except (OSError, ValueError) as error:
        return Result(False, f'Get "{url}": dial tcp {_bracketed(host)}:{port}: connect: {_words(error)}')
    if 200 <= code < 300:
        return Result(True)
    if 300 <= code < 400:
        return Result(True, "Probe terminated redirects, Response body: ", is_warning=True)
    return Result(False, f"HTTP probe failed with statuscode: {code}")


async def _get(action: Mapping[str, Any], state: PodState, host: str, port: int, scheme: str) -> int:
    """The status code of a GET. Only the status line is read: the answer's body does not matter."""
    reader, writer = await state.kit.dialer.open(state.node, host, port)
    try:
        if scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # a probe trusts any certificate
            await writer.start_tls(context)
        writer.write(_request(action, f"{_bracketed(host)}:{port}"))
        await writer.drain()
        line = await reader.readuntil(b"\n")
    finally:
        writer.close()
    words = line.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError(f"malformed HTTP response {line.decode(errors='replace')!r}")
    return int(words[1])


def _request(action: Mapping[str, Any], host: str) -> bytes:
    headers = {"Host": host, "User-Agent": _USER_AGENT, "Accept": "*/*", "Connection": "close"}
    for header in action.get("httpHeaders") or ():
        known = next((name for name in headers if name.lower() == header["name"].lower()), header["name"])
        headers[known] = header["value"]
    path = action.get("path") or "/"
    lines = [f"GET {path if path.startswith('/') else '/' + path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _words(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]
