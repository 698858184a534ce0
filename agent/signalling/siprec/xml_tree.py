"""XML that a stranger wrote, as a tree; bounded in size, depth and number.

The parser is expat. Nothing that a DOCTYPE could declare is read, for the document ends
at one: so there are no entities but the five of XML, and no document grows while it is
read. Namespaces are not left to expat, which writes the whole URI before each prefixed
attribute: half a mebibyte of URI and as much of attributes would be gibibytes. The
encoding is ours too, so that no document can name one which Python would go and load.
"""

import codecs
import re
from typing import Final
from xml.parsers import expat

from agent.signalling.siprec.metadata import Flaw, MetadataError

MAX_SIZE: Final = 1 << 20
"Octets. The largest that was seen in the field has four thousand."
MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 4000
"A document of two parties has some thirty. So many are read in ten milliseconds, for \
which all calls of this host wait."
MAX_NAME: Final = 256
"Characters of an element's or attribute's name."

_XML: Final = "http://www.w3.org/XML/1998/namespace"
_ENCODINGS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
"What may be declared, and what it is here."
_DECLARED: Final = re.compile(
    rb"""\s*<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']"""
)
_DECLARATION: Final = re.compile(r"\s*<\?xml\b[^>]{0,300}\?>")
_BARE_AMPERSAND: Final = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)"
)


class Element:
    """One element: its name, what it says of itself, and what is in it."""

    __slots__ = ("attributes", "children", "name", "namespace", "pieces")

    def __init__(
        self, namespace: str, name: str, attributes: dict[str, str] | None = None
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.attributes = attributes or {}
        self.pieces: list[str] = []
        self.children: list[Element] = []

    @property
    def text(self) -> str:
        """Its own characters, without white space at both ends."""
        return "".join(self.pieces).strip()


def read_tree(xml: bytes) -> tuple[Element, tuple[Flaw, ...]]:
    """The outermost element of a document, and what was wrong with its characters.

    Raises MetadataError for what is not XML, has a DOCTYPE or is over a bound.
    """
    if len(xml) > MAX_SIZE:
        raise MetadataError("The metadata is larger than we read.")
    text, flaws = _decode(xml)
    # The declaration has said what it had to say, and white space before it, which a
    # body of several parts may leave there, is not allowed.
    text = _DECLARATION.sub("", text, count=1).strip()
    try:
        return _Builder().read(text), flaws
    except expat.ExpatError as error:
        mended = _BARE_AMPERSAND.sub("&amp;", text)
        if mended == text:
            raise _not_xml(error) from None
    try:
        return _Builder().read(mended), (*flaws, Flaw.AMPERSAND)
    except expat.ExpatError as error:
        raise _not_xml(error) from None


def _not_xml(error: expat.ExpatError) -> MetadataError:
    return MetadataError(
        f"The metadata is not XML: {expat.ErrorString(error.code)},"
        f" line {error.lineno}."
    )


def _decode(xml: bytes) -> tuple[str, tuple[Flaw, ...]]:
    encoding: str | None = "utf-8"
    if xml.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif xml.startswith(b"<\0"):
        encoding = "utf-16-le"
    elif xml.startswith(b"\0<"):
        encoding = "utf-16-be"
    elif declared := _DECLARED.match(xml.removeprefix(codecs.BOM_UTF8)):
        encoding = _ENCODINGS.get(declared[1].decode("ascii").lower())
        # Of UTF-16 the declaration itself would not have been readable.
        if encoding is not None and encoding.startswith("utf-16"):
            encoding = None
    known = encoding or "utf-8"
    try:
        text = xml.decode(known)
    except UnicodeDecodeError:
        text, encoding = xml.decode(known, "replace"), None
    return text.removeprefix("\ufeff"), () if encoding else (Flaw.ENCODING,)


class _Builder:
    """Makes elements of what expat reports."""

    def __init__(self) -> None:
        self._document = Element("", "")
        self._open = [self._document]
        self._scopes: list[dict[str, str]] = [{"xml": _XML}]
        "Prefixes declared by each open element, the innermost last."
        self._elements = 0

    def read(self, text: str) -> Element:
        """The outermost element. Raises ExpatError and MetadataError."""
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        # What has no UTF-8 form, half a surrogate pair, has no place in XML either.
        parser.Parse(text.encode("utf-8", "replace"), True)  # noqa: FBT003
        return self._document.children[0]

    def _doctype(self, *_: object) -> None:
        raise MetadataError("The metadata has a DOCTYPE.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise MetadataError("The metadata has more elements than we read.")
        if len(self._open) > MAX_DEPTH:
            raise MetadataError("The metadata's elements are nested too deeply.")
        scope: dict[str, str] = {}
        said: dict[str, str] = {}
        for key, value in attributes.items():
            if len(key) > MAX_NAME:
                raise MetadataError("The metadata has a name longer than we read.")
            prefix, _, local = key.rpartition(":")
            if prefix == "xmlns":
                scope[local] = value
            elif key == "xmlns":
                scope[""] = value
            else:
                said[local] = value
        if len(name) > MAX_NAME:
            raise MetadataError("The metadata has a name longer than we read.")
        self._scopes.append(scope)
        prefix, _, local = name.rpartition(":")
        element = Element(self._namespace(prefix), local, said)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _namespace(self, prefix: str) -> str:
        for scope in reversed(self._scopes):
            if prefix in scope:
                return scope[prefix]
        return ""

    def _end(self, _: str) -> None:
        self._scopes.pop()
        self._open.pop()

    def _characters(self, data: str) -> None:
        self._open[-1].pieces.append(data)
