# What mlops_export writes scores alike elsewhere: PMML in an evaluator of its
# own (exchange.py, from the specification), XGBoost's JSON in XGBoost where
# Debian's python3-xgboost is installed. A model that XGBoost trained scores
# alike when it is imported.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $python = '/usr/bin/python3';

plan skip_all => 'there is no python3' if system("$python -c 'import csv' >/dev/null 2>&1") != 0;
my $xgboost = system("$python -c 'import xgboost, pandas' >/dev/null 2>&1") == 0;

my $node = PostgreSQL::Test::Cluster->new('exchange');
my $folder = PostgreSQL::Test::Utils::tempdir();

$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION mlops;
	SET client_min_messages = warning;
	CREATE TABLE visit AS
	SELECT ((i * 7919 % 997) / 10.0)::float4 AS age,
	       CASE WHEN i % 11 <> 0 THEN ((i * 104729 % 1009) / 100.0)::float4 END AS debt,
	       (ARRAY['basic', 'plus', 'pro "x" <&>'])[i % 4] AS plan,
	       i % 7 + (i * 7919 % 997) / 500 AS visits,
	       (i * 7919 % 997) / 997.0 + CASE i % 4 WHEN 1 THEN 0.4 ELSE 0 END + (i * 31337 % 1013) / 1013.0 > 1.1 AS bought
	  FROM generate_series(1, 2000) AS i;
	CALL mlops_train('linear', 'SELECT age, debt, plan, visits FROM visit', 'visits', params => '{"missing_indicator": true}');
	CALL mlops_train('logistic', 'SELECT age, debt, plan, bought FROM visit', 'bought');
	CALL mlops_train('poisson', 'SELECT age, debt, plan, visits FROM visit', 'visits', 'glm', '{"family": "poisson"}');
	CALL mlops_train('boosted', 'SELECT age, debt, plan, bought FROM visit', 'bought', 'gradient_boosting', '{"trees": 15}');
	CALL mlops_train('forest', 'SELECT age, debt, plan, visits FROM visit', 'visits', 'random_forest', '{"trees": 7}');
	CALL mlops_train('tree', 'SELECT age, debt, plan, visits FROM visit', 'visits', 'decision_tree');
	CALL mlops_train('cluster', 'SELECT age, debt, plan FROM visit', algorithm => 'kmeans');
});

# rows with values that training has not seen, as CSV
my $csv = "$folder/rows.csv";
$node->safe_psql('postgres', qq{
	CREATE TABLE row AS SELECT age, debt, plan FROM visit LIMIT 300;
	INSERT INTO row VALUES (NULL, 3, 'basic'), (10, NULL, NULL), (99, 1, 'unseen'), (-5, 100, 'plus');
	COPY (SELECT age::float8, debt::float8, plan FROM row) TO '$csv' (FORMAT csv, HEADER)});

sub elsewhere
{
	my ($model, @arguments) = @_;
	my ($out, $err);

	IPC::Run::run([ $python, "$FindBin::Bin/exchange.py", @arguments ], '>', \$out, '2>', \$err)
	  or die "$model: $err";
	return split /\n/, $out;
}

sub ours
{
	my ($model) = @_;

	return split /\n/, $node->safe_psql('postgres', "SELECT mlops_predict('$model/1', row) FROM row");
}

sub export
{
	my ($model, $format) = @_;
	my $path = "$folder/$model.$format";

	open my $file, '>', $path or die;
	print $file $node->safe_psql('postgres', "SELECT mlops_export('$model/1', '$format')");
	close $file;
	return $path;
}

sub largest_difference
{
	my ($a, $b) = @_;

	return 'another number of rows' if @$a != @$b;
	return max map { abs($a->[$_] - $b->[$_]) / max(1, abs $a->[$_]) } 0 .. $#$a;
}

for my $model (qw(linear logistic poisson boosted forest tree cluster))
{
	my $difference = largest_difference([ ours($model) ], [ elsewhere($model, 'pmml', export($model, 'pmml'), $csv) ]);

	cmp_ok($difference, '<', 1e-9, "$model as PMML scores alike");
}

SKIP:
{
	skip 'python3-xgboost or python3-pandas is not installed', 4 unless $xgboost;

	my $levels = '{"plan": ["basic", "plus", "pro \"x\" <&>", "unseen"]}';

	for my $model (qw(boosted forest tree))
	{
		my $difference = largest_difference([ ours($model) ],
			[ elsewhere($model, 'xgboost', export($model, 'xgboost'), $csv, $levels) ]);

		cmp_ok($difference, '<', 2e-6, "$model scores alike in XGBoost");
	}

	system_or_bail($python, '-c', <<"END");
import pandas as pd, xgboost as xgb
rows = pd.read_csv("$csv")
X = pd.DataFrame({"age": rows.age, "debt": rows.debt,
                  "plan": pd.Categorical(rows.plan, categories=["basic", "plus", 'pro "x" <&>', "unseen"])})
d = xgb.DMatrix(X, label=(rows.age.fillna(0) > 40) ^ (rows.plan == "plus"), enable_categorical=True)
b = xgb.train({"objective": "binary:logistic", "max_depth": 4, "tree_method": "hist", "max_cat_to_onehot": 1, "nthread": 1}, d, 12)
b.save_model("$folder/theirs.json")
open("$folder/theirs.txt", "w").write("\\n".join(repr(float(p)) for p in b.predict(d)))
END
	$node->safe_psql('postgres',
		"SELECT mlops_import('theirs', pg_read_file('$folder/theirs.json'), options => '{\"target\": \"bought\", \"levels\": $levels}')");
	open my $file, '<', "$folder/theirs.txt" or die;
	chomp(my @theirs = <$file>);
	cmp_ok(largest_difference([ ours('theirs') ], \@theirs), '<', 2e-6, 'a model of XGBoost scores alike here');
}

$node->stop;
done_testing();
