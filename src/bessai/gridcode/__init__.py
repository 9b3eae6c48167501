"""The grid-code self-test: evidence, from samples, that the plant does what the code asks for.

    rows = run(Setup(seed=1))                      # on the twin, in simulated time: `bessai gridcode test`
    save(twin_report(setup, rows, date), folder)   # JSON, HTML and PDF, in English and Spanish

* `clauses`: what the code asks for, who closes each loop, how sure we are (`bessai.grid/clauses.json`);
* `measure`: reaction, rise, settling and overshoot of a step, as the annex defines them;
* `bench`: the real control plane against the twin's registers, on a virtual clock;
* `frequency`, `voltage`, `modes`, `active`, `records`, `changes`: the tests, a few rows each, run by `suite`;
* `sabotage`: deliberate faults, which must make their rows fail;
* `plant`, `plant_plan`, `feed`: test signals on a real plant, through the gateway's socket only;
* `report`, `page`, `paper`, `files`: what is handed in.

A row passes, fails, or was not tested, and then says why. What was not measured is never called passed.
"""
