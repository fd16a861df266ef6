# Half a minute of load: eight clients score while one promotes, rolls back and
# changes rules and the canary's share twenty times a second, one sets and removes
# shadows, one trains and one drops old versions. No statement fails, every row is what the
# bundle in force for its snapshot says, the log agrees with the history of deployments
# and with that of shadows, no backend grows.
# test/load has the driver; "make load" runs it for longer.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run qw(run);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $sources = abs_path(dirname(__FILE__) . '/../load');
my $build = PostgreSQL::Test::Utils::tempdir();
my $seconds = $ENV{MLOPS_LOAD_SECONDS} // 30;

command_ok([ 'make', '-C', $sources, "BUILD=$build", 'PG_CONFIG=' . ($ENV{PG_CONFIG} // 'pg_config'), 'CFLAGS=-std=gnu11 -O2 -Wall' ],
	'the driver builds');

my $node = PostgreSQL::Test::Cluster->new('load');

$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'mlops'
max_connections = 50
max_worker_processes = 20
fsync = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION mlops');

my ($out, $err) = ('', '');
my $status = run([ "$build/load", '-t', $seconds, $node->connstr('postgres') . ' user=' . ($ENV{PGUSER} // getpwuid($<)) ], '>', \$out, '2>', \$err);

note($out);
diag($out . $err) unless $status;
ok($status, 'every row is what the bundle in force says, and nothing fails or grows');
like($out, qr/^# log: [1-9]\d* rows against [1-9]\d+ deployments$/m, 'the log has rows, and they were compared');
like($out, qr/^# shadows: [1-9]\d* calls of [1-9]\d* rows against [1-9]\d+ changes$/m, 'so were the shadows of its rows');
unlike($node->safe_psql('postgres', q{SELECT count(*) FROM mlops.deployment WHERE share < 1}), qr/^\d$/, 'canaries ran');
is($node->safe_psql('postgres', q{SELECT count(*) > 0 FROM mlops.dropped_version}), 't', 'versions were dropped');

# what the server says of itself: no crash, no assertion, no leaked resource
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal|WARNING:.*leak/, 'the server has nothing to complain of');

done_testing();
