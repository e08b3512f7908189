# incr and decr: 64 bits, unsigned, in decimal text.

== incr and decr answer with the new number
@ split
> set KEY 7 0 2
> 10
< STORED
> incr KEY 5
< 15
> decr KEY 3
< 12
> get KEY
< VALUE KEY 7 2
< 12
< END

== a number that grows grows the value
> set KEY 7 0 2
> 99
< STORED
> incr KEY 1
< 100
> get KEY
< VALUE KEY 7 3
< 100
< END

== a number that shrinks is padded with blanks to its old length
> set KEY 0 0 3
> 100
< STORED
> decr KEY 1
< 99
> get KEY
< VALUE KEY 0 3
< 99\s
< END

== two digits fewer, two blanks
> set KEY 0 0 3
> 100
< STORED
> decr KEY 91
< 9
> decr KEY 1
< 8
> incr KEY 2
< 10
> get KEY
< VALUE KEY 0 3
< 10\s
< END

# memcached pads only while nothing else holds the item: an unsent reply does, and at times its
# background threads do.

== a number is padded whatever else is in the pipeline, and after every get
@ split torc
@ differs padding-is-certain
@ only torc
> set KEY 0 0 3
> 100
< STORED
> get KEY
< VALUE KEY 0 3
< 100
< END
> decr KEY 1
< 99
> get KEY
< VALUE KEY 0 3
< 99\s
< END
> decr KEY 90
< 9
> get KEY
< VALUE KEY 0 3
< 9\s\s
< END
> incr KEY 1
< 10
> get KEY
< VALUE KEY 0 3
< 10\s
< END

== decr stops at 0
@ split
> set KEY 0 0 2
> 10
< STORED
> decr KEY 11
< 0
> decr KEY 1
< 0
> get KEY
< VALUE KEY 0 2
< 0\s
< END

== incr wraps at 2^64
> set KEY 0 0 20
> 18446744073709551615
< STORED
> incr KEY 1
< 0
> get KEY
< VALUE KEY 0 20
< 0{19*\s}
< END
> set KEY 0 0 20
> 18446744073709551610
< STORED
> incr KEY 18446744073709551615
< 18446744073709551609

== decr by more than 2^63
> set KEY 0 0 20
> 18446744073709551615
< STORED
> decr KEY 9223372036854775808
< 9223372036854775807
> decr KEY 18446744073709551615
< 0
> set KEY 0 0 1
> 5
< STORED
> decr KEY 9223372036854775808
< 0

== a missing key
> incr KEY 1
< NOT_FOUND
> decr KEY 1
< NOT_FOUND
> get KEY
< END

== by nothing
> set KEY 0 0 1
> 5
< STORED
> incr KEY 0
< 5
> decr KEY 0
< 5

== a bad delta, whether there is a value or not
> incr KEY x
< CLIENT_ERROR invalid numeric delta argument
> set KEY 0 0 1
> 5
< STORED
> incr KEY x
< CLIENT_ERROR invalid numeric delta argument
> incr KEY -1
< CLIENT_ERROR invalid numeric delta argument
> decr KEY -1
< CLIENT_ERROR invalid numeric delta argument
> incr KEY 1x
< CLIENT_ERROR invalid numeric delta argument
> incr KEY 1.5
< CLIENT_ERROR invalid numeric delta argument
> incr KEY 0x1
< CLIENT_ERROR invalid numeric delta argument
> incr KEY 18446744073709551616
< CLIENT_ERROR invalid numeric delta argument
> incr KEY 99999999999999999999999999
< CLIENT_ERROR invalid numeric delta argument
> get KEY
< VALUE KEY 0 1
< 5
< END

== a delta takes no sign
@ old 1.6.18 takes +1
> set KEY 0 0 1
> 5
< STORED
> incr KEY +1
< CLIENT_ERROR invalid numeric delta argument

== a delta may have leading zeros, up to 22 digits
@ old 1.6.18 has no such limit
> set KEY 0 0 1
> 5
< STORED
> incr KEY 007
< 12
> incr KEY 0000000000000000000001
< 13
> incr KEY 00000000000000000000001
< CLIENT_ERROR invalid numeric delta argument

== no delta, no key
@ old 1.6.18 says ERROR when tokens are missing
> incr
< CLIENT_ERROR bad command line format
> incr KEY
< CLIENT_ERROR bad command line format
> decr KEY
< CLIENT_ERROR bad command line format

== a third argument is not looked at
@ old 1.6.18 says ERROR when there are too many tokens
> set KEY 0 0 1
> 5
< STORED
> incr KEY 1 1
< 6

== what is not a number
> set KEY 0 0 3
> abc
< STORED
> incr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value
> decr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value
> set KEY 0 0 0
>
< STORED
> incr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value
> set KEY 0 0 3
> 10x
< STORED
> incr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value
> set KEY 0 0 2
> -1
< STORED
> incr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value
> set KEY 0 0 3
> 1.5
< STORED
> incr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value
> set KEY 0 0 3
> 0x1
< STORED
> incr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value

# memcached reads on past the blanks into whatever memory follows the value.

== blanks alone are not a number
@ only torc
> set KEY 0 0 3
> \s\s\s
< STORED
> incr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value

== more than 64 bits is not a number
> set KEY 0 0 20
> 18446744073709551616
< STORED
> incr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value
> set KEY 0 0 25
> 1000000000000000000000000
< STORED
> decr KEY 1
< CLIENT_ERROR cannot increment or decrement non-numeric value
> get KEY
< VALUE KEY 0 25
< 1000000000000000000000000
< END

== leading zeros and blanks around a number
> set KEY 0 0 3
> 007
< STORED
> incr KEY 1
< 8
> get KEY
< VALUE KEY 0 3
< 8\s\s
< END
> set KEY 0 0 4
> \s10\s
< STORED
> incr KEY 1
< 11
> get KEY
< VALUE KEY 0 4
< 11\s\s
< END
> set KEY 0 0 31
> {30*0}1
< STORED
> incr KEY 1
< 2
> get KEY
< VALUE KEY 0 31
< 2{30*\s}
< END
> set KEY 0 0 3
> +10
< STORED
> incr KEY 1
< 11

== a number ends at the first white space or NUL
> set KEY 0 0 4
> 10 x
< STORED
> incr KEY 1
< 11
> get KEY
< VALUE KEY 0 4
< 11\s\s
< END
> set KEY 0 0 3
> 1\t2
< STORED
> incr KEY 1
< 2
> set KEY 0 0 4
> 1\r\n2
< STORED
> incr KEY 1
< 2
> set KEY 0 0 3
> 1\02
< STORED
> incr KEY 1
< 2

== a minus sign counts down from 2^64
> set KEY 0 0 21
> -18446744073709551615
< STORED
> incr KEY 1
< 2

== incr keeps flags and expiry
> set KEY 42 100 1
> 9
< STORED
> incr KEY 1
< 10
> get KEY
< VALUE KEY 42 2
< 10
< END

== a key of 251 bytes is refused before the delta is looked at
> incr {251*k} x
< CLIENT_ERROR bad command line format
> decr {251*k} 1
< CLIENT_ERROR bad command line format
> incr {250*k} 1
< NOT_FOUND

== noreply
@ split
> set KEY 0 0 1
> 5
< STORED
> incr KEY 1 noreply
> decr KEY 3 noreply
> incr KEYmiss 1 noreply
> incr KEY x noreply
> get KEY
< VALUE KEY 0 1
< 3
< END
