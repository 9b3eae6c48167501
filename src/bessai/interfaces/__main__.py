"""`python -m bessai.interfaces` is the service plane."""

import sys

from bessai.interfaces.service import main

sys.exit(main())
