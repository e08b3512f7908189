# The meta commands, as memcached 1.6.45 speaks them.

== mg: a hit and a miss, flags in the request's order
> ms KEY 3 F5 T100
> abc
< HD
> mg KEY
< HD
> mg KEY v
< VA 3
< abc
> mg KEY s t f h k O123 v
< VA 3 s3 t{left:100} f5 h1 kKEY O123
< abc
> mg KEYno s t v k O123
< EN kKEYno O123
> mg KEYno
< EN

== q: what each command keeps quiet about
> mg KEYno q k
> ms KEY 1 q
> 1
> ma KEY q
> ma KEY q v
> md KEY q I
> md KEY q
> mn
< MN
> mg KEY q
> ms KEY 1 q MR
> x
> ma KEY q
> md KEY q k O7
< NS
< NF
< NF kKEY O7
> ms KEY 1
> x
< HD
> mg KEY q v
< VA 1
< x
> md KEY q C1
< EX
> ms KEY 1 q ME k s c
> y
< NS kKEY s1 c0

== errors are told, quiet or not
> mg KEY q v v
< CLIENT_ERROR duplicate flag
> ms KEY 3 q v v
> abc
< CLIENT_ERROR duplicate flag
> ms KEY 3 q
> abcd
< CLIENT_ERROR bad data chunk
< CLIENT_ERROR bad command line format

== which error
> mg
< CLIENT_ERROR bad command line format
> mg KEY ?
< CLIENT_ERROR bad command line format
> mg KEY 5
< CLIENT_ERROR invalid flag
> mg KEY S5
< CLIENT_ERROR invalid flag
> mg KEY Tx
< CLIENT_ERROR bad token in command line format
> mg KEY Jx
< CLIENT_ERROR invalid numeric initial value
> mg KEY Dx
< CLIENT_ERROR invalid numeric delta value
> mg KEY Fx
< CLIENT_ERROR bad command line format
> mg KEY Tx Jx
< CLIENT_ERROR invalid numeric initial value
> mg KEY v v Tx
< CLIENT_ERROR duplicate flag
> mg {251*k} v v
< CLIENT_ERROR bad command line format
> mg KEY {18*v }v
< CLIENT_ERROR options flags are too long
> mg KEY O{32*x}
< CLIENT_ERROR opaque token too long
> mg KEY O{31*x}
< EN O{31*x}
> ma KEY v v
< CLIENT_ERROR invalid or duplicate flag
> ma KEY Mx
< CLIENT_ERROR invalid mode for ma M token
> ms KEY 1 Mx
> x
< CLIENT_ERROR invalid mode for ms M token
> me
< CLIENT_ERROR bad command line format

== the value of a refused ms is dropped, unless its size was not understood
> ms KEY 7 Tx
> version
< CLIENT_ERROR bad token in command line format
> ms {251*k} 7
> version
< CLIENT_ERROR bad command line format
> ms KEY S7
> version
< CLIENT_ERROR bad command line format
< VERSION {any}
> ms KEY 7 ?
> version
< CLIENT_ERROR bad command line format
< VERSION {any}
> mg KEY
< EN

== the size of a value where older clients put it, in S, is not taken
> ms KEY S3 T0
> version
> ms KEY T0 S3
> version
> ms KEY S
> ms KEY 3 S3
> abc
> ms KEY 3 S5 T0
> abc
> mg KEY
< CLIENT_ERROR bad command line format
< VERSION {any}
< CLIENT_ERROR bad command line format
< VERSION {any}
< CLIENT_ERROR bad command line format
< CLIENT_ERROR invalid flag
< CLIENT_ERROR invalid flag
< EN

== modes of ms
> ms KEY 1 MR
> a
< NS
> ms KEY 1 MA
> a
< NS
> ms KEY 1 ME
> b
< HD
> ms KEY 1 ME
> c
< NS
> ms KEY 1 MA s
> c
< HD s2
> ms KEY 1 MP s
> a
< HD s3
> mg KEY v
< VA 3
< abc
> ms KEY 1 MREPLACE
> x
< HD
> ms KEY 1 MS
> y
< HD
> mg KEY v
< VA 1
< y

== append makes an absent item where N says so, with its expiry
> ms KEY 3 MA N50 T20 F7 s
> abc
< HD s3
> ms KEY 3 MP N60 T20 F9 s
> xyz
< HD s6
> mg KEY v t f
< VA 6 t{left:50} f7
< xyzabc

== C compares, E sets
> ms KEY 1 E1000 c
> a
< HD c1000
> ms KEY 1 C999 c s
> b
< EX c0 s1
> ms KEY 1 C1000 E2000 c
> b
< HD c2000
> ms KEYno 1 C5 c
> b
< NF c0
> ms KEY 1 MA C1
> c
< EX
> ms KEY 1 MA C2000 E3000 c
> c
< HD c3000
> ms KEY 1 ME C1
> c
< NS
> ma KEYn N0 J5 E10 c v
< VA 1 c10
< 5
> ma KEYn C9
< EX
> ma KEYn C10 E20 c v
< VA 1 c20
< 6
> md KEYn C9
< EX
> md KEYn C20
< HD
> mg KEY v C3000
< HD
> mg KEY v C1
< VA 2
< bc

