"""RTP: relayed, announced into and tapped by worker processes of their own."""
