# pg_dump carries models as it carries tables: restored into another database
# they score the same to the last bit, train the next number, promote and roll
# back. Formats: a plain script and a custom archive, into an empty database, over
# an older state, and as rows alone.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');

$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;

$node->safe_psql('postgres', 'CREATE DATABASE origin');
$node->safe_psql('origin', q{
	CREATE EXTENSION mlops;
	CREATE ROLE analyst;
	CREATE TABLE house (id int PRIMARY KEY, area float8, kind text, price float8);
	INSERT INTO house
	SELECT i, 50 + i % 97, (ARRAY['flat', 'row', NULL, 'villa'])[1 + i % 4], 1000 + 30 * (50 + i % 97) + (i * 37) % 101
	  FROM generate_series(1, 400) i;
	SELECT mlops_create_model('price', target => 'price', description => 'what a house costs');
	CALL mlops_train('price', 'house', algorithm => 'baseline', key => 'id');
	CALL mlops_train('price', 'house', algorithm => 'linear_regression', key => 'id', note => 'the real one',
	                 options => '{"keep_rows": true}');
	SELECT mlops_promote('price', 1, reason => 'something to begin with');
	SELECT mlops_promote('price', 2, reason => 'better', rules =>
	       mlops_create_rules('price', '[{"name": "villas", "when": "kind = ''villa''", "then": {"clip": [0, 3000]}}]',
	                          checks => '[{"name": "large", "check": "range", "column": "area", "high": 140, "severity": "hard"}, {"name": "gaps", "check": "missing_share", "high": 0.5}]'));
	SELECT mlops_set_alias('price', 'steady', 1);
	CALL mlops_train('rent', 'SELECT area, kind, price / 200 AS rent FROM house', 'rent');
	CALL mlops_train('rent', 'SELECT area, price / 200 AS rent FROM house', 'rent', algorithm => 'baseline');
	SELECT mlops_set_model('rent', '{"canary_salt": "spring"}');
	SELECT mlops_promote('rent', 1);
	SELECT mlops_promote('rent', 2, share => 0.3, rules =>
	       mlops_create_rules('rent', '[{"name": "cap", "when": "prediction > 10", "then": {"set": 10}}]'));
	SELECT mlops_grant('price', 'analyst', 'predict');
	-- before a retraining is asked for, which the tick would work off
	SELECT mlops_set_monitor('price', 'calls', 'volume', 10), mlops_set_model('price', '{"slo": "rmse <= 100"}');
	CALL mlops_tick();
	SELECT mlops_mute_alert('price', 1, until => 'infinity');
	SELECT mlops_set_retraining('price', every => '30 days', changes => '{"seed": 7}');
	SELECT mlops_request_retraining('price', 'to see it restored');
	SELECT mlops_create_metric('correlation', 'pg_catalog.corr', true, tasks => '{regression}', maximum => 1);
});

