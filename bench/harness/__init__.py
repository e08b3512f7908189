"""How servers are compared. In reading order:

    servers.py    a server under test: started, pinned, asked, ended; the cores
    client.py     one blocking connection, for questions
    process.py    what the kernel counts of a process: CPU time, switches, memory, system calls
    stalls.py     how often the machine takes its cores away
    measure.py    one run of one kind of work on one server: its figures
    rounds.py     servers in turn, ratios round by round, and when a difference is one
    workloads.py  the kinds of work, by name
    studies.py    what takes more than one run of the load generator: the table of studies, by name;
                  protocols.py, tail.py, threads.py, memory.py and slap.py are the studies
    revision.py   a build of another revision of torc
    text.py       tables on a terminal
    report.py     the page with pictures
    tiny.py       all of it in small, as a test

The experiments (bench/experiments) stand on servers.py and client.py as well.
"""
