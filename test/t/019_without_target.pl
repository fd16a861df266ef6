# Learners without a target against figures from elsewhere: principal components
# of MADlib's documentation (P25), and an isolation forest on mammography (2.3 %
# of rows positive), whose score ranks the positive rows as scikit-learn's does:
# IsolationForest of 1.2.1 with its defaults has an AUC of 0.860 over the
# seeds 0 to 3, from 0.858 to 0.864.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use JSON::PP;
use RealData;
use Test::More;

my $folder = data_folder();
my %case = map { ($_->{id} => $_) } @{ data_json($folder, 'peer_cases.json')->{cases} };
my $node = data_server($folder, 'without_target', 1);

sub train_alone
{
	my ($model, $source, $algorithm, $params, %more) = @_;
	my $arguments = join '', map { ", $_ => $more{$_}" } sort keys %more;

	return $node->safe_psql('postgres',
		"SELECT mlops_train_now('$model', \$source\$$source\$source\$, algorithm => '$algorithm', params => '$params', holdout => 0$arguments)");
}

my $p25 = $case{P25};
my $rows = join ', ', map { "($_->[1], $_->[2], $_->[3])" } @{ $p25->{rows} };
train_alone('p25', "SELECT * FROM (VALUES $rows) AS t (v1, v2, v3)", 'pca', '{"components": 2, "standardise": false}');
my $facts = facts($node, 'p25', 1);
for my $q (0 .. 1)
{
	is_relative(sqrt($facts->{variance_by_component}[$q]), $p25->{recomputed}{std_dev}[$q],
		$p25->{compare_tolerance}, 'P25: standard deviation of component ' . ($q + 1));
	is_relative($facts->{share_by_component}[$q], $p25->{recomputed}{proportion}[$q],
		$p25->{compare_tolerance}, 'P25: share of component ' . ($q + 1));
}
my $loadings = JSON::PP->new->decode($node->safe_psql('postgres',
		"SELECT json_object_agg(term, abs(estimate)) FROM mlops_coefficients('p25/1') WHERE output = 'component 1'"));
is_relative($loadings->{"v$_"}, $p25->{recomputed}{pc1_abs}[ $_ - 1 ], $p25->{compare_tolerance}, "P25: loading of v$_") for (1, 3);
cmp_ok($loadings->{v2}, '<', 1e-9, 'P25: loading of v2');

my $sum = 0;
for my $seed (0 .. 3)
{
	my $version = train_alone('mammography', 'SELECT * FROM ds.mammography', 'isolation_forest', '{}',
		exclude => q{'{class}'}, seed => $seed);

	$sum += $node->safe_psql('postgres',
		"SELECT (sum(r) FILTER (WHERE label) - p * (p + 1) / 2) / (p * (n - p)) FROM "
	  . "(SELECT label, rank() OVER (ORDER BY score) + (count(*) OVER (PARTITION BY score) - 1) / 2.0 AS r, "
	  . "count(*) FILTER (WHERE label) OVER () AS p, count(*) OVER () AS n FROM "
	  . "(SELECT mlops_predict('mammography/$version', t) AS score, class = 1 AS label FROM ds.mammography AS t) AS s) AS q GROUP BY p, n");
}
cmp_ok(abs($sum / 4 - 0.860), '<', 0.015, 'mammography: an isolation forest ranks as well as scikit-learn\'s')
  or diag('AUC over four seeds: ' . $sum / 4);

# clusters of the same table, whose rows repeat thousands of times
train_alone('cells', 'SELECT a1, a2, a3, a4, a5, a6 FROM ds.mammography', 'kmeans', '{"k": 5, "tolerance": 0}');
my $again = $node->safe_psql('postgres',
	"SELECT abs(sum(d.least) / (facts ->> 'inertia')::float8 - 1) < 1e-9 FROM mlops.version AS v, ds.mammography AS m, "
  . "LATERAL (SELECT min(x) ^ 2 AS least FROM unnest(mlops_transform('cells/1', m)) AS x) AS d "
  . "WHERE v.model = 'cells' AND v.version = 1 GROUP BY facts");
is($again, 't', 'mammography: the inertia is that of the distances that scoring gives');

$node->stop;
done_testing();
