"""`recording-agent command`: a signed command to a host, by way of the broker."""

import asyncio
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cyclopts import Parameter

from agent.cli.asking import RefusedError, show, show_host
from agent.cli.signed_files import read
from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.ids import new_id
from agent.common.regions import RegionConfig
from agent.common.strict_toml import ConfigError, decode_struct, read_toml
from agent.events.broker import REFUSED, BrokerError, reason_name
from agent.events.config import MqttConfig
from agent.events.topics import ROOT, Topics
from agent.formats.command import MAX_AHEAD_NS, Command, sign_command
from agent.formats.sshsig import MAX_PRIVATE_FILE, SigningKey
from agent.service.broker_access import BrokerAccess, read_broker_access
from agent.service.command_desk import Answer
from agent.service.commands import Request
from agent.service.material import credentials_directory
from agent.signalling.secrets import Secrets

PATIENCE: Final = 30.0
"Seconds for an answer: later than that the command has expired."
SHORT_OF_NS: Final = 5_000_000_000
"So much less than the longest time: the host's clock may be behind ours."
Kind = Literal["pause", "resume", "stop-recording", "drain", "undrain", "status"]


class NoAnswerError(AgentError):
    """The host did not answer."""

    permanent = False
    hint = (
        "It ignores commands that are not signed by somebody of its roster who may,"
        " that it is not configured to take, or whose times are not its own: its log"
        " says command_ignored, and why."
    )


def command(
    kind: Kind,
    call_id: str = "",
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    host: str,
    key: Annotated[Path, Parameter(name=["--key", "-k"])],
    seconds: float | None = None,
    reason: str = "",
    json: bool = False,
) -> None:
    """Give a host a command over MQTT, signed, and show its answer.

    It is good for half a minute and for one host, which audits who gave it.

    Args:
        kind: What is to be done.
        call_id: For pause, resume and stop-recording: the call as `status` shows it.
        config: A file with an [mqtt] section of your own, and [region] if need be.
        host: The host's `agent.name`.
        key: Your private key, as the roster has its other half: OpenSSH, Ed25519.
        seconds: Of a pause: how long at most.
        reason: One word in lower case, like `card`. No name, no number.
        json: Print JSON lines instead of tables.
    """
    request: dict[str, str | float | int | bool | None] = {"type": kind}
    request |= {"call_id": call_id} if call_id else {}
    request |= {"reason": reason} if reason else {}
    request |= {"seconds": seconds} if seconds is not None else {}
    try:
        msgspec.convert(request, Request)
    except msgspec.ValidationError as error:
        raise RefusedError(f"This is no command: {error}.") from error
    signer = SigningKey.from_private_file(read(key, MAX_PRIVATE_FILE))
    order = Command(
        host=host,
        id=new_id(),
        expires_utc_ns=utc_ns() + MAX_AHEAD_NS - SHORT_OF_NS,
        request=request,
    )
    answer = asyncio.run(_ask(_access(config), order, sign_command(order, signer)))
    if answer.reply.error:
        raise RefusedError(answer.reply.error)
    show(answer.reply.calls, json=json)
    if answer.reply.host is not None:
        show_host(answer.reply.host, json=json)


def _access(path: Path) -> BrokerAccess:
    """How the broker of a configuration file is got at."""
    mistakes: list[str] = []
    table = read_toml(path)
    config = decode_struct(MqttConfig, table.get("mqtt", {}), "mqtt", mistakes)
    region = decode_struct(RegionConfig, table.get("region", {}), "region", mistakes)
    if config is None or region is None:
        raise ConfigError(mistakes)
    base = path.resolve().parent
    secrets = Secrets(base, credentials_directory())
    access = read_broker_access(config, region, base, secrets)
    if access is None:
        raise BrokerError("No broker is configured.", hint="Set mqtt.url.")
    return access


async def _ask(access: BrokerAccess, order: Command, signed: bytes) -> Answer:
    """Send a command and wait for its answer. Raises BrokerError, NoAnswerError."""
    topics = Topics(order.host)
    kind = str(order.request["type"])
    async with access.broker(f"{ROOT}-command-{order.id}") as broker:
        if not await broker.subscribe(topics.answer(order.id)):
            raise BrokerError(
                "The broker lets us hear no answers.",
                hint="Let this user read below the host's answers.",
            )
        code = await broker.publish(topics.command(kind), signed)
        if code >= REFUSED:
            raise BrokerError(
                f"The broker does not pass the command on: {reason_name(code)}.",
                hint="Let this user publish under the host's commands.",
            )
        try:
            async with asyncio.timeout(PATIENCE):
                async for message in broker.messages():
                    if not message.retained:
                        return msgspec.json.decode(message.payload, type=Answer)
        except TimeoutError:
            pass
        except msgspec.DecodeError as error:
            raise NoAnswerError("What was answered is no answer.") from error
    raise NoAnswerError("The host does not answer.")
