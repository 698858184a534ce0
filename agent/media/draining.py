"""Workers beyond those that are wanted: they keep their calls until these end."""

from agent.media.crew import Crew
from agent.media.legs import Legs
from agent.media.recordings import Recordings


class Draining:
    """Lets such workers go, each once it has nothing left that could be lost."""

    def __init__(self, crew: Crew, legs: Legs, recordings: Recordings) -> None:
        self._crew = crew
        self._legs = legs
        self._recordings = recordings

    def look(self) -> None:
        """To be called whenever a leg or a recording is gone."""
        for worker in self._crew.draining:
            if not (self._legs.bind(worker) or self._recordings.names_in(worker)):
                self._crew.release(worker)
