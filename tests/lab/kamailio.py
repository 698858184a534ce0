"""Kamailio as the proxy in front: with Record-Route in the way of every request."""

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

from tests.lab.certificates import Certificate
from tests.lab.daemon import ROOT
from tests.lab.peers import KAMAILIO
from tests.lab.process import Process, bound, running

_CONFIG = """\
debug=1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
mpath="{modules}"
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
{tls_globals}
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
{tls_modules}
{more}
modparam("rr", "enable_full_lr", 1)
modparam("rr", "enable_double_rr", 1)

request_route {{
  if (!mf_process_maxfwd_header("10")) {{
    sl_send_reply("483", "Too Many Hops"); exit;
  }}
  {checks}
  if (is_method("CANCEL")) {{
    xlog("passes $rm\\n");
    if (t_check_trans()) t_relay();
    exit;
  }}
  if (has_totag()) {{
    if (loose_route()) {{
      xlog("passes $rm by route\\n");
      t_relay(); exit;
    }}
    if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
    sl_send_reply("404", "Not here"); exit;
  }}
  if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (is_method("OPTIONS") && uri == myself && $rU == $null) {{
    sl_send_reply("200", "OK"); exit;
  }}
  if (t_precheck_trans()) {{ t_check_trans(); exit; }}
  t_check_trans();
  record_route();
  if ($sp == {agent}) $du = "{outside}"; else $du = "{inside}";
  xlog("passes $rm\\n");
  t_relay();
}}
"""

_TLS = """\
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")
modparam("tls", "ca_list", "{ca}")
modparam("tls", "verify_certificate", 1)
modparam("tls", "require_certificate", 1)
"""


class Kamailio:
    """One Kamailio, and what it has passed on."""

    def __init__(self, process: Process, port: int) -> None:
        self._process = process
        self.port = port

    def passed(self, method: str) -> int:
        """How many requests of a method it passed on."""
        return len(re.findall(rf"passes {method}\b", self._process.said))

    def passed_by_route(self, method: str) -> int:
        """How many of them because it stood in the Route."""
        return len(re.findall(rf"passes {method} by route", self._process.said))


@contextlib.asynccontextmanager
async def kamailio(
    root: Path,
    *,
    port: int,
    agent: int,
    outside: str,
    inside: str = "",
    tls: tuple[int, Certificate] | None = None,
    more: str = "",
    checks: str = "",
) -> AsyncIterator[Kamailio]:
    """A proxy at `port`: what comes from the agent goes outside, all else to it.

    `outside` and `inside` are URIs of the next hop. `tls` is a port to listen at as
    well and what it shows there; who connects must show a certificate too. `more`
    are lines of modules, `checks` are said of each request.
    """
    folder = root / f"kamailio-{port}"
    folder.mkdir()
    tls_globals = tls_modules = ""
    if tls is not None:
        tls_globals = f"enable_tls=yes\nlisten=tls:127.0.0.1:{tls[0]}"
        tls_modules = _TLS.format(
            certificate=tls[1].certificate, key=tls[1].key, ca=tls[1].ca
        )
    (folder / "kamailio.cfg").write_text(
        _CONFIG.format(
            modules=KAMAILIO.root / "usr/lib/x86_64-linux-gnu/kamailio/modules",
            port=port,
            agent=agent,
            outside=outside,
            inside=inside or f"sip:127.0.0.1:{agent}",
            tls_globals=tls_globals,
            tls_modules=tls_modules,
            more=more,
            checks=checks,
        )
    )
    command = [*KAMAILIO.command, "-DD", "-E", "-m", "32", "-M", "8"]
    command += ["-Y", str(folder), "-P", str(folder / "pid")]
    command += ["-f", str(folder / "kamailio.cfg")]
    with running("kamailio", folder, command) as process:
        ports = [port] if tls is None else [port, tls[0]]
        await process.ready(lambda: all(bound(p, "tcp") for p in ports))
        yield Kamailio(process, port)


@contextlib.asynccontextmanager
async def dispatcher(
    root: Path, address: str, port: int, *hosts: str
) -> AsyncIterator[None]:
    """The example of config/kamailio at an address, in front of `ADDRESS:PORT`s."""
    example = (ROOT / "config/kamailio/kamailio.cfg").read_text()
    listed = root / "dispatcher.list"
    listed.write_text("".join(f"1 sip:{host}\n" for host in hosts))
    for old, new in (
        ("192.0.2.10:5060", f"{address}:{port}"),
        ("192.0.2.10", address),
        ("/etc/kamailio/dispatcher.list", str(listed)),
        # A test does not wait as long for a host to be missed, and found again.
        ('"fr_timer", 2000', '"fr_timer", 500'),
        ('"ds_ping_interval", 5', '"ds_ping_interval", 1'),
        ("children=4", "children=1\nlog_stderror=yes"),
    ):
        assert old in example
        example = example.replace(old, new)
    modules = KAMAILIO.root / "usr/lib/x86_64-linux-gnu/kamailio/modules"
    config = root / "dispatcher.cfg"
    config.write_text(example.replace("listen=", f'mpath="{modules}"\nlisten=', 1))
    command = [*KAMAILIO.command, "-DD", "-E", "-m", "32", "-M", "8"]
    command += ["-Y", str(root), "-P", str(root / "pid"), "-f", str(config)]
    with running("dispatcher", root, command) as process:
        await process.ready(lambda: bound(port, "tcp"))
        yield
