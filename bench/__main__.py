"""`python -m bench`: see --help."""

from bench.cli import main

raise SystemExit(main())
