"""``python -m dragonfly.dfget``."""

import sys

from dragonfly.dfget.cli import main

if __name__ == "__main__":
    sys.exit(main())
