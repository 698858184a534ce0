"""`recording-agent archive reconcile`: who read an envelope around the gate."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.access.auditing import check_store_log
from agent.archive.reconciling import Place
from agent.archive.store_log import Checked, Form, StoreLog
from agent.cli.archive.common import Config, at_desk
from agent.cli.terminal import console


def command(
    *files: Path,
    form: Form,
    bucket: str,
    gate_user: Annotated[tuple[str, ...], Parameter(name="--gate-user")],
    prefix: str = "",
    config: Config = None,
) -> None:
    """Hold the object store's own access log against the gate's.

    Exit code 1 if an envelope was read by others than the gate, by the gate without a
    row of its log, or if something was copied within the store.

    Args:
        files: Files of the store's log.
        form: `rgw`: operations log of Ceph's gateway; `aws`: server access log of S3.
        bucket: Bucket of the storage's `url`.
        gate_user: User, or ARN, that the gate signs as; may be given again.
        prefix: Folder in the bucket, if `url` names one.
        config: See above.
    """
    store_log = StoreLog(files, form, Place(bucket, prefix, frozenset(gate_user)))
    _print(
        at_desk(
            config,
            lambda desk: check_store_log(desk, store_log),
            quiet=True,
        )
    )


def _print(checked: Checked) -> None:
    result, out = checked.result, console()
    out.print(f"{checked.requests} requests, {result.reads} reads of envelopes")
    for one in result.unexplained:
        out.print(f"  {one}", style="red", markup=False)
    if result.more:
        out.print(f"  and {result.more} more", style="red")
    if checked.unreadable:
        out.print(f"{checked.unreadable} lines cannot be read", style="red")
    if checked.alarm:
        sys.exit(1)
