"""What the grid code costs: the operator's link, the way of a command, and the functions of a cycle.

    python -m benchmarks.gridcode [--quick] [--json] [--only link,command,functions]

`link`: see `benchmarks.scada` (10,000 points, 1,000 events a second, two masters, beside c104). `command`: see
`benchmarks.scada_command` (from a master's execute to the device's register). `functions`: see
`benchmarks.grid_functions` (all grid functions of one cycle; no peer computes them offline).
"""

from __future__ import annotations

from typing import Any

from benchmarks import grid_functions, scada, scada_command
from benchmarks.harness import Row, machine, parser, report

PARTS = ("link", "command", "functions")


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    options = arguments.parse_args()
    chosen = options.only.split(",")
    if unknown := [part for part in chosen if part not in PARTS]:
        arguments.error(f"--only {unknown[0]}: use {', '.join(PARTS)}")
    result: dict[str, Any] = {"benchmark": "gridcode", "machine": machine("c104")}
    rows: list[Row] = []
    notes: list[str] = []
    if "link" in chosen:
        result["link"] = scada.measure(quick=options.quick)
        rows += scada.rows_of(result["link"])
        notes += scada.NOTES
    if "command" in chosen:
        result["command"] = scada_command.measure(quick=options.quick, free_port=scada.free_port())
        rows += [(what, value, "") for what, value in result["command"].items()]
        notes.append("aim: command to register p99 at most one cycle and 50 ms")
    if "functions" in chosen:
        result["functions"] = grid_functions.measure(quick=options.quick)
        rows += [(what, value, "µs a cycle") for what, value in result["functions"].items()]
    report(result | {"notes": notes}, rows, as_json=options.json)


if __name__ == "__main__":
    main()
