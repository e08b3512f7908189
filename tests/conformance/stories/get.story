# get, gets, gat, gats: what is found, in which order, and what a bad line does.

== a miss is a bare END
> get KEY
< END

== a hit returns flags, length and bytes
@ split
> set KEY 5 0 3
> abc
< STORED
> get KEY
< VALUE KEY 5 3
< abc
< END

== gets adds the cas token
@ split
> set KEY 0 0 1
> x
< STORED
> gets KEY
< VALUE KEY 0 1 {cas:a}
< x
< END
> gets KEY
< VALUE KEY 0 1 {cas:a}
< x
< END

== many keys: hits in the order asked, misses silent
@ split
> set KEYa 1 0 1
> a
> set KEYb 2 0 2
> bb
> set KEYc 3 0 3
> ccc
< STORED
< STORED
< STORED
> get KEYc KEYmiss KEYa KEYb
< VALUE KEYc 3 3
< ccc
< VALUE KEYa 1 1
< a
< VALUE KEYb 2 2
< bb
< END

== a key asked for twice is answered twice
> set KEY 0 0 1
> x
< STORED
> get KEY KEY KEYmiss KEY
< VALUE KEY 0 1
< x
< VALUE KEY 0 1
< x
< VALUE KEY 0 1
< x
< END
> gets KEY KEY
< VALUE KEY 0 1 {cas:a}
< x
< VALUE KEY 0 1 {cas:a}
< x
< END

== no key
@ old 1.6.18 says ERROR when tokens are missing
> get
< CLIENT_ERROR bad command line format
> get\s
< CLIENT_ERROR bad command line format
> gets
< CLIENT_ERROR bad command line format
> get\s\s\s
< CLIENT_ERROR bad command line format

== gat and gats without an exptime or a key
@ old 1.6.18 says ERROR when tokens are missing
> gat
< CLIENT_ERROR bad command line format
> gat 10
< CLIENT_ERROR bad command line format
> gats
< CLIENT_ERROR bad command line format
> gats 10
< CLIENT_ERROR bad command line format

== gat returns the value and sets the expiry
> set KEY 7 0 1
> x
< STORED
> gat 0 KEY
< VALUE KEY 7 1
< x
< END
> gat 100 KEY KEYmiss KEY
< VALUE KEY 7 1
< x
< VALUE KEY 7 1
< x
< END
> gat -1 KEY
< VALUE KEY 7 1
< x
< END
> get KEY
< END

== gats gives the cas token, which a touch does not change
@ split
> set KEY 0 0 1
> x
< STORED
> gets KEY
< VALUE KEY 0 1 {cas:a}
< x
< END
> gats 100 KEY
< VALUE KEY 0 1 {cas:a}
< x
< END
> touch KEY 0
< TOUCHED
> gets KEY
< VALUE KEY 0 1 {cas:a}
< x
< END

== gat of a missing key
> gat 10 KEY KEYother
< END
> gats 10 KEY
< END

== gat with a bad exptime
@ old 1.6.18 cuts an exptime to 32 bits and refuses a lone minus
> set KEY 0 0 1
> x
< STORED
> gat x KEY
< CLIENT_ERROR invalid exptime argument
> gat 1x KEY
< CLIENT_ERROR invalid exptime argument
> gat 2147483648 KEY
< CLIENT_ERROR invalid exptime argument
> gats - KEYmiss
< END
> gats 1.5 KEY
< CLIENT_ERROR invalid exptime argument
> get KEY
< VALUE KEY 0 1
< x
< END

== gat takes its second word for the exptime, whatever it is
> gat KEY KEY
< CLIENT_ERROR invalid exptime argument

== a get looks up a key named noreply
> set noreply 0 0 1
> x
< STORED
> get noreply
< VALUE noreply 0 1
< x
< END
> get KEY noreply
< VALUE noreply 0 1
< x
< END

== a key of 250 bytes is served by every form of get
> set {250*k} 0 0 1
> x
< STORED
> get {250*k}
< VALUE {250*k} 0 1
< x
< END
> gat 0 {250*k}
< VALUE {250*k} 0 1
< x
< END

== a key of 251 bytes is refused
@ differs one-line-per-error
@ old 1.6.18 ends the answer with one line end, as torc
> get {251*k}
torc< CLIENT_ERROR bad command line format
memcached< CLIENT_ERROR bad command line format\r\n
> gets {251*k}
torc< CLIENT_ERROR bad command line format
memcached< CLIENT_ERROR bad command line format\r\n
> gat 0 {251*k}
torc< CLIENT_ERROR bad command line format
memcached< CLIENT_ERROR bad command line format\r\n

== a key of 251 bytes among good ones: one error and no value
@ differs one-line-per-error
@ old 1.6.18 ends the answer with one line end, as torc
> set KEY 0 0 1
> x
< STORED
> get KEY {251*k} KEY
torc< CLIENT_ERROR bad command line format
memcached< CLIENT_ERROR bad command line format\r\n
> get KEY KEY {300*k}
torc< CLIENT_ERROR bad command line format
memcached< CLIENT_ERROR bad command line format\r\n

== a key of 251 bytes does not cost the replies before it
@ differs replies-are-kept
@ old 1.6.18 has its own way to lose them
> set KEY 0 0 1
> x
> get KEY
> get {251*k}
> get KEY
torc< STORED
torc< VALUE KEY 0 1
torc< x
torc< END
torc< CLIENT_ERROR bad command line format
memcached< CLIENT_ERROR bad command line format\r\n
< VALUE KEY 0 1
< x
< END

== a multiget of 5 KB
> set KEY 0 0 1
> x
< STORED
> get {600*KEYmiss }KEY
< VALUE KEY 0 1
< x
< END

== a multiget of 20 KB
> set KEY 0 0 1
> x
< STORED
> get KEY {2500*KEYmiss }KEY
< VALUE KEY 0 1
< x
< VALUE KEY 0 1
< x
< END
> gets {2500*KEYmiss }
< END

== a multiget of 100 KB
> set KEY 0 0 1
> x
< STORED
> get KEY {12500*KEYmiss }KEY
< VALUE KEY 0 1
< x
< VALUE KEY 0 1
< x
< END

== a multiget of 100 KB, every key a hit
> set KEY 0 0 10
> 0123456789
< STORED
> get {20000*KEY }
<< {20000*VALUE KEY 0 10\r\n0123456789\r\n}
< END

== a multiget of 100 KB that arrives in pieces
> set KEY 0 0 1
> x
< STORED
>> get {400*KEYmiss }
~ 0.02
>> {6000*KEYmiss }
~ 0.02
>> {6000*KEYmiss }KE
~ 0.02
>> Y
~ 0.02
> KEY
< END
> get KEY
< VALUE KEY 0 1
< x
< END
