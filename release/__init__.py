"""What leaves this repository, and is it what we say it is?

| command | question |
|---|---|
| `python -m release.licences` | may everything that we ship or use be used so? `--write` makes the pages anew |
| `python -m release.sbom` | which parts does a release consist of? CycloneDX |
| `python -m release.secrets` | is a password or key among the tracked files? |
| `python -m release.reproduce` | do two builds give the same bytes? |
| `python -m release.iec62443` | the page of IEC 62443-4-2, from its data |

All of them end with 0 when the answer is good, with 1 and a sentence for each finding when it is not.
"""
