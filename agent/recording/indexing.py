"""Under which names a finished recording is found: by caller, and by each officer."""

from datetime import date

from agent.formats.blind_index import IndexKeyError, IndexKeys
from agent.formats.layout import Domain, index_key, month_of, unindexed_key
from agent.formats.manifest import Manifest


def index_names(manifest: Manifest, day: date, keys: IndexKeys) -> list[str]:
    """Names of the index objects of a recording that is filed under `day`.

    Where the month's key is not held, or a number is none, it is named among the
    month's unindexed: who searches opens those one by one.
    """
    month, recording_id = month_of(day), manifest.id
    numbers: list[tuple[Domain, str]] = []
    numbers += [("caller", number) for number in manifest.callers]
    numbers += [("officer", officer.number) for officer in manifest.officers]
    names: list[str] = []
    for domain, number in dict.fromkeys(numbers):
        try:
            found = keys.blind(month, domain, number)
        except IndexKeyError:
            found = None
        if found is None:
            names.append(unindexed_key(month, recording_id))
        else:
            names.append(index_key(month, domain, found, recording_id))
    return list(dict.fromkeys(names))
