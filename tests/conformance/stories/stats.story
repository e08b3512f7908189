# What each command adds to the counters. `@ moves` names every counter that moves; no other may.

== three gets, two hits
@ moves cmd_set+1 cmd_get+3 get_hits+2 get_misses+1 curr_items+1 total_items+1
> set KEY 0 0 1
> x
< STORED
> get KEY
< VALUE KEY 0 1
< x
< END
> get KEY KEYmiss
< VALUE KEY 0 1
< x
< END

== gets counts as get, a key asked for twice as two
@ moves cmd_set+1 cmd_get+3 get_hits+2 get_misses+1 curr_items+1 total_items+1
> set KEY 0 0 1
> x
< STORED
> gets KEY KEYmiss KEY
< VALUE KEY 0 1 {cas:a}
< x
< VALUE KEY 0 1 {cas:a}
< x
< END

== gat and gats count as touch, not as get
@ moves cmd_set+1 cmd_touch+3 touch_hits+2 touch_misses+1 curr_items+1 total_items+1
> set KEY 0 0 1
> x
< STORED
> gat 0 KEY KEYmiss
< VALUE KEY 0 1
< x
< END
> gats 0 KEY
< VALUE KEY 0 1 {cas:a}
< x
< END

== touch, and a bad one that does not count
@ moves cmd_set+1 cmd_touch+2 touch_hits+1 touch_misses+1 curr_items+1 total_items+1
> set KEY 0 0 1
> x
< STORED
> touch KEY 0
< TOUCHED
> touch KEYmiss 0
< NOT_FOUND
> touch KEY x
< CLIENT_ERROR invalid exptime argument

== a set over an item
@ moves cmd_set+2 curr_items+1 total_items+2
> set KEY 0 0 1
> x
< STORED
> set KEY 0 0 1
> y
< STORED

== add, replace, append, prepend: each is a set, stored or not
@ moves cmd_set+6 curr_items+1 total_items+3
> add KEY 0 0 1
> x
< STORED
> add KEY 0 0 1
> x
< NOT_STORED
> replace KEY 0 0 1
> x
< STORED
> replace KEYmiss 0 0 1
> x
< NOT_STORED
> append KEY 0 0 1
> x
< STORED
> prepend KEYmiss 0 0 1
> x
< NOT_STORED

== cas: hit, badval and miss
@ moves cmd_set+4 cmd_get+1 get_hits+1 cas_hits+1 cas_badval+1 cas_misses+1
@ moves total_items+2 curr_items+1
> set KEY 0 0 1
> x
< STORED
> gets KEY
< VALUE KEY 0 1 {cas:a}
< x
< END
> cas KEY 0 0 1 {cas:a}
> y
< STORED
> cas KEY 0 0 1 {cas:a}
> z
< EXISTS
> cas KEYmiss 0 0 1 1
> x
< NOT_FOUND

== delete
@ moves cmd_set+1 delete_hits+1 delete_misses+1 total_items+1
> set KEY 0 0 1
> x
< STORED
> delete KEY
< DELETED
> delete KEY
< NOT_FOUND

== incr and decr in place
@ moves cmd_set+1 incr_hits+1 incr_misses+1 decr_hits+2 decr_misses+1 curr_items+1 total_items+1
> set KEY 0 0 2
> 10
< STORED
> incr KEY 1
< 11
> incr KEYmiss 1
< NOT_FOUND
> decr KEY 1
< 10
> decr KEY 1
< 9
> decr KEYmiss 1
< NOT_FOUND

== incr of what is no number, or by what is none, counts nowhere
@ moves cmd_set+1 curr_items+1 total_items+1
> set KEY 0 0 1
> x
< STORED
> incr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value
> incr KEY x
< CLIENT_ERROR invalid numeric delta argument

== a bad data block is a set
@ moves cmd_set+1
@ old 1.6.18 swallows up to the next line end
> set KEY 0 0 1
> xbogus
< CLIENT_ERROR bad data chunk
< ERROR

== errors in a storage line are no set
@ moves nothing
@ old 1.6.18 reads the data as a command after a bad line
> set KEY 0 0 x
< CLIENT_ERROR bad command line format
> set KEY x 0 1
> x
< CLIENT_ERROR bad command line format
> set KEY 0 x 1
> x
< CLIENT_ERROR bad command line format
> set
< CLIENT_ERROR bad command line format
> cas KEY 0 0 1 x
> x
< CLIENT_ERROR bad command line format

== too large is counted apart, and a set takes the old item with it
@ moves cmd_set+1 store_too_large+2 total_items+1
> set KEY 0 0 1
> x
< STORED
> set KEY 0 0 2000000
> {2000000*x}
< SERVER_ERROR object too large for cache
> add KEYb 0 0 2000000
> {2000000*x}
< SERVER_ERROR object too large for cache

== flush_all
@ server
@ moves cmd_set+1 cmd_flush+2 cmd_get+1 get_misses+1 total_items+1
> set KEY 0 0 1
> x
< STORED
> flush_all
< OK
> flush_all noreply
> get KEY
< END

== a bad flush_all is counted too
@ moves cmd_flush+1
> flush_all x
< CLIENT_ERROR invalid exptime argument

== an expired item is counted once, when it is found to be so
# In one write, lest expired items be swept up before the get comes.
@ moves cmd_set+1 cmd_get+2 get_misses+2 get_expired+1 total_items+1
> set KEY 0 -1 1
> x
> get KEY
> get KEY
< STORED
< END
< END

== noreply counts like any other
@ moves cmd_set+1 incr_hits+1 delete_hits+1 total_items+1
> set KEY 0 0 1 noreply
> 1
> incr KEY 1 noreply
> delete KEY noreply

== unknown commands, version, verbosity and mn count nowhere
@ moves nothing
> bogus
< ERROR
> version
< VERSION {any}
> verbosity 0
< OK
> mn
< MN
