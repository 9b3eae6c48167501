"""`python -m bessai.interfaces.api`."""

import sys

from bessai.interfaces.api.server import main

sys.exit(main())
