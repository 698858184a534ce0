"""The gate as a service: server and schedule side by side, until a signal ends them."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import structlog

from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.service_manager import ServiceManager
from agent.gate.config import Config
from agent.gate.opening import opened
from agent.gate.schedule import Schedule
from agent.gate.server import GateServer, TlsError, load_files, tls_context
from agent.gate.targets import open_targets
from agent.signalling.secrets import Secrets


async def serve(
    config: Config, base: Path, secrets: Secrets, manager: ServiceManager
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads roster and certificates again.

    Raises AgentError, OSError: it did not come up, or can go on no more.
    """
    tls = tls_context(*tls_files(config, base, secrets))
    targets = open_targets(config, base, secrets)
    async with opened(config, base, secrets, targets) as gate:
        listener = listen(config)
        server = GateServer(gate.app, tls)

        def renew() -> None:
            gate.roster.reload()
            try:
                load_files(tls, *tls_files(config, base, secrets))
            except AgentError as error:
                structlog.get_logger().error("certificates_refused", reason=str(error))
            else:
                structlog.get_logger().info("certificates_read")

        _follow_signals(server, renew)
        host, port = listener.getsockname()[:2]
        structlog.get_logger().info("gate_serves", address=host, port=port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_served(server, listener), name="server")
                tasks.create_task(keep_schedule(gate.schedule, server), name="schedule")
                manager.tell("READY=1")
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        manager.tell("STOPPING=1")
        structlog.get_logger().info("gate_stopped")


def listen(config: Config) -> socket.socket:
    """The socket it is to listen on. Raises TlsError, naming the address."""
    host, port = config.gate.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise TlsError(
            f"gate.listen: {config.gate.listen}: {error.strerror}.",
            hint="Name an address of this host and a port that is free.",
        ) from error


async def keep_schedule(schedule: Schedule, server: GateServer) -> None:
    """Run what is due until the server stops; a log that is not ours ends it too."""
    try:
        while not server.should_exit:
            wait = await schedule.run(utc_ns())
            try:
                async with asyncio.timeout(wait):
                    await server.stopping.wait()
            except TimeoutError:
                continue
    finally:
        server.stop()


async def _served(server: GateServer, listener: socket.socket) -> None:
    try:
        await server.serve([listener])
    finally:
        server.stop()


def tls_files(config: Config, base: Path, secrets: Secrets) -> tuple[Path, Path, Path]:
    """Certificate, key, issuers. Raises SecretError: others can read the key."""
    tls = config.tls
    return base / tls.certificate, secrets.path(tls.key), base / tls.issuers


def _follow_signals(server: GateServer, renew: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    loop.add_signal_handler(signal.SIGHUP, renew)


def service_manager() -> ServiceManager:
    """Whoever started us, if it is one that wants to be told."""
    return ServiceManager(os.environ)
