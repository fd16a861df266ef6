# On real data forests score as scikit-learn's do: the mean AUC (classes) or R
# squared (numbers) over five folds is no more than 0.005 below that of a
# random forest with like parameters on the very same folds. The fold is a
# column computed here. A thousand rows say little of one seed: there both sides
# are means over several. 013_folds.pl does the same for boosting.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use RealData;
use Test::More;

my $folder = data_folder();

plan skip_all => 'python3-sklearn or python3-pandas is not installed'
  if $ENV{MLOPS_NO_SKLEARN} || system('/usr/bin/python3 -c "import sklearn, pandas" >/dev/null 2>&1') != 0;

my $node = data_server($folder, 'trees', 1);

my @sets = (
	{ name => 'telco_churn', drop => 'customer_id', target => 'churn', positive => 'Yes' },
	{ name => 'german_credit', drop => '', target => 'class', positive => '2', seeds => 4 },
	{ name => 'bike_hour', drop => 'instant, dteday, casual, registered', target => 'cnt' },
	{ name => 'wine_quality', drop => '', target => 'quality' },);

for my $set (@sets)
{
	my $drop = join '', map { "ALTER TABLE folds DROP COLUMN $_;" } split /, /, $set->{drop};

	$node->safe_psql('postgres',
		"DROP TABLE IF EXISTS folds; CREATE TABLE folds AS SELECT t.*, row_number() OVER (ORDER BY md5(t::text), ctid) % 5 AS fold "
		. "FROM ds.$set->{name} AS t; $drop");
	my $ours = mean(map { my $seed = $_; map { score_fold($set, $_, $seed) } 0 .. 4 } 1 .. ($set->{seeds} // 1));
	my $theirs = mean(their_scores($set));

	cmp_ok($ours, '>=', $theirs - 0.005, "$set->{name}: mean over 5 folds is no worse than scikit-learn's");
	note("ours $ours, scikit-learn $theirs");
}

# Trains on the other folds and scores this one.
sub score_fold
{
	my ($set, $fold, $seed) = @_;
	my $label = $set->{positive} ? "$set->{target} = '$set->{positive}'" : $set->{target};
	my $model = "$set->{name}_forest";
	my $version = train($node, $model, "SELECT * FROM folds WHERE fold <> $fold", $set->{target},
		algorithm => q{'random_forest'}, exclude => q{'{fold}'}, holdout => 0, seed => $seed);
	my $scored = "SELECT mlops_predict('$model/$version', t) AS score, $label AS label FROM folds AS t WHERE fold = $fold";

	return $node->safe_psql('postgres', $set->{positive}
		? "SELECT (sum(r) FILTER (WHERE label) - p * (p + 1) / 2) / (p * (n - p)) FROM "
		. "(SELECT label, rank() OVER (ORDER BY score) + (count(*) OVER (PARTITION BY score) - 1) / 2.0 AS r, "
		. "count(*) FILTER (WHERE label) OVER () AS p, count(*) OVER () AS n FROM ($scored) AS s) AS q GROUP BY p, n"
		: "SELECT 1 - sum((label - score) ^ 2) / (count(*) * var_pop(label)) FROM ($scored) AS s");
}

sub their_scores
{
	my ($set) = @_;
	my $file = $node->basedir . '/folds.csv';
	my ($out, $err);

	$node->safe_psql('postgres', "COPY folds TO '$file' (FORMAT csv, HEADER)");
	IPC::Run::run([ '/usr/bin/python3', "$FindBin::Bin/trees.py", $file, $set->{target}, $set->{positive} // '', $set->{seeds} // 1 ],
		'>', \$out, '2>', \$err) or die "scikit-learn failed: $err";
	return split /\n/, $out;
}

sub mean
{
	my $sum = 0;

	$sum += $_ for @_;
	return $sum / @_;
}

$node->stop;
done_testing();
