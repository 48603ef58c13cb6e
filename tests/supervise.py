"""Run a server until standard input closes: ``python supervise.py SIGNAL UID GID COMMAND...``.

The test process holds the other end of the pipe. However it ends, be it a failed test, Ctrl-C or
kill -9, the pipe closes and the server is stopped. Started in a session of its own, so that Ctrl-C
reaches only the tests.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time


def main(stop: str, uid: str, gid: str, *command: str) -> int:
    """Start ``command`` as that user, wait for the end of standard input, then send ``stop``."""
    drop = int(uid) != os.getuid()
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        user=int(uid) if drop else None,
        group=int(gid) if drop else None,
        extra_groups=[] if drop else None,
        start_new_session=True,
    )
    sys.stdin.buffer.read()
    with contextlib.suppress(ProcessLookupError):
        # The whole group: older versions of `mlflow server` do not pass a signal on.
        os.killpg(server.pid, signal.Signals[stop])
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            server.poll()
            os.killpg(server.pid, 0)
            time.sleep(0.05)
        os.killpg(server.pid, signal.SIGKILL)
    return server.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
