from __future__ import annotations

import os
import subprocess
import sys


def test_caches_are_bounded_unless_the_operator_says_otherwise():
    code = (
        "import os; from fcfi_core.engines.memory import keep_flat; keep_flat(); "
        "print(os.environ['LRU_CACHE_CAPACITY'])"
    )
    for given, expected in (({}, "16"), ({"LRU_CACHE_CAPACITY": "99"}, "99")):
        environment = {key: value for key, value in os.environ.items() if key != "LRU_CACHE_CAPACITY"} | given
        answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert answer.stdout.strip() == expected
