"""Files that appear whole or not at all."""

import errno
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".part"
NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file under another name in its folder and moves it into place: nobody ever sees half of it.

    Raises OSError where it cannot be written; what stood there before then stands there still.
    """
    with _written_aside(path, content) as temporary:
        os.replace(temporary, path)


def write_once(path: Path, content: str | bytes) -> bool:
    """The same for a file that is never to change: False, and nothing is written, where it is there already.

    Of several processes that write it at once the first one wins. An empty file is not there: it is what a power
    failure can leave of one. Raises OSError where it cannot be written.
    """
    with _written_aside(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            if path.stat().st_size:
                return False
            os.replace(temporary, path)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if path.exists():  # the best that can be had on a disk without links
                return False
            os.replace(temporary, path)
    return True


def remove_abandoned(folder: Path) -> None:
    """Removes what was left unfinished in a folder and below it by processes of this machine that are gone.

    What cannot be removed stays: it is in nobody's way.
    """
    pattern = re.compile(rf"\.{re.escape(socket.gethostname())}-(\d+)-.*{re.escape(SUFFIX)}")
    for path in folder.rglob(f".*{SUFFIX}"):
        match = pattern.fullmatch(path.name)
        if match and not _alive(int(match[1])):
            with suppress(OSError):
                path.unlink()


@contextmanager
def _written_aside(path: Path, content: str | bytes) -> Iterator[str]:
    """The content in a file of another name beside it, which is gone after the block unless it was moved."""
    data = content.encode() if isinstance(content, str) else content
    # The name says who writes, so that what a killed process leaves can be told from what another is writing.
    prefix = f".{socket.gethostname()}-{os.getpid()}-"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=SUFFIX)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)  # mkstemp makes it private
        yield temporary
    finally:
        with suppress(FileNotFoundError):  # it was moved
            os.unlink(temporary)


def _alive(process: int) -> bool:
    if os.name == "nt":  # where the question itself would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is there, and another user's
        return True
    return True
