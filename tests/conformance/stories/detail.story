# Statistics by the prefix of keys.

== stats detail takes three words
@ server
@ old other words and other answers
> stats detail
< CLIENT_ERROR usage: stats detail on|off|dump
> stats detail x
< CLIENT_ERROR usage: stats detail on|off|dump
> stats detail ON
< CLIENT_ERROR usage: stats detail on|off|dump
> stats det
< CLIENT_ERROR usage: stats detail on|off|dump
> stats detail dump x
< END
> stats detail on x
< OK
> stats details on
< ERROR

== stats detail counts gets, hits, sets and deletes by prefix
@ walks
@ server
> stats detail dump
< END
> set a:1 0 0 1
> x
> stats detail on
> set a:1 0 0 1
> x
> set a:b:c 0 0 1 noreply
> x
> add a:1 0 0 1
> x
> append a:none 0 0 1
> x
> cas a:none 0 0 1 1
> x
> set none 0 0 1
> x
> get a:1 a:2 a: none
> gets a:b:c
> gat 0 a:1
> touch a:1 0
> incr a:1 1
> delete a:1
> delete a:1
> delete a:b:c noreply
> stats detail dump
< STORED
< OK
< STORED
< NOT_STORED
< NOT_STORED
< NOT_FOUND
< STORED
< VALUE a:1 0 1
< x
< VALUE none 0 1
< x
< END
< VALUE a:b:c 0 1 {int}
< x
< END
< VALUE a:1 0 1
< x
< END
< TOUCHED
< CLIENT_ERROR cannot increment or decrement non-numeric value
< DELETED
< NOT_FOUND
< PREFIX a get 5 hit 3 set 5 del 3
< END

== a key may begin with the delimiter
@ server
> stats detail on
< OK
> get :x
< END
> stats detail dump
< PREFIX  get 1 hit 0 set 0 del 0
< END

== stats detail off stops counting, stats reset forgets
@ server
> stats detail on
< OK
> get a:1
< END
> stats detail off
< OK
> get a:1
< END
> stats detail dump
< PREFIX a get 1 hit 0 set 0 del 0
< END
> stats detail on
< OK
> get a:1
< END
> stats detail dump
< PREFIX a get 2 hit 0 set 0 del 0
< END
> stats reset
< RESET
> stats detail dump
< END

== another delimiter, and counted from the start
@ server -D /x
> get a/b:c
< END
> stats detail dump
< PREFIX a get 1 hit 0 set 0 del 0
< END

== without dumps there is no stats detail
@ server -X
@ old other words and other answers
> stats detail on
< CLIENT_ERROR stats detail not allowed
> stats detail x
< CLIENT_ERROR stats detail not allowed
