# Shadows of plain mlops_predict, in a server that preloads mlops: asked by
# backends and by parallel workers, on every form of input, for a sample of what is logged;
# whatever they do - lack a column, take too long, need too much memory - no answer
# changes, no call fails and every call is logged or counted.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('shadow');

$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'mlops'
mlops.log_wait = '20s'
mlops.shadow_time_limit = 0
max_worker_processes = 16
fsync = off
});
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub flush_log { sql(q{SELECT mlops_flush_log('30 s')}) eq 't' or die 'the log is not written'; }

# "status rows" of a shadow's calls whose key is like this
sub statuses
{
	my ($shadow, $keys) = @_;

	flush_log();
	return sql(qq{SELECT string_agg(status || ' ' || n, ', ' ORDER BY status) FROM (
		SELECT shadows -> '$shadow' ->> 'status' AS status, count(*) AS n FROM mlops.prediction
		 WHERE key LIKE '$keys' AND shadows ? '$shadow' GROUP BY 1) q});
}

sql(q{
	CREATE EXTENSION mlops;
	CREATE TABLE point AS SELECT i AS id, i::float8 AS x, (i % 17)::float8 AS z, 3 + 2 * i + (i % 5) AS y, i % 3 = 0 AS third FROM generate_series(1, 2000) AS i;
	ANALYZE point;
	CALL mlops_train('line', 'SELECT x, y FROM point', target => 'y', algorithm => 'linear_regression');
	CALL mlops_train('line', 'SELECT x, y FROM point', target => 'y', algorithm => 'random_forest', params => '{"trees": 200}');
	CALL mlops_train('line', 'SELECT x, z, y FROM point', target => 'y', algorithm => 'linear_regression');
	CALL mlops_train('line', 'SELECT z AS absent, y FROM point', target => 'y', algorithm => 'baseline');
	CALL mlops_train('class', 'SELECT x, third FROM point', target => 'third', algorithm => 'logistic_regression');
	CALL mlops_train('class', 'SELECT x, z, third FROM point', target => 'third', algorithm => 'decision_tree');
	SELECT mlops_promote('line', 1), mlops_promote('class', 1);
	SELECT mlops_set_model('line', '{"log_sample": 1}'), mlops_set_model('class', '{"log_sample": 1}');
});

my $parallel = q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SET max_parallel_workers_per_gather = 3; SET parallel_leader_participation = off; };
my $answers = sub { return qq{SELECT md5(string_agg(s::text, ' ' ORDER BY id)) FROM (SELECT id, mlops_predict('line', p, '$_[0]' || id) AS s FROM point p OFFSET 0) q}; };
my $without = sql($answers->('none'));

flush_log();
is(sql(q{SELECT count(*), count(shadows) FROM mlops.prediction}), '2000|0', 'without shadows none are logged');

# ---- who calls, and how ----

sql(q{SELECT mlops_shadow('line', 2, name => 'forest', share => 1), mlops_shadow('line', 3, name => 'wider', share => 0.25),
             mlops_shadow('line', 4, name => 'broken', share => 1)});
is(sql($answers->('one')), $without, 'with shadows the answers are the same');
like(sql("$parallel EXPLAIN " . $answers->('p')), qr/Gather/, 'a scan is planned in parallel');
is(sql($parallel . $answers->('p')), $without, '... and from parallel workers');
is(statuses('forest', 'one%'), 'ok 2000', 'a shadow is asked for every logged call');
is(statuses('forest', 'p%'), 'ok 2000', '... in parallel workers, too');
is(statuses('broken', 'p%'), 'failed: missing column 2000', 'one that cannot be asked says why, in workers too');
is(sql(q{SELECT bool_and((l.shadows -> 'forest' ->> 'prediction')::float8 = mlops_predict('line/2', p)), count(*)
           FROM mlops.prediction l JOIN point p ON l.key IN ('one' || p.id, 'p' || p.id)}), 't|4000', 'it said what its version says');
is(sql(q{SELECT bool_and((l.shadows -> 'wider' ->> 'prediction')::float8 = mlops_predict('line/3', p)), count(*) BETWEEN 400 AND 600
           FROM mlops.prediction l JOIN point p ON l.key = 'one' || p.id WHERE shadows ? 'wider'}), 't|t', 'a share of 0.25 is a quarter of the keys');

