"""What the storage engine does over time: one file for each experiment, lab.py for what they share.

bench/engine.py runs them. An experiment is a module with

    TITLE       one line
    NEEDS       what a run of the real size wants of the machine, in words
    DEFAULTS    its parameters; TINY: those that the test suite uses instead
    run(lab, server, p)     one server, from start to end -> figures, a dictionary
    show(results, p)        the table: results by server's name
    check(name, figures)    what has to hold for any server and any size: a test, never a timing
"""
