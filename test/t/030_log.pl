# The log of predictions in a server that preloads mlops: every call is logged
# or counted, whoever makes it and whatever becomes of its transaction; planning
# makes no calls; nothing waits for a disk; a writer is in nobody's way; a crash
# loses no more than the flush interval and leaves a table that is consistent.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = PostgreSQL::Test::Cluster->new('log');

$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'mlops'
mlops.log_ring_size = 512kB
mlops.log_flush_interval = 200ms
restart_after_crash = on
max_worker_processes = 16
fsync = off
});
$node->start;

my $setup = q{
	CREATE EXTENSION mlops;
	CREATE TABLE point (id int, x float8, y float8);
	INSERT INTO point SELECT i, i, 3 + 2 * i + (i % 5) FROM generate_series(1, 2000) i;
	ANALYZE point;
	CALL mlops_train('line', 'SELECT x, y FROM point', target => 'y', algorithm => 'linear_regression');
	SELECT mlops_promote('line', 1);
	SELECT mlops_set_model('line', '{"log_sample": 1}');
};

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub flush_log { is(sql(q{SELECT mlops_flush_log('30 s')}), 't', 'the log can be waited for'); }
sub count { return sql('SELECT count(*) FROM mlops.prediction' . ($_[0] ? " WHERE $_[0]" : '')); }
sub calls { return sql('SELECT calls FROM mlops_log()'); }

# calls = written + waiting + what was counted
sub adds_up
{
	is( sql(q{SELECT calls = written + waiting + without_room + on_standby + without_model + unreachable FROM mlops_log()}),
		't', "$_[0]: every call is logged, waits or is counted");
}

# the launcher has no database, and is in no view; a server beside this one may have the same name
sub launchers
{
	my ($postmaster) = slurp_file($_[0]->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	return grep {
		(eval { slurp_file("${_}cmdline") } // '') =~ /mlops log launcher/
		  && (eval { slurp_file("${_}status") } // '') =~ /^PPid:\s+$postmaster$/m
	} glob('/proc/[0-9]*/');
}

sub writers { return sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'mlops log writer'}); }

sql($setup);
is(sql('SELECT preloaded, calls FROM mlops_log()'), 't|0', 'a server that preloads mlops has a log');
is(sql(q{SELECT log FROM mlops_status()}), 'calls with a key', 'the status says what is logged');
is(scalar(launchers($node)), 1, 'there is a launcher');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'mlops log%'}), '0', '... that is connected to no database');

# ---- who calls, and how ----

my $scan = q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SET max_parallel_workers_per_gather = 3; SET parallel_leader_participation = off; };
my $parallel = q{SELECT sum(s) FROM (SELECT mlops_predict('line', p, 'p' || id) AS s FROM point p OFFSET 0) q};

like(sql("$scan EXPLAIN $parallel"), qr/Gather/, 'a scan is planned in parallel');
sql("$scan $parallel");
flush_log();
is(sql(q{SELECT count(*), count(DISTINCT key), bool_and(version = 1 AND role = 'active' AND deployment = 1
                                                        AND latency_us >= 0 AND at <= clock_timestamp())
           FROM mlops.prediction}),
	'2000|2000|t', 'parallel workers log every row, once');
is(sql(q{SELECT max(abs(l.prediction - mlops_predict('line', p))) FROM mlops.prediction l JOIN point p ON l.key = 'p' || p.id}),
	'0', '... with what they answered');

my $before = calls();
sql(q{BEGIN; SELECT mlops_predict('line', '{"x": 1}', 'rolled back'); ROLLBACK});
flush_log();
is(count(q{key = 'rolled back'}), '1', 'a call of a transaction that was rolled back is logged');
sql(q{DO $$ BEGIN PERFORM mlops_predict('line', '{"x": 1}', 'before an error'); RAISE division_by_zero;
      EXCEPTION WHEN division_by_zero THEN NULL; END $$});
flush_log();
is(count(q{key = 'before an error'}), '1', 'and one of a subtransaction that was');

sql(q{SELECT mlops_predict('line', p), mlops_predict('line', '{"x": 1}', NULL) FROM point p});
is(calls(), $before + 2, 'calls without a key are not');
sql(q{SELECT mlops_set_model('line', '{"log_without_key": true}'); SELECT mlops_predict('line', p) FROM point p LIMIT 7});
is(calls(), $before + 9, '... unless the owner asked for them');
sql(q{SELECT mlops_set_model('line', '{"log_without_key": null}')});

