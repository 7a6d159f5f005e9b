#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No static of a function of the recording side is set up on its first use: the child of a fork in the midst of one
waits for ever.

usage: first_use_test.py PROGRAM...     (that use the library)
"""

import re
import subprocess
import sys

GUARD = re.compile(r"guard variable for (mlflow::trace::\w+::detail::.*\).*)$", re.MULTILINE)
OF_A_THREAD = re.compile(r"::at_thread_exit$")
GUARDED_ON_PURPOSE = re.compile(r"::member\(nlohmann::")  # of an answer: the client does not record


def main() -> None:
    found, pools = set(), 0
    for program in sys.argv[1:]:
        symbols = subprocess.run(["nm", "--demangle", program], capture_output=True, text=True, check=True).stdout
        found.update(GUARD.findall(symbols))
        pools += len(re.findall(r"detail::(?:threaded_)?pool<", symbols))
    if not pools:
        sys.exit("none of the programs records: nothing was checked")
    wrong = [name for name in sorted(found) if not OF_A_THREAD.search(name) and not GUARDED_ON_PURPOSE.search(name)]
    if wrong:
        sys.exit("\n".join(["set up on first use:", *wrong]))


if __name__ == "__main__":
    main()