# everything a restored database must answer in the same way
my %question = (
	'scores' => q{SELECT md5(string_agg(mlops_predict('price', h)::text, ',' ORDER BY id)) FROM house h},
	'scores on both sides of a canary' => q{SELECT md5(string_agg(mlops_predict('rent', h, id)::text, ',' ORDER BY id)) FROM house h},
	'scores through an alias' => q{SELECT md5(string_agg(mlops_predict('price@steady', h)::text, ',' ORDER BY id)) FROM house h},
	'models' => q{SELECT string_agg(m::text, E'\n' ORDER BY model) FROM mlops.model m},
	'versions' => q{SELECT string_agg(v::text, E'\n' ORDER BY model, version) FROM mlops.version v},
	'runs' => q{SELECT string_agg(r::text, E'\n' ORDER BY started_at) FROM mlops.run r},
	'what serves' => q{SELECT string_agg(s::text, E'\n' ORDER BY model) FROM mlops.serving s},
	'history' => q{SELECT string_agg(d::text, E'\n' ORDER BY model, number) FROM mlops.deployment d},
	'rules' => q{SELECT string_agg(r::text, E'\n' ORDER BY model, number) FROM mlops.rule_set r},
	'checks' => q{SELECT string_agg(c::text, E'\n' ORDER BY model, position, column_name) FROM mlops.serving_check c},
	'kept rows' => q{SELECT count(*) || ' ' || md5(string_agg(data::text, ',' ORDER BY n)) FROM mlops_catalog.kept_row},
	'what a version has seen' => q{SELECT string_agg(DISTINCT seen::text, ',') FROM mlops_evaluate_query('price/2', 'house')},
	'retraining' => q{SELECT string_agg(p::text || r::text, E'\n' ORDER BY model, number) FROM mlops.retraining_policy p JOIN mlops.retraining r USING (model)},
	'privileges' => q{SELECT string_agg(p::text, E'\n' ORDER BY model) FROM mlops_catalog.privilege p},
	'registered metrics' => q{SELECT string_agg(m::text, E'\n') FROM mlops.metric m},
	'monitors' => q{SELECT string_agg(m::text, E'\n' ORDER BY name) FROM mlops.monitor m},
	'periods' => q{SELECT string_agg(p::text, E'\n' ORDER BY monitor) FROM mlops.monitor_period p},
	'alerts' => q{SELECT string_agg(a::text, E'\n') FROM mlops.alert a},
	'what is promised' => q{SELECT slo || ' ' || alerts FROM mlops_status()},
	'coefficients' => q{SELECT string_agg(c::text, E'\n') FROM mlops_coefficients('price') c});
my %answer = map { $_ => $node->safe_psql('origin', $question{$_}) } keys %question;

isnt($answer{$_}, '', "there is an answer about $_ to compare") for sort keys %question;

my $script = $node->basedir . '/origin.sql';
my $archive = $node->basedir . '/origin.dump';

$node->command_ok([ 'pg_dump', '-f', $script, $node->connstr('origin') ], 'pg_dump as a script');
$node->command_ok([ 'pg_dump', '-Fc', '-f', $archive, $node->connstr('origin') ], 'pg_dump as an archive');

$node->safe_psql('postgres', "CREATE DATABASE from_script; ");
$node->safe_psql('postgres', "CREATE DATABASE from_archive");
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $script, $node->connstr('from_script') ],
	'the script restores');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('from_archive'), $archive ], 'the archive restores');

# over a database that has other models under the same names
$node->safe_psql('postgres', 'CREATE DATABASE over_old');
$node->safe_psql('over_old', q{
	CREATE EXTENSION mlops;
	CREATE TABLE house (area float8, price float8);
	INSERT INTO house SELECT i, 7 * i FROM generate_series(1, 50) i;
	CALL mlops_train('price', 'house', target => 'price');
	SELECT mlops_promote('price', 1)});
$node->command_ok([ 'pg_restore', '-e', '--clean', '--if-exists', '-d', $node->connstr('over_old'), $archive ],
	'the archive restores over an older state');

# the rows alone, where the extension is there already
$node->safe_psql('postgres', 'CREATE DATABASE data_only');
$node->safe_psql('data_only', q{
	CREATE EXTENSION mlops;
	CREATE TABLE house (id int PRIMARY KEY, area float8, kind text, price float8)});
$node->command_ok([ 'pg_restore', '-e', '--data-only', '-d', $node->connstr('data_only'), $archive ],
	'the data alone restores into a new extension');

