# Sequential tests by simulation. Where the sides do not differ, a canary that is looked at five hundred times is
# called better or worse in at most 5 % of the cases; intervals of one look would be wrong in a third of them and more.
# Where they differ, it is found with the keys that the documentation states. The same for the split of the keys. And
# once through everything: calls, outcomes and reports.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('sequential');

$node->init;
$node->append_conf('postgresql.conf', "fsync = off\njit = off\nmax_parallel_workers_per_gather = 0\n");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

my $setup = q{
	CREATE EXTENSION mlops;

	-- Sums of a side at each look: keys, values, squares. A key has the canary with the chance of the share; its
	-- value is 1 with a chance, or exp of a normal number.
	CREATE TABLE look (experiment int, look int, n_active float8, n_canary float8, sum_active float8, sum_canary float8,
	                   square_active float8, square_canary float8);
	CREATE FUNCTION simulate(experiments int, looks int, keys int, share float8, active float8, canary float8, skewed boolean DEFAULT false)
	RETURNS void LANGUAGE sql AS $$
		TRUNCATE look;
		INSERT INTO look
		SELECT experiment, look, sum(n) FILTER (WHERE NOT c) OVER w, sum(n) FILTER (WHERE c) OVER w, sum(s) FILTER (WHERE NOT c) OVER w,
		       sum(s) FILTER (WHERE c) OVER w, sum(q) FILTER (WHERE NOT c) OVER w, sum(q) FILTER (WHERE c) OVER w
		  FROM (SELECT experiment, look, c, count(*) AS n, sum(v) AS s, sum(v * v) AS q
		          FROM (SELECT experiment, look, c,
		                       CASE WHEN skewed THEN exp(sqrt(-2 * ln(1 - r1)) * cos(2 * pi() * r2)) + CASE WHEN c THEN canary ELSE active END
		                            ELSE (r1 < CASE WHEN c THEN canary ELSE active END)::int END AS v
		                  FROM (SELECT experiment, look, random() < share AS c, random() AS r1, random() AS r2
		                          FROM generate_series(1, experiments) AS experiment, generate_series(1, looks) AS look,
		                               generate_series(1, keys)) AS drawn) AS valued
		         GROUP BY experiment, look, c) AS grouped
		WINDOW w AS (PARTITION BY experiment ORDER BY look);
	$$;

	-- the standard error of a mean, of shares as Wilson's interval has it
	CREATE FUNCTION error_of(n float8, s float8, q float8, skewed boolean) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
		SELECT CASE WHEN n < 2 THEN 'NaN' WHEN skewed THEN sqrt(greatest(q - s * s / n, 0) / (n - 1) / n)
		            ELSE sqrt(s / n * (1 - s / n) / n + 3.8414588 / (4 * n * n)) / (1 + 3.8414588 / n) END
	$$;

	-- the look at which an experiment was decided, NULL if at none
	CREATE FUNCTION decided(skewed boolean DEFAULT false, naive boolean DEFAULT false, OUT experiment int, OUT look int, OUT better boolean) RETURNS SETOF record
	LANGUAGE sql AS $$
		SELECT DISTINCT ON (experiment) experiment, CASE WHEN low > 0 OR high < 0 THEN look END, low > 0
		  FROM (SELECT l.experiment, l.look, t.low, t.high
		          FROM (SELECT *, error_of(n_active, sum_active, square_active, skewed) AS error_active,
		                       error_of(n_canary, sum_canary, square_canary, skewed) AS error_canary FROM look) AS l,
		               LATERAL mlops.sequential_difference(sum_active / n_active, error_active, n_active, sum_canary / n_canary, error_canary, n_canary) AS t
		         WHERE NOT naive
		        UNION ALL
		        SELECT l.experiment, l.look, d - 1.96 * e, d + 1.96 * e
		          FROM look AS l, LATERAL (SELECT sum_canary / n_canary - sum_active / n_active AS d,
		               sqrt(error_of(n_active, sum_active, square_active, skewed) ^ 2 + error_of(n_canary, sum_canary, square_canary, skewed) ^ 2) AS e) AS t
		         WHERE naive AND n_canary >= 10) AS looked
		 ORDER BY experiment, (low > 0 OR high < 0) IS TRUE DESC, look
	$$;
	SELECT setseed(0.5);
};

# share of the experiments in which anything was decided
sub wrong { return sql("SELECT count(look)::float8 / count(*) FROM decided(skewed => $_[0], naive => $_[1])"); }

# share of the experiments just simulated in which the split was found to be broken at any look
sub split_found
{
	my ($keys, $share) = @_;

	return sql(qq{SELECT count(*) FILTER (WHERE broken)::float8 / count(*) FROM (SELECT bool_or(t.p_value <= 0.05) AS broken
		FROM look, LATERAL mlops.sequential_share(COALESCE(n_canary, 0)::bigint, COALESCE(n_active, 0)::bigint, $share) AS t GROUP BY experiment) AS e});
}

