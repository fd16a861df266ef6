# Checks in a server that preloads mlops: what failed on each call is counted
# whether it is logged or not, a part of a column that goes missing is told by
# its bound, and the checks of the rows agree with what SQL says of them.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('checks');

$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'mlops'
mlops.statistics_flush_interval = 100ms
fsync = off
});
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(q{
	CREATE EXTENSION mlops;
	CREATE TABLE trip (id int, km float8, zone text, tip float8, price float8);
	INSERT INTO trip SELECT i, 1 + i % 20, (ARRAY['north', 'south', 'airport'])[1 + i % 3], i % 4, 3 + 2 * (1 + i % 20) + i % 4 FROM generate_series(1, 600) i;
	ANALYZE trip;
	SELECT mlops_train_now('fare', 'trip', target => 'price', algorithm => 'linear_regression', key => 'id', exclude => '{id}');
	SELECT mlops_create_rules('fare', checks => '[
		{"name": "far", "check": "range", "column": "km", "high": 100, "severity": "hard"},
		{"name": "known zone", "check": "unseen", "column": "zone"},
		{"name": "tip feed", "check": "missing_share", "column": "tip", "high": 0.1},
		{"name": "zones", "check": "unseen_share", "column": "zone", "high": 0.2}]');
	SELECT mlops_promote('fare', 1, rules => 1);
	SELECT mlops_set_model('fare', '{"statistics": true}');
});

my $checks = q{SELECT name, severity, bound, rows, failed, round(share::numeric, 3), exceeded FROM mlops_checks('fare')};

is(sql($checks), "far|hard||0|0||\nknown zone|soft||0|0||\ntip feed|drift|0.1|0|0||\nzones|drift|0.2|0|0||",
	'before the first call there is nothing to say');

# ---- a good day ----

sql(q{SELECT sum(mlops_predict('fare', t)) FROM trip AS t; SELECT mlops_flush_statistics('30 s')});
is(sql($checks), "far|hard||600|0|0.000|\nknown zone|soft||600|0|0.000|\ntip feed|drift|0.1|600|0|0.000|f\nzones|drift|0.2|600|0|0.000|f",
	'rows as in training fail no check');

# ---- a bad one: kilometres become metres, zones are renamed, and a quarter of the tips is gone ----

my $bad = q{(SELECT id, km * CASE WHEN id % 50 = 0 THEN 1000 ELSE 1 END AS km, CASE WHEN id % 6 = 0 THEN 'harbour' ELSE zone END AS zone,
	CASE WHEN id % 4 > 0 THEN tip END AS tip FROM trip)};

is(sql("SELECT count(*) - count(mlops_predict('fare', t)) FROM $bad AS t; SELECT mlops_flush_statistics('30 s')"), "12\nt",
	'rows that fail a hard check are not answered');
is(sql(q{SELECT name, rows, failed, round(share::numeric, 3), exceeded FROM mlops_checks('fare')}),
	"far|1200|12|0.010|\nknown zone|1200|100|0.083|\ntip feed|1200|150|0.125|t\nzones|1200|100|0.083|f",
	'each failure is counted, and the share that exceeds its bound is told');
is(sql(q{SELECT sum(barred), sum(rows) FROM mlops.serving_statistics WHERE model = 'fare'}), '12|1200', 'rows that the version did not answer');
is(sql(q{SELECT count(*) FROM mlops.prediction}), '0', '... though no call is logged');

# ---- as it was, and for whom ----

is(sql(q{SELECT sum(rows) FROM mlops_checks('fare', as_of => now() - interval '3 days')}), '0', 'of a period before there were no calls');
sql('CREATE ROLE stranger LOGIN');
my ($code, $out, $err) = $node->psql('postgres', q{SELECT * FROM mlops_checks('fare')}, extra_params => [ '-U', 'stranger' ]);
isnt($code, 0, 'who may not read the model');
like($err, qr/permission denied for model "fare"/, '... sees nothing of it');

done_testing();