sql(q{SELECT mlops_predict('line', '{"x": 1}', 42::bigint), mlops_predict('line/1', ARRAY[1::float8], 'pinned'),
             mlops_predict('line', '{"x": 1}'::jsonb, '0F6E4A4B-1D1D-4f5a-9a7e-000000000001'::uuid),
             mlops_predict('line', '{"x": 1}', repeat('k', 300)), mlops_predict('line', NULL::text, 'nothing')});
flush_log();
is(count(q{key IN ('42', '0f6e4a4b-1d1d-4f5a-9a7e-000000000001')}), '2', 'keys of every type are text');
is(sql(q{SELECT role, deployment IS NULL FROM mlops.prediction WHERE key = 'pinned'}), 'pinned|t', 'a pinned version says so');
is(count(q{key = 'sha256:' || encode(sha256(repeat('k', 300)::bytea), 'hex')}), '1', 'a long key is its hash');
is(count(q{key = 'nothing' AND prediction IS NULL}), '1', 'an answer of NULL is a call too');

# ---- planning ----

$before = calls();
my $estimate = sub { return sql("EXPLAIN SELECT * FROM point WHERE y > $_[0]") =~ /rows=(\d+)/ ? $1 : -1; };
my $guess = $estimate->(q{mlops_predict('line', '{"x": 1800}', 'planned')});

is($guess, $estimate->(sql(q{SELECT mlops_predict('line/1', '{"x": 1800}')}) . '::float8'),
	'the planner asks for a prediction to estimate a condition');
is(calls(), $before, '... and that is no call');
sql(q{SELECT count(*) FROM point WHERE id <= 5 AND y > mlops_predict('line', '{"x": 1800}', 'executed')});
is(calls(), $before + 5, 'what the executor asks is');

# ---- samples ----

sql(q{SELECT mlops_set_model('line', '{"log_sample": 0.3}')});
sql(q{SELECT mlops_predict('line', p, 's' || id) FROM point p; SELECT mlops_predict('line', p, 's' || id) FROM point p});
flush_log();
is(sql(q{SELECT count(*) = 2 * count(DISTINCT key), count(DISTINCT key) BETWEEN 500 AND 700 FROM mlops.prediction WHERE key LIKE 's%' AND key NOT LIKE 'sha%'}),
	't|t', 'a sample of 0.3 takes about 30 % of the keys, the same ones each time');
is(sql('SELECT log FROM mlops_status()'), '30 % of calls with a key', 'the status says so');
sql(q{SELECT mlops_set_model('line', '{"log_sample": 0.6}'); SELECT mlops_predict('line', p, 's' || id) FROM point p});
flush_log();
is(sql(q{SELECT count(*) FROM (SELECT key FROM mlops.prediction WHERE key LIKE 's%' AND key NOT LIKE 'sha%' GROUP BY key HAVING count(*) = 2) q}), '0',
	'a larger sample holds every key of a smaller one');
$before = calls();
sql(q{SELECT mlops_set_model('line', '{"log_sample": null}'); SELECT mlops_predict('line', p, 's' || id) FROM point p});
is(calls(), $before, 'a model without the setting logs nothing');

# ---- the input ----

sql(q{SELECT mlops_set_model('line', '{"log_sample": 1, "log_input": true}')});
sql(q{SELECT mlops_predict('line', p, 'i' || id) FROM point p WHERE id = 7;
      SELECT mlops_predict('line', (SELECT p FROM point p WHERE id = 8), 'i8');
      SELECT mlops_predict('line', q, 'i9') FROM (SELECT 1::float8 AS x, '{"a": "\u0000"}'::json AS more) q;
      SELECT mlops_predict('line', '{"x": 2}', 'i10'),
             mlops_predict('line', '{3}', 'i11')});
sql(q{SELECT mlops_predict('line', json_build_object('x', 5, 'more', repeat('m', 40000)), 'i12')});
flush_log();
is(sql(q{SELECT string_agg(key || ' ' || coalesce(input::text, 'none'), ', ' ORDER BY length(key), key) FROM mlops.prediction WHERE key ~ '^i[0-9]+$'}),
	'i7 {"x": 7, "y": 19, "id": 7}, i8 {"x": 8, "y": 22, "id": 8}, i9 none, i10 {"x": 2}, i11 none, i12 none',
	'the input is logged where the owner asked for it, as far as it is jsonb and fits');
