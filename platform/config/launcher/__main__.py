"""``python -m config.launcher``."""

import sys

from config.launcher.launch import main

if __name__ == "__main__":
    sys.exit(main())
