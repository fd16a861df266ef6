# What others see and feel of a CALL mlops_train: while it fits it holds no
# snapshot, no transaction id and no lock on a table; its progress can be
# watched; it can be cancelled within a second in every phase, and then the run
# says so and its memory is free. What happens meanwhile to its source, to its
# model, or by another training of the same model has a defined end.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('training');

$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\n");
$node->start;

is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), '', 'nothing is preloaded');
$node->safe_psql('postgres', q{
	CREATE EXTENSION mlops;
	CREATE TABLE small AS SELECT i::float8 AS x, 2 * i + sin(i) AS y FROM generate_series(1, 200) i;
	-- many columns make a pass of a logistic regression long; classes that a line nearly separates take many passes
	CREATE PROCEDURE make_wide() LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE format('CREATE TABLE wide AS SELECT sin(i * sqrt(2)) > 0 AS y, %s FROM generate_series(1, 30000) i',
			(SELECT string_agg(format('sin(i * sqrt(%s))::float4 AS f%s', k + 1, k), ', ') FROM generate_series(1, 400) k));
	END $$;
	CALL make_wide();
	CREATE TABLE long AS SELECT i % 3 = 0 AS y, sin(i) AS x, i % 1000 AS z FROM generate_series(1, 1500000) i;
	-- waits until a training reaches a phase, cancels it or ends its session, and says how many seconds that took
	CREATE FUNCTION interrupt(wanted text, how text DEFAULT 'pg_cancel_backend') RETURNS float8 LANGUAGE plpgsql AS $$
	DECLARE
		target int;
		since timestamptz;
	BEGIN
		FOR i IN 1..6000 LOOP
			SELECT pid INTO target FROM mlops_catalog.run WHERE status = 'running' AND phase = wanted;
			EXIT WHEN FOUND;
			PERFORM pg_sleep(0.005);
		END LOOP;
		IF target IS NULL THEN
			RAISE EXCEPTION 'no training is %', wanted;
		END IF;
		PERFORM pg_sleep(0.02);
		since := clock_timestamp();
		EXECUTE format('SELECT %I($1)', how) USING target;
		WHILE EXISTS (SELECT FROM mlops.run WHERE status = 'running') LOOP
			PERFORM pg_sleep(0.005);
		END LOOP;
		RETURN extract(epoch FROM clock_timestamp() - since);
	END $$;
});

my $trainer = $node->background_psql('postgres', on_error_stop => 0);
my $modern = $node->safe_psql('postgres', 'SHOW server_version_num') >= 140000;

# sends a command that will take a while; the next question waits for its end
sub start_in
{
	my ($session, $sql) = @_;

	$session->query_until(qr/sent/, "\\echo sent\n$sql\n");
	return;
}

sub wait_for_phase
{
	my ($phase) = @_;

	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM mlops.training_progress WHERE phase = '$phase'")
	  or die "the training did not reach the phase $phase";
	return;
}

sub last_run
{
	return $node->safe_psql('postgres', 'SELECT status FROM mlops.run ORDER BY started_at DESC LIMIT 1');
}

my $fit_long = q{CALL mlops_train('wide', 'wide', 'y', algorithm => 'logistic_regression', params => '{"l2": 1e-9}');};

# ---- while it fits ----

start_in($trainer, $fit_long);
wait_for_phase('fitting');

# a look at any moment may meet the commit of a report, which takes microseconds once a second
my $looks = $node->safe_psql('postgres', q{
	CREATE TEMP TABLE look (idle boolean, locks bigint);
	DO $$
	DECLARE
		trainer int := (SELECT pid FROM mlops.training_progress);
	BEGIN
		FOR i IN 1..40 LOOP
			PERFORM pg_stat_clear_snapshot();
			INSERT INTO look
			SELECT a.backend_xmin IS NULL AND a.backend_xid IS NULL,
			       (SELECT count(*) FROM pg_locks WHERE pid = trainer AND locktype NOT IN ('virtualxid'))
			  FROM pg_stat_activity AS a JOIN mlops_catalog.run AS r ON r.pid = a.pid
			 WHERE a.pid = trainer AND r.phase = 'fitting';
			COMMIT;
			PERFORM pg_sleep(0.01);
		END LOOP;
	END $$;
	SELECT count(*) >= 30, count(*) FILTER (WHERE idle AND locks = 0) >= 0.9 * count(*) FROM look});
is($looks, 't|t', 'while it fits, backend_xmin and backend_xid are NULL and no lock is held');
is( $node->safe_psql('postgres', q{
		SET lock_timeout = '1s';
		DELETE FROM wide WHERE f1 > 0;
		ALTER TABLE wide DROP COLUMN f7;
		DROP TABLE wide;
		SELECT phase FROM mlops.training_progress}),
	'fitting', 'meanwhile its source can be changed, and even be dropped');

