# Serving statistics in a server that preloads mlops: every call of a model that
# asks for it is counted, whoever makes it and whatever becomes of its transaction;
# what the table says is what was called, in the bins of the training profile;
# a failed write loses nothing and counts nothing twice; a crash loses no more than the
# flush interval and what transactions had open; the worker is in nobody's way.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = PostgreSQL::Test::Cluster->new('statistics');

$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'mlops'
mlops.statistics_size = 256kB
mlops.statistics_flush_interval = 1s
mlops.statistics_period = 1d
restart_after_crash = on
max_worker_processes = 16
fsync = off
log_min_messages = warning
});
$node->start;

# x from 1 to 2000, a third of z is NULL, plan is one of three
my $setup = q{
	CREATE EXTENSION mlops;
	CREATE TABLE point (id int, x float8, z float8, plan text, y float8);
	INSERT INTO point SELECT i, i, CASE WHEN i % 3 > 0 THEN i % 8 END, (ARRAY['free', 'basic', 'pro'])[1 + i % 3], 3 + 2 * i + (i % 5)
	  FROM generate_series(1, 2000) i;
	ANALYZE point;
	CALL mlops_train('line', 'SELECT x, y FROM point', target => 'y', algorithm => 'linear_regression', holdout => 0);
	CALL mlops_train('steep', 'SELECT x, z, plan, y > 2000 AS y FROM point', target => 'y', algorithm => 'logistic_regression', holdout => 0,
	                 params => '{"l2": 1}');
	SELECT mlops_promote('line', 1), mlops_promote('steep', 1);
	SELECT mlops_set_model('line', '{"statistics": true}');
};

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub flush_statistics { is(sql(q{SELECT mlops_flush_statistics('30 s')}), 't', 'the statistics can be waited for'); }
sub counted { return sql('SELECT calls FROM mlops_counted()'); }
sub rows { return sql("SELECT coalesce(sum(rows), 0) FROM mlops.serving_statistics WHERE $_[0]"); }

sub adds_up
{
	is( sql(q{SELECT calls = written + waiting + without_room + on_standby + without_model + unreachable FROM mlops_counted()}),
		't', "$_[0]: every row is written, waits or is counted as lost");
}

sub wait_for_no_writer
{
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'mlops log writer'})
	  or fail('the writer does not leave');
}

sql($setup);
is(sql('SELECT preloaded, calls FROM mlops_counted()'), 't|0', 'a server that preloads mlops can count');

is(sql(q{SELECT string_agg(model || ': ' || statistics, ', ' ORDER BY model) FROM mlops_status()}), 'line: all calls of mlops_predict, steep: off',
	'the status says what is counted');

# ---- what is counted ----

sql(q{SELECT mlops_predict('steep', p) FROM point p});
is(counted(), '0', 'a model is counted when its owner asked for it only');
sql(q{SELECT mlops_set_model('steep', '{"statistics": true}')});

# fewer rows than are sampled: bins are exact
sql(q{SELECT mlops_predict('steep', p) FROM point p WHERE id <= 600;
      SELECT mlops_predict_label('steep', p, id::bigint) FROM point p WHERE id > 1800;
      SELECT mlops_predict('steep', '{"x": 5000, "z": null, "plan": "gold"}'), mlops_predict_proba('steep', '{"x": -1, "z": 2, "plan": null}'::jsonb),
             mlops_predict('steep', NULL::text)});
flush_statistics();
is(sql(q{SELECT role, version, rules, rows, null_rows, label, label_rows, other_labels FROM mlops.serving_statistics WHERE model = 'steep'}),
	sql(q{SELECT 'active', 1, 0, 803, 1, '{false,true}', ARRAY[count(*) FILTER (WHERE s < 0.5), count(*) FILTER (WHERE s >= 0.5)], 0
	        FROM (SELECT mlops_predict('steep/1', q) AS s
	                FROM (SELECT x, z, plan FROM point WHERE id <= 600 OR id > 1800
	                      UNION ALL VALUES (5000, NULL, 'gold'), (-1, 2, NULL)) q OFFSET 0) l}),
	'calls of every kind are counted, with or without a key, by the label that they give');
is(sql(q{SELECT rows, missing, binned, level, level_rows, other_rows FROM mlops.serving_histogram WHERE model = 'steep' AND feature = 'plan' AND role = 'active'}),
	'802|1||{basic,free,pro}|{267,266,267}|1', 'levels, values of no level, and NULL');
