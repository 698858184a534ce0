"""Asterisk as the PBX behind the agent, or as who calls it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.lab.certificates import Certificate
from tests.lab.peers import ASTERISK
from tests.lab.process import Process, bound, running
from tests.patience import PATIENCE
from tests.ports import free_ports

_MODULES = """
res_timing_timerfd res_crypto res_sorcery_config res_sorcery_memory res_sorcery_astdb
res_pjproject res_pjsip res_pjsip_session res_pjsip_pubsub res_pjsip_sdp_rtp
res_pjsip_caller_id res_pjsip_authenticator_digest res_pjsip_dtmf_info res_pjsip_nat
res_pjsip_outbound_authenticator_digest res_pjsip_endpoint_identifier_user
res_pjsip_endpoint_identifier_ip res_pjsip_registrar res_pjsip_refer
res_pjsip_rfc3326 res_pjsip_dlg_options res_pjsip_header_funcs chan_pjsip
res_rtp_asterisk res_srtp bridge_simple bridge_native_rtp bridge_softmix bridge_holding
bridge_builtin_features chan_bridge_media codec_ulaw codec_alaw codec_a_mu
codec_resample codec_g722 codec_opus_open_source res_format_attr_opus format_pcm
format_wav format_sln pbx_config app_dial app_echo app_queue app_milliwatt
app_playtones app_verbose func_channel func_callerid func_hangupcause res_clioriginate
res_musiconhold res_stasis res_pjsip_logger cdr_csv func_cdr
"""

_FILES = {
    "asterisk.conf": """\
[directories]
astcachedir => {folder}/cache
astetcdir => {folder}
astmoddir => {root}/usr/lib/x86_64-linux-gnu/asterisk/modules
astvarlibdir => {root}/var/lib/asterisk
astdbdir => {folder}/db
astkeydir => {folder}
astdatadir => {root}/usr/share/asterisk
astspooldir => {folder}/spool
astrundir => {folder}/run
astlogdir => {folder}/log
[options]
systemname = lab
""",
    "modules.conf": "[modules]\nautoload=no\n{modules}\n",
    "logger.conf": "[general]\n[logfiles]\nconsole => notice,warning,error\n",
    "rtp.conf": "[general]\nrtpstart={rtp}\nrtpend={rtp_last}\nicesupport=no\n",
    "cdr.conf": """\
[general]
enable=yes
[csv]
usegmtime=yes
loguniqueid=yes
loguserfield=yes
""",
    "pjproject.conf": "[startup]\nlog_level=1\n",
    "features.conf": "[general]\n[featuremap]\n",
    "queuerules.conf": "",
    "queues.conf": """\
[general]
[staff]
strategy=ringall
timeout=15
retry=1
joinempty=yes
member => PJSIP/phone1
member => PJSIP/phone2
""",
    "musiconhold.conf": "[default]\nmode=files\ndirectory={folder}/music\n",
    "pjsip.conf": """\
[global]
type=global
user_agent=asterisk-lab
endpoint_identifier_order=header,ip,username
[system]
type=system
[udp]
type=transport
protocol=udp
bind=127.0.0.1:{port}
[tcp]
type=transport
protocol=tcp
bind=127.0.0.1:{port}

[endpoint](!)
type=endpoint
transport=udp
disallow=all
allow=alaw,ulaw
direct_media=no
send_pai=yes
trust_id_outbound=yes
trust_id_inbound=yes
send_connected_line=yes

[agent](endpoint)
context=from-agent
aors=agent
{agent_more}
[agent]
type=aor
{agent_aor}
[agent]
type=identify
endpoint=agent
match_header=User-Agent: /recording-agent/

[phone1](endpoint)
context=from-phone
callerid="Officer" <201>
aors=phone1
[phone1]
type=aor
contact=sip:201@127.0.0.1:{phone1}
[phone1]
type=identify
endpoint=phone1
match=127.0.0.1:{phone1}
[phone2](endpoint)
context=from-phone
callerid="Officer" <202>
aors=phone2
[phone2]
type=aor
contact=sip:202@127.0.0.1:{phone2}
[phone2]
type=identify
endpoint=phone2
match=127.0.0.1:{phone2}
{pjsip_more}
""",
    "extensions.conf": """\
