from datetime import UTC, datetime
from pathlib import Path

import trustme

from agent.service.metrics.certificates import read_expiries


def test_the_first_of_a_chain_to_expire_counts(tmp_path: Path) -> None:
    path = tmp_path / "chain.pem"
    ca = trustme.CA()
    for expires in (datetime(2031, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)):
        leaf = ca.issue_cert("agent.example", not_after=expires)
        leaf.cert_chain_pems[0].write_to_path(path, append=True)
    told = read_expiries({"tls": path})
    assert told == {"tls": datetime(2027, 1, 1, tzinfo=UTC).timestamp()}


def test_what_cannot_be_read_expired_long_ago(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    empty = tmp_path / "empty.pem"
    empty.touch()
    files = {"a": tmp_path / "missing.pem", "b": broken, "c": empty}
    assert read_expiries(files) == {"a": 0.0, "b": 0.0, "c": 0.0}
