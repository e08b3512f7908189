# noreply: nothing comes back, errors included.

== every storage command
@ split
> set KEY 0 0 1 noreply
> b
> append KEY 0 0 1 noreply
> c
> prepend KEY 0 0 1 noreply
> a
> get KEY
< VALUE KEY 0 3
< abc
< END
> replace KEY 0 0 1 noreply
> r
> add KEY 0 0 1 noreply
> n
> add KEYb 0 0 1 noreply
> b
> replace KEYc 0 0 1 noreply
> n
> append KEYc 0 0 1 noreply
> n
> cas KEYc 0 0 1 1 noreply
> n
> get KEY KEYb KEYc
< VALUE KEY 0 1
< r
< VALUE KEYb 0 1
< b
< END

== errors are silent too
@ old 1.6.18 reads the data as a command after a bad line
> set {251*k} 0 0 1 noreply
> x
> set KEY x 0 1 noreply
> x
> set KEY 0 x 1 noreply
> x
> incr {251*k} 1 noreply
> delete {251*k} noreply
> touch {251*k} 0 noreply
> get KEY
< END

== a bad data block is silent, what follows it is not
@ old 1.6.18 swallows up to the next line end
> set KEY 0 0 1 noreply
> xyzbogus
< ERROR
> get KEY
< END

== too few words are an error that noreply cannot silence
@ old 1.6.18 says ERROR when tokens are missing
> set KEY 0 noreply
< CLIENT_ERROR bad command line format
> incr noreply
< CLIENT_ERROR bad command line format
> touch noreply
< CLIENT_ERROR bad command line format

== noreply misspelt, in capitals, not at the end
@ old 1.6.18 says ERROR when there are too many tokens
> set KEY 0 0 1 norepl
> x
< STORED
> set KEY 0 0 1 noreplyy
> x
< STORED
> set KEY 0 0 1 NOREPLY
> x
< STORED
> set KEY 0 0 1 noreply x
> x
< STORED

== noreply behind other words
@ old 1.6.18 looks at one place only
> set KEY 0 0 1 x noreply
> x
> get KEY
< VALUE KEY 0 1
< x
< END

== blanks after noreply
> set KEY 0 0 1 noreply\s\s
> x
> get KEY
< VALUE KEY 0 1
< x
< END

== noreply in the middle of a pipeline shifts no answer
@ split
> set KEYa 0 0 1
> a
> set KEYb 0 0 1 noreply
> b
> incr KEYc 1 noreply
> delete KEYc
> delete KEYa noreply
> get KEYa KEYb
< STORED
< NOT_FOUND
< VALUE KEYb 0 1
< b
< END

== version, mn and stats answer nevertheless
> version noreply
< VERSION {any}
> mn noreply
< MN
> stats noreply
< ERROR
