"""`python -m nextpaint` is `nextpaint`."""

import sys

from nextpaint.cli import main

sys.exit(main())