is(sql(q{SELECT rows, missing, binned, bin_rows[1] AS below, bin_rows[66] AS above, (SELECT sum(b) FROM unnest(bin_rows) b)
           FROM mlops.serving_histogram WHERE model = 'steep' AND feature = 'x' AND role = 'active'}),
	'802|0|802|1|1|802', 'numbers, those outside of what training saw among them');
is(sql(q{SELECT rows, missing, (SELECT sum(b) FROM unnest(bin_rows) b) FROM mlops.serving_histogram WHERE model = 'steep' AND feature = 'z' AND role = 'active'}),
	'802|267|535', 'a number that is missing is in no bin');

# the same bins as the profile's: of x in equal widths, recomputed in SQL
is(sql(q{SELECT count(*) FROM mlops.serving_histogram h JOIN mlops.training_profile t USING (model, version, feature, bin_low, bin_high)
          WHERE h.model = 'steep' AND h.role = 'active' AND h.subject = t.role}), '3',
	'bins are those of the training profile, of features and predictions');
my $expected = q{SELECT array_agg(n ORDER BY b) FROM (
	SELECT b, (SELECT count(*) FROM (SELECT x FROM point WHERE id <= 600 OR id > 1800 UNION ALL VALUES (5000), (-1)) q, mlops.training_profile t
	            WHERE t.model = 'steep' AND t.feature = 'x'
	              AND b = CASE WHEN x < bin_low THEN 0 WHEN x > bin_high THEN 65 WHEN x = bin_high THEN 64
	                           ELSE 1 + floor((x - bin_low) * (64 / (bin_high - bin_low))) END) AS n
	  FROM generate_series(0, 65) b) c};
is(sql(q{SELECT bin_rows FROM mlops.serving_histogram WHERE model = 'steep' AND feature = 'x' AND role = 'active'}), sql($expected), '... value by value');
is(sql(q{SELECT feature, rows, round(missing::numeric, 4), round(unseen::numeric, 4), histogram FROM mlops_statistics('steep', bins => 1) WHERE role = 'active' AND subject = 'feature'}),
	"plan|802|0.0012|0.0012|{267,266,267,1}\nx|802|0.0000|0.0025|{1,800,1}\nz|802|0.3329|0.0000|{0,535,0}",
	'mlops_statistics gives shares, and histograms as coarse as they are asked for');

# the pinned calls of the test itself are of a role of their own
flush_statistics();
is(rows(q{model = 'steep' AND role = 'pinned'}), '802', 'roles are counted apart');

# ---- many rows: bins are of a sample, everything else is exact ----

sql(q{SELECT sum(mlops_predict('line', p)) FROM point p, generate_series(1, 50) n});
flush_statistics();
is(rows(q{model = 'line'}), '100000', 'every row is counted');
is(sql(q{SELECT rows, missing, (SELECT sum(b) FROM unnest(bin_rows) b) FROM mlops.serving_histogram WHERE model = 'line' AND subject = 'prediction'}),
	'100000|0|100000', '... and every prediction is in a bin');

# 1000 rows, and 99000 * p of the others, p = 1/16, each for 16: six standard deviations
my $deviation = int(6 * 16 * sqrt(99000 * (1 / 16) * (15 / 16)));
my $binned = sql(q{SELECT binned FROM mlops.serving_histogram WHERE model = 'line' AND feature = 'x'});

cmp_ok(abs($binned - 1000 - 99000 / 16), '<=', $deviation / 16, 'the numbers of one row in 16 are in bins');
cmp_ok(abs(sql(q{SELECT sum(b) FROM mlops.serving_histogram, unnest(bin_rows) b WHERE model = 'line' AND feature = 'x'}) - 100000),
	'<=', $deviation, '... with the weight of those that they stand for');
is(sql(q{SELECT 1000 + 16 * (binned - 1000) - (SELECT sum(b) FROM unnest(bin_rows) b) FROM mlops.serving_histogram WHERE model = 'line' AND feature = 'x'}), '0',
	'... 16 each');
# x is uniform: chi-square of 63 degrees of freedom, weighted; 0.999999 quantile is 132
cmp_ok(sql(q{SELECT sum((b - 100000.0 / 64) ^ 2 / (100000.0 / 64)) / 16 FROM mlops.serving_histogram, unnest(bin_rows[2:65]) b WHERE model = 'line' AND feature = 'x'}),
	'<', 132, '... and look like all rows');

