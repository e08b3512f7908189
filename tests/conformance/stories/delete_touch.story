# delete and touch.

== delete
@ split
> delete KEY
< NOT_FOUND
> set KEY 0 0 1
> x
< STORED
> delete KEY
< DELETED
> delete KEY
< NOT_FOUND
> get KEY
< END

== delete with a time: any word after the key is ignored
@ old 1.6.18 takes 0 only, and says so
> set KEY 0 0 1
> x
< STORED
> delete KEY 0
< DELETED
> set KEY 0 0 1
> x
< STORED
> delete KEY 10
< DELETED
> set KEY 0 0 1
> x
< STORED
> delete KEY -1
< DELETED
> set KEY 0 0 1
> x
< STORED
> delete KEY x y z
< DELETED
> delete KEY 0
< NOT_FOUND

== delete in silence
@ split
> set KEY 0 0 1
> x
< STORED
> delete KEY noreply
> delete KEY noreply
> get KEY
< END
> set KEY 0 0 1
> x
< STORED
> delete KEY 0 noreply
> get KEY
< END

== noreply misspelt is a word like any other
@ old 1.6.18 says so
> set KEY 0 0 1
> x
< STORED
> delete KEY norepl
< DELETED
> delete KEY noreply2
< NOT_FOUND
> delete KEY NOREPLY
< NOT_FOUND
> delete KEY noreply x
< NOT_FOUND

== delete without a key
@ old 1.6.18 says ERROR when tokens are missing
> delete
< CLIENT_ERROR bad command line format
> delete\s
< CLIENT_ERROR bad command line format

== delete of a key named noreply is silent
@ old 1.6.18 answers
> set noreply 0 0 1
> x
< STORED
> delete noreply
> get noreply
< END

== delete with a key of 251 bytes
> delete {251*k}
< CLIENT_ERROR bad command line format
> delete {250*k}
< NOT_FOUND

== touch
@ split
> touch KEY 0
< NOT_FOUND
> set KEY 3 0 1
> x
< STORED
> touch KEY 100
< TOUCHED
> get KEY
< VALUE KEY 3 1
< x
< END
> touch KEY -1
< TOUCHED
> get KEY
< END
> touch KEY 0
< NOT_FOUND

== touch with a bad exptime
@ old 1.6.18 cuts an exptime to 32 bits
> touch KEY x
< CLIENT_ERROR invalid exptime argument
> set KEY 0 0 1
> x
< STORED
> touch KEY x
< CLIENT_ERROR invalid exptime argument
> touch KEY 1x
< CLIENT_ERROR invalid exptime argument
> touch KEY 2147483648
< CLIENT_ERROR invalid exptime argument
> touch KEY -2147483649
< CLIENT_ERROR invalid exptime argument
> touch KEY 2147483647
< TOUCHED
> get KEY
< VALUE KEY 0 1
< x
< END

== touch without a key or an exptime
@ old 1.6.18 says ERROR when tokens are missing
> touch
< CLIENT_ERROR bad command line format
> touch KEY
< CLIENT_ERROR bad command line format

== touch with a word too many
@ old 1.6.18 says ERROR when there are too many tokens
> set KEY 0 0 1
> x
< STORED
> touch KEY 0 x
< TOUCHED

== touch in silence
@ split
> set KEY 0 0 1
> x
< STORED
> touch KEY 0 noreply
> touch KEYmiss 0 noreply
> touch KEY x noreply
> get KEY
< VALUE KEY 0 1
< x
< END

== touch with a key of 251 bytes: the key is looked at first
> touch {251*k} x
< CLIENT_ERROR bad command line format
> touch {250*k} 0
< NOT_FOUND
