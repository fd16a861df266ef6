# mlp with its defaults is no worse than scikit-learn's MLPRegressor of the same
# size with early stopping: mean R squared over the same five folds and two
# seeds, of which one mean differs from another by about 0.005 by chance.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use RealData;
use Test::More;

plan skip_all => 'python3-sklearn is not installed'
  if $ENV{MLOPS_NO_SKLEARN} || system('/usr/bin/python3 -c "import sklearn" >/dev/null 2>&1') != 0;

my $seeds = 2;
my $node = data_server(data_folder(), 'networks', 1);

for my $set ([ 'wine_quality', 'quality', 'color' ], [ 'concrete', 'strength' ])
{
	my ($name, $target, @texts) = @$set;
	my $drop = join '', map { "ALTER TABLE folds DROP COLUMN $_;" } @texts;

	$node->safe_psql('postgres', "DROP TABLE IF EXISTS folds; CREATE TABLE folds AS "
		. "SELECT t.*, row_number() OVER (ORDER BY md5(t::text), ctid) % 5 AS fold FROM ds.$name AS t; $drop");

	my $theirs = their_score($target);
	my $ours = our_score($name, $target);

	cmp_ok($ours, '>=', $theirs - 0.01, "$name: R squared");
	note(sprintf 'ours %.4f, theirs %.4f', $ours, $theirs);
}

sub our_score
{
	my ($model, $target) = @_;
	my $sum = 0;

	for my $seed (1 .. $seeds)
	{
		for my $fold (0 .. 4)
		{
			my $version = train($node, $model, "SELECT * FROM folds WHERE fold <> $fold", $target,
				algorithm => q{'mlp'}, exclude => q{'{fold}'}, holdout => 0, seed => $seed);

			$sum += $node->safe_psql('postgres', "SELECT 1 - sum((label - score) ^ 2) / (count(*) * var_pop(label)) FROM "
				. "(SELECT mlops_predict('$model/$version', t) AS score, $target AS label FROM folds AS t WHERE fold = $fold) AS s");
		}
	}
	return $sum / (5 * $seeds);
}

sub their_score
{
	my ($target) = @_;
	my $file = $node->basedir . '/networks.csv';
	my ($out, $err);

	$node->safe_psql('postgres', "COPY folds TO '$file' (FORMAT csv, HEADER)");
	IPC::Run::run([ '/usr/bin/python3', "$FindBin::Bin/networks.py", $file, $target, $seeds ], '>', \$out, '2>', \$err)
	  or die "scikit-learn failed: $err";
	chomp $out;
	return $out;
}

$node->stop;
done_testing();
