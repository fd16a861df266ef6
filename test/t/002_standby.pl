# A streaming standby scores, follows a promotion once it has replayed the
# commit, and refuses what would write, saying why.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');

$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 5\n");
$primary->start;
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');

$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub catch_up { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')); }

$primary->safe_psql('postgres', q{
	CREATE EXTENSION mlops;
	CREATE TABLE point (x float8, y float8);
	INSERT INTO point SELECT i, 3 + 2 * i + (i % 5) FROM generate_series(1, 200) i;
	CALL mlops_train('line', 'point', target => 'y', algorithm => 'baseline');
	CALL mlops_train('line', 'point', target => 'y', algorithm => 'linear_regression', options => '{"keep_rows": true}');
	SELECT mlops_promote('line', 1);
});
catch_up();

my $score = q{SELECT md5(string_agg(mlops_predict('line', p)::text, ',' ORDER BY x)) FROM point p};
my $first = $standby->safe_psql('postgres', $score);

is($first, $primary->safe_psql('postgres', $score), 'a standby scores what the primary scores');

# a session on the standby that has scored before sees the promotion at its next statement
my $session = $standby->background_psql('postgres');

is($session->query($score), $first, 'a session on the standby scores');
$primary->safe_psql('postgres', q{SELECT mlops_promote('line', 2)});
catch_up();

my $second = $primary->safe_psql('postgres', $score);

isnt($second, $first, 'the promotion changes the scores on the primary');
is($session->query($score), $second, 'the same session on the standby follows');
is($session->query(q{SELECT md5(string_agg(mlops_predict('line/1', p)::text, ',' ORDER BY x)) FROM point p}),
	$first, 'a pinned version scores as before');
$primary->safe_psql('postgres', q{SELECT mlops_rollback('line')});
catch_up();
is($session->query($score), $first, 'it follows a rollback too');
$session->quit;

is($standby->safe_psql('postgres', q{SELECT version FROM mlops.serving WHERE model = 'line'}), '1', 'the views answer');
like($standby->safe_psql('postgres', q{SELECT mlops_describe('line')}), qr/line/, 'a model can be described');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM mlops_coefficients('line/2')}), '2', 'and its coefficients looked at');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM mlops_verify() v WHERE v.ok}), '2', 'and its artifacts verified');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM mlops_profile('point', 'y')}), '2', 'and a source profiled');
is($standby->safe_psql('postgres', q{SELECT n > 0 AND low < value FROM mlops_evaluate_query('line/2', 'SELECT x, y + x / 100 AS y FROM point', metrics => '{rmse}')}),
	't', 'and it is judged');
is($standby->safe_psql('postgres', q{SELECT count(*), sum((r ->> 'x')::int) FROM mlops_rows('line/2') r}), '200|20100',
	'and the rows that it kept read');

# every way to score, in a parallel plan and in a transaction of its own snapshot too
is( $standby->safe_psql('postgres', q{
		SELECT bool_and(mlops_predict('line', p) = mlops_predict('line', row_to_json(p))
		       AND mlops_predict('line', p) = mlops_predict('line', to_jsonb(p)::text)
		       AND mlops_predict('line/2', p) = mlops_predict('line/2', ARRAY[x])) FROM point p}),
	't', 'rows, documents and arrays score on a standby');
is( $standby->safe_psql('postgres', q{
		SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
		SET parallel_leader_participation = off;
		SELECT md5(string_agg(s::text, ',' ORDER BY x)) FROM (SELECT x, mlops_predict('line', p) AS s FROM point p OFFSET 0) q}),
	$first, 'in a parallel plan too');

# a transaction of the standby keeps its bundle while the primary decides
my $reader = $standby->background_psql('postgres');

$reader->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
$reader->query($score);
$primary->safe_psql('postgres', q{SELECT mlops_promote('line', 2)});
catch_up();
is($reader->query($score), $first, 'a REPEATABLE READ transaction on the standby keeps its bundle');
$reader->query('COMMIT');
is($reader->query($score), $second, '... until it ends');
$reader->quit;
$primary->safe_psql('postgres', q{SELECT mlops_rollback('line')});
catch_up();