sql(q{SELECT mlops_set_model('line', '{"log_input": null}')});
adds_up('so far');
is(sql('SELECT written FROM mlops_log()'), count(), 'what was written is in the table');
is(sql('SELECT count(*) FROM mlops_catalog.prediction_default'), '0', 'in partitions of their days');

# a database without an encoding knows no characters: an escape that it cannot read is no reason to lose other calls
$node->safe_psql('postgres', q{CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
$node->safe_psql('bytes', $setup . q{SELECT mlops_set_model('line', '{"log_input": true}')});
$node->safe_psql('bytes', q{SELECT mlops_predict('line', q, 'b1') FROM (SELECT 1::float8 AS x, '{"a": "\u00e9"}'::json AS more) q;
      SELECT mlops_predict('line', '{"x": 2}', 'b2')});
is($node->safe_psql('bytes', q{SELECT mlops_flush_log('10 s')}), 't', 'the log of a database without an encoding can be waited for');
is($node->safe_psql('bytes', q{SELECT string_agg(key || ' ' || coalesce(input::text, 'none'), ', ' ORDER BY key) FROM mlops.prediction}),
	'b1 none, b2 {"x": 2}', '... and an input that is no jsonb there is left out');
$node->safe_psql('postgres', 'DROP DATABASE bytes');

# ---- a full ring ----

my $locker = $node->background_psql('postgres');

$locker->query('BEGIN; LOCK TABLE mlops_catalog.prediction IN ACCESS EXCLUSIVE MODE');
my $start = time;
sql(q{SELECT sum(mlops_predict('line', p, 'f' || id || '-' || n)) FROM point p, generate_series(1, 10) n});
my $took = time - $start;

cmp_ok($took, '<', 5, 'a scan does not wait for a writer that cannot write');
is(sql('SELECT without_room > 0 AND waiting > 0 FROM mlops_log()'), 't', 'a full log counts what it drops');
adds_up('with a full log');

# a writer that is terminated puts back what it had
my $writer = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'mlops log writer'});

sql("SELECT pg_terminate_backend($writer)");
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $writer")
  or die 'the writer does not end';
adds_up('without a writer');
$locker->query('COMMIT');
$locker->quit;
flush_log();
adds_up('afterwards');
is(sql('SELECT written FROM mlops_log()'), count(), '... and everything that was not counted is in the table, once');
$node->poll_query_until('postgres', q{SELECT l.without_room = (SELECT sum(calls) FROM mlops.log_gap WHERE reason = 'the log was full') FROM mlops_log() l})
  or fail('the gap is not in the table');
pass('the gap is in the table');
sql(q{SET mlops.log_wait = '20s'; SELECT sum(mlops_predict('line', p, 'w' || id || '-' || n)) FROM point p, generate_series(1, 20) n});
flush_log();
is(count(q{key LIKE 'w%'}), '40000', 'whoever waits long enough has every row logged');

# ---- into the table of the day ----

my $today = sql(q{SELECT 'prediction_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')});

# what is called while the writer waits, before and after the tables change, is one batch
sub call_as_one_batch
{
	my ($calls, $change, $more) = @_;
	my $holder = $node->background_psql('postgres');

	$holder->query('BEGIN; LOCK TABLE mlops_catalog.prediction IN ACCESS EXCLUSIVE MODE');
	sql(q{SELECT mlops_predict('line', '{"x": 1}', 'before the batch')});
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'mlops log writer' AND wait_event_type = 'Lock'})
	  or die 'the writer does not wait';
	sql($calls);
	$holder->query_safe($change) if $change;
	sql($more) if $more;
	$holder->query_safe('COMMIT');
	$holder->quit;
	flush_log();
}

# keys that begin alike, short ones, an empty one, one twice, calls without one
my $keys = q{SELECT unnest(ARRAY['customer 10', '', 'b', 'customer 9', 'customer', 'B', 'customers of ours', 'é', 'customer 10', NULL, 'custom', 'bb', 'customer 1', NULL]) AS k};
my $lsn = sql('SELECT pg_current_wal_insert_lsn()');

