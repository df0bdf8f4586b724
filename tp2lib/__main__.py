"""Run ``tp2`` as ``python -m tp2lib``, for example where the command is not on the path."""

from __future__ import annotations

import sys

from tp2lib.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
