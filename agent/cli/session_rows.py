"""What the manifest says of the recording client that sent us the call, in rows."""

from agent.formats.manifest import Manifest


def session_rows(manifest: Manifest) -> list[tuple[str, str]]:
    """Names and texts; none of a call in which the agent stood itself."""
    session = manifest.session
    if not session:
        return []
    notice, count = session.notice, len(session.metadata)
    flaws = sorted({flaw for one in session.metadata for flaw in one.flaws})
    rows = [
        ("recorded by", f"{manifest.host}, sent by {session.source}"),
        ("sessions", ", ".join(session.session_ids)),
        ("told apart by", session.basis + (", mixed stream" if session.mixed else "")),
        *(
            ("participant", f"{one.number} {one.name}".strip())
            for one in session.participants
        ),
        (
            "notice",
            f"{'given' if notice.given else 'not given'}, by {notice.basis}:"
            f" {notice.detail}",
        ),
        ("metadata", "1 document" if count == 1 else f"{count} documents"),
    ]
    if flaws:
        rows.append(("flaws of it", ", ".join(flaws)))
    if session.tolerated:
        rows.append(("tolerated", ", ".join(session.tolerated)))
    return rows
