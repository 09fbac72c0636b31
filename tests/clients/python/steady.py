"""What the steady clients of Python share: the command line, the pace, and the journal.

    produce BOOTSTRAP USER PASSWORD TOPIC --journal FILE --name NAME --partitions N --rate R
    consume BOOTSTRAP USER PASSWORD TOPIC --journal FILE --group G [--protocol classic|consumer]

Both take --deadline-seconds. USER is - where there is no login. A steady client goes on until its standard input ends,
or until the deadline. A producer sends R records per second, whatever becomes of them: record n goes to partition
n modulo N and begins with NAME:n: and a consumer commits every second. All settings are the library's defaults, but acks=all
and where a new group begins.

What happens is written to the journal at once, a line each, fields parted by tabs. The second field is the time in
milliseconds since 1970. Texts come last and hold neither tabs nor line ends.

    begin      TIME LIBRARY VERSION
    ack        TIME NUMBER TOPIC PARTITION OFFSET LATENCY-MS   -1 as offset: acknowledged, and not told where
    failed     TIME NUMBER TEXT                                a send of which the program was told that it failed
    aborted    TIME NUMBER                                     its transaction was aborted
    read       TIME TOPIC PARTITION OFFSET NAME:NUMBER
    committed  TIME
    assigned   TIME PARTITIONS                                 how many; with each join of a group
    revoked    TIME PARTITIONS
    error      TIME WHERE TEXT                                 WHERE: fatal, commit, poll, callback, end
    logged     TIME TEXT                                       what the library logs of level error: no program sees it
    ending     TIME                                            it was told to end
    end        TIME SENT                                       numbers below SENT were sent

The clients of other languages, in the neighbouring directories, take the same and write the same.
"""

import argparse
import logging
import os
import sys
import threading
import time

SIZE = 100
COMMIT_SECONDS = 1
# After the last send: longer than the brokers are away.
FLUSH_SECONDS = 40


def arguments():
    parser = argparse.ArgumentParser()
    modes = parser.add_subparsers(dest="mode", required=True)
    for name in ("produce", "consume"):
        mode = modes.add_parser(name)
        for place in ("bootstrap", "user", "password", "topic"):
            mode.add_argument(place)
        mode.add_argument("--journal", required=True)
        mode.add_argument("--deadline-seconds", type=float, default=300)
        if name == "produce":
            mode.add_argument("--name", required=True)
            mode.add_argument("--partitions", type=int, required=True)
            mode.add_argument("--rate", type=float, required=True)
        else:
            mode.add_argument("--group", required=True)
            mode.add_argument("--protocol", choices=["classic", "consumer"], default="classic")
    return parser.parse_args()


def milliseconds():
    return time.time() * 1000


class Steady:
    """One client: its pace and its journal."""

    def __init__(self, library, version):
        self.told = arguments()
        self.file = open(self.told.journal, "w", buffering=1, encoding="utf-8")
        self.lock = threading.Lock()
        self.begun = self.committed_at = time.monotonic()
        self.ended = threading.Event()
        self.sent = 0
        self.pending = {}
        self.unsaved = False
        self.write("begin", library, version)
        threading.Thread(target=self.wait_for_end, daemon=True).start()

    def wait_for_end(self):
        # Not sys.stdin, whose lock an interpreter that ends would wait for.
        while os.read(0, 1024):
            pass
        self.ended.set()

    def write(self, kind, *fields):
        line = "\t".join([kind, f"{milliseconds():.3f}", *(" ".join(str(field).split()) for field in fields)])
        with self.lock:
            self.file.write(line + "\n")

    def listen(self, *names):
        """Writes down what these loggers log of level error."""
        handler = logging.Handler(logging.ERROR)
        handler.emit = lambda record: self.write("logged", f"{record.name}: {record.getMessage()}")
        for name in names:
            logging.getLogger(name).addHandler(handler)

    def goes_on(self):
        return not self.ended.is_set() and time.monotonic() - self.begun < self.told.deadline_seconds

    # Of producers.

    def until_due(self):
        """How many seconds it is until the next record is due; none where it is."""
        return max(0.0, self.begun + self.sent / self.told.rate - time.monotonic())

    def take(self):
        """The next record: its number, its partition and what it holds."""
        number = self.sent
        self.sent += 1
        self.pending[number] = milliseconds()
        return number, number % self.told.partitions, (b"%s:%d:" % (self.told.name.encode(), number)).ljust(SIZE, b".")

    def acknowledged(self, number, partition, offset):
        latency = milliseconds() - self.pending.pop(number, milliseconds())
        self.write("ack", number, self.told.topic, partition, -1 if offset is None else max(-1, offset), f"{latency:.3f}")

    def failed(self, number, error):
        self.pending.pop(number, None)
        self.write("failed", number, repr(error))

    # Of consumers.

    def read(self, topic, partition, offset, value):
        self.unsaved = True
        name, number = value.split(b":")[:2]
        self.write("read", topic, partition, offset, f"{name.decode()}:{number.decode()}")

    def is_commit_due(self):
        """Whether something was read that is to be committed now."""
        if not self.unsaved or time.monotonic() - self.committed_at < COMMIT_SECONDS:
            return False
        self.committed_at = time.monotonic()
        return True

    def committed(self):
        self.unsaved = False
        self.write("committed")

    def error(self, where, error):
        self.write("error", where, repr(error))

    def assigned(self, partitions):
        self.write("assigned", len(partitions))

    def revoked(self, partitions):
        if self.goes_on():
            self.write("revoked", len(partitions))

    def ending(self):
        self.write("ending")

    def run(self, produce, consume):
        """Does it, and ends the process: some clients leave threads behind that would not."""
        try:
            (produce if self.told.mode == "produce" else consume)(self)
        except BaseException as error:
            self.error("end" if self.ended.is_set() else "fatal", error)
        for number in list(self.pending):
            self.failed(number, "no answer came")
        self.write("end", self.sent)
        sys.stdout.flush()
        os._exit(0)