foreach my $restored ('from_script', 'from_archive', 'over_old', 'data_only')
{
	is($node->safe_psql($restored, $question{$_}), $answer{$_}, "$restored: the same $_") for sort keys %question;

	is($node->safe_psql($restored, q{SELECT count(*) FROM mlops_verify() v WHERE NOT v.ok}), '0',
		"$restored: every artifact is sound");
	is( $node->safe_psql($restored, q{
			CALL mlops_train('price', 'SELECT * FROM house WHERE id > 100', algorithm => 'linear_regression', key => 'id');
			SELECT max(version) FROM mlops.version WHERE model = 'price'}) =~ /3$/ ? 1 : 0,
		1, "$restored: training goes on with the next number");
	$node->safe_psql($restored, q{SELECT mlops_promote('rent', 2)});
	is($node->safe_psql($restored, q{SELECT version, canary_version, rules FROM mlops.serving WHERE model = 'rent'}), '2||1',
		"$restored: the canary completes with its rules");
	$node->safe_psql($restored, q{SELECT mlops_promote('price', 3)});
	is($node->safe_psql($restored, q{SELECT version FROM mlops.serving WHERE model = 'price'}), '3',
		"$restored: a new version can be promoted");
	$node->safe_psql($restored, q{SELECT mlops_rollback('price')});
	is($node->safe_psql($restored, $question{'scores'}), $answer{'scores'},
		"$restored: a rollback goes back to what served before the dump");
	$node->safe_psql($restored, q{SELECT mlops_rollback('price')});
	is($node->safe_psql($restored, q{SELECT version FROM mlops.serving WHERE model = 'price'}), '1',
		"$restored: and further, through the dumped history");
	is( $node->safe_psql($restored, q{SET ROLE analyst; SELECT mlops_predict('price', '{"area": 70, "kind": "flat"}') IS NOT NULL}),
		't', "$restored: the grant holds");
}

# validation sets: their tables are tables like any other, which a dump makes before it fills them
$node->safe_psql('postgres', 'CREATE DATABASE rolling');
$node->safe_psql('rolling', q{
	CREATE EXTENSION mlops;
	CREATE TABLE visit AS SELECT i AS n, timestamptz '2026-01-01 00:00+00' + i * interval '1 hour' AS at, i % 5 AS pages, i % 3 = 0 AS bought
	  FROM generate_series(1, 2000) AS i;
	SELECT mlops_create_model('buys', target => 'bought');
	SELECT mlops_create_validation_set('buys', 'Recent ones', 'visit', key => 'n', time_column => 'at', period => '30 days',
	                                   max_rows => 300, slices => '{pages, n > 500}');
	SELECT mlops_refresh_validation_set('buys', as_of => '2026-02-10 00:00+00');
	SELECT mlops_refresh_validation_set('buys', as_of => '2026-02-20 00:00+00');
	SELECT mlops_pin('buys', 'Recent ones', '7');
	SELECT mlops_record_failure('buys', '8', 'true');
});
my $rolled = $node->basedir . '/rolling.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $rolled, $node->connstr('rolling') ], 'pg_dump of a database with a validation set');
$node->safe_psql('postgres', 'CREATE DATABASE rolled');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('rolled'), $rolled ], 'it restores');
my $editions = q{SELECT string_agg(e::text || mlops_verify_edition(model, validation_set, edition), E'\n' ORDER BY edition) FROM mlops.edition AS e};
my $rows = q{SELECT string_agg(md5(e::text), ',' ORDER BY e ->> 'n', e ->> 'mlops_weight') FROM generate_series(1, 3) AS n, mlops_edition('buys', 'Recent ones', n) AS e};
is($node->safe_psql('rolled', $_), $node->safe_psql('rolling', $_), 'the same editions, rows, slices, pins, failures')
  for ($editions, $rows, 'SELECT * FROM mlops.slice ORDER BY number', 'SELECT * FROM mlops.pin', 'SELECT * FROM mlops.failure');
my $refresh = q{SELECT edition, rows, rows_in, rows_out, rows_read FROM mlops_refresh_validation_set('buys', as_of => '2026-03-01 00:00+00')};
is($node->safe_psql('rolled', $refresh), $node->safe_psql('rolling', $refresh), 'and refreshes go on');
is($node->safe_psql('rolled', $rows), $node->safe_psql('rolling', $rows), 'with the same rows');

$node->stop;
done_testing();
