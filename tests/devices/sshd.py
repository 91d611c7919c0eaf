"""A real OpenSSH server of this user's own on a free port, behind a link that can be cut at any byte."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
PRIVSEP = Path("/run/sshd")  # needed by a server that root starts; made by the system's service elsewhere


def missing() -> str:
    """Why there can be no server here; "" if there can."""
    for name, found in (("sshd", SSHD), ("ssh", shutil.which("ssh")), ("ssh-keygen", shutil.which("ssh-keygen"))):
        if not found:
            return f"no {name} on this machine: apt-get install openssh-server openssh-client"
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            PRIVSEP.mkdir(mode=0o755, exist_ok=True)
        if not PRIVSEP.is_dir():
            return f"root's sshd needs {PRIVSEP}"
    return ""


class Link:
    """A TCP link to a port of this machine. `cut` drops what is connected; `drop_after` does it after so many bytes."""

    def __init__(self, port: int) -> None:
        self.target, self.sent, self.is_down, self.drop_after = port, 0, False, None
        self.connections, self.pairs, self.lock = 0, [], threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            if self.is_down:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.target))
            self.connections += 1
            with self.lock:
                self.pairs.append((near, far))
            for a, b, counts in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pump, args=(a, b, counts), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(2**16):
                sink.sendall(piece)
                if counts:
                    self.sent += len(piece)
                    if self.drop_after is not None and self.sent >= self.drop_after:
                        self.drop_after = None
                        self.cut()
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()  # the other direction closes the other end

    def cut(self, is_down: bool = False) -> None:
        """Drop all connections; `is_down` refuses new ones as well."""
        self.is_down = is_down
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self.cut(is_down=True)
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


class Server:
    """A server with its keys, its log and a client's configuration in one folder."""

    def __init__(self, folder: Path, command: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("host", "user", "other"):
            self._run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
        shutil.copyfile(folder / "user.pub", folder / "authorized_keys")
        self.port = _free_port()
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": folder / "host",
            "AuthorizedKeysFile": folder / "authorized_keys",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "yes",
            "SetEnv": "SHLVL=2",  # bash then leaves the user's own ~/.bashrc alone
        } | ({"ForceCommand": command} if command else {})
        (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        words = [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log)
        self._wait()
        self.link = Link(self.port)
        self.known(folder / "host.pub")
        self.config = self.configure("config")

    def known(self, key: Path) -> None:
        """Let the client expect this key of the server's."""
        words = key.read_text().split()
        (self.folder / "known_hosts").write_text(f"board {words[0]} {words[1]}\n")

    def configure(self, name: str, **changes: object) -> str:
        """A client's configuration in which the server is called `board`."""
        values = {
            "HostName": "127.0.0.1",
            "Port": self.link.port,
            "HostKeyAlias": "board",
            "UserKnownHostsFile": self.folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "IdentityFile": self.folder / "user",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "yes",
        } | changes
        path = self.folder / name
        path.write_text("Host board\n" + "".join(f"    {key} {value}\n" for key, value in values.items()))
        return str(path)

    def close(self) -> None:
        """End it."""
        self.link.close()
        self.process.terminate()
        self.process.wait()

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