# ---- who calls, and how ----

my $scan = q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SET max_parallel_workers_per_gather = 3; SET parallel_leader_participation = off; };
my $parallel = q{SELECT sum(s) FROM (SELECT mlops_predict('line', p) AS s FROM point p OFFSET 0) q};
my $before = counted();

like(sql("$scan EXPLAIN $parallel"), qr/Gather/, 'a scan is planned in parallel');
sql("$scan $parallel");
is(counted(), $before + 2000, 'parallel workers count every row, once');
sql(q{BEGIN; SELECT mlops_predict('line', '{"x": 1}'); ROLLBACK});
is(counted(), $before + 2001, 'a call of a transaction that was rolled back is counted');
sql(q{DO $$ BEGIN PERFORM mlops_predict('line', '{"x": 1}'); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END $$});
is(counted(), $before + 2002, 'and one of a subtransaction that was');
sql(q{EXPLAIN SELECT * FROM point WHERE y > mlops_predict('line', '{"x": 1800}')});
is(counted(), $before + 2002, 'what the planner asks is no call');
sql(q{SELECT * FROM mlops_explain('line', '{"x": 1}'); SELECT * FROM mlops_predict_all('line', '{"x": 1}'); SELECT * FROM mlops_score('line', 'point')});
is(counted(), $before + 2002, 'nor are explanations, whole queries and comparisons of versions');

# four sessions at once, by rows, by columns and in parallel; what they call is known
flush_statistics();
$before = rows(q{model = 'line'});
my $missing = sql(q{SELECT missing FROM mlops.serving_histogram WHERE model = 'steep' AND feature = 'z' AND role = 'active'});
my @sessions = map {
	my $n = $_;

	IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-c',
		join(' ', $scan,
			map { "SELECT sum(mlops_predict('line', p)) FROM point p WHERE id <= " . (100 * $n + $_) . "; $parallel; SELECT count(mlops_predict('steep', p)) FROM point p; SELECT mlops_predict('line', ARRAY[3.0]::float8[]);" } 1 .. 20) ],
		'<', \undef, '>', \my $out, '2>', \my $err);
} 1 .. 4;

is(scalar(grep { $_->finish } @sessions), 4, 'four sessions score at once');
flush_statistics();
is(rows(q{model = 'line'}) - $before, 4 * 20 * 2000 + 20 * 100 * (1 + 2 + 3 + 4) + 4 * 210 + 4 * 20, '... and the table has exactly what they called');
is(sql(q{SELECT missing FROM mlops.serving_histogram WHERE model = 'steep' AND feature = 'z' AND role = 'active'}) - $missing, 4 * 20 * 666,
	'... and missed');
adds_up('after many sessions');
is(sql('SELECT waiting FROM mlops_counted()'), '0', '... and nothing waits');

# ---- rules, canaries ----

sql(q{SELECT mlops_create_rules('steep', '[{"name": "long", "when": "x > 1500", "then": {"label": "true"}},
                                           {"name": "broken", "when": "x / (z - z) > 1", "then": {"suppress": true}}]');
      SELECT mlops_promote('steep', 1, rules => 1);
      SELECT count(mlops_predict_label('steep', p)) FROM point p});
flush_statistics();
is(sql(q{SELECT rows, rule_rows, rule_errors, label_rows[2] >= 500 FROM mlops.serving_statistics WHERE model = 'steep' AND rules = 1}), '2000|{500,0}|1334|t',
	'what rules did is counted by rule, and the rows on which something in them had no value');
sql(q{CALL mlops_train('line', 'SELECT x, y FROM point WHERE id <= 1000', target => 'y', algorithm => 'linear_regression', holdout => 0);
      SELECT mlops_promote('line', 2, share => 0.3); SELECT mlops_predict('line', p, id::bigint) FROM point p});
flush_statistics();
is(sql(q{SELECT count(*), sum(rows) FILTER (WHERE version = 2) BETWEEN 500 AND 700,
                (SELECT bin_high FROM mlops.serving_histogram WHERE model = 'line' AND role = 'canary' AND feature = 'x')
           FROM mlops.serving_statistics WHERE model = 'line' AND role = 'canary'}), '1|t|1000', 'a canary is counted apart, in the bins of its own training');
