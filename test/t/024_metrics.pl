# Every metric is that of scikit-learn, to a relative 1e-12, on ten random sets
# with weights and many ties; and it is the same whether rows are added up in one
# go, by parallel workers, or in eight states that went through text and merged.
use strict;
use warnings;

use FindBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'python3-sklearn is not installed'
  if $ENV{MLOPS_NO_SKLEARN} || system('/usr/bin/python3 -c "import sklearn" >/dev/null 2>&1') != 0;

my $node = PostgreSQL::Test::Cluster->new('metrics');
$node->init;
$node->append_conf('postgresql.conf', "jit = off\nmin_parallel_table_scan_size = 0\nparallel_setup_cost = 0\nparallel_tuple_cost = 0");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION mlops');

# what the sets are made of; scores and errors take few values, so that many are equal
my %source = (
	scores => q{SELECT i, round(((random() * 2 + label::int) / 3)::numeric, 2)::float8 AS score, label, random() * 3 + 0.1 AS weight
	              FROM (SELECT i, random() < 0.4 AS label FROM generate_series(1, 900) AS i) AS r},
	numbers => q{SELECT i, round((label * (0.5 + random()))::numeric, 1)::float8 + 0.1 AS prediction, label, random() * 3 + 0.1 AS weight
	               FROM (SELECT i, (1 + (random() * 40)::int)::float8 / 4 AS label FROM generate_series(1, 900) AS i) AS r},
	classes => q{SELECT i, label, ARRAY[a / s, b / s, c / s, d / s] AS p, weight, 'c' || label AS class,
	                    'c' || CASE greatest(a, b, c, d) WHEN a THEN 1 WHEN b THEN 2 WHEN c THEN 3 ELSE 4 END AS said
	               FROM (SELECT *, a + b + c + d AS s FROM (SELECT i, label, random() + (label = 1)::int AS a, random() + (label = 2)::int AS b,
	                            random() + (label = 3)::int AS c, random() AS d, random() * 3 + 0.1 AS weight
	                       FROM (SELECT i, 1 + (random() * 3)::int AS label FROM generate_series(1, 900) AS i) AS r) AS q) AS t},
	points => q{SELECT i, cluster, ARRAY[random() + cluster, random() * cluster, random()] AS x
	              FROM (SELECT i, (random() * 3)::int AS cluster FROM generate_series(1, 300) AS i) AS r});

# the columns that the Python side reads
my %exported = (
	scores => 'score, label::int, weight',
	numbers => 'prediction, label, weight',
	classes => 'label, p[1], p[2], p[3], p[4], weight',
	points => 'cluster, x[1], x[2], x[3]');

# the arguments of the aggregates
my %arguments = (
	scores => { map({ $_ => 'score, label, weight' } qw(accuracy balanced_accuracy precision recall f1 specificity mcc
			log_loss brier roc_auc pr_auc ks expected_calibration_error)) },
	numbers => { map({ $_ => 'prediction, label, weight' } qw(rmse mae median_absolute_error mape smape r2 explained_variance
			max_error poisson_deviance gamma_deviance)), pinball => 'prediction, label, 0.9, weight' },
	classes => { map({ $_ => 'said, class, weight' } qw(accuracy balanced_accuracy mcc macro_precision macro_recall macro_f1
			micro_precision micro_recall micro_f1)), map({ $_ => q{said, class, 'c2', weight} } qw(precision recall)),
		map({ $_ => 'p, label, weight' } qw(log_loss brier expected_calibration_error)), top_k_accuracy => 'p, label, 2, weight' },
	points => { map { $_ => 'x, cluster' } qw(silhouette inertia) });

# the same again, where there is another form
my @others = (
	[ classes => log_loss => q{jsonb_build_object('c1', p[1], 'c2', p[2], 'c3', p[3], 'c4', p[4]), class, weight} ],
	[ classes => brier => q{jsonb_build_object('c1', p[1], 'c2', p[2], 'c3', p[3], 'c4', p[4]), class, weight} ],
	[ classes => expected_calibration_error => q{jsonb_build_object('c1', p[1], 'c2', p[2], 'c3', p[3], 'c4', p[4]), class, weight} ],
	[ classes => top_k_accuracy => q{jsonb_build_object('c1', p[1], 'c2', p[2], 'c3', p[3], 'c4', p[4]), class, 2, weight} ],
	[ classes => accuracy => q{p, label, weight} ],
	[ scores => accuracy => 'score, label, weight, 0.5' ],
	[ scores => f1 => q{(score >= 0.5)::text, label::text, 'true', weight} ],
	[ scores => log_loss => 'ARRAY[1 - score, score], label::int + 1, weight' ],
	[ scores => brier => 'ARRAY[1 - score, score], label::int + 1, weight' ]);

my %wrong;
my @files;

