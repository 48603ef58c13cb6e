"""Run a server until standard input closes: ``python supervise.py SIGNAL UID GID COMMAND...``.

The test process holds the other end of the pipe. However it ends, be it a failed test, Ctrl-C or
kill -9, the pipe closes and the server is stopped. Started in a session of its own, so that Ctrl-C
reaches only the tests.
"""

import os
import signal
import subprocess
import sys


def main(stop: str, uid: str, gid: str, *command: str) -> int:
    """Start ``command`` as that user, wait for the end of standard input, then send ``stop``."""
    drop = int(uid) != os.getuid()
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        user=int(uid) if drop else None,
        group=int(gid) if drop else None,
        extra_groups=[] if drop else None,
    )
    sys.stdin.buffer.read()
    server.send_signal(signal.Signals[stop])
    try:
        return server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
