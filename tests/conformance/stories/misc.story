# version, verbosity, mn, quit, shutdown, stats.

== version
@ split
> version
< VERSION {any}
> version x y
< VERSION {any}

== mn
@ split
> mn
< MN
> mn x
< MN

== verbosity takes a level and ignores the rest
@ old 1.6.18 says ERROR when there are too many tokens
> verbosity 0
< OK
> verbosity 0 x y
< OK
> verbosity 0 noreply
> verbosity 4294967295
< OK
> verbosity 0
< OK

== verbosity with a bad level
@ old 1.6.18 says ERROR or takes it for 0
> verbosity
< CLIENT_ERROR bad command line format
> verbosity x
< CLIENT_ERROR bad command line format
> verbosity -1
< CLIENT_ERROR bad command line format
> verbosity 4294967296
< CLIENT_ERROR bad command line format
> verbosity noreply
> verbosity x noreply

== quit closes
> quit
<|

== quit with words
> quit noreply
<|

== quit sends what was asked before it and reads nothing after it
@ split
> set KEY 0 0 1
> x
> get KEY
> quit
> get KEY
> bogus
< STORED
< VALUE KEY 0 1
< x
< END
<|

== a bare \n is enough for quit
>> quit\n
<|

== shutdown is off
@ old 1.6.18 says ERROR: shutdown not enabled
> shutdown
< SERVER_ERROR: shutdown not enabled
> shutdown graceful
< SERVER_ERROR: shutdown not enabled
> version
< VERSION {any}

== stats of what is not
> stats bogus
< ERROR
> stats item
< ERROR
> stats itemss
< ERROR
> stats RESET
< ERROR
> stats resetx
< ERROR

== stats reset, also cut short, also with words behind it
@ old 1.6.18 wants the whole word
> stats reset
< RESET
> stats reset x
< RESET
> stats res
< RESET

== stats items and slabs of an empty cache
@ server
> stats items
< END
> stats slabs
< STAT active_slabs 0
< STAT total_malloced 0
< END

== half-close: replies still come, then the server closes
> set KEY 0 0 1
> x
> get KEY
> version
>|
< STORED
< VALUE KEY 0 1
< x
< END
< VERSION {any}
<|

== half-close in the middle of a line: the line is dropped
> version
>> get KE
>|
< VERSION {any}
<|

== half-close in the middle of a value: it is not stored
1> set KEY 0 0 3
1>> ab
1>|
1<|
2> get KEY
2< END

== a client that goes in the middle of a value disturbs nobody
1> set KEY 0 0 1
1> x
1< STORED
2> set KEY 0 0 1000
2>> ab
~ 0.05
1> get KEY
1< VALUE KEY 0 1
1< x
1< END
2>|
2<|
1> get KEY
1< VALUE KEY 0 1
1< x
1< END

== commands that torc does not have are unknown
@ differs not-here
@ only torc
> watch
< ERROR
> extstore free_memchunks 1 1
< ERROR
> refresh_certs
< ERROR
> stats connsx
< ERROR
