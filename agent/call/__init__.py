"""Call control: one recorded call, whoever signals it."""