sql(q{SELECT mlops_set_model('line', '{"log_without_key": true}')});
call_as_one_batch(qq{SELECT mlops_predict('line', '{"x": 77.5}', k) FROM ($keys) AS s});
sql(q{SELECT mlops_set_model('line', '{"log_without_key": null}')});
is(sql(qq{SELECT array_agg(coalesce(key, 'none') ORDER BY ctid) = (SELECT array_agg(coalesce(k, 'none') ORDER BY k COLLATE "C") FROM ($keys) AS s)
            FROM mlops_data.$today WHERE prediction = mlops_predict('line/1', '{"x": 77.5}')}), 't',
	'rows are written in the order of their index');
is(sql(q{SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT count(*) FROM mlops.prediction WHERE key = 'customer 10'}), '2', '... which has them');
$node->command_like([ 'pg_waldump', '-p', $node->data_dir . '/pg_wal', '-s', $lsn, '-e', sql('SELECT pg_current_wal_insert_lsn()') ],
	qr/MULTI_INSERT/, '... many at a time');
like(sql("EXPLAIN SELECT * FROM mlops_data.$today WHERE key = 'w1-1'"), qr/Index/, '... and a key is found by it');
is(sql(qq{SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;
          SELECT count(*) FROM mlops_data.$today AS a WHERE a.key LIKE 'w%' AND EXISTS (SELECT FROM mlops_data.$today AS b WHERE b.key = a.key AND b.at = a.at)}),
	'40000', '... each of many thousand');

# a table that somebody has changed gets what an INSERT would give it
sub logs_into
{
	my ($key, $what) = @_;

	sql("SELECT mlops_predict('line', p, '$key ' || id) FROM point p WHERE id <= 300");
	flush_log();
	is(count("key LIKE '$key %'"), '300', "a day with $what gets its rows");
}

sql(qq{CREATE TABLE seen (key text, how text);
	CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO public.seen VALUES (CASE TG_LEVEL WHEN 'ROW' THEN new.key END, TG_LEVEL); RETURN new; END \$\$;
	CREATE UNIQUE INDEX of_mine ON mlops_data.$today (upper(key)) WHERE key LIKE 'index %';
	CREATE TRIGGER see AFTER INSERT ON mlops_data.$today FOR EACH ROW EXECUTE FUNCTION see()});
logs_into('trigger', 'a trigger');
is(sql('SELECT count(*), count(DISTINCT key) FROM seen'), '300|300', '... and the trigger runs for each');
sql(qq{DROP TRIGGER see ON mlops_data.$today; TRUNCATE seen; CREATE TRIGGER see AFTER INSERT ON mlops_catalog.prediction EXECUTE FUNCTION see()});
logs_into('statement', 'a trigger of the whole log');
is(sql('SELECT count(*) > 0 FROM seen'), 't', '... and the trigger runs');
sql('DROP TRIGGER see ON mlops_catalog.prediction; DROP FUNCTION see');
logs_into('index', 'an index of somebody');
is(sql(qq{SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT count(*) FROM mlops_data.$today WHERE upper(key) = 'INDEX 7' AND key LIKE 'index %'}), '1', '... and the index knows them');
sql(qq{DROP INDEX mlops_data.of_mine; ALTER TABLE mlops_catalog.prediction ADD COLUMN twice float8 GENERATED ALWAYS AS (2 * prediction) STORED, ADD COLUMN more text DEFAULT 'more'});
logs_into('column', 'other columns');
is(sql(q{SELECT bool_and(twice = 2 * prediction AND more = 'more') FROM mlops_catalog.prediction WHERE key LIKE 'column %'}), 't', '... and the columns their values');
sql('ALTER TABLE mlops_catalog.prediction DROP COLUMN twice, DROP COLUMN more');
logs_into('dropped', 'columns that were dropped');