sql(q{SELECT mlops_rollback('line')});

# ---- what cannot be written ----

$before = sql(q{SELECT sum(rows) FROM mlops_catalog.serving_statistics});
sql(q{ALTER TABLE mlops_catalog.serving_histogram ADD CONSTRAINT full_disk CHECK (feature <> 'x') NOT VALID});
sql(q{SELECT mlops_predict('line', p) FROM point p});
is(sql(q{SELECT mlops_flush_statistics('2 s')}), 'f', 'statistics that cannot be written wait');
adds_up('while they cannot be written');
is(sql(q{SELECT sum(rows) FROM mlops_catalog.serving_statistics}), $before, '... and are written in part neither');
sql(q{ALTER TABLE mlops_catalog.serving_histogram DROP CONSTRAINT full_disk});
flush_statistics();
is(sql(q{SELECT sum(rows) FROM mlops_catalog.serving_statistics}), $before + 2000, '... but once they can be, once');
adds_up('once they could be written');

# a writer that is terminated puts back what it had
my $locker = $node->background_psql('postgres');

$locker->query('BEGIN; LOCK TABLE mlops_catalog.serving_statistics IN ACCESS EXCLUSIVE MODE');
sql(q{SELECT mlops_predict('line', p) FROM point p});
is($node->safe_psql('postgres', q{SELECT mlops_flush_statistics('1 s')}), 'f', 'nor can they while somebody locks the table');
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'mlops log writer' AND wait_event_type = 'Lock'})
  or fail('the writer does not wait');
sql(q{SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = 'mlops log writer'});
adds_up('without a writer');
$locker->query('COMMIT');
$locker->quit;
flush_statistics();
is(sql(q{SELECT sum(rows) FROM mlops_catalog.serving_statistics}), $before + 4000, 'what a writer had that was terminated is written, once');

# more models than there is room for
sql(q{DO $$ BEGIN FOR i IN 1 .. 300 LOOP
		PERFORM mlops_train_now('many' || i, 'SELECT x, y FROM point WHERE id <= 50', target => 'y', algorithm => 'linear_regression', holdout => 0);
		PERFORM mlops_promote('many' || i, 1);
		PERFORM mlops_set_model('many' || i, '{"statistics": true}');
	END LOOP; END $$});
sql(q{SELECT count(mlops_predict('many' || n, '{"x": 1}')) FROM generate_series(1, 300) n});
is(sql(q{SELECT without_room BETWEEN 1 AND 299, memory <= 256 * 1024 FROM mlops_counted()}), 't|t', 'what finds no room is counted as lost');
adds_up('without room');
flush_statistics();
adds_up('after there was none');
$before = sql('SELECT without_room FROM mlops_counted()');
sql(q{SELECT count(mlops_predict('many' || n, '{"x": 1}')) FROM generate_series(200, 250) n});
is(sql('SELECT without_room FROM mlops_counted()'), $before, '... and there is room again when it has been written');

# ---- the worker is in nobody's way ----

flush_statistics();
wait_for_no_writer();
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', $setup . q{SELECT mlops_predict('line', p) FROM point p});
$node->poll_query_until('other', q{SELECT sum(rows) = 2000 FROM mlops.serving_statistics}) or fail('nobody comes');
pass('a database that has statistics and no log gets a worker when they are due');
$node->safe_psql('other', q{SELECT mlops_predict('line', p) FROM point p});
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE other');
$node->safe_psql('copy', q{SELECT mlops_predict('line', p) FROM point p});
$node->safe_psql('postgres', 'DROP DATABASE copy; DROP DATABASE other');
pass('databases can be copied and dropped right after they counted');
wait_for_no_writer();

# a model that is dropped while its calls wait; another one of its name; the extension
sql(q{SELECT mlops_predict('line', p) FROM point p; SELECT mlops_drop_model('line', force => true)});
is(sql(q{SELECT count(*) FROM mlops_catalog.serving_histogram WHERE model = 'line'}), '0', 'dropping a model drops its statistics');
sql(q{CALL mlops_train('line', 'SELECT x, y FROM point', target => 'y', algorithm => 'linear_regression'); SELECT mlops_promote('line', 1);
      SELECT mlops_set_model('line', '{"statistics": true}'); SELECT mlops_predict('line', '{"x": 1}')});
