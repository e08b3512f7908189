# Keys of 250 bytes, values of -I, and what happens past them.

== keys of 249 and 250 bytes are stored
> set {249*a} 0 0 1
> x
< STORED
> set {250*a} 0 0 1
> y
< STORED
> get {249*a} {250*a}
< VALUE {249*a} 0 1
< x
< VALUE {250*a} 0 1
< y
< END

== a key of 251 bytes: the data is swallowed
@ old 1.6.18 reads the data as a command after a bad line
> set {251*k} 0 0 5
> bogus
< CLIENT_ERROR bad command line format
> add {251*k} 0 0 5
> bogus
< CLIENT_ERROR bad command line format
> replace {251*k} 0 0 5
> bogus
< CLIENT_ERROR bad command line format
> append {251*k} 0 0 5
> bogus
< CLIENT_ERROR bad command line format
> prepend {251*k} 0 0 5
> bogus
< CLIENT_ERROR bad command line format
> cas {251*k} 0 0 5 1
> bogus
< CLIENT_ERROR bad command line format

== a key of 2000 bytes
@ old 1.6.18 reads the data as a command after a bad line
> set {2000*k} 0 0 5
> bogus
< CLIENT_ERROR bad command line format

== a key of 251 bytes and a bad length: nothing is swallowed
> set {251*k} 0 0 x
> bogus
< CLIENT_ERROR bad command line format
< ERROR

== the largest value: 48 + 8 + key + 1 + value + 2 make -I, and flags take 4
> set big 0 0 1048514
> {1048514*x}
< STORED
> get big
< VALUE big 0 1048514
< {1048514*x}
< END
> set big 1 0 1048510
> {1048510*x}
< STORED
> get big
< VALUE big 1 1048510
< {1048510*x}
< END

== one byte more is too large
> set big 0 0 1048515
> {1048515*x}
< SERVER_ERROR object too large for cache
> set big 1 0 1048511
> {1048511*x}
< SERVER_ERROR object too large for cache

== a set that is too large removes the old value
> set KEY 0 0 1
> x
< STORED
> set KEY 0 0 2000000
> {2000000*x}
< SERVER_ERROR object too large for cache
> get KEY
< END

== add, replace, append, prepend and cas that are too large leave it
> set KEY 0 0 1
> x
< STORED
> add KEY 0 0 2000000
> {2000000*x}
< SERVER_ERROR object too large for cache
> replace KEY 0 0 2000000
> {2000000*x}
< SERVER_ERROR object too large for cache
> append KEY 0 0 2000000
> {2000000*x}
< SERVER_ERROR object too large for cache
> prepend KEY 0 0 2000000
> {2000000*x}
< SERVER_ERROR object too large for cache
> cas KEY 0 0 2000000 1
> {2000000*x}
< SERVER_ERROR object too large for cache
> get KEY
< VALUE KEY 0 1
< x
< END

== too large with noreply: silent, swallowed, and the old value removed
> set KEY 0 0 1
> x
< STORED
> set KEY 0 0 2000000 noreply
> {2000000*x}
> get KEY
< END

== too large and longer than it says: the rest is a command
> set KEY 0 0 2000000
> {2000000*x}
> bogus
< SERVER_ERROR object too large for cache
< ERROR
> set KEY 0 0 2000000
>> {2000002*x}
> bogus
< SERVER_ERROR object too large for cache
< ERROR

== commands after one that is too large, in one write
> set KEY 0 0 1
> x
> set KEYbig 0 0 1100000
> {1100000*x}
> get KEY
> set KEY 0 0 1
> y
> get KEY
< STORED
< SERVER_ERROR object too large for cache
< VALUE KEY 0 1
< x
< END
< STORED
< VALUE KEY 0 1
< y
< END

== an append that makes an item too large is not stored
> set KEY 0 0 1000000
> {1000000*a}
< STORED
> append KEY 0 0 100000
> {100000*b}
< NOT_STORED
> prepend KEY 0 0 100000
> {100000*b}
< NOT_STORED
> get KEY
< VALUE KEY 0 1000000
< {1000000*a}
< END

== appends that make an item large
> set KEY 0 0 300000
> {300000*a}
< STORED
> append KEY 0 0 300000
> {300000*b}
< STORED
> prepend KEY 0 0 300000
> {300000*c}
< STORED
> get KEY
< VALUE KEY 0 900000
< {300000*c}{300000*a}{300000*b}
< END

== a large value with a bad end leaves the old one
@ old 1.6.18 swallows up to the next line end
> set KEY 0 0 1
> x
< STORED
> set KEY 0 0 700000
>> {700002*x}
< CLIENT_ERROR bad data chunk
> get KEY
< VALUE KEY 0 1
< x
< END

== a large value is no number
> set KEY 0 0 700000
> {700000*1}
< STORED
> incr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value

== -I raises the limit
@ server -I 5m
> set KEY 0 0 4000000
> {4000000*x}
< STORED
> get KEY
< VALUE KEY 0 4000000
< {4000000*x}
< END
> set KEY 0 0 5242880
> {5242880*x}
< SERVER_ERROR object too large for cache

== -I in kilobytes
@ server -I 2048k
> set KEY 0 0 2097000
> {2097000*x}
< STORED
> set KEY 0 0 2097152
> {2097152*x}
< SERVER_ERROR object too large for cache

== -I in bytes
@ server -I 2097152
> set KEY 0 0 2097000
> {2097000*x}
< STORED
> set KEY 0 0 2097152
> {2097152*x}
< SERVER_ERROR object too large for cache

== values of many megabytes
@ server -I 64m -m 1024
> set KEY 0 0 60000000
> {60000000*x}
< STORED
> get KEY
< VALUE KEY 0 60000000
< {60000000*x}
< END
