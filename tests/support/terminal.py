# SPDX-License-Identifier: Apache-2.0
"""What a program writes to a terminal."""

import fcntl
import os
import pty
import struct
import termios
import threading

END = b"\0"


class Terminal:
    """`output` is a terminal to run programs on; what they wrote is in `text` after the block."""

    def __init__(self, columns: int = 80):
        self.reading_end, self.output = pty.openpty()
        fcntl.ioctl(self.output, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.seen = bytearray()
        self.reader = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self.seen.endswith(END):
            self.seen += os.read(self.reading_end, 65536)

    def __enter__(self) -> "Terminal":
        self.reader.start()
        return self

    def __exit__(self, *_) -> None:
        os.write(self.output, END)  # Linux may drop what nobody has read yet when the last writer closes a terminal
        self.reader.join()
        os.close(self.output)
        os.close(self.reading_end)

    @property
    def text(self) -> str:
        return self.seen.removesuffix(END).decode().replace("\r\n", "\n")
