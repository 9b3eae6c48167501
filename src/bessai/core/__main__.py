"""`python -m bessai.core`: the control plane. `bessai run` checks the settings and becomes this process."""

import os
import signal
import sys

if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's helper threads would only spin
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while the imports take their time; the loop sets its own
    from bessai.orphan import end_with_parent

    end_with_parent()
    from bessai.core.start import main

    sys.exit(main())