# all sets first, since importing scikit-learn takes a second
for my $set (1 .. 10)
{
	for my $kind (sort keys %source)
	{
		my $table = "${kind}_$set";
		my $file = $node->basedir . "/$table.csv";

		$node->safe_psql('postgres', "SELECT setseed($set / 100.0); CREATE TABLE $table AS $source{$kind}; "
			. "ANALYZE $table; ALTER TABLE $table SET (parallel_workers = 2)");
		append_to_file($file, $node->safe_psql('postgres', "COPY (SELECT $exported{$kind} FROM $table ORDER BY i) TO STDOUT CSV HEADER") . "\n");
		push @files, $file;
	}
}

# table => { metric => value }
my %theirs;
for my $line (split /\n/, `/usr/bin/python3 $FindBin::Bin/metrics.py @files`)
{
	my ($table, $metric, $value) = split ' ', $line;

	$theirs{$table}{$metric} = $value;
}
for my $set (1 .. 10)
{
	for my $kind (sort keys %source)
	{
		my $of = $theirs{"${kind}_$set"};

		is_deeply([ sort keys %$of ], [ sort keys %{ $arguments{$kind} } ], "set $set: all metrics of $kind");
		judge($set, $kind, [ (map { [ $_, $arguments{$kind}{$_} ] } sort keys %$of),
				(map { [ $_->[1], $_->[2] ] } grep { $_->[0] eq $kind } @others) ], $of);
	}
}
is_deeply(\%wrong, {}, "as scikit-learn's: in one go, in parallel, as merged states, on all sets");

# one go, two workers, and eight states by way of text
sub judge
{
	my ($set, $kind, $asked, $theirs) = @_;
	my (@direct, @parallel, @merged, @states);

	for my $i (0 .. $#$asked)
	{
		my ($metric, $arguments) = @{ $asked->[$i] };
		my $close = sub { "abs($_[0] - $theirs->{$metric}) <= 1e-12 * abs($theirs->{$metric})" };

		push @direct, $close->("mlops_$metric($arguments)");
		push @parallel, $close->("(mlops.final(mlops_${metric}_state($arguments)) ->> 'value')::float8");
		push @states, "mlops_${metric}_state($arguments) AS s$i";
		push @merged, $close->("(mlops.final(mlops.merge(s$i\::text::mlops.metric_state)) ->> 'value')::float8");
	}
	my $answer = $node->safe_psql('postgres',
		"SET max_parallel_workers_per_gather = 0; SELECT concat_ws(' ', " . join(', ', @direct) . ") FROM ${kind}_$set;"
		. "SELECT concat_ws(' ', " . join(', ', @merged) . ") FROM (SELECT " . join(', ', @states) . " FROM ${kind}_$set GROUP BY i % 8) AS parts;"
		. "SET max_parallel_workers_per_gather = 2; SELECT concat_ws(' ', " . join(', ', @parallel) . ") FROM ${kind}_$set");
	my @outcomes = map { [split] } split /\n/, $answer;

	for my $i (0 .. $#$asked)
	{
		my $outcome = join ' ', map { $_->[$i] // '?' } @outcomes;

		push @{ $wrong{"$kind $asked->[$i][0] ($asked->[$i][1])"} }, "$set: $outcome" if $outcome ne 't t t';
	}
}

# above a million different scores states keep bins: what is exact lies within their bounds, which are near
$node->safe_psql('postgres', q{
	SET seed = 0.3;
	CREATE TABLE many AS SELECT i % 3 AS part, random() AS score, random() ^ 2 AS other, 0.5 + random() AS weight FROM generate_series(1, 1100000) AS i;
	ALTER TABLE many ADD label boolean; UPDATE many SET label = other < score});
my %binned = (roc_auc => 'score, label, weight', pr_auc => 'score, label, weight', ks => 'score, label, weight',
	gain => 'score, label, 0.13, weight', lift => 'score, label, 0.13, weight', median_absolute_error => 'score, other, weight');
for my $metric (sort keys %binned)
{
	is( $node->safe_psql('postgres', "SELECT exact BETWEEN (f ->> 'low')::float8 AND (f ->> 'high')::float8, (f ->> 'high')::float8 - (f ->> 'low')::float8 BETWEEN 1e-9 AND 5e-4 "
			. "FROM (SELECT mlops_$metric($binned{$metric}) AS exact FROM many) AS e, "
			. "(SELECT mlops.final(mlops.merge(s)) AS f FROM (SELECT mlops_${metric}_state($binned{$metric}) AS s FROM many GROUP BY part) AS parts) AS m"),
		't|t', "$metric of bins is within its bounds, which are near");
}

# the plan that was tested is the plan that is meant
like($node->safe_psql('postgres', 'EXPLAIN SELECT mlops_f1(score, label) FROM scores_1'),
	qr/Finalize Aggregate.*Partial Aggregate/s, 'metrics are added up by parallel workers');

done_testing();
