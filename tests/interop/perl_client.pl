#!/usr/bin/perl
# Cache::Memcached and Cache::Memcached::Fast against a server, in TAP.
#
#     perl_client.pl MODULE HOST:PORT
use strict;
use warnings;
use IO::Socket::INET;
use Test::More;

my ($module, $server) = @ARGV;
(my $file = "$module.pm") =~ s{::}{/}g;
require $file;

my $is_fast = $module =~ /Fast/;
my $ns = ($is_fast ? 'fast' : 'plain') . ':';

sub client {
    my (%options) = @_;
    return $module->new({ servers => [$server], namespace => $ns, %options });
}

# Client flags and size of a value, as another client sees them.
sub on_the_wire {
    my ($key) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $server) or die "no connection: $!";
    print $socket "get $ns$key\r\n";
    my ($flags, $size) = <$socket> =~ /^VALUE \S+ (\d+) (\d+)\r$/ or die "no $key";
    return ($flags, $size);
}

my $plain = client(compress_threshold => 0);
my $packed = client(compress_threshold => 1_000);

# Strings: odd sizes, every byte, around the sizes at which a server changes its ways.
my $bytes = join '', map { chr } 0 .. 255;
for my $size (0, 1, 255, 1_023, 4_096, 16_383, 16_384, 65_537, 900_000) {
    my $value = substr $bytes x (1 + $size / 256), 0, $size;
    ok $plain->set("size$size", $value), "set of $size bytes";
    ok defined $plain->get("size$size") && $plain->get("size$size") eq $value, "get of $size bytes";
}
ok !defined $plain->get('absent'), 'get of nothing';

# What the client packs comes back unpacked, even if it is larger than an item may be.
my $text = 'all work and no play ' x 40_000;
for my $times (1, 6) {
    ok $packed->set("packed$times", $text x $times), 'set of a large value, compressed';
    ok $packed->get("packed$times") eq $text x $times, 'get of a large value, compressed';
    # On the wire it has fewer bytes, and a flag that says so.
    my ($flags, $size) = on_the_wire("packed$times");
    ok $flags != 0, 'it has a flag';
    ok $size < length($text) / 10, 'it is short';
}
srand 1;
my $noise = join '', map { chr int rand 256 } 1 .. 300_000;
ok $packed->set('noise', $noise), 'set of what does not compress';
ok $packed->get('noise') eq $noise, 'get of what does not compress';
$packed->set("pack$_", "$_ $text") for 1 .. 20;
my $several = $packed->get_multi(map { "pack$_" } 1 .. 20);
is scalar(grep { $several->{"pack$_"} eq "$_ $text" } 1 .. 20), 20,
    'get_multi of compressed values';
$plain->set("large$_", substr $noise, $_) for 1 .. 20;
$several = $plain->get_multi(map { "large$_" } 1 .. 20);
is scalar(grep { $several->{"large$_"} eq substr $noise, $_ } 1 .. 20), 20,
    'get_multi of large values';
ok !$plain->set('toolarge', $noise x 5), 'set of too much';
is $plain->get('size1'), "\0", 'the connection goes on after it';

# References travel by Storable.
my $tree = { list => [1, 2, { three => 3 }], text => "\x{1}\x{2}", nothing => undef };
ok $plain->set('tree', $tree), 'set of a structure';
is_deeply $plain->get('tree'), $tree, 'get of a structure';

# Storage commands.
ok $plain->delete('w') || 1, 'delete before';
ok !$plain->replace('w', 1), 'replace of nothing';
ok $plain->add('w', 'one'), 'add';
ok !$plain->add('w', 'two'), 'add of something';
ok $plain->replace('w', 'middle'), 'replace';
ok $plain->append('w', '>'), 'append';
ok $plain->prepend('w', '<'), 'prepend';
is $plain->get('w'), '<middle>', 'all of them together';
ok $plain->delete('w'), 'delete';
ok !$plain->delete('w'), 'delete of nothing';

# Numbers.
ok $plain->set('n', 5), 'set of a number';
is $plain->incr('n'), 6, 'incr by one';
is $plain->incr('n', 94), 100, 'incr by more';
is $plain->decr('n', 1), 99, 'decr';
is 0 + $plain->decr('n', 1000), 0, 'decr below zero';
ok !$plain->incr('absent'), 'incr of nothing';

# Expiry: over at once by a time in the past, kept by one far ahead.
ok $plain->set('past', 'x', 1_000_000_000), 'set with an expiry in the past';
ok !defined $plain->get('past'), 'it is gone';
ok $plain->set('ahead', 'x', 1_000), 'set with an expiry ahead';
is $plain->get('ahead'), 'x', 'it is there';

# Many keys.
my %many = map { ("many$_" => "value $_" x ($_ % 50)) } 1 .. 500;
$plain->set($_, $many{$_}) for keys %many;
is_deeply $plain->get_multi(keys %many, 'absent'), \%many, 'get_multi of 501 keys';

if ($is_fast) {
    my $set = $plain->set_multi(map { ["multi$_", "v$_"] } 1 .. 200);
    is scalar(grep { $_ } values %$set), 200, 'set_multi of 200 keys';
    my $got = $plain->gets('multi1');
    is $got->[1], 'v1', 'gets';
    ok $plain->cas('multi1', $got->[0], 'w1'), 'cas';
    is $plain->cas('multi1', $got->[0], 'x1'), '', 'cas with an old token';
    is $plain->get('multi1'), 'w1', 'the first cas has won';
    is_deeply [sort keys %{ $plain->gets_multi('multi2', 'multi3', 'absent') }],
        ['multi2', 'multi3'], 'gets_multi';
    ok $plain->touch('multi2', 1_000), 'touch';
    is $plain->incr_multi(['n', 3], ['absent', 1])->{n}, 3, 'incr_multi';
    my $deleted = $plain->delete_multi(map { "multi$_" } 1 .. 200);
    is scalar(grep { $_ } values %$deleted), 200, 'delete_multi';
    # In void context this client uses noreply.
    $plain->set("quiet$_", $_) for 1 .. 300;
    $plain->incr("quiet$_", 1000) for 1 .. 300;
    $plain->delete("quiet$_") for 1 .. 100;
    is_deeply $plain->get_multi(map { "quiet$_" } 1 .. 300),
        { map { ("quiet$_" => 1000 + $_) } 101 .. 300 }, 'noreply commands, then get_multi';
    like((values %{ $plain->server_versions })[0], qr/^\d+\.\d+/, 'version');
}
else {
    my $stats = $plain->stats(['misc']);
    my $misc = $stats->{hosts}{$server}{misc};
    ok $misc->{curr_items} > 500, 'stats: curr_items';
    ok $misc->{cmd_get} > 500, 'stats: cmd_get';
    ok $misc->{limit_maxbytes} > 0, 'stats: limit_maxbytes';
}

# A second client sees what the first has written.
is client()->get('n'), $plain->get('n'), 'another connection';
ok $plain->flush_all, 'flush_all';
ok !defined $plain->get('n'), 'nothing is left';
done_testing;
