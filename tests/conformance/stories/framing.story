# Lines, words and bytes, before any command is known.

== an unknown command
> bogus
< ERROR
> bogus with words
< ERROR
> getx KEY
< ERROR
> GET KEY
< ERROR
> Set KEY 0 0 1
< ERROR

== lines of less than four bytes with their end are malformed
@ old 1.6.18 says ERROR
>
< CLIENT_ERROR bad command line format
>> \n
< CLIENT_ERROR bad command line format
> \s
< CLIENT_ERROR bad command line format
> a
< CLIENT_ERROR bad command line format
>> ab\n
< CLIENT_ERROR bad command line format
>> mn\n
< CLIENT_ERROR bad command line format
> \s\s\s
< ERROR

== an empty line between commands is an error, not a skip
@ old 1.6.18 says ERROR
> version
>
> version
< VERSION {any}
< CLIENT_ERROR bad command line format
< VERSION {any}

== blanks before the command hide it
@ old 1.6.18 skips them
> \sget KEY
< ERROR
> \sversion
< ERROR
> \smn
< ERROR
> \squit
< ERROR
> \sdelete KEY
< ERROR
> \sset KEY 0 0 1
> bogus
< ERROR
< ERROR
> \sstats
< ERROR

== blanks before flush_all and verbosity do not
> \sflush_all
< OK
> \s\s\sverbosity 0
< OK

== many blanks between the words, and behind them
@ split
> set    KEY   5  0    1\s\s\s
> x
< STORED
> get    KEY     KEYmiss   KEY\s\s\s
< VALUE KEY 5 1
< x
< VALUE KEY 5 1
< x
< END
> delete   KEY\s\s\s
< DELETED

== a tab does not part words
> get\tKEY
< ERROR
> set KEY\t1 0 0 1
> x
< STORED
> get KEY\t1
< VALUE KEY\t1 0 1
< x
< END
> get KEY
< END

== control bytes, DEL and bytes above 127 may stand in a key
@ split
> set KEY\x01\x7f\x80\xff 0 0 1
> x
< STORED
> get KEY\x01\x7f\x80\xff
< VALUE KEY\x01\x7f\x80\xff 0 1
< x
< END

== UTF-8 in a key
@ split
> set KEYéß€😀 0 0 1
> x
< STORED
> get KEYéß€😀 KEYé
< VALUE KEYéß€😀 0 1
< x
< END

== NUL in a key
@ old 1.6.18 ends the line there
> set KEY\0x 0 0 1
> x
< STORED
> get KEY\0x
< VALUE KEY\0x 0 1
< x
< END
> get KEY
< END

== one \r before the \n belongs to the line end, others to the word
@ old 1.6.18 drops all of them
> set KEY\r 0 0 1
> x
< STORED
> get KEY\r
< VALUE KEY\r 0 1
< x
< END
> get KEY
< END
> get KEY\r\s
< VALUE KEY\r 0 1
< x
< END
> get a\rb KEY
< END

== bare \n ends a line
@ split
>> get KEY\nversion\ndelete KEY\n
< END
< VERSION {any}
< NOT_FOUND

== noreply ends an unknown command without an answer
@ old 1.6.18 answers ERROR
> bogus noreply
> noreply
> bogus a b c noreply
> bogus noreply x
< ERROR

== words beyond the twenty-third are not looked at
@ old 1.6.18 counts its tokens otherwise
> set KEY 0 0 1 {17*a }noreply
> x
> set KEY 0 0 1 {18*a }noreply
> y
< STORED
> get KEY
< VALUE KEY 0 1
< y
< END

== twenty-three words are no limit for the keys of a get
> set KEY 0 0 1
> x
< STORED
> get {22*KEYa }KEY {22*KEYb }KEY
< VALUE KEY 0 1
< x
< VALUE KEY 0 1
< x
< END

== a web browser is shown the door
@ old 1.6.18 answers GET with ERROR
> GET / HTTP/1.1
<|

== a web browser's words in a key are only a key
> get HTTP/1.1
< END
> bogus HTTP/1.1 x
< ERROR

== a line without an end may have 2048 bytes
>> {2047*x}
~ 0.05
>> y
~ 0.05
>> \r\n
< ERROR

== a line without an end closes the connection at 2049 bytes
>> {2049*x}
<|

== a line without an end closes the connection at 2049 bytes, however they arrive
>> {2000*x}
~ 0.05
>> {49*x}
<|

== a long line that is not a get closes the connection
>> gat 0 {1500*x }
<|

== a long delete closes the connection
>> delete {2500*x}
<|

== a long set line closes the connection
>> set {2500*x}
<|

== a long line that begins with get waits for its end
>> get {2500*x }
~ 0.05
>> x\r\n
< END
>> gets {2500*x }
~ 0.05
>> x\r\n
< END

== at most 100 blanks may stand before a long get
>> {101*\s}get {2000*x }
<|

== a long line is served when its end comes with it
@ old 1.6.18 says ERROR when there are too many tokens
> {3000*x}
< ERROR
> delete KEY {3000*x}
< NOT_FOUND
> gat 0 {3000*x }
< END

== a key too long for the buffer before its end comes
@ differs one-line-per-error
@ old 1.6.18 ends the answer with one line end, as torc
>> get {10000*x}
~ 0.05
>> \r\n
torc< CLIENT_ERROR bad command line format
memcached< CLIENT_ERROR bad command line format\r\n

== replies before a line that is too long arrive when they were sent before it
> version
< VERSION {any}
>> {2049*x}
<|
