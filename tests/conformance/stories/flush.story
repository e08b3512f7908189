# flush_all, now and later.

== flush_all empties the cache
> set KEYa 0 0 1
> a
< STORED
> set KEYb 0 0 1
> b
< STORED
> flush_all
< OK
> get KEYa KEYb
< END
> set KEYa 0 0 1
> c
< STORED
> get KEYa
< VALUE KEYa 0 1
< c
< END

== flush_all 0, and with noreply
> set KEY 0 0 1
> a
< STORED
> flush_all 0
< OK
> get KEY
< END
> set KEY 0 0 1
> a
< STORED
> flush_all noreply
> get KEY
< END
> set KEY 0 0 1
> a
< STORED
> flush_all 0 noreply
> get KEY
< END

== what is flushed is not there for any command
> set KEY 0 0 1
> 5
< STORED
> flush_all
< OK
> incr KEY 1
< NOT_FOUND
> append KEY 0 0 1
> x
< NOT_STORED
> replace KEY 0 0 1
> x
< NOT_STORED
> touch KEY 0
< NOT_FOUND
> delete KEY
< NOT_FOUND
> cas KEY 0 0 1 1
> x
< NOT_FOUND
> add KEY 0 0 1
> x
< STORED

== a negative delay is now
> set KEY 0 0 1
> a
< STORED
> flush_all -1
< OK
> get KEY
< END

== a bad delay flushes nothing
@ old 1.6.18 cuts a delay to 32 bits
> set KEY 0 0 1
> a
< STORED
> flush_all x
< CLIENT_ERROR invalid exptime argument
> flush_all 1x
< CLIENT_ERROR invalid exptime argument
> flush_all 2147483648
< CLIENT_ERROR invalid exptime argument
> flush_all noreply 0
< CLIENT_ERROR invalid exptime argument
> get KEY
< VALUE KEY 0 1
< a
< END

== a bad delay with noreply is silent
> set KEY 0 0 1
> a
< STORED
> flush_all x noreply
> get KEY
< VALUE KEY 0 1
< a
< END

== words after the delay are not looked at
@ old 1.6.18 says ERROR when there are too many tokens
> flush_all 0 x
< OK
> flush_all 0 0 0
< OK
> flush_all\s\s
< OK

== flush_all on one connection is seen on all
1> set KEY 0 0 1
1> a
1< STORED
2> get KEY
2< VALUE KEY 0 1
2< a
2< END
3> flush_all
3< OK
1> get KEY
1< END
2> get KEY
2< END

== flush_all in the middle of a pipeline
> set KEY 0 0 1
> a
> get KEY
> flush_all
> get KEY
> set KEY 0 0 1
> b
> get KEY
< STORED
< VALUE KEY 0 1
< a
< END
< OK
< END
< STORED
< VALUE KEY 0 1
< b
< END

== a delayed flush_all
@ server
> set KEY 0 0 1
> a
< STORED
> flush_all 2
< OK
> get KEY
< VALUE KEY 0 1
< a
< END
~ 3.5
> get KEY
< END
> set KEY 0 0 1
> b
< STORED
> get KEY
< VALUE KEY 0 1
< b
< END

== a delayed flush_all takes what was stored while it waited
@ server
> flush_all 3 noreply
> set KEY 0 0 1
> a
< STORED
> get KEY
< VALUE KEY 0 1
< a
< END
~ 4.5
> get KEY
< END

== a later flush_all replaces one that waits
@ server
> set KEY 0 0 1
> a
< STORED
> flush_all 2
< OK
> flush_all 1000
< OK
~ 3.5
> get KEY
< VALUE KEY 0 1
< a
< END

== an immediate flush_all calls off one that waits
@ server
> flush_all 2
< OK
> flush_all
< OK
~ 1.1
> set KEY 0 0 1
> a
< STORED
~ 2.5
> get KEY
< VALUE KEY 0 1
< a
< END

== flush_all at an absolute time
@ server
> set KEY 0 0 1
> a
< STORED
> flush_all {now+2}
< OK
> get KEY
< VALUE KEY 0 1
< a
< END
~ 3.5
> get KEY
< END
