# What operators ask: lru_crawler, lru, slabs, cache_memlimit, stats cachedump, stats refs.

== metadump of everything
@ server
> set KEY 5 0 3
> abc
> get KEY
> set two 0 {now+500} 1
> x
< STORED
< VALUE KEY 5 3
< abc
< END
< STORED
> delete two
< DELETED
> lru_crawler metadump all
< OK
<< key=key
{any}
