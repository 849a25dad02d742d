"""Images and files: fetched, written and read as streams."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

from swarmd.errors import ProviderError, SwarmError, ValidationError
from swarmd.ports import Call
from swarmd.providers.docker.calls import SAFE, Calls
from swarmd.providers.docker.pulling import Login, follow, not_pulled, query_of


class Transfers(Calls):
    """What moves much data."""

    def image(self, ref: str, within: float) -> dict[str, Any]:
        """All about an image in the engine. Raises ``NotThere``."""
        if ".." in ref.split("/"):
            raise ValidationError(
                f"{ref!r} is no name of an image",
                field="config.image",
                next_step='Give one such as "codercom/code-server:latest".',
            )
        path = f"/images/{quote(ref, SAFE)}/json"
        return self._get(dict, f"looking at the image {ref}", path, {}, within)

    def pull(self, ref: str, login: Login | None, call: Call) -> None:
        """Fetch an image from its registry; tells its progress.

        Args:
            ref: Its name; without a tag, ``latest`` is meant.
            login: At the registry. It goes to the engine alone.
            call: Ends it.

        Raises:
            ProviderError: It did not come; names image, engine and reason.
        """
        doing, headers = f"fetching the image {ref}", {}
        if login is not None:
            headers["X-Registry-Auth"] = login.header(ref)
        call.check()
        try:
            answer = self._link.stream(
                doing,
                "POST",
                "/images/create",
                call.remaining,
                query=query_of(ref),
                headers=headers,
                watch=call.check,
            )
        except ProviderError as fault:
            if "status" not in fault.details:
                raise
            raise not_pulled(ref, str(fault.details["cause"]), self._link.faults, fault) from fault
        answer.sock.deadline = None  # from here on the call alone says when to end
        with closing(self._pieces(answer, doing)) as pieces:
            follow(pieces, ref, call, self._link.faults)

    def put_archive(self, ref: str, path: str, chunks: Iterable[bytes], within: float) -> None:
        """Unpack a tar archive in a container, running or not, as it comes.

        Args:
            ref: The container.
            path: Folder in it. Raises ``NotThere`` if it is missing.
            chunks: The archive; what iterating it raises comes out unchanged, and what was
                unpacked until then stays.
            within: Seconds for all of it.
        """
        failed: list[Exception] = []

        def kept() -> Iterator[bytes]:
            try:
                yield from chunks
            except Exception as error:
                failed.append(error)
                raise

        doing = f"writing to {path} of {ref}"
        try:
            self._link.do(doing, within, lambda api: api.put_archive(ref, path, kept()), once=True)
        except SwarmError as fault:
            if failed and fault is not failed[0]:
                raise failed[0] from None
            raise

    def get_archive(self, ref: str, path: str, within: float) -> Generator[bytes]:
        """Read a file or folder of a container, running or not, as a tar archive.

        Closing the generator closes the connection.

        Args:
            ref: The container.
            path: In it. Raises ``NotThere`` if it is missing.
            within: Seconds until it begins, and then for each piece.
        """
        doing, where = f"reading {path} of {ref}", f"/containers/{quote(ref, SAFE)}/archive"
        answer = self._link.stream(doing, "GET", where, within, query={"path": path})
        answer.sock.deadline, answer.sock.idle = None, within
        return self._pieces(answer, doing)