# the bounds are the table's, whatever its name says, and what is not within them goes elsewhere
my $midnight = sql(q{SELECT date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'});
my $noon = sql(q{SELECT clock_timestamp() + interval '5 s'});
my $detach = "ALTER TABLE mlops_catalog.prediction DETACH PARTITION mlops_data.$today";
my $attach = "ALTER TABLE mlops_catalog.prediction ATTACH PARTITION mlops_data";

call_as_one_batch(q{SELECT mlops_predict('line', p, 'morning ' || id) FROM point p WHERE id <= 300},
	qq{$detach; CREATE TABLE mlops_data.afternoon (LIKE mlops_catalog.prediction);
	   $attach.$today FOR VALUES FROM ('$midnight') TO ('$noon');
	   $attach.afternoon FOR VALUES FROM ('$noon') TO ('$midnight'::timestamptz + interval '1 day');
	   SELECT pg_sleep_until('$noon')},
	q{SELECT mlops_predict('line', p, 'afternoon ' || id) FROM point p WHERE id <= 300});
is(sql(q{SELECT string_agg(t || ' ' || n, ', ' ORDER BY t) FROM (
           SELECT tableoid::regclass || ' ' || split_part(key, ' ', 1) AS t, count(*) AS n FROM mlops_catalog.prediction WHERE key ~ '^(morning|afternoon) ' GROUP BY 1) s}),
	"mlops_data.afternoon afternoon 300, mlops_data.$today morning 300", 'rows of one batch go to the partitions that have them');
sql(qq{$detach; ALTER TABLE mlops_catalog.prediction DETACH PARTITION mlops_data.afternoon; $attach.$today FOR VALUES FROM ('$midnight') TO ('$noon')});
logs_into('evening', 'other bounds');
is(sql(q{SELECT count(*) FROM mlops_catalog.prediction_default WHERE key LIKE 'evening %'}), '300', '... in the default partition, where nothing else has them');
sql(qq{$detach; INSERT INTO mlops_data.$today SELECT * FROM mlops_data.afternoon; DROP TABLE mlops_data.afternoon;
	WITH moved AS (DELETE FROM mlops_catalog.prediction_default RETURNING *) INSERT INTO mlops_data.$today SELECT * FROM moved;
	$attach.$today FOR VALUES FROM ('$midnight') TO ('$midnight'::timestamptz + interval '1 day')});
logs_into('again', 'its bounds again');
is(sql('SELECT count(*) FROM mlops_catalog.prediction_default'), '0', '... within');
sql('DROP TABLE seen');
adds_up('with changed tables');

# ---- the writer is in nobody's way ----

$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'mlops log writer'})
  or fail('the writer does not leave');
is(writers(), '0', 'without work the writer leaves');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', $setup . q{SELECT mlops_predict('line', p, 'k' || id) FROM point p; SELECT mlops_flush_log()});
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE other');
is($node->safe_psql('copy', 'SELECT count(*) FROM mlops.prediction'), '2000', 'a database that logs can be a template');
$node->safe_psql('other', q{SELECT mlops_predict('line', p, 'k' || id) FROM point p});
$node->safe_psql('copy', q{SELECT mlops_predict('line', p, 'k' || id) FROM point p});
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('a database can be dropped right after it logged');
$node->safe_psql('copy', q{SELECT mlops_flush_log()});
is($node->safe_psql('copy', 'SELECT count(*) FROM mlops.prediction'), '4000', 'another database goes on meanwhile');
$node->safe_psql('postgres', 'DROP DATABASE copy');

# calls that wait when their extension goes are counted; a new extension goes on
sql(q{BEGIN; SELECT mlops_predict('line', '{"x": 1}', 'last'); DROP EXTENSION mlops; COMMIT});
sql('DROP TABLE point');
sql($setup);
sql(q{SELECT mlops_predict('line', '{"x": 1}', 'first')});
flush_log();
is(count(), '1', 'after DROP EXTENSION and CREATE EXTENSION the log goes on');
adds_up('after DROP EXTENSION');
sql(q{SELECT mlops_predict('line', '{"x": 1}', 'gone'); SELECT mlops_flush_log(); SELECT mlops_drop_model('line', force => true)});
is(count(), '0', 'dropping a model drops its predictions');
sql('DROP EXTENSION mlops; DROP TABLE point');
sql($setup);

# ---- a day that is dropped by hand, and days that are old ----

sql(q{SELECT mlops_predict('line', p, 'd' || id) FROM point p; SELECT mlops_flush_log()});
my $day = sql(q{SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'mlops_catalog.prediction'::regclass AND c.relname ~ '[0-9]' ORDER BY 1 LIMIT 1});

