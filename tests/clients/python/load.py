"""What the loads of Python's clients share: the command line, what records hold, and the report.

    produce BOOTSTRAP USER PASSWORD TOPIC --records N --size BYTES [--seconds S] [--acks all|1|0] [--batch-bytes B]
    consume BOOTSTRAP USER PASSWORD TOPIC --group G --records N [--session-ms MS] [--linger-seconds S]

Both take --client-id and --deadline-seconds. USER is - where there is no login. The clients of other languages, in
the neighbouring directories, take the same and report the same.
"""

import argparse
import hashlib
import json
import logging
import os
import time

HEARTBEAT_MS = 3000
ERRORS_MAX = 20


def arguments():
    parser = argparse.ArgumentParser()
    modes = parser.add_subparsers(dest="mode", required=True)
    for name in ("produce", "consume"):
        mode = modes.add_parser(name)
        for place in ("bootstrap", "user", "password", "topic"):
            mode.add_argument(place)
        mode.add_argument("--records", type=int, required=True)
        mode.add_argument("--client-id")
        mode.add_argument("--deadline-seconds", type=float, default=120)
        if name == "produce":
            mode.add_argument("--size", type=int, required=True)
            mode.add_argument("--seconds", type=float, default=float("inf"))
            mode.add_argument("--acks", choices=["all", "1", "0"])
            # The most that a batch may hold; less than two records of this size make one of each record.
            mode.add_argument("--batch-bytes", type=int)
        else:
            mode.add_argument("--group", required=True)
            mode.add_argument("--session-ms", type=int, default=10000)
            mode.add_argument("--linger-seconds", type=float, default=0)
    return parser.parse_args()


def key(number):
    return b"%d" % number


def noise():
    """A MiB that no compression makes smaller: some clients compress unless told otherwise."""
    block, blocks = b"", []
    for _ in range(16384):
        block = hashlib.sha512(block).digest()
        blocks.append(block)
    return b"".join(blocks)


NOISE = noise()


def value(number, size):
    """What the record of this number holds: the number, then noise, each record's beginning where the last one's ends."""
    start = number * size % len(NOISE)
    repeats = size // len(NOISE) + 2
    return (b"%d:" % number + (NOISE * repeats if start + size > len(NOISE) else NOISE)[start:start + size])[:size]


class Load:
    """One run: what is counted, and what went wrong."""

    def __init__(self, library, version):
        self.library, self.version = library, version
        self.told = arguments()
        self.begun = self.last = time.monotonic()
        self.errors = []
        self.acknowledged = self.bytes = 0
        self.seen = set()
        self.revoked = self.assigned = 0
        self.leaving = False
        # None where the library does not tell; for some it is known only whether there was any.
        self.throttled = None

    def begin(self):
        self.begun = self.last = time.monotonic()

    def listen(self, *names, but=lambda record: False):
        """Takes what these loggers log of level error as errors, but for some."""
        handler = logging.Handler(logging.ERROR)
        handler.emit = lambda record: but(record) or self.failed(f"{record.name}: {record.getMessage()}")
        for name in names:
            logging.getLogger(name).addHandler(handler)

    def failed(self, error):
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(str(error) or repr(error))

    def numbers(self):
        """The numbers to send, until there are no more or the time is over."""
        for number in range(self.told.records):
            if time.monotonic() - self.begun > self.told.seconds:
                self.told.records = number
                return
            yield number

    def acknowledge(self):
        self.acknowledged += 1
        self.bytes += self.told.size
        self.last = time.monotonic()

    def read(self, found, held):
        """One record was read; whether that were all."""
        number = int(found)
        if held != value(number, len(held)):
            self.failed(f"record {number} does not hold what was sent")
        if number not in self.seen:
            self.seen.add(number)
            self.bytes += len(held)
            self.last = time.monotonic()
        return self.is_done()

    def assign(self, partitions):
        """Some clients join before they know the topic's partitions: the first assignment is the first of anything."""
        self.assigned += self.assigned > 0 or len(partitions) > 0

    def revoke(self):
        """Clients say that nothing is revoked before they have anything, and that all is when they leave."""
        self.revoked += self.assigned > 0 and not self.leaving

    def throttle(self):
        self.throttled = (self.throttled or 0) + 1

    def is_done(self):
        count = self.acknowledged if self.told.mode == "produce" else len(self.seen)
        return count >= self.told.records

    def is_late(self):
        return time.monotonic() - self.begun > self.told.deadline_seconds

    def goes_on(self):
        """Whether a consumer has to poll: it misses records, or is to stay in its group."""
        if not self.is_done():
            return not self.is_late()
        return time.monotonic() - self.last < self.told.linger_seconds

    def run(self, produce, consume):
        """Does it, whatever it takes; `end` is left to the caller."""
        try:
            return (produce if self.told.mode == "produce" else consume)(self)
        except Exception as error:
            self.failed(repr(error))

    def end(self):
        """Says what came of it, and ends the process: some clients leave threads behind that would not."""
        print(json.dumps({
            "library": self.library,
            "version": self.version,
            "mode": self.told.mode,
            "records": self.acknowledged if self.told.mode == "produce" else len(self.seen),
            "bytes": self.bytes,
            "seconds": round(self.last - self.begun, 6),
            "errors": self.errors,
            "rebalances": max(self.revoked, self.assigned - 1, 0),
            "throttled": self.throttled,
        }), flush=True)
        os._exit(0 if self.is_done() else 1)
