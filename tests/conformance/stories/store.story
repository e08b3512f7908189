# set, add, replace, append, prepend: what they store, what they refuse.

== set replaces value and flags
@ split
> set KEY 1 0 3
> one
< STORED
> set KEY 2 0 5
> three
< STORED
> get KEY
< VALUE KEY 2 5
< three
< END

== an empty value
@ split
> set KEY 0 0 0
>
< STORED
> get KEY
< VALUE KEY 0 0
<
< END

== a value may hold line ends, NUL and any byte
@ split
> set KEY 0 0 14
>> \r\nget a\r\n\0\xff\r\n\n\r\n
< STORED
> get KEY
< VALUE KEY 0 14
<< \r\nget a\r\n\0\xff\r\n\n\r\n
< END

== add stores only what is not there
@ split
> add KEY 1 0 1
> a
< STORED
> add KEY 2 0 1
> b
< NOT_STORED
> get KEY
< VALUE KEY 1 1
< a
< END

== replace stores only over what is there
@ split
> replace KEY 1 0 1
> a
< NOT_STORED
> get KEY
< END
> set KEY 1 0 1
> a
< STORED
> replace KEY 2 0 2
> bb
< STORED
> get KEY
< VALUE KEY 2 2
< bb
< END

== append and prepend keep the item's flags
@ split
> set KEY 5 0 2
> bb
< STORED
> append KEY 9 0 2
> cc
< STORED
> prepend KEY 9 0 2
> aa
< STORED
> get KEY
< VALUE KEY 5 6
< aabbcc
< END

== append and prepend need an item
> append KEY 0 0 1
> x
< NOT_STORED
> prepend KEY 0 0 1
> x
< NOT_STORED
> get KEY
< END

== append and prepend of nothing, and to nothing
> set KEY 0 0 0
>
< STORED
> append KEY 0 0 0
>
< STORED
> prepend KEY 0 0 1
> x
< STORED
> get KEY
< VALUE KEY 0 1
< x
< END

== append and prepend keep the item's expiry
> set KEY 0 -1 1
> x
< STORED
> append KEY 0 0 1
> y
< NOT_STORED
> set KEY 0 100 1
> x
< STORED
> append KEY 0 -1 1
> y
< STORED
> get KEY
< VALUE KEY 0 2
< xy
< END

== append and prepend make a new cas token
> set KEY 0 0 1
> x
< STORED
> gets KEY
< VALUE KEY 0 1 {cas:a}
< x
< END
> append KEY 0 0 1
> y
< STORED
> cas KEY 0 0 1 {cas:a}
> z
< EXISTS
> get KEY
< VALUE KEY 0 2
< xy
< END

== append checks flags and exptime though it does not use them
@ old 1.6.18 reads the data as a command after a bad line
> set KEY 0 0 1
> x
< STORED
> append KEY x 0 1
> y
< CLIENT_ERROR bad command line format
> append KEY 0 x 1
> y
< CLIENT_ERROR bad command line format
> get KEY
< VALUE KEY 0 1
< x
< END

== too few words: an error, and the data is read as a command
@ old 1.6.18 says ERROR when tokens are missing
> set
< CLIENT_ERROR bad command line format
> set KEY
< CLIENT_ERROR bad command line format
> set KEY 0
< CLIENT_ERROR bad command line format
> set KEY 0 0
> bogus
< CLIENT_ERROR bad command line format
< ERROR
> add KEY 0 0
< CLIENT_ERROR bad command line format
> replace KEY 0 0
< CLIENT_ERROR bad command line format
> append KEY 0 0
< CLIENT_ERROR bad command line format
> prepend KEY 0 0
< CLIENT_ERROR bad command line format
> append KEY 5
< CLIENT_ERROR bad command line format

== words after the length are not looked at
@ old 1.6.18 says ERROR when there are too many tokens
> set KEY 0 0 1 junk
> x
< STORED
> set KEY 0 0 1 junk more junk
> y
< STORED
> get KEY
< VALUE KEY 0 1
< y
< END

== a data block without its line end: the bytes are taken, the rest is a command
@ old 1.6.18 swallows up to the next line end
> set KEY 0 0 1
> old
< CLIENT_ERROR bad data chunk
< CLIENT_ERROR bad command line format
> set KEY 0 0 3
> abcdbogus
< CLIENT_ERROR bad data chunk
< ERROR
> set KEY 0 0 3
> abcd\nversio
< CLIENT_ERROR bad data chunk
< ERROR
> get KEY
< END

== a data block that is too short takes of the next lines what it lacks
@ old 1.6.18 swallows up to the next line end
> set KEY 0 0 9
> abc
> mn
> version
< CLIENT_ERROR bad data chunk
< ERROR

== a data block must end in \r\n, a bare \n will not do
@ old 1.6.18 swallows up to the next line end
> set KEY 0 0 1
>> x\nmn
>> \r\n
> mn
< CLIENT_ERROR bad data chunk
< CLIENT_ERROR bad command line format
< MN
> get KEY
< END

== a bad data block leaves the old value
@ old 1.6.18 removes it after a bad set
> set KEY 0 0 1
> x
< STORED
> set KEY 0 0 1
> xyz\r\n
< CLIENT_ERROR bad data chunk
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
> get KEY
< VALUE KEY 0 1
< x
< END

== a bare \n ends the command line, not the data
@ split
>> set KEY 0 0 1\n
> x
< STORED
>> get KEY\n
< VALUE KEY 0 1
< x
< END

== sixty-four kilobytes
> set KEY 0 0 65536
> {65536*v}
< STORED
> get KEY
< VALUE KEY 0 65536
< {65536*v}
< END

== a value that arrives in three pieces
>> set KEY 0 0 30000\r\n{10000*a}
~ 0.01
>> {10000*b}
~ 0.01
>> {10000*c}\r
~ 0.01
>> \n
< STORED
> get KEY
< VALUE KEY 0 30000
< {10000*a}{10000*b}{10000*c}
< END
