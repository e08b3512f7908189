# What operators ask: lru_crawler, lru, slabs, cache_memlimit, stats cachedump, stats refs. What
# dumps show is in operator_cases.py.

== lru_crawler counts its words
@ split
@ old other words and other answers
> lru_crawler
< ERROR
> lru_crawler x
< ERROR
> lru_crawler metadump
< ERROR
> lru_crawler metadump all x
< ERROR
> lru_crawler mgdump
< ERROR
> lru_crawler crawl
< ERROR
> lru_crawler enable x
< ERROR
> lru_crawler sleep
< ERROR
> lru_crawler sleep 1 2
< ERROR
> lru_crawlerx
< ERROR

== lru_crawler and what it does not take for a class
@ split torc
@ old other words and other answers
> lru_crawler metadump 1,x
< BADCLASS invalid class id
> lru_crawler metadump 0
< BADCLASS invalid class id
> lru_crawler metadump -1
< BADCLASS invalid class id
> lru_crawler metadump 99999
< BADCLASS invalid class id
> lru_crawler metadump ALL
< BADCLASS invalid class id
> lru_crawler mgdump x
< BADCLASS invalid class id
> lru_crawler crawl 1,99999
< BADCLASS invalid class id

== lru_crawler is silent when told so, and noreply is a word too many
@ old other words and other answers
> lru_crawler metadump all noreply
> lru_crawler bogus noreply
> lru_crawler sleep x noreply
> version
< VERSION {any}

== lru_crawler sleep and tocrawl
@ server
@ old other words and other answers
> lru_crawler sleep 100
< OK
> lru_crawler sleep 1000000
< OK
> lru_crawler sleep 1000001
< CLIENT_ERROR sleep must be one second or less
> lru_crawler sleep x
< CLIENT_ERROR bad command line format
> lru_crawler sleep -1
< CLIENT_ERROR bad command line format
> lru_crawler tocrawl 5
< OK
> lru_crawler tocrawl x
< CLIENT_ERROR bad command line format
> lru_crawler tocrawl 4294967296
< CLIENT_ERROR bad command line format

== lru_crawler off and on
@ server
@ old other words and other answers
> lru_crawler enable
< ERROR failed to start lru crawler thread
> lru_crawler disable
< OK
~ 0.2
> lru_crawler metadump all
< CLIENT_ERROR lru crawler disabled
> lru_crawler crawl all
< CLIENT_ERROR lru crawler disabled
> lru_crawler enable
< OK
~ 0.2
>  lru_crawler enable
< ERROR failed to start lru crawler thread

== without dumps
@ server -X
@ old other words and other answers
> lru_crawler metadump all
< ERROR metadump not allowed
> lru_crawler mgdump all
< ERROR key dump not allowed
> lru_crawler metadump
< ERROR
> stats cachedump 1 0
< CLIENT_ERROR stats cachedump not allowed
> stats cachedump
< CLIENT_ERROR stats cachedump not allowed

== slabs reassign
@ server
@ old other words and other answers
> slabs
< ERROR
> slabs x
< ERROR
> slabs reassign
< ERROR
> slabs reassign 1
< ERROR
> slabs reassign 1 2 3
< ERROR
> slabs reassign 1 1
< SAME src and dst class are identical
> slabs reassign -1 1
< BADCLASS invalid src or dst class id
> slabs reassign 1 -1
< BADCLASS invalid src or dst class id
> slabs reassign 1 99999
< BADCLASS invalid src or dst class id
> slabs reassign x 1
< CLIENT_ERROR bad command line format
> slabs reassign 1 x
< CLIENT_ERROR bad command line format

== slabs reassign of a class that has no pages
@ server
@ old other words and other answers
@ slab other engines have no second class
> slabs reassign 2 1
< NOSPARE source class has no spare pages
> slabs reassign 2 1 noreply

== slabs automove
@ server
@ old other words and other answers
> slabs automove
< ERROR
> slabs automove 0
< OK
> slabs automove 2 x
< OK
> slabs automove 1
< OK
> slabs automove 3
< ERROR
> slabs automove x
< CLIENT_ERROR bad command line format
> slabs automove -1
< CLIENT_ERROR bad command line format
> slabs automove ratio 0.5
< OK
> slabs automove ratio
< ERROR
> slabs automove ratio x
< ERROR
> slabs automove freeratio 0.1
< OK
> slabs automove window 10
< OK
> slabs automove window
< CLIENT_ERROR bad command line format
> slabs automove 1 noreply

== lru
@ server
@ old other words and other answers
> lru
< ERROR
> lru mode
< ERROR
> lru mode flat
< OK
> lru mode segmented x
< OK
> lru mode x
< ERROR
> lru temp_ttl 5
< OK
> lru temp_ttl -1
< OK
> lru temp_ttl x
< ERROR
> lru tune 10 25 0.1
< ERROR
> lru tune 10 25 0.1 2.0
< OK
> lru tune 10 25 .5 2. x
< OK
> lru tune 10 25 1x 2
< ERROR
> lru tune 10 95 0.1 2.0
< ERROR hot and warm pcts must not exceed 80
> lru tune 10 25 0 2.0
< ERROR hot/warm age factors must be greater than 0
> lru mode segmented noreply
> lru bogus noreply

== cache_memlimit
@ server
@ walks
@ old other words and other answers
> cache_memlimit
< ERROR
> cache_memlimit x
< ERROR
> cache_memlimit -1
< ERROR
> cache_memlimit 7
< MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m
> cache_memlimit 1000000001
< MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes
> cache_memlimit 100
< OK
> cache_memlimit 00000000016 x
< OK
> cache_memlimit 8 noreply
> cache_memlimit x noreply

== cache_memlimit beyond the machine's memory
@ server
@ differs memory-that-is-there
@ old other words and other answers
> cache_memlimit 1000000000
memcached< OK
torc< MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust

== stats cachedump counts its words
@ old other words and other answers
> stats cachedump
< CLIENT_ERROR bad command line
> stats cachedump 1
< CLIENT_ERROR bad command line
> stats cachedump x 0
< CLIENT_ERROR bad command line format
> stats cachedump 1 x
< CLIENT_ERROR bad command line format
> stats cachedump 99999 0
< CLIENT_ERROR Illegal slab id
> stats cachedump 0 0
< END

== stats sizes
@ differs sizes-are-counted
@ walks
@ server
> set KEY 0 0 1
> x
< STORED
> stats sizes
memcached< STAT sizes_status disabled
torc< STAT {int} 1
< END

== stats refs
@ differs refs
> stats refs
memcached< ERROR
torc< END

== a dump of nothing, and what is asked behind it
@ server
@ differs behind-a-dump
> lru_crawler metadump all
torc> version
< OK
< END
torc< VERSION {any}
> lru_crawler mgdump hash
torc> version
< OK
< EN
torc< VERSION {any}