[from-agent]
exten => 201,1,Dial(PJSIP/phone1,30)
exten => 202,1,Dial(PJSIP/phone2,30)
exten => 300,1,Answer()
 same => n,Queue(staff)
exten => 600,1,Answer()
 same => n,Echo()
[from-phone]
include => from-agent
exten => _0X.,1,Dial(PJSIP/${{EXTEN}}@agent,30)
[speak]
exten => s,1,Answer()
 same => n,Set(CDR(userfield)=${{CHANNEL(pjsip,call-id)}})
 same => n,Playtones({hertz}/100000)
 same => n,Wait(60)
""",
}


def tls_transport(port: int, shown: Certificate) -> str:
    """A section: TLS at `port`, where who connects must show a certificate."""
    return (
        f"[tls]\ntype=transport\nprotocol=tls\nbind=127.0.0.1:{port}\n"
        f"cert_file={shown.certificate}\npriv_key_file={shown.key}\n"
        f"ca_list_file={shown.ca}\nmethod=tlsv1_2\nverify_client=yes\n"
        "require_client_cert=yes\nverify_server=yes\n"
    )


class Asterisk:
    """One Asterisk."""

    def __init__(self, folder: Path, process: Process, port: int) -> None:
        self._folder = folder
        self._process = process
        self.port = port

    async def tell(self, command: str) -> str:
        """Carry a command out at its console; returns what it says."""
        process = await asyncio.create_subprocess_exec(
            *ASTERISK.command,
            *("-C", str(self._folder / "asterisk.conf"), "-rx", command),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return said.decode(errors="replace")

    @property
    def said(self) -> str:
        """The end of its log; its `pjsip set logger on` has every message in it."""
        return self._process.said

    @property
    def records(self) -> Path:
        """Its call detail records: a line for each call that is over."""
        return self._folder / "log/cdr-csv/Master.csv"

    async def call(self, number: str) -> None:
        """Call a number through the agent; once answered, a tone is said."""
        said = await self.tell(
            f"channel originate PJSIP/{number}@agent extension s@speak"
        )
        assert "Unable" not in said, said

    async def hang_up(self) -> None:
        """End every call."""
        await self.tell("channel request hangup all")


@contextlib.asynccontextmanager
async def asterisk(
    root: Path,
    *,
    port: int,
    agent: int,
    phones: tuple[int, int],
    hertz: float = 0,
    agent_more: str = "",
    agent_aor: str = "",
    pjsip_more: str = "",
) -> AsyncIterator[Asterisk]:
    """A PBX at `port` with the agent as its trunk and two phones.

    `agent_more` are more settings of the agent's endpoint, `agent_aor` those of where
    it is found instead of its address, `pjsip_more` more sections.
    """
    folder = root / f"asterisk-{port}"
    for name in ("cache", "db", "spool", "run", "log/cdr-csv", "music"):
        (folder / name).mkdir(parents=True)
    rtp = free_ports(20)
    for name, text in _FILES.items():
        (folder / name).write_text(
            text.format(
                folder=folder,
                root=ASTERISK.root,
                modules="\n".join(f"load={m}.so" for m in _MODULES.split()),
                rtp=min(rtp),
                rtp_last=max(rtp) + 1,
                port=port,
                agent=agent,
                phone1=phones[0],
                phone2=phones[1],
                hertz=hertz,
                agent_more=agent_more,
                agent_aor=agent_aor or f"contact=sip:127.0.0.1:{agent}",
                pjsip_more=pjsip_more,
            )
        )
    command = [*ASTERISK.command, "-f", "-n", "-C", str(folder / "asterisk.conf")]
    with running("asterisk", folder, [*command, "-vvv", "-c"]) as process:
        pbx = Asterisk(folder, process, port)
        # Its console's socket is there before anybody listens at it.
        async with asyncio.timeout(PATIENCE):
            while "fully booted" not in await pbx.tell("core waitfullybooted"):
                await asyncio.sleep(0.05)
        await process.ready(lambda: bound(port))
        yield pbx
