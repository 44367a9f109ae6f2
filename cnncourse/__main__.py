"""`python -m cnncourse` is the command `cnncourse`."""

import sys

from .tools.cli import main

sys.exit(main())
