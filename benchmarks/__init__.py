"""Side-by-side measurements, each against a named peer in the same run.

Every benchmark runs as `python -m benchmarks.NAME [--quick] [--json]` and prints a table or one JSON object.
Quote medians and ratios: machines are shared and noisy.
"""