== a CAS of 0 is a number in ms and md, and none in ma and append
> ms KEY 1
> 1
< HD
> ms KEY 1 C0
> 2
< EX
> md KEY C0
< EX
> ma KEY C0
< HD
> ms KEY 1 MA C0
> 0
< HD
> mg KEY v
< VA 2
< 20

== md I: stale, one winner
> ms KEY 3 T100
> abc
< HD
> md KEY I T30
< HD
> mg KEY v t
< VA 3 t{left:30} X W
< abc
> mg KEY v
< VA 3 Z X
< abc
> mg KEY
< HD Z X
> md KEY I
< HD
> mg KEY
< HD X W
> ms KEY 3
> new
< HD
> mg KEY v
< VA 3
< new

== ms I: an older value is kept as stale, with the expiry of the newer
> ms KEY 3 E1000 T100
> abc
< HD
> ms KEY 3 C999 I T50 F7
> old
< HD
> mg KEY v t f
< VA 3 t{left:100} f7 X W
< old
> ms KEY 3 C1 I
> ol2
< HD
> mg KEY v
< VA 3 Z X
< ol2
> ms KEY 3 C18446744073709551615 I
> xxx
< EX

== md x: the value goes, the item stays
> ms KEY 3 F5 T100 E1000
> abc
< HD
> md KEY x
< HD
> mg KEY v f t c
< VA 0 f0 t-1 c1000
<
> md KEY x I T30 F7
< HD
> mg KEY v f t
< VA 0 f7 t{left:30} X W
<
> md KEYno x
< NF

== mg N: made once, won once
> mg KEY N30 v t c s
< VA 0 t{left:30} c{cas:a} s0 W
<
> mg KEY N30 v
< VA 0 Z
<
> mg KEY
< HD Z
> add KEY 0 0 1
> x
< NOT_STORED
> ms KEY 1
> x
< HD
> mg KEY v N30
< VA 1
< x

== t shows what holds at its place
> mg KEY1 t N30
< HD t-1 W
> mg KEY2 N30 t T60
< HD t{left:30} W
> mg KEY2 t
< HD t{left:60} Z
> mg KEY3 T60 N30 t
< HD t{left:30} W
> ms KEY 1 T100
> 1
< HD
> mg KEY t T50
< HD t{left:100}
> mg KEY T60 t
< HD t{left:60}
> ma KEY t T70
< HD t{left:60}
> ma KEY t
< HD t{left:70}

== mg R: won once, if less is left
> ms KEY 1 T100
> x
< HD
> mg KEY R50
< HD
> mg KEY R200
< HD W
> mg KEY R200
< HD Z
> ms KEY 1
> x
< HD
> mg KEY R1000
< HD
> ms KEY 1 T100
> x
< HD
> mg KEY R60 T30
< HD
> mg KEY T30 R60
< HD W

== h, and u that leaves no trace
> ms KEY 1
> x
< HD
> mg KEY h u
< HD h0
> mg KEY v u
< VA 1
< x
> mg KEY h
< HD h0
> mg KEY h
< HD h1
> mg KEY l
< HD l0

== ma: numbers
> ma KEY
< NF
> ma KEY N0
< HD
> ma KEY v
< VA 1
< 1
> ma KEY D10 v
< VA 2
< 11
> ma KEY MD v
< VA 2
< 10
> ma KEY M- D100 v
< VA 1
< 0
> mg KEY v
< VA 2
< 0\s
> ma KEYj N30 J7 D3 t k O9 v
< VA 1 t{left:30} kKEYj O9
< 7
> ms KEY 1
> x
< HD
> ma KEY
< CLIENT_ERROR cannot increment or decrement non-numeric value
> ma KEY N0
< CLIENT_ERROR cannot increment or decrement non-numeric value

== keys in base64
> ms Zm9v 3 b k
> abc
< HD kZm9v b
> get foo
< VALUE foo 0 3
< abc
< END
> mg Zm9v b k v
< VA 3 kZm9v b
< abc
> mg foo k
< HD kZm9v b
> mg Zm8= b k
< EN kZm8= b
> mg Zm8=**** b k
< EN kZm8= b
> mg Zm8 b
< CLIENT_ERROR error decoding key
> set foo 0 0 1
> x
< STORED
> mg Zm9v b k
< HD kfoo
> md Zm9v b k
< HD kZm9v b
> md Zm9v k
< NF kZm9v

== a value too large: whatever the mode would do, the old value goes
> ms KEY 1
> x
< HD
> ms KEY 2000000 ME
> {2000000*x}
< SERVER_ERROR object too large for cache
> mg KEY
< EN

== me
> me KEY
< EN
> ms KEY 3 T100 E7
> abc
< HD
> me KEY
< ME KEY exp={int} la={int} cas=7 fetch=no cls={int} size={int}
> mg KEY
< HD
> me KEY x y z x
< ME KEY exp={int} la={int} cas=7 fetch=yes cls={int} size={int}

== one connection, cut at every byte
@ split
> ms KEY 3 T0 F7 k O1
> abc
< HD kKEY O1
> mg KEY v f k O2
< VA 3 f7 kKEY O2
< abc
> set KEY 0 0 1
> 5
< STORED
> ma KEY D2 v q
> ma KEY v
< VA 1
< 8
> md KEY q
> mg KEY q
> mn
< MN