# one hash decides all samples
sql(q{SELECT mlops_shadow('line', 3, name => 'other', share => 0.1); SELECT mlops_predict('line', p, 'n' || id) FROM point p});
flush_log();
is(sql(q{SELECT count(*) FILTER (WHERE shadows ? 'other' AND NOT shadows ? 'wider'), count(*) FILTER (WHERE shadows ? 'other') BETWEEN 120 AND 290
           FROM mlops.prediction WHERE key LIKE 'n%'}), '0|t', 'a smaller sample is part of a larger one');
sql(q{SELECT mlops_shadow('line', NULL, name => 'other', enabled => false)});

# ---- forms of input ----

my %row = (
	"(SELECT p FROM point p WHERE id = 7)" => 'failed: missing column', "'{\"x\": 7, \"z\": 7}'::jsonb" => 'failed: missing column',
	"'{\"x\": 7, \"z\": 7}'::json" => 'failed: missing column', "'{\"x\": 7, \"z\": 7}'" => 'failed: missing column',
	"'{7}'" => 'ok', "'[7]'" => 'ok', "ARRAY[7::float8]" => 'ok', 'NULL::jsonb' => 'ok', "'{\"x\": null}'::jsonb" => 'ok');
my $n = 0;

foreach my $input (sort keys %row)
{
	my $key = 'f' . ++$n;
	my $active = sql("SELECT mlops_predict('line/1', $input)");

	is(sql("SELECT mlops_predict('line', $input, '$key')"), $active, "$input is answered as without shadows");
	is(statuses('forest', $key), 'ok 1', '... a shadow that takes it says something');
	is(statuses('broken', $key), "$row{$input} 1", '... one that does not takes nothing away');
	is(sql(qq{SELECT (shadows -> 'forest' ->> 'prediction')::float8 IS NOT DISTINCT FROM mlops_predict('line/2', $input) FROM mlops.prediction WHERE key = '$key'}),
		't', '... what its version says');
}

# wrong values: a document that is all right for the active version alone
sql(q{SELECT mlops_predict('line', '{"x": 7, "absent": "no number"}'::jsonb, 'wrong1'), mlops_predict('line', '{"x": 7, "absent": 1e400}'::json, 'wrong2')});
is(statuses('broken', 'wrong1'), 'failed: wrong type 1', 'a value of a wrong type is a status');
is(sql(q{SELECT count(prediction) FROM mlops.prediction WHERE key LIKE 'wrong_'}), '2', '... and the row is answered');

# ---- labels and probabilities ----

sql(q{SELECT mlops_shadow('class', 2, share => 1);
      SELECT mlops_predict_label('class', p, 'l' || id), mlops_predict_proba('class', p, 'q' || id) FROM point p WHERE id <= 100});
flush_log();
is(sql(q{SELECT count(*), bool_and(l.shadows -> '2' ->> 'label' = mlops_predict_label('class/2', p)),
                bool_and((l.shadows -> '2' ->> 'prediction')::float8 = mlops_predict('class/2', p))
           FROM mlops.prediction l JOIN point p ON l.key IN ('l' || p.id, 'q' || p.id) WHERE l.model = 'class'}), '200|t|t',
	'whatever is asked, a shadow has label and probability');

# ---- which statement sees which shadows ----

my $session = $node->background_psql('postgres');

$session->query(q{SET plan_cache_mode = force_generic_plan; PREPARE ask(text) AS SELECT mlops_predict('line', p, $1 || id) FROM point p WHERE id = 1; EXECUTE ask('before')});
$session->query(q{BEGIN; DECLARE c CURSOR FOR SELECT mlops_predict('line', p, 'c' || id) FROM point p ORDER BY id; FETCH 10 FROM c});
sql(q{SELECT mlops_shadow('line', 2, enabled => false)});
$session->query(q{FETCH 10 FROM c; COMMIT});
$session->query(q{EXECUTE ask('after')});
is(statuses('forest', 'c%'), 'ok 20', 'a statement has the shadows that its snapshot saw, also after they are gone');
is(statuses('forest', 'before1') . '/' . statuses('forest', 'after1'), 'ok 1/', 'the next execution of a plan has those of its own');
sql(q{SELECT mlops_shadow('line', 2, name => 'forest', share => 1)});
$session->query(q{EXECUTE ask('again')});
is(statuses('forest', 'again1'), 'ok 1', '... and one that is set is asked at once');
$session->quit;

