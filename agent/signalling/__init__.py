"""SIP and SDP: what the agent says and hears on the signalling path."""