# what is to be watched
is( $node->safe_psql('postgres', q{
		SELECT model, algorithm, phase, done >= 0 AND (total IS NULL OR total >= done), elapsed > interval '0',
		       trained_by = current_user, reported_at >= started_at FROM mlops.training_progress}),
	'wide|logistic_regression|fitting|t|t|t|t', 'mlops.training_progress says what it does');
$node->poll_query_until('postgres', q{SELECT done > 0 AND objective > 0 FROM mlops.training_progress WHERE phase = 'fitting'})
  or die 'no pass was reported';
pass('passes and objective are reported while it fits');
like($trainer->query(q{SELECT version, rows_read FROM mlops.version WHERE model = 'wide'}), qr/^1\|30000$/m,
	'it ends with a version of the rows that it read');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mlops.training_progress'), '0', 'then there is nothing to watch');

# ---- cancelled in every phase ----

$node->safe_psql('postgres', 'CALL make_wide()');

# what a session holds; its first training loads a library and fills caches
my $memory = q{SELECT coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts};
my $memory_of_training = q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name IN ('mlops train', 'mlops frame', 'mlops fit')};
my %slow = (
	'reading' => q{CALL mlops_train('slow', 'SELECT l.* FROM long l WHERE z >= 0 OR pg_sleep(1) IS NULL UNION ALL SELECT l.* FROM long l, pg_sleep(60)', 'y', algorithm => 'baseline');},
	'preparing' => q{CALL mlops_train('slow', 'long', 'y', algorithm => 'baseline');},
	'fitting' => $fit_long,
	'measuring' => q{CALL mlops_train('slow', 'long', 'y', algorithm => 'logistic_regression', params => '{"l2": 1}');});

$trainer->query(q{CALL mlops_train('small', 'small', 'y');});
foreach my $phase ('reading', 'preparing', 'fitting', 'measuring')
{
	my $before = $modern ? $trainer->query($memory) : 0;

	start_in($trainer, $slow{$phase});
	my $seconds = $node->safe_psql('postgres', "SELECT interrupt('$phase')");

	cmp_ok($seconds, '<', 1, "cancelled while $phase: it stops within a second");
	is(last_run(), 'cancelled', '... and the run is recorded as cancelled');
	is($node->safe_psql('postgres', q{SELECT sqlstate FROM mlops.run ORDER BY started_at DESC LIMIT 1}), '57014',
		'... with its SQLSTATE');
	$trainer->query('SELECT 1');
  SKIP:
	{
		skip 'pg_backend_memory_contexts is there from PostgreSQL 14 on', 2 unless $modern;
		is($trainer->query($memory_of_training), '0', '... its memory is gone');
		cmp_ok($trainer->query($memory) - $before, '<', 1024 * 1024, '... all of it');
	}
}

# so does a timeout
start_in($trainer, "SET statement_timeout = '300ms';\n$fit_long");
$node->poll_query_until('postgres', q{SELECT status = 'cancelled' FROM mlops.run ORDER BY started_at DESC LIMIT 1})
  or die 'the timeout had no effect';
is($trainer->query('RESET statement_timeout; SELECT 1'), '1', 'the session goes on after a timeout');
like($node->safe_psql('postgres', 'SELECT message FROM mlops.run ORDER BY started_at DESC LIMIT 1'), qr/statement timeout/,
	'statement_timeout stops a fit, and the run says so');

# inside a transaction the run goes with it
start_in($trainer, "BEGIN; SET LOCAL statement_timeout = '300ms';\n"
	. q{SELECT mlops_train_now('wide', 'wide', 'y', params => '{"l2": 1e-9}');});
my $runs = $node->safe_psql('postgres', 'SELECT count(*) FROM mlops.run');
$trainer->query('ROLLBACK; SELECT 1');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mlops.run'), $runs, 'in a transaction nothing is left of a cancelled training');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mlops.version WHERE model IN ('wide', 'slow')}), '1',
	'none of them left a version');

# the session of a training can be ended in the fit
start_in($trainer, $fit_long);
cmp_ok($node->safe_psql('postgres', q{SELECT interrupt('fitting', 'pg_terminate_backend')}), '<', 1, 'terminated within a second');
unlike(last_run(), qr/running|finished/, '... and the run does not look alive');
eval { $trainer->quit };
$trainer = $node->background_psql('postgres', on_error_stop => 0);

# ---- two at once ----

my $second = $node->background_psql('postgres', on_error_stop => 0);
my $half_a_second = q{SELECT s.* FROM small s, (SELECT pg_sleep(0.5) OFFSET 0) p};