# ---- a slow one is skipped ----

is(sql("SET mlops.shadow_time_limit = '1us'; " . $answers->('slow')), $without, 'a shadow that is too slow changes no answer');
flush_log();
is(sql(q{SELECT count(*), count(*) FILTER (WHERE status = 'ok') <= 20, count(*) FILTER (WHERE status = 'skipped: slow') > 1900
           FROM (SELECT shadows -> 'forest' ->> 'status' AS status FROM mlops.prediction WHERE key LIKE 'slow%') q}), '2000|t|t',
	'... it is skipped but for a call now and then, and every call says so');
is(sql("SET mlops.shadow_time_limit = 0; " . $answers->('fast')) . statuses('forest', 'fast%'), "${without}ok 2000", 'without a limit it is asked each time');

# ---- one that does not fit into the cache of models ----

is(sql("SET mlops.artifact_cache = '64kB'; " . $answers->('large')), $without, 'a shadow that is too large changes no answer');
is(statuses('forest', 'large%'), 'skipped: memory 2000', '... and is not asked');

# ---- memory ----

my ($before, $after) = split /\n/, sql(q{DO $$ BEGIN FOR i IN 1 .. 500 LOOP PERFORM mlops_predict('line', p, 'm' || i) FROM point p WHERE id = i; END LOOP; END $$;
	SELECT sum(total_bytes) FROM pg_backend_memory_contexts;
	DO $$ BEGIN
		FOR i IN 1 .. 5000 LOOP
			PERFORM mlops_predict('line', p, 'm' || i) FROM point p WHERE id = i % 2000;
			PERFORM mlops_predict('line', '{"x": 1}'::jsonb, 'm' || i);
			IF i % 100 = 0 THEN PERFORM mlops_shadow('line', 2 + (i / 100) % 2, name => 'forest', share => 1); END IF;
		END LOOP;
		PERFORM mlops_shadow('line', 2, name => 'forest', share => 1);
	END $$;
	SELECT sum(total_bytes) FROM pg_backend_memory_contexts});
cmp_ok($after - $before, '<', 512 * 1024, 'ten thousand calls with shadows that change and fail take no memory with them');

# ---- samples of calls without a key, and roles that may predict and no more ----

sql(q{SELECT mlops_set_model('line', '{"log_without_key": true}'); SELECT mlops_predict('line', p) FROM point p});
flush_log();
is(sql(q{SELECT count(*), count(*) FILTER (WHERE shadows ? 'forest'), count(*) FILTER (WHERE shadows ? 'wider') BETWEEN 380 AND 620 FROM mlops.prediction WHERE key IS NULL}),
	'2000|2000|t', 'calls without a key are sampled as calls');
sql(q{SELECT mlops_set_model('line', '{"log_without_key": null}'); CREATE ROLE caller; SELECT mlops_grant('line', 'caller', 'predict'); GRANT SELECT ON point TO caller;
      SET ROLE caller; SELECT mlops_predict('line', p, 'r' || id) FROM point p WHERE id <= 10});
is(statuses('forest', 'r%'), 'ok 10', 'who may predict need not be able to read what the shadows are made of');

# ---- what it cost ----

sql(q{SELECT mlops_predict('line', p, 'x' || id) FROM point p WHERE id <= 100});
flush_log();
is(sql(q{SELECT count(*), bool_and(r.calls = c.calls AND r.failed = c.failed AND r.skipped = c.skipped)
           FROM mlops_shadow_report('line', as_of => clock_timestamp()) r
           JOIN (SELECT name, version, sum(calls) AS calls, sum(failed) AS failed, sum(skipped) AS skipped FROM mlops.shadow_cost WHERE model = 'line' GROUP BY 1, 2) c
             ON c.name = r.shadow AND c.version = r.version}), '5|t', 'what is added up as rows are written is what the log has');
like(sql(q{SELECT shadows FROM mlops_status() WHERE model = 'line'}), qr/^3: [0-9.]+ us a call, [0-9.]+ % failed, [0-9.]+ % skipped$/, 'the status says it in a word');
is(sql(q{SELECT calls = written + waiting AND without_room + on_standby + without_model + unreachable = 0 FROM mlops_log()}), 't', 'every call is in the log');

$node->stop;
done_testing();
