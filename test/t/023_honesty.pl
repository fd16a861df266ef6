# Statistical honesty by simulation: intervals of 95 % hold the truth in 93 to 97 of
# 100 sets, two versions that are equal in truth are called different in 6 of 100
# comparisons at most, and one that is worse is found by the rows that were
# said to be needed. All draws are the server's, from fixed seeds.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $sets = 2000;

my $node = PostgreSQL::Test::Cluster->new('honesty');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION mlops');

# Rows of two classes: a probability of 0.1 to 0.9 is drawn, then the class; the
# score q is that probability, somewhat wrong. The truth of every metric is its value on
# the population: each probability with each class, by weight. Rows of odd tenths
# are sampled at a quarter of the rate and weigh 4. e and z are standard normal.
$node->safe_psql('postgres', qq{
SELECT setseed(0.42);
CREATE TABLE population AS
SELECT k / 10.0::float8 AS p, y::float8, (k / 10.0 * 0.8 + 0.05)::float8 AS q, CASE y WHEN 1 THEN k / 10.0 ELSE 1 - k / 10.0 END::float8 AS share,
       CASE WHEN k % 2 = 1 THEN 4.0 ELSE 1.0 END::float8 AS weight
  FROM generate_series(1, 9) AS k, generate_series(0, 1) AS y;
CREATE TABLE drawn AS
SELECT s, array_agg(y ORDER BY i) AS y, array_agg(q ORDER BY i) AS q, array_agg(weight ORDER BY i) AS weight,
       array_agg(1 / (1 + exp(1 - 2 * y - e)) ORDER BY i) AS one, array_agg(1 / (1 + exp(1 - 2 * y - z)) ORDER BY i) AS two,
       array_agg(1 / (1 + exp(1 - 2 * y - e - 0.5 * z)) ORDER BY i) AS worse,
       array_agg(3 * z ORDER BY i) AS number, array_agg(3 * z + 2 * e ORDER BY i) AS predicted, array_agg(3 * z + 2 * d ORDER BY i) AS predicted_too
  FROM (SELECT s, i, (random() < k / 10.0)::int::float8 AS y, (k / 10.0 * 0.8 + 0.05)::float8 AS q, CASE WHEN k % 2 = 1 THEN 4.0 ELSE 1.0 END::float8 AS weight,
               sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS e, sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS z,
               sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS d
          FROM (SELECT s, i, 1 + floor(random() * 9)::int AS k FROM generate_series(1, $sets) AS s, generate_series(1, 250) AS i) AS a) AS b
 GROUP BY s;
});

# share of sets whose interval holds the truth, by metric
sub covered
{
	my ($name, $sql) = @_;
	foreach my $line (split /\n/, $node->safe_psql('postgres', $sql))
	{
		my ($metric, $share, $n) = split /\|/, $line;
		$share += 0;
		ok($share >= 0.93 && $share <= 0.97 && $n == $sets, "$name: $metric is held by $share of $n intervals");
	}
	return;
}

covered('two classes', q{
WITH truth AS (SELECT m, (mlops.interval_of(array_agg(q), array_agg(y), m, array_agg(share))).value AS t
                 FROM population, unnest('{roc_auc,accuracy,log_loss,brier,f1,precision,recall,specificity,balanced_accuracy,mcc}'::text[]) AS m GROUP BY m)
SELECT m, avg((t BETWEEN (r).low AND (r).high)::int), count((r).low)
  FROM (SELECT m, t, mlops.interval_of(q, y, m) AS r FROM truth, drawn) AS a GROUP BY m ORDER BY m});

covered('weighted', q{
WITH truth AS (SELECT m, (mlops.interval_of(array_agg(q), array_agg(y), m, array_agg(share * weight))).value AS t
                 FROM population, unnest('{roc_auc,accuracy,log_loss,f1}'::text[]) AS m GROUP BY m)
SELECT m, avg((t BETWEEN (r).low AND (r).high)::int), count((r).low)
  FROM (SELECT m, t, mlops.interval_of(q, y, m, weight) AS r FROM truth, drawn) AS a GROUP BY m ORDER BY m});

# errors are normal with deviation 2, numbers with deviation 3
covered('numbers', q{
SELECT m, avg((t BETWEEN (r).low AND (r).high)::int), count((r).low)
  FROM (SELECT m, t, mlops.interval_of(predicted, number, m) AS r
          FROM drawn, (VALUES ('rmse', 2), ('mae', 2 * sqrt(2 / pi())), ('r2', 1 - 4 / 9.0)) AS v (m, t)) AS a GROUP BY m ORDER BY m});

# Two scores of the same rows with noise of the same size: equal in truth.
my $equal = q{
SELECT m, avg(((r).p_value < 0.05)::int), avg(((r).low > 0 OR (r).high < 0)::int)
  FROM (%s) AS a GROUP BY m ORDER BY m};
foreach my $of (
	q{SELECT m, mlops.difference_of(one, two, y, m) AS r FROM drawn, unnest('{roc_auc,accuracy,log_loss,brier,f1,recall}'::text[]) AS m},
	q{SELECT m, mlops.difference_of(predicted, predicted_too, number, m) AS r FROM drawn, unnest('{rmse,mae}'::text[]) AS m})
{
	foreach my $line (split /\n/, $node->safe_psql('postgres', sprintf($equal, $of)))
	{
		my ($metric, $told, $apart) = map { $_ eq "" || /[a-z]/ ? $_ : $_ + 0 } split /\|/, $line;
		ok($told <= 0.06, "equal versions are told apart by $metric in $told of comparisons");
		ok($apart <= 0.07, "intervals of the difference in $metric leave out 0 in $apart");
	}
}

# A worse score is told by the number of rows that is said to be needed in about four of five
# comparisons: the median of what 250 rows say, tried with as many rows.
my $needed = $node->safe_psql('postgres', q{
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (r).needed)::int FROM (SELECT mlops.difference_of(one, worse, y, 'log_loss') AS r FROM drawn WHERE s <= 500) AS a});
my $found = $node->safe_psql('postgres', qq{
SELECT setseed(0.7);
SELECT avg(((r).p_value < 0.05)::int) FROM (
SELECT mlops.difference_of(array_agg(1 / (1 + exp(1 - 2 * y - e))), array_agg(1 / (1 + exp(1 - 2 * y - e - 0.5 * z))), array_agg(y), 'log_loss') AS r
  FROM (SELECT s, (random() < k / 10.0)::int::float8 AS y, sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS e, sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS z
          FROM (SELECT s, 1 + floor(random() * 9)::int AS k FROM generate_series(1, 400) AS s, generate_series(1, $needed) AS i) AS a) AS b GROUP BY s) AS c});
$found =~ s{.*\n}{}s;
$found += 0;
ok($found >= 0.65 && $found <= 0.95, "with $needed rows, $found of comparisons tell the worse one");

# The bootstrap is dearer: fewer sets.
my $held = $node->safe_psql('postgres', q{
WITH truth AS (SELECT (mlops.interval_of(array_agg(q), array_agg(y), 'pr_auc', array_agg(share))).value AS t FROM population)
SELECT avg((t BETWEEN (r).low AND (r).high)::int) FROM (SELECT t, mlops.interval_of(q, y, 'pr_auc') AS r FROM truth, drawn WHERE s <= 150) AS a});
$held += 0;
ok($held >= 0.9, "the bootstrap's interval of pr_auc holds the truth in $held of 150 sets");

$node->stop;
done_testing();