like($day, qr/^prediction_[0-9]{8}$/, 'days have partitions');
sql("DROP TABLE mlops_data.$day");
sql(q{SELECT mlops_predict('line', p, 'e' || id) FROM point p; SELECT mlops_flush_log()});
is(sql("SELECT count(*) FROM mlops_data.$day"), '2000', 'a day that was dropped by hand is made again');
sql(q{UPDATE mlops_catalog.model SET created_at = '2001-01-01';
      INSERT INTO mlops_catalog.prediction (at, model, version, role, key)
      SELECT '2001-02-03 12:00+00'::timestamptz + n * interval '8 hours', 'line', 1, 'active', 'old ' || n FROM generate_series(0, 5) n});
is(sql('SELECT count(*) FROM mlops_catalog.prediction_default'), '6', 'rows of days without a partition are in the default one');
sql(q{SELECT mlops.make_log_partitions('2001-02-03 01:00+00')});
is(sql('SELECT (SELECT count(*) FROM mlops_catalog.prediction_default), (SELECT count(*) FROM mlops_data.prediction_20010203), (SELECT count(*) FROM mlops_data.prediction_20010204)'),
	'1|2|3', '... from where they are moved when their days are made');
is(sql(q{SELECT mlops_prune_log(30)}), '2', 'days that are old go');
is(sql('SELECT count(*) FROM mlops_catalog.prediction_default'), '0', '... with what is in the default partition');
is(sql(q{SELECT mlops_prune_log(30), mlops_prune_log(), mlops_prune_log(0)}), '0|0|0', 'days that are young stay, and all where nothing else is said');
is(sql(q{SELECT mlops_prune_log(30, now() + interval '31 days') > 0}), 't', 'today is old in a month');

# ---- a key that is to be forgotten, called a moment before ----

is(sql(q{SELECT mlops_predict('line', '{"x": 1}', 'forget me') IS NOT NULL; SELECT mlops_forget('line', 'forget me'); SELECT mlops_flush_log()}), "t\n1\nt",
	'a key is erased with the calls that still wait');
is(count(q{key = 'forget me'}), '0', '... and does not come back');

# ---- a model that somebody is about to drop keeps nobody else's calls from being written ----

sql(q{CALL mlops_train('going', 'SELECT x, y FROM point', target => 'y', algorithm => 'linear_regression')});
sql(q{CALL mlops_train('going', 'SELECT x, y FROM point', target => 'y', algorithm => 'baseline')});
sql(q{SELECT mlops_promote('going', 1), mlops_shadow('going', 2, share => 1), mlops_set_model('going', '{"log_sample": 1, "statistics": true}'),
             mlops_set_model('line', '{"statistics": true}');
      SELECT mlops_predict('going', p, 'g' || id) FROM point p; SELECT mlops_flush_log(), mlops_flush_statistics()});
my $dropper = $node->background_psql('postgres');

$dropper->query_safe(q{BEGIN; SELECT mlops_drop_model('going', force => true)});
sql(q{SELECT mlops_predict('going', '{"x": 1}', 'still there'), mlops_predict('line', '{"x": 1}', 'not concerned')});
flush_log();
is(count(q{key IN ('still there', 'not concerned')}), '2', 'calls are written while a transaction that has dropped a model goes on');
is(sql(q{SELECT mlops_flush_statistics('1 s'); SELECT sum(rows) FROM mlops.serving_statistics WHERE model = 'line'}), "f\n1", '... and counted, but for those of the model');
$dropper->query_safe('ROLLBACK');
$dropper->quit;
is(sql(q{SELECT mlops_flush_statistics('30 s'); SELECT sum(rows) FROM mlops.serving_statistics WHERE model = 'going'}), "t\n2001", '... which follow if it is not dropped');
sql(q{SELECT mlops_drop_model('going', force => true); SELECT mlops_set_model('line', '{"statistics": null}')});

# ---- rules: what they made of a prediction is logged, and which of them fired ----

sql(q{SELECT mlops_create_rules('line', '[{"name": "never", "when": "x < 0", "then": {"set": 0}}, {"name": "at most", "when": "prediction > 50", "then": {"clip": [0, 50]}}]');
	SELECT mlops_promote('line', 1, rules => 1)});
is(sql(q{SELECT mlops_predict('line', '{"x": 100}', 'clipped'), mlops_predict('line', '{"x": 0.5}', 'as it is') = mlops_predict('line/1', '{"x": 0.5}'); SELECT mlops_flush_log()}), "50|t\nt",
	'a rule clips a prediction');
