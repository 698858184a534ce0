from agent.signalling.sip.certificate import MAX_NAMES, names_in, speaks_for


def test_sip_uris_come_before_dns_names() -> None:
    certificate = {
        "subject": ((("commonName", "old.example"),),),
        "subjectAltName": (
            ("DNS", "PBX.example"),
            ("URI", "sip:example.com"),
            ("URI", "sip:alice@example.org"),
            ("URI", "https://web.example"),
            ("URI", "sip:["),
            ("IP Address", "192.0.2.1"),
            ("IP Address", "2001:DB8:0:0:0:0:0:1\n"),
            ("email", "x@y"),
        ),
    }
    assert names_in(certificate) == (
        "example.com",
        "pbx.example",
        "192.0.2.1",
        "2001:db8::1",
    )


def test_the_common_name_counts_only_alone() -> None:
    subject = ((("countryName", "FI"),), (("commonName", "Old.example"),))
    assert names_in({"subject": subject}) == ("old.example",)
    assert names_in({"subject": subject, "subjectAltName": (("email", "a@b"),)}) == ()
    assert names_in({}) == ()


def test_a_certificate_of_everybody_is_read_in_part() -> None:
    names = tuple(("DNS", f"h{i}.example") for i in range(100))
    assert len(names_in({"subjectAltName": names})) == MAX_NAMES


def test_the_whole_name_must_be_the_same() -> None:
    names = ("example.com", "*.example.org", "192.0.2.1", "2001:db8::1")
    assert speaks_for(names, "EXAMPLE.com")
    assert speaks_for(names, "192.0.2.1")
    assert speaks_for(names, "2001:DB8::0:1")
    assert not speaks_for(names, "a.example.com")
    assert not speaks_for(names, "a.example.org")
    assert not speaks_for(names, "")
