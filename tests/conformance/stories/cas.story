# cas: the token of gets decides.

== cas with the right token stores, once
@ split
> set KEY 0 0 1
> x
< STORED
> cas KEY 0 0 1 1
> y
< EXISTS
> get KEY
< VALUE KEY 0 1
< x
< END

== cas with the token of gets
> set KEY 0 0 1
> x
< STORED
> gets KEY
< VALUE KEY 0 1 {cas:a}
< x
< END
> cas KEY 3 0 2 {cas:a}
> yy
< STORED
> gets KEY
< VALUE KEY 3 2 {cas:b}
< yy
< END
> cas KEY 0 0 1 {cas:a}
> z
< EXISTS
> cas KEY 0 0 1 {cas:b}
> z
< STORED
> get KEY
< VALUE KEY 0 1
< z
< END

== of two connections with one token, the first wins
1> set KEY 0 0 1
1> x
1< STORED
1> gets KEY
1< VALUE KEY 0 1 {cas:a}
1< x
1< END
2> gets KEY
2< VALUE KEY 0 1 {cas:a}
2< x
2< END
2> cas KEY 0 0 1 {cas:a}
2> 2
2< STORED
1> cas KEY 0 0 1 {cas:a}
1> 1
1< EXISTS
1> get KEY
1< VALUE KEY 0 1
1< 2
1< END

== cas on a missing key
@ split
> cas KEY 0 0 1 1
> x
< NOT_FOUND
> get KEY
< END

== token 0 never matches
> cas KEY 0 0 1 0
> x
< NOT_FOUND
> set KEY 0 0 1
> x
< STORED
> cas KEY 0 0 1 0
> y
< EXISTS

== a deleted and stored again key has a new token
> set KEY 0 0 1
> x
< STORED
> gets KEY
< VALUE KEY 0 1 {cas:a}
< x
< END
> delete KEY
< DELETED
> cas KEY 0 0 1 {cas:a}
> y
< NOT_FOUND
> set KEY 0 0 1
> x
< STORED
> cas KEY 0 0 1 {cas:a}
> y
< EXISTS

== incr and decr make a new token
> set KEY 0 0 2
> 10
< STORED
> gets KEY
< VALUE KEY 0 2 {cas:a}
< 10
< END
> incr KEY 1
< 11
> cas KEY 0 0 1 {cas:a}
> y
< EXISTS
> gets KEY
< VALUE KEY 0 2 {cas:b}
< 11
< END
> decr KEY 1
< 10
> cas KEY 0 0 1 {cas:b}
> y
< EXISTS
> gets KEY
< VALUE KEY 0 2 {cas:c}
< 10
< END
> cas KEY 0 0 1 {cas:c}
> y
< STORED

== a touch keeps the token
> set KEY 0 0 1
> x
< STORED
> gets KEY
< VALUE KEY 0 1 {cas:a}
< x
< END
> touch KEY 100
< TOUCHED
> gat 100 KEY
< VALUE KEY 0 1
< x
< END
> cas KEY 0 0 1 {cas:a}
> y
< STORED

== a failed add, replace or cas keeps the token
> set KEY 0 0 1
> x
< STORED
> gets KEY
< VALUE KEY 0 1 {cas:a}
< x
< END
> add KEY 0 0 1
> y
< NOT_STORED
> cas KEY 0 0 1 0
> y
< EXISTS
> cas KEY 0 0 1 {cas:a}
> z
< STORED

== a bad token: the data is swallowed
@ old 1.6.18 reads the data as a command after a bad line
> cas KEY 0 0 1 x
> x
< CLIENT_ERROR bad command line format
> cas KEY 0 0 1 -1
> x
< CLIENT_ERROR bad command line format
> cas KEY 0 0 1 1x
> x
< CLIENT_ERROR bad command line format
> cas KEY 0 0 1 18446744073709551616
> x
< CLIENT_ERROR bad command line format
> cas KEY 0 0 1 99999999999999999999999999
> x
< CLIENT_ERROR bad command line format
> cas KEY 0 0 1 18446744073709551615
> x
< NOT_FOUND

== no token: the data is swallowed
@ old 1.6.18 says ERROR when tokens are missing and reads the data as a command
> cas KEY 0 0 5
> bogus
< CLIENT_ERROR bad command line format

== no length
@ old 1.6.18 says ERROR when tokens are missing
> cas
< CLIENT_ERROR bad command line format
> cas KEY 0 0
> bogus
< CLIENT_ERROR bad command line format
< ERROR

== noreply as the token is a bad token, in silence
@ old 1.6.18 answers
> cas KEY 0 0 1 noreply
> x
> get KEY
< END

== noreply after the token
@ split
> set KEY 0 0 1
> x
< STORED
> cas KEY 0 0 1 1 noreply
> y
> get KEY
< VALUE KEY 0 1
< x
< END
