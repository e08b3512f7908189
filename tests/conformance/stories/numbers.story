# How numbers are read. memcached has two ways: strict ones (lengths, deltas, tokens, the exptime of
# touch), and those of C's strtol (flags and exptime of a storage command), with their white space,
# signs and silent cuts to 32 bits.

== flags are 32 bits
@ split
> set KEY 4294967295 0 1
> x
< STORED
> get KEY
< VALUE KEY 4294967295 1
< x
< END
> set KEY 2147483648 0 1
> x
< STORED
> get KEY
< VALUE KEY 2147483648 1
< x
< END

== flags beyond 32 bits are cut to 32
> set KEY 4294967296 0 1
> x
< STORED
> get KEY
< VALUE KEY 0 1
< x
< END
> set KEY 4294967297 0 1
> x
< STORED
> get KEY
< VALUE KEY 1 1
< x
< END
> set KEY 18446744073709551615 0 1
> x
< STORED
> get KEY
< VALUE KEY 4294967295 1
< x
< END

== flags beyond 64 bits are an error
@ old 1.6.18 reads the data as a command after a bad line
> set KEY 18446744073709551616 0 1
> x
< CLIENT_ERROR bad command line format
> set KEY 99999999999999999999999999 0 1
> x
< CLIENT_ERROR bad command line format
> get KEY
< END

== negative flags are an error, until they wrap
@ old 1.6.18 reads the data as a command after a bad line
> set KEY -1 0 1
> x
< CLIENT_ERROR bad command line format
> set KEY -9223372036854775808 0 1
> x
< CLIENT_ERROR bad command line format
> set KEY -18446744073709551615 0 1
> x
< STORED
> get KEY
< VALUE KEY 1 1
< x
< END

== flags that are no number
@ old 1.6.18 reads the data as a command after a bad line
> set KEY x 0 1
> x
< CLIENT_ERROR bad command line format
> set KEY 5x 0 1
> x
< CLIENT_ERROR bad command line format
> set KEY 0x5 0 1
> x
< CLIENT_ERROR bad command line format
> set KEY 1.5 0 1
> x
< CLIENT_ERROR bad command line format
> set KEY - 0 1
> x
< CLIENT_ERROR bad command line format
> set KEY + 0 1
> x
< CLIENT_ERROR bad command line format

== flags with a plus, zeros, tabs
> set KEY +5 0 1
> x
< STORED
> get KEY
< VALUE KEY 5 1
< x
< END
> set KEY 0000000000000000000000006 0 1
> x
< STORED
> get KEY
< VALUE KEY 6 1
< x
< END
> set KEY \t7 0 1
> x
< STORED
> get KEY
< VALUE KEY 7 1
< x
< END
> set KEY 8\tx 0 1
> x
< STORED
> get KEY
< VALUE KEY 8 1
< x
< END
> set KEY 9\r 0 1
> x
< STORED
> get KEY
< VALUE KEY 9 1
< x
< END

== exptime that is no number: the data is swallowed
@ old 1.6.18 reads the data as a command after a bad line
> set KEY 0 x 1
> x
< CLIENT_ERROR bad command line format
> set KEY 0 1x 1
> x
< CLIENT_ERROR bad command line format
> set KEY 0 - 1
> x
< CLIENT_ERROR bad command line format
> set KEY 0 9223372036854775808 1
> x
< CLIENT_ERROR bad command line format
> set KEY 0 -9223372036854775809 1
> x
< CLIENT_ERROR bad command line format
> get KEY
< END

== exptime beyond 32 bits is cut to 32
> set KEY 0 2147483648 1
> x
< STORED
> get KEY
< END
> set KEY 0 4294967296 1
> x
< STORED
> get KEY
< VALUE KEY 0 1
< x
< END
> set KEY 0 9223372036854775807 1
> x
< STORED
> get KEY
< END
> set KEY 0 -2147483649 1
> x
< STORED
> get KEY
< VALUE KEY 0 1
< x
< END

== exptime with a plus, zeros, tabs
> set KEY 0 +100 1
> x
< STORED
> get KEY
< VALUE KEY 0 1
< x
< END
> set KEY 0 \t-1\t 1
> x
< STORED
> get KEY
< END
> set KEY 0 000000000000000 1
> x
< STORED
> get KEY
< VALUE KEY 0 1
< x
< END

== a bad length: nothing is swallowed
> set KEY 0 0 x
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 -1
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 1.0
> bogus
< CLIENT_ERROR bad command line format
< ERROR

== a length takes no plus and no tab
@ old 1.6.18 takes what strtol takes
> set KEY 0 0 +1
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 \t1
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 1\t
> bogus
< CLIENT_ERROR bad command line format
< ERROR

== a length with leading zeros, of at most 11 digits
@ old 1.6.18 has no such limit
> set KEY 0 0 00000000001
> x
< STORED
> set KEY 0 0 000000000001
> bogus
< CLIENT_ERROR bad command line format
< ERROR

== minus alone, and minus nothing, are a length of 0
@ old 1.6.18 refuses a lone minus
> set KEY 0 0 -
>
< STORED
> set KEY 0 0 -0
>
< STORED
> get KEY
< VALUE KEY 0 0
<
< END

== a length near or past 2^31, 2^32, 2^63, 2^64: nothing is swallowed
@ old 1.6.18 cuts a length to 32 bits
> set KEY 0 0 2147483647
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 2147483646
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 2147483648
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 4294967295
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 4294967296
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 4294967297
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 9223372036854775808
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> set KEY 0 0 18446744073709551617
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> get KEY
< END

== a bad length is an error even with noreply
@ old 1.6.18 is silent
> set KEY 0 0 x noreply
> get KEY
< CLIENT_ERROR bad command line format
< END
> set KEY 0 0 -1 noreply
> get KEY
< CLIENT_ERROR bad command line format
< END
