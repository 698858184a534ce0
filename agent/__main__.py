"""`python -m agent` and the command `recording-agent`."""

from agent.cli.app import main

if __name__ == "__main__":
    main()
