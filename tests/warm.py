"""The programs of this project, forked after their imports, which take most of the time of a short run.

An order comes with its standard streams through the socket of that address; the answer is its exit
status. The stand-in for Python, which programs find in `sys.executable`, orders scripts and Snakemake
here as well.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
import threading
from pathlib import Path

from snakemake.cli import get_argument_parser
from snakemake.cli import main as snakemake

from radiounet.running.cli import main as radiounet_command

IMPORTED = (
    *("radiounet.images.resampling", "radiounet.learning.runs", "radiounet.learning.training"),
    *("radiounet.measuring.clusters", "radiounet.measuring.limits", "radiounet.measuring.region_tables"),
    *("radiounet.mosaicking.mosaic_products", "radiounet.network.architectures.lotss_unet"),
    *("radiounet.network.segmenting", "radiounet.publishing.publication", "radiounet.publishing.report"),
    *("radiounet.running.arguments", "radiounet.running.shared_job", "radiounet.running.publish_verbs"),
    *("radiounet.running.rules", "radiounet.running.stage", "radiounet.settings.configuration_file"),
    *("radiounet.simulation.simulate", "radiounet.survey.archive", "radiounet.survey.lists"),
    *("contourpy", "healpy", "jinja2", "matplotlib.backends.backend_agg", "pyarrow.parquet"),
)
"""What most programs import, sooner or later."""
COMMANDS = {"snakemake": snakemake, "radiounet": radiounet_command}
STAND_IN = """#!{python} -IS
import json, os, socket, sys
words = sys.argv[2:] if sys.argv[1:3] == ["-m", "snakemake"] else sys.argv[1:]
if not words or not words[0].endswith(("snakemake", ".py")):
    os.execv({python!r}, [{python!r}, *words])
order = {{"words": words, "folder": os.getcwd(), "environment": dict(os.environ)}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b" "], [0, 1, 2])
    server.sendall(json.dumps(order).encode() + b"\\n")
    status = int(server.makefile().readline())
sys.exit(status if status >= 0 else 128 - status)
"""


def run(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """Run a command, or the script of a file, in this process."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    if command := COMMANDS.get(words[0]):
        command(words[1:])
    else:
        runpy.run_path(words[0], run_name="__main__")


def leave(end: SystemExit | None) -> None:
    """End this process like Python, without the slow teardown of imported modules."""
    status = end.code if end else 0
    if status is None or isinstance(status, int):
        status = (status or 0) & 0xFF
    else:
        print(status, file=sys.stderr)  # noqa: T201
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def run_and_leave(order: dict, streams: list[int]) -> None:
    """Run a program in this process, and end it."""
    try:
        run(**order, streams=streams)
        leave(None)
    except SystemExit as end:
        leave(end)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        leave(SystemExit(1))


def serve(address: str) -> None:
    """Take orders until standard input ends."""
    with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is listener:
                    client, _ = listener.accept()
                    streams = socket.recv_fds(client, 1, 3)[1]
                    order = json.loads(client.makefile().readline())
                    child = os.fork()
                    if not child:
                        run_and_leave(order, streams)
                    for stream in streams:
                        os.close(stream)
                    selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, client))
                else:
                    child, client = key.data
                    selector.unregister(key.fileobj)
                    os.close(key.fd)
                    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                    with client:
                        client.sendall(f"{status}\n".encode())


if __name__ == "__main__":
    for module in IMPORTED:
        importlib.import_module(module)
    get_argument_parser()  # finds the plug-ins of Snakemake
    # as in `conftest.py`; what a killed program wrote stays without it
    os.fsync = lambda descriptor: None
    stand_in = Path(f"{sys.argv[1]}.python")
    stand_in.write_text(STAND_IN.format(python=sys.executable, address=sys.argv[1]))
    stand_in.chmod(0o755)
    sys.executable = str(stand_in)
    gc.freeze()  # a child that looked for garbage among all that is imported would copy it
    serve(sys.argv[1])
