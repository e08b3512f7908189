# Many commands in one write.

== answers in order, whatever the commands
@ split
> set KEYa 0 0 1
> 1
> incr KEYa 1
> get KEYa
> bogus
> set KEYb 1 0 2
> bb
> get KEYb KEYa
> delete KEYa
> touch KEYa 0
> append KEYb 0 0 1
> c
> mn
> gets KEYa
> get KEYb
> version
< STORED
< 2
< VALUE KEYa 0 1
< 2
< END
< ERROR
< STORED
< VALUE KEYb 1 2
< bb
< VALUE KEYa 0 1
< 2
< END
< DELETED
< NOT_FOUND
< STORED
< MN
< END
< VALUE KEYb 1 3
< bbc
< END
< VERSION {any}

== an error in the middle stops nothing
@ old 1.6.18 reads the data as a command after a bad line
@ split
> set KEY 0 0 1
> x
> set KEY 0 0 x
> set KEY x 0 1
> y
> incr KEY 1
> incr KEY x
> nonsense and more
> get KEY
< STORED
< CLIENT_ERROR bad command line format
< CLIENT_ERROR bad command line format
< CLIENT_ERROR cannot increment or decrement non-numeric value
< CLIENT_ERROR invalid numeric delta argument
< ERROR
< VALUE KEY 0 1
< x
< END

== 100,000 gets in one write
> set KEY 0 0 1
> x
< STORED
>> {100000*get KEY\r\n}
<< {100000*VALUE KEY 0 1\r\nx\r\nEND\r\n}

== 100,000 gets that miss in one write
>> {100000*get KEYmiss\r\n}
<< {100000*END\r\n}

== 100,000 sets in one write
>> {100000*set KEY 0 0 3\r\nabc\r\n}
<< {100000*STORED\r\n}
> get KEY
< VALUE KEY 0 3
< abc
< END

== 100,000 silent sets in one write
>> {100000*set KEY 0 0 3 noreply\r\nabc\r\n}
> get KEY
< VALUE KEY 0 3
< abc
< END

== 10,000 errors in one write
>> {10000*bogus\r\n}
<< {10000*ERROR\r\n}

== 1,000 gets of 10 KB in one write
> set KEY 0 0 10000
> {10000*v}
< STORED
>> {1000*get KEY\r\n}
<< {1000*VALUE KEY 0 10000\r\n{10000*v}\r\nEND\r\n}

== 100 gets of 500 KB in one write
> set KEY 0 0 500000
> {500000*v}
< STORED
>> {100*get KEY\r\n}
<< {100*VALUE KEY 0 500000\r\n{500000*v}\r\nEND\r\n}
