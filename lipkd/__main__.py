"""`python -m lipkd`: the command line where the package is not installed, only on the path."""

from lipkd.cli import main

raise SystemExit(main())
