# Expiry: never, at once, relative, absolute. Stories that wait have servers of their own and wait
# side by side.

== exptime 0 and far ones stay
> set KEYa 0 0 1
> a
< STORED
> set KEYb 0 2592000 1
> b
< STORED
> set KEYc 0 {now+1000} 1
> c
< STORED
> set KEYd 0 2147483647 1
> d
< STORED
> get KEYa KEYb KEYc KEYd
< VALUE KEYa 0 1
< a
< VALUE KEYb 0 1
< b
< VALUE KEYc 0 1
< c
< VALUE KEYd 0 1
< d
< END

== a negative exptime is stored and gone
@ split
> set KEY 0 -1 1
> x
< STORED
> get KEY
< END
> add KEY 0 -2147483648 1
> x
< STORED
> get KEY
< END

== thirty days are relative, one second more is a date in 1970
> set KEYa 0 2592000 1
> a
< STORED
> set KEYb 0 2592001 1
> b
< STORED
> get KEYa KEYb
< VALUE KEYa 0 1
< a
< END

== an absolute time in the past
> set KEY 0 {now-1000} 1
> x
< STORED
> get KEY
< END

== what has expired is not there for any command
> set KEY 0 -1 1
> 5
< STORED
> incr KEY 1
< NOT_FOUND
> set KEY 0 -1 1
> 5
< STORED
> append KEY 0 0 1
> x
< NOT_STORED
> set KEY 0 -1 1
> 5
< STORED
> replace KEY 0 0 1
> x
< NOT_STORED
> set KEY 0 -1 1
> 5
< STORED
> touch KEY 100
< NOT_FOUND
> set KEY 0 -1 1
> 5
< STORED
> gat 100 KEY
< END
> set KEY 0 -1 1
> 5
< STORED
> delete KEY
< NOT_FOUND
> set KEY 0 -1 1
> 5
< STORED
> cas KEY 0 0 1 1
> x
< NOT_FOUND
> set KEY 0 -1 1
> 5
< STORED
> add KEY 0 0 1
> x
< STORED
> get KEY
< VALUE KEY 0 1
< x
< END

== touch and gat with every kind of exptime
> set KEY 0 0 1
> x
< STORED
> touch KEY 2592000
< TOUCHED
> get KEY
< VALUE KEY 0 1
< x
< END
> touch KEY {now+100}
< TOUCHED
> get KEY
< VALUE KEY 0 1
< x
< END
> gat 2592001 KEY
< VALUE KEY 0 1
< x
< END
> get KEY
< END

== a relative time passes
> set KEY 0 2 1
> x
< STORED
> get KEY
< VALUE KEY 0 1
< x
< END
~ 3.2
> get KEY
< END

== an absolute time passes
> set KEY 0 {now+2} 1
> x
< STORED
> get KEY
< VALUE KEY 0 1
< x
< END
~ 3.2
> get KEY
< END

== touch shortens a life
> set KEY 0 0 1
> x
< STORED
> touch KEY 1
< TOUCHED
~ 2.2
> get KEY
< END

== touch and gat lengthen a life
> set KEYa 0 2 1
> a
< STORED
> set KEYb 0 2 1
> b
< STORED
> set KEYc 0 2 1
> c
< STORED
> touch KEYa 100
< TOUCHED
> gat 0 KEYb
< VALUE KEYb 0 1
< b
< END
~ 3.2
> get KEYa KEYb KEYc
< VALUE KEYa 0 1
< a
< VALUE KEYb 0 1
< b
< END

== incr and append keep the time to live
> set KEYa 0 2 1
> 9
< STORED
> set KEYb 0 2 1
> b
< STORED
> incr KEYa 1
< 10
> append KEYb 9 0 1
> c
< STORED
~ 3.2
> get KEYa KEYb
< END

== set, replace and cas renew the time to live
> set KEYa 0 2 1
> a
< STORED
> set KEYb 0 2 1
> b
< STORED
> set KEYc 0 2 1
> c
< STORED
> gets KEYc
< VALUE KEYc 0 1 {cas:c}
< c
< END
> set KEYa 0 0 1
> A
< STORED
> replace KEYb 0 0 1
> B
< STORED
> cas KEYc 0 0 1 {cas:c}
> C
< STORED
~ 3.2
> get KEYa KEYb KEYc
< VALUE KEYa 0 1
< A
< VALUE KEYb 0 1
< B
< VALUE KEYc 0 1
< C
< END
