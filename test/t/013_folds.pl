# On real data the penalised learners score as scikit-learn's do: the mean AUC
# (classes) or R squared (numbers) over five folds is within 0.005. The fold is
# a column computed here. Where Debian's python3-sklearn is installed, it is
# scored on the very same folds; elsewhere ours is compared with the published
# reference score, over 10 ways of dividing, with 2 standard errors of that
# mean allowed for the difference in folds. Elec2 is divided in time order.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use RealData;
use Test::More;

my $folder = data_folder();
my $node = data_server($folder, 'folds', 1);
my $sklearn = !$ENV{MLOPS_NO_SKLEARN}
  && system('/usr/bin/python3 -c "import sklearn, pandas" >/dev/null 2>&1') == 0;

note($sklearn
	? 'compared with scikit-learn on the same folds'
	: 'python3-sklearn is not installed: compared with the published scores');

my @sets = (
	{ name => 'telco_churn', drop => 'customer_id', target => 'churn', positive => 'Yes', published => 0.8454 },
	{ name => 'german_credit', drop => '', target => 'class', positive => '2', published => 0.7915 },
	{ name => 'bike_hour', drop => 'instant, dteday, casual, registered', target => 'cnt', published => 0.3878 },
	{ name => 'diamonds', drop => '', target => 'price', published => 0.9196 },
	{ name => 'wine_quality', drop => '', target => 'quality', published => 0.2923 },
	{ name => 'elec2', drop => 'row_id, date', target => 'class_up', positive => '1', ordered => 'row_id' },);

for my $set (@sets)
{
	if ($sklearn || $set->{ordered})
	{
		my $ours = mean(our_scores($set, 0));

		next unless $sklearn;
		my $theirs = mean(their_scores($set));

		cmp_ok(abs($ours - $theirs), '<=', 0.005, "$set->{name}: mean over 5 folds is scikit-learn's")
		  or diag("ours $ours, scikit-learn $theirs");
	}
	else
	{
		my @means = map { mean(our_scores($set, $_)) } 1 .. 10;
		my $center = mean(@means);
		my $error = sqrt(mean(map { ($_ - $center)**2 } @means));

		cmp_ok(abs($center - $set->{published}), '<=', 0.005 + 2 * $error,
			"$set->{name}: mean over 5 folds is the published one")
		  or diag("ours $center, published $set->{published}, standard error $error");
	}
}

# elec2: trained on the first 70 % of the rows in time, tested on the rest
fold_table($sets[-1], 0, q{CASE WHEN row_number() OVER (ORDER BY row_id) <= 0.7 * count(*) OVER () THEN 1 ELSE 0 END});
my $forward = score_fold($sets[-1], 0);
cmp_ok(abs($forward - 0.8085), '<=', 0.005, 'elec2: AUC forward in time is the published one')
  or diag("ours $forward, published 0.8085");

# Makes table folds: the data set with a column fold.
sub fold_table
{
	my ($set, $seed, $fold) = @_;
	my $drop = join '', map { "ALTER TABLE folds DROP COLUMN $_;" } grep { $_ } split /, /, $set->{drop};

	$fold //= $set->{ordered}
	  ? "ntile(5) OVER (ORDER BY $set->{ordered}) - 1"
	  : "row_number() OVER (ORDER BY md5('$seed' || t::text), ctid) % 5";
	$node->safe_psql('postgres',
		"DROP TABLE IF EXISTS folds; CREATE TABLE folds AS SELECT t.*, $fold AS fold FROM ds.$set->{name} AS t; $drop");
}

sub our_scores
{
	my ($set, $seed) = @_;

	fold_table($set, $seed);
	return map { score_fold($set, $_) } 0 .. 4;
}

# Trains on the other folds and scores this one.
sub score_fold
{
	my ($set, $fold) = @_;
	my $target = $set->{target};
	my $algorithm = $set->{positive} ? 'logistic_regression' : 'linear_regression';
	my $label = $set->{positive} ? "$target = '$set->{positive}'" : $target;
	my $version = train($node, $set->{name}, "SELECT * FROM folds WHERE fold <> $fold", $target,
		algorithm => "'$algorithm'",
		params => q{'{"l2": 1, "impute": "median"}'},
		exclude => q{'{fold}'}, holdout => 0);
	my $scored = "SELECT mlops_predict('$set->{name}/$version', t) AS score, $label AS label FROM folds AS t WHERE fold = $fold";

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
	IPC::Run::run([ '/usr/bin/python3', "$FindBin::Bin/folds.py", $file, $set->{target}, $set->{positive} // '' ],
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
