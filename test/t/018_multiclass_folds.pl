# On real data logistic_regression with several classes predicts as
# scikit-learn's does: mean log-loss and mean accuracy over the same five folds
# are within 0.005. Needs Debian's python3-sklearn.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use RealData;
use Test::More;

my $folder = data_folder();

plan skip_all => 'python3-sklearn is not installed'
  if $ENV{MLOPS_NO_SKLEARN} || system('/usr/bin/python3 -c "import sklearn, pandas" >/dev/null 2>&1') != 0;
my $node = data_server($folder, 'multiclass', 1);

# classes too rare for every fold are grouped
my @sets = (
	{ name => 'penguins', target => 'species', columns => 't.*' },
	{ name => 'seattle_weather', target => 'weather', columns => 'precipitation, temp_max, temp_min, wind, weather' },
	{ name => 'wine_quality', target => 'grade',
		columns => q{fixed_acidity, volatile_acidity, citric_acid, residual_sugar, chlorides, free_sulfur_dioxide, }
		  . q{total_sulfur_dioxide, density, ph, sulphates, alcohol, color, 'q' || least(greatest(quality, 4), 8) AS grade} },);

for my $set (@sets)
{
	my ($target, $file) = ($set->{target}, $node->basedir . '/folds.csv');
	my ($loss, $accuracy) = (0, 0);
	my ($out, $err);

	$node->safe_psql('postgres', "DROP TABLE IF EXISTS folds; CREATE TABLE folds AS SELECT $set->{columns}, "
		  . "row_number() OVER (ORDER BY md5(t::text), ctid) % 5 AS fold FROM ds.$set->{name} AS t; "
		  . "COPY folds TO '$file' (FORMAT csv, HEADER)");
	for my $fold (0 .. 4)
	{
		my $version = train($node, $set->{name}, "SELECT * FROM folds WHERE fold <> $fold", $target,
			params => q{'{"l2": 1, "min_category_rows": 1}'}, exclude => q{'{fold}'}, holdout => 0);
		my ($l, $a) = split /\|/, $node->safe_psql('postgres',
			"SELECT avg(-ln(greatest((mlops_predict_proba('$set->{name}/$version', t) ->> $target)::float8, 1e-15))), "
			  . "avg((mlops_predict_label('$set->{name}/$version', t) = $target)::int) FROM folds AS t WHERE fold = $fold");

		$loss += $l / 5;
		$accuracy += $a / 5;
	}
	IPC::Run::run([ '/usr/bin/python3', "$FindBin::Bin/multiclass_folds.py", $file, $target ], '>', \$out, '2>', \$err)
	  or die "scikit-learn failed: $err";
	my ($their_loss, $their_accuracy) = split ' ', $out;

	cmp_ok(abs($loss - $their_loss), '<=', 0.005, "$set->{name}: mean log-loss is scikit-learn's")
	  or diag("ours $loss, scikit-learn $their_loss");
	cmp_ok(abs($accuracy - $their_accuracy), '<=', 0.005, "$set->{name}: mean accuracy is scikit-learn's")
	  or diag("ours $accuracy, scikit-learn $their_accuracy");
}

$node->stop;
done_testing();
