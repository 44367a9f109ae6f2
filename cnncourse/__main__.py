"""`python -m cnncourse` is the command `cnncourse`."""

import sys

from .cli import main

sys.exit(main())
