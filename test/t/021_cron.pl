# pg_cron calls the tick: a server with it preloaded, as its documentation says,
# schedules CALL mlops_tick() and an edition appears without anybody's doing. Jobs run in
# background workers, which commit between sets as any session does.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $library = `$pg_config --pkglibdir` . '');
chomp(my $share = `$pg_config --sharedir` . '');

plan skip_all => 'pg_cron is not installed (Debian: postgresql-15-cron)'
  unless -f "$library/pg_cron.so" && -f "$share/extension/pg_cron.control";

my $node = PostgreSQL::Test::Cluster->new('cron');
$node->init;
$node->append_conf('postgresql.conf', qq{
fsync = off
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.use_background_workers = on
max_worker_processes = 20
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_cron;
	CREATE EXTENSION mlops;
	CREATE TABLE visit AS SELECT i AS n, now() - i * interval '1 minute' AS at, i % 3 = 0 AS bought FROM generate_series(1, 500) AS i;
	SELECT mlops_create_model('buys', target => 'bought');
	SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'at', period => '1 day');
	SELECT mlops_create_validation_set('buys', 'second', 'visit', key => 'n', time_column => 'at', period => '2 hours')});

# seconds where this pg_cron knows them, else minutes
my ($code) = $node->psql('postgres', q{SELECT cron.schedule('tick', '1 second', 'CALL mlops_tick()')});
$node->safe_psql('postgres', q{SELECT cron.schedule('tick', '* * * * *', 'CALL mlops_tick()')}) if $code != 0;

ok($node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM mlops.validation_set WHERE edition >= 1}),
	'a scheduled tick makes the first editions')
  or diag($node->safe_psql('postgres', 'SELECT status, return_message FROM cron.job_run_details'));
is($node->safe_psql('postgres', q{SELECT rows FROM mlops.edition WHERE validation_set = 'recent' AND edition = 1}), '500', 'with their rows');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mlops.validation_set WHERE error IS NOT NULL}), '0', 'and no error');

SKIP:
{
	skip 'this pg_cron knows no schedule in seconds', 1 if $code != 0;
	$node->safe_psql('postgres', q{INSERT INTO visit SELECT 1000 + i, now() - i * interval '1 millisecond', true FROM generate_series(1, 50) AS i});
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 550 FROM mlops_edition('buys', 'recent')}), 'and the next tick takes what came');
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM mlops.edition WHERE NOT mlops_verify_edition(model, validation_set, edition)}),
	'0', 'every edition can be selected again');

$node->safe_psql('postgres', q{SELECT cron.unschedule('tick')});
$node->stop;
done_testing();
