"""`recording-agent archive …`: people's side of central storage, one file per verb."""