is(sql(q{SELECT key, prediction = 50, rules_fired, role FROM mlops.prediction WHERE key IN ('clipped', 'as it is') ORDER BY key}), "as it is|f|0|active\nclipped|t|2|active",
	'... and the log has what was answered, and the rules that fired');
is(sql(q{SELECT key, prediction, role FROM mlops_score('line', $$SELECT 'by query' AS k, 100::float8 AS x$$, 'k')}), 'by query|50|active', '... likewise of a whole query');
is(sql(q{SELECT rules_fired FROM mlops.prediction WHERE key = 'by query'}), '2', '... in the transaction that scored it');

# ---- checks: which failed, and what had no value in a condition ----

sql(q{SELECT mlops_create_rules('line', '[{"name": "ratio", "when": "1 / x > 3", "then": {"set": 7}}, {"name": "root", "when": "sqrt(x - 2) > 100", "then": {"set": 8}}]',
		checks => '[{"name": "small", "check": "range", "column": "x", "high": 1000}, {"name": "not negative", "check": "range", "column": "x", "low": 0, "severity": "hard"}]');
	SELECT mlops_promote('line', 1, rules => 2)});
is(sql(q{SELECT count(mlops_predict('line', r, 'checked ' || x)) FROM (SELECT x FROM unnest('{0, 0.25, 2000, -1}'::float8[]) AS x) AS r; SELECT mlops_flush_log()}), "3\nt",
	'a row that fails a hard check is not answered');
is(sql(q{SELECT key, prediction IS NULL, checks_failed, rules_fired, rule_errors FROM mlops.prediction WHERE key LIKE 'checked%' ORDER BY key COLLATE "C"}),
	"checked -1|t|2||\nchecked 0|f|0|0|3\nchecked 0.25|f|0|1|2\nchecked 2000|f|1|0|0", '... and the log has the checks that failed, the rules that fired and those that had an error');
is(sql(q{SELECT mlops.check_names(model, deployment, checks_failed), mlops.rule_names(model, deployment, rule_errors) FROM mlops.prediction WHERE key IN ('checked -1', 'checked 0.25') ORDER BY key COLLATE "C"}),
	"{\"not negative\"}|\n|{root}", '... by name');
sql(q{SELECT mlops_promote('line', 1, rules => 0)});

# ---- a launcher that is ended comes again ----

my ($launcher) = map { m{/proc/(\d+)/} } launchers($node);

$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'mlops log writer'})
  or die 'the writer does not leave';
kill 'TERM', $launcher;
sql(q{SELECT mlops_predict('line', '{"x": 1}', 'without launcher')});
flush_log();
is(count(q{key = 'without launcher'}), '1', 'a launcher that is ended comes again, and nothing is lost');

# ---- dump and restore ----

sql(q{SELECT mlops.make_log_partitions(); SELECT mlops_predict('line', p, 'r' || id) FROM point p; SELECT mlops_flush_log();
      INSERT INTO mlops_catalog.prediction (at, model, version, role, key) VALUES ('2001-01-01', 'line', 1, 'active', 'of a day without partition')});
sql(q{SELECT mlops_record_outcome('line', 'r' || id, y::text) FROM point;
      SELECT mlops_set_outcomes('line', $$SELECT 'r' || id AS key, y AS outcome, now() AS at FROM public.point$$)});
my $digest = q{SELECT count(*), md5(string_agg(p::text, '' ORDER BY at, key)),
                      (SELECT md5(string_agg(o::text, '' ORDER BY key)) FROM mlops.outcome o), (SELECT s::text FROM mlops.outcome_source s)
                 FROM mlops.prediction p};
my $dump = $node->backup_dir . '/log.sql';
my $custom = $node->backup_dir . '/log.dump';

$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'a database with a log can be dumped');
$node->command_ok([ 'pg_dump', '-Fc', '-f', $custom, $node->connstr('postgres') ], '... in the custom format too');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0; CREATE DATABASE restored_too TEMPLATE template0');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'it can be restored');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('restored_too'), $custom ], '... by pg_restore too');
for my $database ('restored', 'restored_too')
{
	is($node->safe_psql($database, $digest), sql($digest), "$database has the same log");
	$node->safe_psql($database, q{SELECT mlops_predict('line', p, 'again' || id) FROM point p; SELECT mlops_flush_log()});
	is($node->safe_psql($database, q{SELECT count(*) FROM mlops.prediction WHERE key LIKE 'again%'}), '2000', '... and logs on');
	is($node->safe_psql($database, q{SELECT count(*) FROM mlops_catalog.prediction_default}), '1', '... in the partitions that it had');
	is($node->safe_psql($database, q{SELECT read, added FROM mlops_pull_outcomes('line')}), '2000|2000', '... and pulls outcomes');
	$node->safe_psql('postgres', "DROP DATABASE $database");
}