sub find_nothing
{
	my ($name, $call, $skewed) = @_;
	my ($share, $naive);

	sql("SELECT setseed(0.5); SELECT simulate(400, 500, $call)");
	$share = wrong($skewed, 'false');
	$naive = wrong($skewed, 'true');
	cmp_ok($share, '<=', 0.05, "$name: of 400 canaries without a difference, looked at 500 times, few are judged");
	cmp_ok($naive, '>', 0.2, "$name: by intervals of one look many would be");
	note("$name: $share, naive $naive");
	cmp_ok(split_found(split(/, /, $call)), '<=', 0.05, "$name: a split as it should be is seldom called broken");
}

# the keys, of both sides, by which a share of the experiments is decided rightly
sub find_difference
{
	my ($name, $call, $keys, $within, $power) = @_;
	my ($found, $needed);

	sql("SELECT setseed(0.5); SELECT simulate(200, 250, $call)");
	$found = sql("SELECT count(*) FILTER (WHERE look * $keys <= $within AND NOT better)::float8 / count(*) FROM decided()");
	$needed = sql("SELECT string_agg(q::text, ' ') FROM (SELECT percentile_disc(p) WITHIN GROUP (ORDER BY COALESCE(look, 251)) * $keys AS q FROM decided(), unnest('{0.5,0.8,0.9}'::float8[]) AS p GROUP BY p ORDER BY p) AS n");
	cmp_ok($found, '>=', $power, "$name: found with $within keys in $power of the cases");
	is(sql('SELECT count(*) FROM decided() WHERE better'), '0', "$name: and never the wrong way round");
	note("$name: $found; half, 80 % and 90 % with $needed");
}

sql($setup);

# ---- no difference ----
find_nothing('accuracy of 0.9, 5 % canary', '20, 0.05, 0.9, 0.9', 'false');
find_nothing('accuracy of 0.5, 50 % canary', '10, 0.5, 0.5, 0.5', 'false');
find_nothing('skewed losses, 10 % canary', '20, 0.1, 0, 0, true', 'true');

# ---- a difference: the table in docs/canary.md ----
find_difference('0.90 against 0.80, 5 % canary', '26, 0.05, 0.9, 0.8', 26, 6000, 0.8);
find_difference('0.90 against 0.80, 50 % canary', '6, 0.5, 0.9, 0.8', 6, 1000, 0.8);
find_difference('0.90 against 0.85, 5 % canary', '80, 0.05, 0.9, 0.85', 80, 18000, 0.8);
find_difference('0.90 against 0.85, 50 % canary', '14, 0.5, 0.9, 0.85', 14, 3500, 0.8);

# ---- a split that is broken ----
sql('SELECT setseed(0.5); SELECT simulate(200, 500, 20, 0.08, 1, 1)');
cmp_ok(split_found(20, 0.05), '>=', 0.95, '8 % of the keys instead of 5 % are found');

# ---- through everything: mlops_score logs in the caller's transaction, outcomes follow ----
sql(q{
	CREATE TABLE customer (id int, spent float8, "left" boolean);
	INSERT INTO customer SELECT i, i % 100, (i * 7919 % 100) < i % 100 FROM generate_series(1, 20000) AS i;
	ANALYZE customer;
	SET client_min_messages = error;
	SELECT mlops_create_model('churn', metric => 'accuracy', positive => 'true');
	CALL mlops_train('churn', 'SELECT spent, "left" FROM customer WHERE id <= 5000', target => 'left');
	CALL mlops_train('churn', 'SELECT spent, "left" FROM customer WHERE id BETWEEN 5001 AND 10000', target => 'left');
	CALL mlops_train('churn', 'SELECT 100 - spent AS spent, "left" FROM customer WHERE id <= 5000', target => 'left');
	SELECT mlops_promote('churn', 1);
});

# customers come in batches; each time the report is looked at
sub run_canary
{
	my ($version, $batches, $size) = @_;
	my @verdicts;

	# the split leaves out the first minute, which nobody waits for here
	sql("SET client_min_messages = error; SELECT mlops_promote('churn', $version, share => 0.2)");
	sql("UPDATE mlops_catalog.deployment SET deployed_at = deployed_at - interval '1 minute'");
	for my $batch (0 .. $batches - 1)
	{
		my ($from, $to) = ($batch * $size + 1, ($batch + 1) * $size);

		sql("SELECT count(*) FROM mlops_score('churn', 'SELECT * FROM customer WHERE id BETWEEN $from AND $to', key => 'id')");
		sql(qq{SELECT count(mlops_record_outcome('churn', id, "left"::text, at => clock_timestamp())) FROM customer WHERE id BETWEEN $from AND $to});
		push @verdicts, sql(q{SELECT string_agg(verdict, ', ' ORDER BY side DESC) FROM mlops_canary_report('churn', clock_timestamp())
			WHERE side = 'split' OR (side = 'difference' AND metric = 'accuracy')});
	}
	sql("SET client_min_messages = error; SELECT mlops_rollback('churn')");
	return @verdicts;
}

my @same = run_canary(2, 40, 250);
is(scalar(grep { $_ ne 'balanced, undecided' } @same), 0, 'a canary as good as the active version is not judged, however often it is looked at');
my @worse = run_canary(3, 10, 500);
is($worse[-1], 'balanced, canary is worse', 'one that is worse is found');
is(scalar(grep { /better|broken/ } @worse), 0, 'and nothing else was said before');

$node->stop;
done_testing();
