# Monitors over many days: a seeded fault each is found within two ticks, rolled back where the
# monitor says so, and nothing else fires; and quiet days are quiet, with the bounds that
# the monitors propose themselves.
#
# The log is written as it would have been, so that months pass in minutes; predictions are
# those of the models. The tick is moved along, day by day.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('monitors');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\ntimezone = 'UTC'\nclient_min_messages = error\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION mlops');

# Each call has random numbers of its own, the same ones in every run; MLOPS_SEED draws others.
my $seed = $ENV{MLOPS_SEED} // 1;
my $calls = 0;

sub sql
{
	my $position = 0.618033988749895 * ($calls++ + 1000 * $seed);

	return $node->safe_psql('postgres', sprintf("SET seed = %.12f;\n", $position - int($position)) . shift);
}

# Customers: whether they leave depends on income and plan, and hardly on age, which is missing now and then.
# The odds and the number of calls differ from day to day, and on Sundays half as many call.
sql(q{
	CREATE FUNCTION normal() RETURNS float8 LANGUAGE sql VOLATILE AS
		'SELECT sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())';
	CREATE FUNCTION customers(n int, effect float8 DEFAULT 0) RETURNS TABLE (income float8, age int, plan text, gone boolean) LANGUAGE sql VOLATILE AS $$
		SELECT c.income, c.age, c.plan,
		       random() < 1 / (1 + exp(-(effect - 1 + (c.income - 3000) / 800 + CASE c.plan WHEN 'basic' THEN 1 WHEN 'pro' THEN -1 ELSE 0 END)))
		  FROM (SELECT 3000 + 800 * normal() AS income, CASE WHEN random() < 0.98 THEN 20 + (random() * 50)::int END AS age,
		               (ARRAY['basic', 'basic', 'plus', 'plus', 'pro'])[1 + floor(random() * 5)] AS plan
		          FROM generate_series(1, n) OFFSET 0) AS c
	$$;
	CREATE TABLE customer AS SELECT row_number() OVER () AS id, c.* FROM customers(3000) AS c;
	CREATE TABLE shuffled AS SELECT id, age, plan, (id % 3 = 0) AS gone, 3000 + 10 * (id % 7) AS income FROM customer;
	-- a day of calls: fault is what happens to the rows before they are scored
	CREATE PROCEDURE play(name text, day date, calls int, fault text DEFAULT '') LANGUAGE plpgsql AS $$
	DECLARE
		serves int;
		n int := round(calls * CASE WHEN extract(dow FROM day) = 0 THEN 0.5 ELSE 1 END * exp(0.1 * normal()));
		slow float8 := exp(0.15 * normal());
	BEGIN
		SELECT s.version INTO serves FROM mlops.serving AS s WHERE s.model = name;
		CREATE TEMP TABLE today AS
		SELECT row_number() OVER () AS i, t.gone, t.income AS true_income,
		       t.income * CASE WHEN fault = 'unit' THEN 1000 ELSE 1 END AS income,
		       CASE WHEN fault <> 'feed' THEN t.age END AS age,
		       CASE WHEN fault = 'category' AND t.plan = 'pro' THEN 'plus' ELSE t.plan END AS plan
		  FROM customers(n, 0.1 * normal()) AS t;
		INSERT INTO mlops_catalog.prediction (at, model, version, role, key, prediction, label, latency_us, input)
		SELECT day + i * interval '1 second', name, serves, 'active', day || '/' || i, p.p, (p.p >= 0.5)::text, 20 * slow * exp(0.5 * normal()),
		       jsonb_build_object('income', t.income, 'age', t.age, 'plan', t.plan)
		  FROM today AS t, LATERAL (SELECT mlops_predict(name, jsonb_build_object('income', t.income, 'age', t.age, 'plan', t.plan)) AS p OFFSET 0) AS p;
		INSERT INTO mlops_catalog.outcome (model, key, at, annotator, outcome)
		SELECT name, day || '/' || i, day + interval '20 hours', 'crm', gone::text FROM today WHERE random() < 0.95;
		DROP TABLE today;
	END $$;
	CREATE FUNCTION begin_model(name text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM mlops_train_now(name, 'customer', 'gone', features => '{income, age, plan}', algorithm => 'logistic_regression');
		PERFORM mlops_promote(name, 1);
		PERFORM mlops_set_default_monitors(name, label_delay => '1 day', action => 'rollback');
		PERFORM mlops_set_monitor(name, 'missing ' || f, 'missing_share', feature => f) FROM unnest(ARRAY['income', 'age', 'plan']) AS f;
		UPDATE mlops_catalog.model AS m SET created_at = '2023-01-01' WHERE m.name = begin_model.name;
	END $$;
});

# ---- a fault each ----

my @models = qw(calm feed unit category forced);
my $start = '2024-01-01';
my $quiet = 28;

sql("SELECT begin_model(m) FROM unnest(ARRAY['" . join("', '", @models) . "']) AS m");
sql("SELECT mlops.make_log_partitions('$start'::date + d) FROM generate_series(0, 40) AS d");

# ends the day, whose outcomes are known a day later
sub day
{
	my ($n, %fault) = @_;

	foreach my $model (@models)
	{
		my $what = $fault{$model} // '';
		sql("CALL play('$model', '$start'::date + $n, 400, '$what')");
	}
	sql("CALL mlops_tick('$start'::date + $n + 1)");
}

sub alerts
{
	my $model = shift;
	return sql("SELECT string_agg(monitor, ', ' ORDER BY monitor COLLATE \"C\") FROM (SELECT DISTINCT monitor FROM mlops.alert WHERE model = '$model') AS a");
}

day($_) foreach 0 .. $quiet - 1;
is(sql('SELECT count(*) FROM mlops.alert'), '0', 'four weeks of five models: no alert');
is(sql("SELECT count(*) FROM mlops.monitor WHERE state NOT IN ('good', 'unclear', 'no data')"), '0', 'every monitor that has data has learned its bounds');

# a version that knows nothing is promoted by force at midnight
sql(q{
	SELECT mlops_train_now('forced', 'shuffled', 'gone', features => '{income, age, plan}', algorithm => 'baseline');
	SELECT mlops_set_gate('forced', 'sound', query => 'SELECT false, ''it knows nothing''');
	SELECT mlops_promote('forced', 2, force => true, reason => 'somebody insisted');
});
is(sql("SELECT version FROM mlops.serving WHERE model = 'forced'"), '2', 'a worse version serves, by force');
my %fault = (feed => 'feed', unit => 'unit', category => 'category');
my @after;
my $found = sub { diag("after day $_[0]: " . join('; ', map { "$_: " . alerts($_) } @models)) };
foreach my $n (0 .. 2)
{
	day($quiet + $n, %fault);
	push @after, { map { $_ => alerts($_) } @models };
	$found->($n);
}
# what needs no outcomes is seen when the day is over; what needs them, a day later
like($after[0]{feed}, qr/missing age/, 'a feed that goes NULL is found by the first tick');
is($after[2]{feed}, 'broken data, missing age, missing values', 'and nothing else fires: the model hardly looks at it');
like($after[1]{unit}, qr/predictions|quality/, 'a unit that changes by 1000 is found by the second tick at most');
unlike($after[2]{unit}, qr/missing|volume|latency|outcomes|no prediction|rules/, 'and nothing fires that is not about it');
like($after[0]{unit}, qr/broken data/, 'it is found to be broken, not shifted, by the first tick');
like(sql("SELECT note FROM mlops.alert WHERE model = 'unit' AND monitor = 'broken data'"), qr/income: unit changed.*1000/, 'and the alert says which unit');
like($after[0]{category}, qr/broken data/, 'a category that vanishes is found by the first tick');
like(sql("SELECT note FROM mlops.alert WHERE model = 'category' AND monitor = 'broken data'"), qr/plan: .*pro/, 'and the alert says which one');
unlike($after[2]{category}, qr/missing|volume|latency|outcomes|no prediction|rules/, 'and nothing fires that is not about it');
like($after[1]{forced}, qr/quality/, 'a worse version is found by the first tick that knows outcomes of it, the second');
is(sql("SELECT version FROM mlops.serving WHERE model = 'forced'"), '1', 'and taken down');
is(sql("SELECT action || ' by ' || deployed_by || ' from ' || from_version FROM mlops.deployment WHERE model = 'forced' ORDER BY number DESC LIMIT 1"),
	'rollback by ' . sql('SELECT current_user') . ' from 2', 'the history says so');
like(sql("SELECT done FROM mlops.alert WHERE model = 'forced' AND monitor = 'quality'"), qr/^rolled back from version 2 to version 1$/, 'and the alert');
my ($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT mlops_promote('forced', 2)");
like($stderr, qr/ML001/, 'it does not come back without its gates');
is($after[2]{calm}, '', 'where nothing was wrong, nothing fires');

# ---- quiet days ----

# Five hundred a day, 100 a day, few, few outcomes... each of them with days that differ, Sundays, and what is
# missing now and then. Numbers are drawn directly, so that 200 days of each take no time.
my $days = 200;
my $quiet_models = 6;
sql(qq{
	CREATE PROCEDURE quiet_day(name text, number int, day date) LANGUAGE plpgsql AS \$\$
	DECLARE
		n int := round((ARRAY[300, 120, 80, 200])[1 + number % 4] * CASE WHEN extract(dow FROM day) = 0 THEN 0.6 ELSE 1 END * exp(0.15 * normal()));
		effect float8 := 0.15 * normal();
		slow float8 := exp(0.2 * normal());
		missing float8 := 0.02 * exp(0.4 * normal());
		known float8 := 0.9 - 0.05 * random();
		richer float8 := 40 * normal();
	BEGIN
		INSERT INTO mlops_catalog.prediction (at, model, version, role, key, prediction, label, latency_us, input)
		SELECT day + i * interval '1 second', name, 1, 'active', day || '/' || i, p.p, (p.p >= 0.5)::text, 20 * slow * exp(0.6 * normal()),
		       jsonb_build_object('income', CASE WHEN random() >= missing THEN c.income + richer END, 'age', c.age, 'plan', c.plan)
		  FROM (SELECT row_number() OVER () AS i, t.* FROM customers(n) AS t) AS c, LATERAL (SELECT 1 / (1 + exp(-(1.5 * normal() - 0.5 + effect))) AS p WHERE i > 0 OFFSET 0) AS p;
		INSERT INTO mlops_catalog.outcome (model, key, at, annotator, outcome)
		SELECT model, key, day + interval '20 hours', 'crm', (random() < prediction)::text
		  FROM mlops_catalog.prediction WHERE model = name AND at >= day AND at < day + 1 AND random() < known;
	END \$\$;
	SELECT begin_model('quiet ' || i) FROM generate_series(1, $quiet_models) AS i;
	SELECT mlops.make_log_partitions('2023-02-01'::date + d) FROM generate_series(0, $days) AS d;
	SELECT mlops_drop_model(m, force => true) FROM unnest(ARRAY['} . join("', '", @models) . q{']) AS m;
});
for (my $d = 0; $d < $days; $d += 10)
{
	sql(join(";\n", map { my $day = $_; map { "CALL quiet_day('quiet $_', $_, '2023-02-01'::date + $day)" } 1 .. $quiet_models } $d .. $d + 9));
	sql(join(";\n", map { "CALL mlops_tick('2023-02-01'::date + $_ + 1)" } $d .. $d + 9));
}
my $judged = sql("SELECT count(*) FROM mlops.monitor_period WHERE verdict IN ('good', 'unclear', 'bad')");
my $false = sql('SELECT count(*) FROM mlops.alert');
my $years = sql("SELECT round(sum(days) / 365.25, 2) FROM (SELECT model, count(DISTINCT until) AS days FROM mlops.monitor_period WHERE verdict IN ('good', 'unclear', 'bad') GROUP BY model) AS m");
diag("$false false alerts in $years model-years, $judged periods judged: "
	  . sql("SELECT coalesce(string_agg(model || ' ' || monitor || ' ' || until::date, ', '), 'none') FROM mlops.alert"));
cmp_ok($years, '>', 0.9 * ($days - 20) * $quiet_models / 365.25, 'nearly every day was judged');
cmp_ok($false, '<=', 2 * $years, 'quiet days are quiet: at most 2 false alerts a model-year, of all default monitors together');
cmp_ok(sql("SELECT count(*) FROM mlops.monitor WHERE state = 'failed'"), '==', 0, 'no monitor failed');

$node->stop;
done_testing();