flush_statistics();
is(rows(q{model = 'line'}), '1', 'a new model of the name does not get the calls of the one that was dropped');
is(sql('SELECT without_model FROM mlops_counted()'), '2000', '... which are counted as lost');
sql(q{BEGIN; SELECT mlops_predict('line', '{"x": 1}'); DROP EXTENSION mlops; COMMIT; DROP TABLE point});
sql($setup);
sql(q{SELECT mlops_predict('line', '{"x": 1}')});
flush_statistics();
is(rows('true'), '1', 'after DROP EXTENSION and CREATE EXTENSION the counting goes on');
adds_up('after DROP EXTENSION');

# ---- parts that are old ----

sql(q{UPDATE mlops_catalog.model SET created_at = '2001-01-01';
      INSERT INTO mlops_catalog.serving_statistics SELECT model, '2001-02-03', version, role, rules, '2001-02-04', '2001-02-04', 7, 0, label, label_rows, 0, rule_rows, 0, check_rows, 0
        FROM mlops_catalog.serving_statistics});
is(rows('true'), '8', 'old parts are kept');
sql(q{SET client_min_messages = warning; CALL mlops_tick('2001-06-01'); CALL mlops_tick()});
is(rows('true'), '1', '... until the tick finds them older than mlops.statistics_retention');

# ---- a crash ----

my $script = $node->basedir . '/calls.sql';
open(my $file, '>', $script) or die $!;
print $file "SELECT mlops_predict('line', '{\"x\": 1}');\n" for 1 .. 200000;
close($file);
$before = rows(q{model = 'line'});
my $written_before = sql('SELECT written FROM mlops_counted()');
my $session = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', $script ], '<', \undef, '>', '/dev/null', '2>', '/dev/null');

$node->poll_query_until('postgres', "SELECT sum(rows) > $before + 100 FROM mlops.serving_statistics WHERE model = 'line'") or die 'nothing is written';
usleep(300_000);
my ($pid, $calls, $written) = split(/\|/, sql(q{SELECT (SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT mlops_predict%'), calls, written FROM mlops_counted()}));
my $start = time;
my $killed = sql('SELECT extract(epoch FROM clock_timestamp())');

kill 'KILL', $pid;
$session->finish;
$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not recover';
my $survived = rows(q{model = 'line'}) - $before;

cmp_ok($survived, '>=', $written - $written_before, 'after kill -9 of a backend and recovery the table has all that was written');
# on a machine that is busy a worker is late, too
cmp_ok($killed - sql(q{SELECT extract(epoch FROM max(counted_at)) FROM mlops.serving_statistics WHERE model = 'line'}), '<', 1 + 1.5,
	'... which lacks the flush interval before the crash, at most');
is(sql(q{SELECT count(*) FROM mlops.serving_statistics s JOIN mlops.serving_histogram h USING (model, since, version, role)
          WHERE h.rows <> s.rows - s.null_rows OR (SELECT sum(b) FROM unnest(h.bin_rows) b) <> h.rows}), '0',
	'... and every part of it is of the same rows');
note(sprintf('%d of %d calls were written when the backend was killed', $survived, $calls));
sql(q{SELECT mlops_predict('line', '{"x": 1}')});
flush_statistics();
is(rows(q{model = 'line'}) - $before - $survived, '1', 'counting goes on after a crash');

# ---- a standby ----

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('statistics_standby');

$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$start = time;
$standby->safe_psql('postgres', q{SELECT sum(mlops_predict('line', p)) FROM point p, generate_series(1, 10) n});
cmp_ok(time - $start, '<', 5, 'nothing waits on a standby');
is($standby->safe_psql('postgres', 'SELECT calls, on_standby, waiting, memory FROM mlops_counted()'), '20000|20000|0|0', 'calls on a standby are counted, and not kept');
is(($standby->psql('postgres', 'SELECT mlops_flush_statistics()'))[0], 3, '... and cannot be written');
$before = $standby->safe_psql('postgres', 'SELECT sum(rows) FROM mlops.serving_statistics');
$standby->promote;
$standby->safe_psql('postgres', q{SELECT mlops_predict('line', p) FROM point p; SELECT mlops_flush_statistics('30 s')});
is($standby->safe_psql('postgres', 'SELECT sum(rows) FROM mlops.serving_statistics'), $before + 2000, 'after its promotion they are written');
$standby->stop;
$node->stop;
done_testing();
