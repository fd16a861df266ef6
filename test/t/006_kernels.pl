# The same rows give the same bytes, whichever kernel of OpenBLAS runs and wherever memory happens to lie.
#
# OpenBLAS chooses a kernel by the processor; for one that it does not know it falls back to Prescott, which
# adds up in another order where its operands are aligned in another way. What is allocated before a fit
# moves them: here it is a note of another length, a procedure or a function, and a new session.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %call = (
	'linear regression' => q('y', 'linear_regression'),
	ridge => q('y', 'linear_regression', '{"l2": 1}'),
	lasso => q('y', 'linear_regression', '{"l1": 1}'),
	'logistic regression' => q('two', 'logistic_regression'),
	'logistic lasso' => q('two', 'logistic_regression', '{"l1": 0.1}'),
	multinomial => q('three', 'logistic_regression'),
	'multinomial by L-BFGS' => q('three', 'logistic_regression', '{"solver": "lbfgs"}'),
	poisson => q('n', 'glm', '{"family": "poisson"}'),
	'support vector machine' => q('two', 'linear_svm'),
	network => q('y', 'mlp', '{"max_epochs": 5}'),
	'naive Bayes' => q('three', 'naive_bayes'),
	boosting => q('two', 'gradient_boosting', '{"trees": 5}'),
	forest => q('y', 'random_forest', '{"trees": 5}'),
	clusters => q(NULL, 'kmeans', '{"k": 4}'),
	components => q(NULL, 'pca'));

sub check_kernel
{
	my ($name, $kernel) = @_;
	local %ENV = %ENV;
	$ENV{OPENBLAS_CORETYPE} = $kernel if defined $kernel;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "fsync = off\nclient_min_messages = error\n");
	$node->start;
	$node->safe_psql('postgres', q{
		CREATE EXTENSION mlops;
		CREATE TABLE points AS
		SELECT i::float8 AS x, sin(i) AS s, cos(i * 1.3) AS c, i % 11 AS e, ARRAY[i % 5, i % 7]::float8[] AS v,
		       2 * i + 10 * sin(i) + i * 7919 % 101 AS y, i * 7919 % 101 + 30 * sin(i) > 50 AS two,
		       (ARRAY['u', 'v', 'w'])[1 + (i * 7919 % 101 + 5 * sin(i))::int % 3] AS three, i * 7919 % 13 AS n
		  FROM generate_series(1, 700) AS i;
		CREATE FUNCTION train_often(model text, target text, algorithm text, params jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			FOR i IN 1 .. 6 LOOP
				PERFORM mlops_train_now(model, 'points', target, algorithm => algorithm, params => params, features => '{x, s, c, e, v}', note => repeat('n', i * 5));
			END LOOP;
		END $$});
	foreach my $model (sort keys %call)
	{
		my ($target, $algorithm, $params) = split /, /, $call{$model}, 3;
		my $call = "CALL mlops_train('$model', 'points', $target, $algorithm, features => '{x, s, c, e, v}'" . ($params ? ", params => $params" : '');

		$node->safe_psql('postgres', "SELECT train_often('$model', $call{$model})");
		$node->safe_psql('postgres', "$call);\n$call, note => 'a note');\n$call, note => '" . 'n' x 50 . "');");
	}
	my $ran = $node->safe_psql('postgres', q{SELECT DISTINCT substring(builds ->> 'blas' FROM 'kernel (.*)') FROM mlops.version});
	foreach my $model (sort keys %call)
	{
		is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT sha256) FROM mlops_catalog.version WHERE model = '$model'"),
			'9|1', "$model, kernel $ran: 9 trainings, the same bytes");
	}
	$node->stop;
	return;
}

check_kernel('own');
check_kernel('fallback', 'Prescott');
done_testing();