start_in($trainer, "CALL mlops_train('both', '$half_a_second', 'y');");
start_in($second, "CALL mlops_train('both', '$half_a_second', 'y', seed => 7);");
$node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM mlops.training_progress WHERE model = 'both'})
  or die 'they do not run at the same time';
$trainer->query('SELECT 1');
$second->query('SELECT 1');
is( $node->safe_psql('postgres', q{
		SELECT string_agg(r.version || ' ' || r.status || ' ' || (v.run = r.run), ', ' ORDER BY r.version)
		  FROM mlops.run r JOIN mlops.version v USING (model, version) WHERE model = 'both'}),
	'1 finished true, 2 finished true', 'two first trainings of a model at once get two numbers');

# ---- what happens to the source and to the model meanwhile ----

$node->safe_psql('postgres', 'CREATE TABLE brief AS SELECT *, x * x AS z FROM small');
start_in($trainer, q{CALL mlops_train('brief', 'SELECT b.* FROM brief b, (SELECT pg_sleep(1) OFFSET 0) p', 'y');});
wait_for_phase('reading');
$node->safe_psql('postgres', 'ALTER TABLE brief DROP COLUMN z');
$trainer->query('SELECT 1');
is( $node->safe_psql('postgres', q{
		SELECT string_agg(c ->> 'name', ' ' ORDER BY c ->> 'name') FROM mlops.version, jsonb_array_elements(columns) c WHERE model = 'brief'}),
	'x y z', 'a column dropped while it is read: the version is of the rows as they were');
my ($status, $stdout, $stderr) = $node->psql('postgres', q{SELECT mlops_predict('brief/1', b) FROM brief b});
like($stderr, qr/"z"/, '... and a row without the column is refused by name');
($status, $stdout, $stderr) = $node->psql('postgres', q{CALL mlops_retrain('brief/1', '{"features": ["x", "z"]}')});
like($stderr, qr/"z"/, '... and so is training from it');

start_in($trainer, "CALL mlops_train('both', '$half_a_second', 'y');");
wait_for_phase('reading');
$node->safe_psql('postgres', q{SELECT mlops_drop_model('both')});
$trainer->query('SELECT 1');
like($trainer->{stderr}, qr/model "both" was dropped while it was trained/, 'a model dropped while it is trained: the training says so');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mlops.model WHERE model = 'both'}), '0', '... and does not bring it back');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mlops.run WHERE status = 'running'}), '0', '... and nothing looks alive');

# a promotion and a rollback do not wait for a training of the same model
$node->safe_psql('postgres', q{CALL mlops_train('small', 'small', 'y', seed => 2)});
start_in($trainer, "CALL mlops_train('small', '$half_a_second', 'y');");
wait_for_phase('reading');
is( $node->safe_psql('postgres', q{
		SET lock_timeout = '10ms';
		SELECT p.version, q.version, b.version FROM mlops_promote('small', 1) p, mlops_promote('small', 2) q, mlops_rollback('small') b;
		SELECT count(*) FROM mlops.training_progress}),
	"1|2|1\n1", 'promoting and rolling back do not wait for a training');
$trainer->query('SELECT 1');
is($node->safe_psql('postgres', q{SELECT version FROM mlops.serving WHERE model = 'small'}), '1', 'nor does the training change what serves');

# ---- the libraries ----

my $fresh = $node->background_psql('postgres', on_error_stop => 0);

is($fresh->query(q{LOAD 'mlops_learn'; SELECT 1}), '1', 'mlops_learn loads first in a fresh session');
is($fresh->query(q{CALL mlops_train('small', 'small', 'y'); SELECT count(*) FROM mlops.version WHERE model = 'small'}) =~ /4$/ ? 1 : 0,
	1, '... and trains');
SKIP:
{
	my $pid = $trainer->query('SELECT pg_backend_pid()');
	my $file = "/proc/$pid/status";

	skip 'no /proc here', 1 unless -r $file;
	like(slurp_file($file), qr/^Threads:\s+1$/m, 'a session that trained has one thread');
}
$_->quit foreach ($fresh, $second, $trainer);
$node->stop;

# whatever the environment of the server asks for
SKIP:
{
	skip 'no /proc here', 2 unless -r "/proc/$$/status";
	local $ENV{OPENBLAS_NUM_THREADS} = 4;
	$node->start;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query('SELECT pg_backend_pid()');

	$session->query(q{CREATE TEMP TABLE asked (threads text); COPY asked FROM PROGRAM 'echo $OPENBLAS_NUM_THREADS'});
	is($session->query('SELECT threads FROM asked'), '4', 'a server whose environment asks for four threads');
	$session->query(q{CALL mlops_train('small', 'small', 'y')});
	like(slurp_file("/proc/$pid/status"), qr/^Threads:\s+1$/m, '... has one in a session that trained');
	$session->quit;
	$node->stop;
}
done_testing();
