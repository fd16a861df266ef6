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
	       mlops_create_rules('price', '[{"name": "villas", "when": "kind = ''villa''", "then": {"clip": [0, 3000]}}]'));
	SELECT mlops_set_alias('price', 'steady', 1);
	SELECT mlops_grant('price', 'analyst', 'predict');
});

# everything a restored database must answer in the same way
my %question = (
	'scores' => q{SELECT md5(string_agg(mlops_predict('price', h)::text, ',' ORDER BY id)) FROM house h},
	'scores through an alias' => q{SELECT md5(string_agg(mlops_predict('price@steady', h)::text, ',' ORDER BY id)) FROM house h},
	'models' => q{SELECT string_agg(m::text, E'\n' ORDER BY model) FROM mlops.model m},
	'versions' => q{SELECT string_agg(v::text, E'\n' ORDER BY version) FROM mlops.version v},
	'runs' => q{SELECT string_agg(r::text, E'\n' ORDER BY started_at) FROM mlops.run r},
	'what serves' => q{SELECT string_agg(s::text, E'\n') FROM mlops.serving s},
	'history' => q{SELECT string_agg(d::text, E'\n' ORDER BY number) FROM mlops.deployment d},
	'rules' => q{SELECT string_agg(r::text, E'\n' ORDER BY number) FROM mlops.rule_set r},
	'kept rows' => q{SELECT count(*) || ' ' || md5(string_agg(data::text, ',' ORDER BY n)) FROM mlops_catalog.kept_row},
	'privileges' => q{SELECT string_agg(p::text, E'\n') FROM mlops_catalog.privilege p},
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

$node->stop;
done_testing();
