import codecs
import contextlib
import tracemalloc

import pytest
from hypothesis import given, strategies as st

from agent.signalling.siprec.metadata import Flaw, MetadataError
from agent.signalling.siprec.xml_tree import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_NAME,
    MAX_SIZE,
    read_tree,
)

LAUGHS = b"".join(
    (
        b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">',
        *(
            b'<!ENTITY %c "%s">' % (97 + n, b"&%c;" % (96 + n) * 10)
            for n in range(1, 10)
        ),
        b"]><recording>&j;</recording>",
    )
)


def test_a_tree_has_names_texts_and_namespaces() -> None:
    root, flaws = read_tree(
        b'<?xml version="1.0"?>\n<t:a xmlns:t="urn:t" xmlns="urn:d" x="1" t:y="2">'
        b" one <b/><![CDATA[<two>]]>&lt;<c xmlns='' xml:lang='en'>c</c><t:d/></t:a>\n"
    )
    assert flaws == ()
    assert (root.namespace, root.name) == ("urn:t", "a")
    assert root.attributes == {"x": "1", "y": "2"}
    assert root.text == "one <two><"
    assert [(one.namespace, one.name) for one in root.children] == [
        ("urn:d", "b"),
        ("", "c"),
        ("urn:t", "d"),
    ]
    assert root.children[1].attributes == {"lang": "en"}


def test_a_prefix_that_nobody_declared_has_no_namespace() -> None:
    root, _ = read_tree(b"<t:a><xml:b/></t:a>")
    assert (root.namespace, root.name) == ("", "a")
    assert root.children[0].namespace == "http://www.w3.org/XML/1998/namespace"


@pytest.mark.parametrize(
    ("xml", "flaws"),
    [
        ("<a>Käthe</a>".encode(), ()),
        (codecs.BOM_UTF8 + "<a>Käthe</a>".encode(), ()),
        ('\r\n<?xml version="1.0" encoding="UTF-8"?><a>Käthe</a>'.encode(), ()),
        ('<?xml encoding="iso-8859-1"?><a>Käthe</a>'.encode("latin-1"), ()),
        ("<?xml encoding='Windows-1252'?><a>Käthe</a>".encode("cp1252"), ()),
        ('<?xml encoding="UTF-16"?><a>Käthe</a>'.encode("utf-16"), ()),
        ("<a>Käthe</a>".encode("utf-16-le"), ()),
        ("<a>Käthe</a>".encode("utf-16-be"), ()),
        ('<?xml encoding="UTF-16"?><a>Käthe</a>'.encode(), (Flaw.ENCODING,)),
        ('<?xml encoding="zlib_codec"?><a>Käthe</a>'.encode(), (Flaw.ENCODING,)),
        ('<?xml encoding="idna"?><a>Käthe</a>'.encode(), (Flaw.ENCODING,)),
    ],
)
def test_encodings(xml: bytes, flaws: tuple[Flaw, ...]) -> None:
    root, found = read_tree(xml)
    assert root.text == "Käthe"
    assert found == flaws


def test_octets_of_no_encoding_cost_no_more_than_themselves() -> None:
    root, flaws = read_tree(b"<a>K\xe4the</a>")
    assert root.text == "K\ufffdthe"
    assert flaws == (Flaw.ENCODING,)


def test_half_of_a_surrogate_pair_is_a_character_we_do_not_know() -> None:
    root, _ = read_tree(b"<\0a\0>\0\0\xd8<\0/\0a\0>\0")
    assert root.text == "\ufffd"


def test_a_bare_ampersand_is_mended() -> None:
    root, flaws = read_tree(b"<a>Smith & Sons &amp; &#65;&nbsp;</a>")
    assert root.text == "Smith & Sons & A&nbsp;"
    assert flaws == (Flaw.AMPERSAND,)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b"", "is not XML"),
        (b"hello", "is not XML"),
        (b"<a>", "is not XML"),
        (b"<a></b>", "is not XML"),
        (b"<a/><b/>", "is not XML"),
        (b"<a>\0</a>", "is not XML"),
        (b"<a>& </b>", "is not XML"),
        (b"<!DOCTYPE a><a/>", "DOCTYPE"),
        (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "DOCTYPE"),
        (LAUGHS, "DOCTYPE"),
        (b"<a>" + b"x" * MAX_SIZE + b"</a>", "larger"),
        (b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1), "deep"),
        (b"<a>" * 100_000, "deep"),
        (b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>", "more elements"),
        (b"<a>" + b"<b/>" * 100_000 + b"</a>", "more elements"),
        (b"<%s/>" % (b"a" * (MAX_NAME + 1)), "name"),
        (b"<a %s=''/>" % (b"a" * (MAX_NAME + 1)), "name"),
    ],
)
def test_what_is_not_read(xml: bytes, reason: str) -> None:
    with pytest.raises(MetadataError, match=reason):
        read_tree(xml)


def test_what_is_read_at_the_bounds() -> None:
    assert read_tree(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH)
    root, _ = read_tree(b"<a>" + b"<b/>" * (MAX_ELEMENTS - 1) + b"</a>")
    assert len(root.children) == MAX_ELEMENTS - 1


def peak(xml: bytes) -> int:
    """Octets that reading this takes at most, above what is held already."""
    tracemalloc.start()
    try:
        with contextlib.suppress(MetadataError):
            read_tree(xml)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_bounded_whatever_is_sent() -> None:
    uri = b"u" * (MAX_SIZE // 2)
    attributes = b"".join(b" p:a%d=''" % n for n in range(40_000))
    scopes = b"".join(b"<a xmlns:p%d='%d'/>" % (n, n) for n in range(10_000))
    declared = b"".join(b" xmlns:q%d='u'" % n for n in range(20_000))
    hostile = [
        LAUGHS,
        b"<a>" * 300_000,
        b"<a>" + b"<b/>" * 250_000,
        b"<a>" + b"x" * 10_000_000 + b"</a>",
        b"<p:a xmlns:p='%s'%s/>" % (uri, attributes),
        b"<a xmlns='%s'>%s</a>" % (uri, b"<b/>" * 15_000),
        b"<a%s>%s</a>" % (declared, scopes),
        b"<a>" + b"&#65;" * 200_000 + b"</a>",
        b"<a>" + b"& " * 500_000 + b"</a>",
    ]
    assert max(map(peak, hostile)) < 24 * MAX_SIZE


@given(st.binary(max_size=200))
def test_any_octets_are_a_tree_or_no_metadata(xml: bytes) -> None:
    with contextlib.suppress(MetadataError):
        read_tree(xml)
