"""Where marks lie in central storage, and which of them count.

Where there is a gate, those that it has signed: of all objects there these alone make
it destroy keys, and whoever may write to storage could else make one.
"""

from agent.archive.documents import MAX_SIGNATURE, DocumentError, Documents
from agent.formats.layout import Folder
from agent.formats.sshsig import Namespace
from agent.retention.marks import MAX_MARK, Mark, MarkError, marked_record
from agent.upload.backend import ObjectExistsError, StorageBackend, read_object


class MarkStore:
    """The marks of one site."""

    def __init__(self, home: StorageBackend, documents: Documents) -> None:
        self._home = home
        self._documents = documents

    async def names(self, *, early: bool) -> list[str]:
        """Of the marks of days, or of those of records that go early.

        Raises MarkError for a strange name, StorageError.
        """
        keys = [info.key async for info in self._home.list(Folder.ERASURES)]
        return [key for key in keys if bool(marked_record(key)) is early]

    async def names_of(self, recording_id: str) -> list[str]:
        """Of the marks of one record that goes early. Raises StorageError."""
        prefix = f"{Folder.ERASURES}/"
        after = f"{prefix}{recording_id}"
        found = []
        async for info in self._home.list(Folder.ERASURES, after=after):
            if not info.key.startswith(after):
                break
            found.append(info.key)
        return found

    async def read(self, key: str) -> Mark:
        """One by its name. Raises MarkError if it is none of ours, StorageError."""
        data = await read_object(self._home, key, MAX_MARK + MAX_SIGNATURE)
        try:
            mark = Mark.parse(self._documents.opened(data, Namespace.MARK))
        except DocumentError as error:
            raise MarkError(f"{key}: {error.args[0]}") from None
        if mark.key != key:
            raise MarkError("A mark lies in another's place.")
        return mark

    async def add(self, mark: Mark) -> Mark:
        """Put a mark, or find the one that was there before: that counts.

        One that is none of ours counts for nothing. Raises StorageError.
        """
        try:
            await self._home.put(mark.key, self._sealed(mark))
        except ObjectExistsError:
            try:
                return await self.read(mark.key)
            except MarkError:
                await self.replace(mark)
        return mark

    async def replace(self, mark: Mark) -> None:
        """Put a mark in the place of the one before. Raises StorageError."""
        await self._home.replace(mark.key, self._sealed(mark))

    async def remove(self, mark: Mark) -> None:
        """It is over. Raises StorageError."""
        await self._home.delete(mark.key)

    async def stored_ns(self, mark: Mark) -> int:
        """When storage says that it got it: nanoseconds since the epoch."""
        return (await self._home.head(mark.key)).modified_ns

    def _sealed(self, mark: Mark) -> bytes:
        return self._documents.sealed(mark.to_bytes(), Namespace.MARK)
