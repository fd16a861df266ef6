# The error rates that gates state, by simulation: two models that are equally
# good in truth, and different in noise. At the boundary of what is allowed a
# strict gate lets a version pass in 2.5 % of the cases, and a lenient one stops
# it in 2.5 %; what lies in between cannot be told.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('gates');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nclient_min_messages = error\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION mlops');

# y follows a and b alike, so that a model that knows a is as good as one that knows b. A set of
# 300 rows is drawn anew for each of the simulations.
$node->safe_psql('postgres', q{
	SELECT mlops_create_model('sim', target => 'y', metric => 'roc_auc');
	SELECT mlops_import('sim', '{"(intercept)": 0, "a": 1}', options => '{"link": "logit", "target": "y"}');
	SELECT mlops_import('sim', '{"(intercept)": 0, "b": 1}', options => '{"link": "logit", "target": "y"}');
	SELECT mlops_import('sim', '{"(intercept)": 0, "a": 1, "b": 1}', options => '{"link": "logit", "target": "y"}');
	SELECT mlops_promote('sim', 1);
	CREATE TABLE drawn (id int, a float8, b float8, y boolean);
	SELECT mlops_set_gate('sim', 'strict', metric => 'roc_auc', max_drop => 0, validation_set => 'drawn');
	SELECT mlops_set_gate('sim', 'lenient', metric => 'roc_auc', max_drop => 0, proof => 'worse', validation_set => 'drawn');
	SELECT mlops_set_gate('sim', 'brier', metric => 'brier', max_drop => 0, validation_set => 'drawn');
	SELECT mlops_set_gate('sim', 'gain', metric => 'roc_auc', min_gain => 0, validation_set => 'drawn');
	CREATE TABLE heard (simulation int, version int, gate text, verdict text, difference float8);

	CREATE FUNCTION normal() RETURNS float8 LANGUAGE sql AS
		'SELECT sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())';
	CREATE PROCEDURE simulate(first int, last int) LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM mlops_create_validation_set('sim', 'drawn', 'SELECT * FROM drawn', target => 'y', key => 'id');
		FOR i IN first .. last LOOP
			PERFORM setseed(i / 100000.0);
			TRUNCATE drawn;
			INSERT INTO drawn SELECT n, a, b, random() < 1 / (1 + exp(-(a + b)))
			  FROM (SELECT n, normal() AS a, normal() AS b FROM generate_series(1, 300) AS n OFFSET 0) AS d;
			PERFORM mlops_refresh_validation_set('sim', 'drawn');
			INSERT INTO heard SELECT i, v, g.gate, g.verdict, g.difference
			  FROM generate_series(2, 3) AS v, mlops_check_gates('sim', v) AS g;
			COMMIT;
		END LOOP;
		PERFORM mlops_drop_validation_set('sim', 'drawn');
		COMMIT;
	END $$;
});
my $simulations = 1000;
for (my $first = 1; $first <= $simulations; $first += 100)
{
	$node->safe_psql('postgres', "CALL simulate($first, " . ($first + 99) . ")");
}

sub share
{
	my ($version, $gate, $verdict) = @_;
	return $node->safe_psql('postgres', qq{
		SELECT round(avg((verdict = '$verdict')::int), 4) FROM heard WHERE version = $version AND gate = '$gate'});
}

is($node->safe_psql('postgres', 'SELECT count(*) FROM heard'), $simulations * 8, 'every gate was heard in every simulation');
note("equal models: " . $node->safe_psql('postgres', q{
	SELECT string_agg(gate || ' ' || verdict || ' ' || n, ', ' ORDER BY gate, verdict)
	  FROM (SELECT gate, verdict, count(*) AS n FROM heard WHERE version = 2 GROUP BY gate, verdict) AS c}));

# three standard errors of a share of 2.5 % in 1000 simulations are 1.5 %
cmp_ok(share(2, 'strict', 'pass'), '<=', 0.04, 'a strict gate lets at most 2.5 % pass at the boundary');
cmp_ok(share(2, 'strict', 'pass'), '>=', 0.01, 'and not fewer than it says');
cmp_ok(share(2, 'strict', 'fail'), '<=', 0.04, 'it says "worse" of at most 2.5 %');
cmp_ok(share(2, 'strict', 'cannot tell'), '>=', 0.92, 'of the others it cannot tell');
cmp_ok(share(2, 'lenient', 'fail'), '<=', 0.04, 'a lenient gate stops at most 2.5 %');
cmp_ok(share(2, 'lenient', 'pass'), '>=', 0.96, 'and lets the others pass');
cmp_ok(share(2, 'brier', 'pass'), '<=', 0.04, 'likewise where less is better');
cmp_ok(share(2, 'brier', 'fail'), '<=', 0.04, 'on both sides');
cmp_ok(share(2, 'gain', 'pass'), '<=', 0.04, 'no gain is found where there is none');

# a version that knows both is better indeed: nearly always found, never called worse
cmp_ok(share(3, 'strict', 'pass'), '>=', 0.9, 'a better version passes');
is(share(3, 'strict', 'fail') + 0, 0, 'and never fails');
cmp_ok(share(3, 'gain', 'pass'), '>=', 0.9, 'its gain is found');

$node->stop;
done_testing();