# a canary: a standby sends the same rows to it
my $sides = q{SELECT count(*) FILTER (WHERE mlops_predict('line', p, x::bigint) = mlops_predict('line/2', p)) || ' of ' ||
	                 count(*) FILTER (WHERE mlops_canary_position('line', x::bigint) < 0.4) FROM point p};

$primary->safe_psql('postgres', q{SELECT mlops_promote('line', 2, share => 0.4)});
catch_up();
my $split = $standby->safe_psql('postgres', $sides);
like($split, qr/^([1-9]\d*) of \g1$/, 'on a standby a canary serves the rows whose position is below its share');
is($split, $primary->safe_psql('postgres', $sides), '... the same rows as on the primary');
$primary->safe_psql('postgres', q{SELECT mlops_rollback('line')});
catch_up();
is($standby->safe_psql('postgres', $score), $first, '... until it ends');

# a prepared promotion, which cannot carry a notice
my ($failed, undef, $why) = $primary->psql('postgres', q{
	BEGIN; SELECT mlops_promote('line', 2); PREPARE TRANSACTION 'p'});

like($why, qr/cannot PREPARE a transaction that has executed .*NOTIFY/, 'a promotion that notifies cannot be prepared');
$primary->safe_psql('postgres', q{
	SET mlops.notify = off; BEGIN; SELECT mlops_promote('line', 2); PREPARE TRANSACTION 'p'});
is($primary->safe_psql('postgres', $score), $first, 'with mlops.notify off it can: prepared, it serves nobody');
$primary->safe_psql('postgres', q{COMMIT PREPARED 'p'});
catch_up();
is($standby->safe_psql('postgres', $score), $second, 'committed, it serves on the standby too');
$primary->safe_psql('postgres', q{SELECT mlops_rollback('line')});
catch_up();
is($standby->safe_psql('postgres', $score), $first, '... and can be rolled back');

sub refused
{
	my ($what, $sql) = @_;
	my ($status, $stdout, $stderr) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$sql");

	isnt($status, 0, "$what is refused on a standby");
	like($stderr, qr/ERROR:  25006:/, "... as a read-only transaction (25006)");
	like($stderr, qr/HINT:  .*primary/, "... with the advice to go to the primary");
}

refused('training', q{CALL mlops_train('line', 'point', target => 'y')});
refused('training inside a transaction', q{SELECT mlops_train_now('line', 'point', target => 'y')});
refused('promoting', q{SELECT mlops_promote('line', 2)});
refused('rolling back', q{SELECT mlops_rollback('line')});
refused('training from a spec', q{CALL mlops_train_spec('line', '{"source": "point"}')});
refused('retraining', q{CALL mlops_retrain('line')});
refused('reproducing', q{CALL mlops_reproduce('line/1')});
refused('reproducing from kept rows', q{CALL mlops_reproduce('line/2')});
refused('setting an alias', q{SELECT mlops_set_alias('line', 'best', 2)});
refused('creating a model', q{SELECT mlops_create_model('other')});
refused('changing a model', q{SELECT mlops_set_model('line', '{"description": "x"}')});
refused('granting', q{SELECT mlops_grant('line', 'public', 'read')});
refused('revoking', q{SELECT mlops_revoke('line', 'public', 'read')});
refused('dropping a version', q{SELECT mlops_drop_version('line', 2)});
refused('dropping a model', q{SELECT mlops_drop_model('line', force => true)});

is($standby->safe_psql('postgres', $score), $first, 'and nothing has changed');

# the standby becomes a primary: life goes on there
$standby->promote;
$standby->safe_psql('postgres', q{
	CALL mlops_train('line', 'point', target => 'y', algorithm => 'linear_regression');
	SELECT mlops_promote('line', 3);
});
is($standby->safe_psql('postgres', q{SELECT version FROM mlops.serving WHERE model = 'line'}), '3',
	'after a failover training and promoting go on');

$standby->stop;
$primary->stop;
done_testing();
