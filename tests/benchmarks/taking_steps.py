"""A side that burns MILLISECONDS of a processor a step, holds MEBIBYTES, and ends after STEPS."""

import sys
import time

from benchmarks.turns import Answering

milliseconds, mebibytes, left = map(int, sys.argv[1:])
answering = Answering()
held = b"x" * (mebibytes << 20)
while True:
    answering.before_step()
    print("libraries print")
    if not left:
        sys.exit(3)
    left -= 1
    end = time.process_time() + milliseconds / 1000
    while time.process_time() < end:
        pass