# ---- a crash ----

# one call a millisecond, each with its number
my $session = IPC::Run::start(
	[ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', q{
		DO $$ BEGIN FOR i IN 1 .. 100000 LOOP
			PERFORM mlops_predict('line', '{"x": 1}', 'crash ' || i);
			PERFORM pg_sleep(0.001);
		END LOOP; END $$} ],
	'<', \undef, '>', \my $out, '2>', \my $err);

$node->poll_query_until('postgres', q{SELECT count(*) > 100 FROM mlops.prediction WHERE key LIKE 'crash%'}) or die 'nothing is logged';
my $pid = sql(q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%crash %' AND pid <> pg_backend_pid()});
my $killed = sql(q{SELECT extract(epoch FROM clock_timestamp())});

kill 'KILL', $pid;
$session->finish;
$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not recover';
is(sql(q{SELECT count(*) = max(substr(key, 7)::int) AND count(*) = count(DISTINCT key) FROM mlops.prediction WHERE key LIKE 'crash%'}), 't',
	'after kill -9 of a backend and recovery the log has every call up to a moment, once');
my $lost = sql(qq{SELECT $killed - extract(epoch FROM max(at)) FROM mlops.prediction WHERE key LIKE 'crash%'});

note(sprintf('lost: the last %.0f ms', 1000 * $lost));
# on a machine that is busy a worker is late, too
cmp_ok($lost, '<', 0.2 + 0.8, '... and that moment is the flush interval before the crash, at most');
sql(q{SELECT mlops_predict('line', '{"x": 1}', 'after the crash')});
flush_log();
is(count(q{key = 'after the crash'}), '1', 'the log goes on after a crash');

# ---- a standby ----

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('log_standby');

$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$start = time;
$standby->safe_psql('postgres', q{SELECT sum(mlops_predict('line', p, 'standby ' || id || n)) FROM point p, generate_series(1, 10) n});
cmp_ok(time - $start, '<', 5, 'nothing waits on a standby');
is($standby->safe_psql('postgres', 'SELECT calls, on_standby, waiting, writer FROM mlops_log()'), '20000|20000|0|f',
	'calls on a standby are counted');
is(scalar(launchers($standby)), 0, '... and no process of the log runs there');
is($standby->safe_psql('postgres', q{SELECT predictions > n, n, value < 2 FROM mlops_performance('line') WHERE metric = 'rmse'}), 't|2000|t', 'live quality can be looked at there');
my ($status, undef, $why) = $standby->psql('postgres', q{SELECT * FROM mlops_score('line', 'point', 'id')});

like($why, qr/cannot score and log a query on a standby server/, 'what would write is refused there');
$standby->promote;
$standby->safe_psql('postgres', q{SELECT mlops_predict('line', p, 'promoted ' || id) FROM point p; SELECT mlops_flush_log('30 s')});
is($standby->safe_psql('postgres', q{SELECT count(*) FROM mlops.prediction WHERE key LIKE 'promoted%'}), '2000',
	'after a promotion the standby logs');
$standby->poll_query_until('postgres', q{SELECT sum(calls) = 20000 FROM mlops.log_gap WHERE reason = 'the server was a standby'})
  or fail('what the standby counted is not in the table');
pass('and writes down what it counted');
$standby->stop;

# ---- pg_upgrade ----

$node->stop;
$node->append_conf('postgresql.conf', "listen_addresses = ''\n");
$node->command_ok([ 'pg_ctl', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', '-w', 'start' ],
	'a server for pg_upgrade starts with mlops preloaded');
is(sql(q{SELECT preloaded FROM mlops_log()}) . scalar(launchers($node)), 'f0', '... and has neither log nor launcher');
$node->command_ok([ 'pg_ctl', '-D', $node->data_dir, '-w', '-m', 'fast', 'stop' ], 'it stops');

done_testing();
