"""Bytes on the wire and on disk: RTP, journal, age, envelope, manifest; sans-IO."""
