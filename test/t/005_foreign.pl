# A source can be a foreign table: of a file, of another server, as a partition
# beside local ones. It gives the bytes that a local copy of its rows gives, the
# rights of the caller hold, and rows of foreign tables are scored as others are.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('foreign');

$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
if ($node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_available_extensions WHERE name IN ('file_fdw', 'postgres_fdw')}) ne '2')
{
	$node->stop;
	plan skip_all => 'file_fdw and postgres_fdw are not installed';
}

my $file = $node->basedir . '/point.csv';
my ($host, $port) = ($node->host, $node->port);

$node->safe_psql('postgres', qq{
	CREATE EXTENSION mlops;
	CREATE EXTENSION file_fdw;
	CREATE EXTENSION postgres_fdw;
	CREATE TABLE point AS
	SELECT i AS id, i % 10 AS x, (ARRAY['red', 'green', NULL])[1 + i % 3] AS colour, (i % 10 + sin(i))::float8 AS y
	  FROM generate_series(1, 1000) i;
	COPY point TO '$file' (FORMAT csv);
	CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
	CREATE FOREIGN TABLE in_file (id int, x int, colour text, y float8) SERVER files OPTIONS (filename '$file', format 'csv');
	CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
	CREATE USER MAPPING FOR CURRENT_USER SERVER other;
	CREATE FOREIGN TABLE elsewhere (id int, x int, colour text, y float8) SERVER other OPTIONS (table_name 'point');
	CREATE TABLE partly (LIKE point) PARTITION BY RANGE (id);
	CREATE TABLE here PARTITION OF partly FOR VALUES FROM (1) TO (501);
	INSERT INTO here SELECT * FROM point WHERE id <= 500;
	CREATE VIEW rest AS SELECT * FROM point WHERE id > 500;
	CREATE FOREIGN TABLE there PARTITION OF partly FOR VALUES FROM (501) TO (1001) SERVER other OPTIONS (table_name 'rest');
});

foreach my $source ('point', 'in_file', 'elsewhere', 'partly', 'SELECT p.* FROM elsewhere p JOIN in_file f USING (id)')
{
	$node->safe_psql('postgres', "CALL mlops_train('colour', '$source', 'y', exclude => '{id}')");
}
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT sha256), count(DISTINCT data_fingerprint) FROM mlops.version'),
	'5|1|1', 'foreign and local rows give the same bytes');

$node->safe_psql('postgres', q{SELECT mlops_promote('colour', 1)});
foreach my $table ('in_file', 'elsewhere', 'partly')
{
	is( $node->safe_psql('postgres', qq{
			SELECT count(*), bool_and(mlops_predict('colour', f) = mlops_predict('colour', p))
			  FROM $table f JOIN point p USING (id)}),
		'1000|t', "rows of $table score the same");
}
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM elsewhere e WHERE mlops_predict('colour', e) > 5}),
	$node->safe_psql('postgres', q{SELECT count(*) FROM point p WHERE mlops_predict('colour', p) > 5}),
	'a condition on a score is not sent away');
is( $node->safe_psql('postgres', q{
		UPDATE elsewhere SET x = 77 WHERE id = 5 RETURNING mlops_predict('colour', elsewhere) > 50}),
	't', 'rows that a foreign server returns are scored');
$node->safe_psql('postgres', q{UPDATE point SET x = 5 WHERE id = 5});

# the other server's error is the run's, and nothing stays behind
my ($status, $stdout, $stderr);

$node->safe_psql('postgres', q{ALTER FOREIGN TABLE elsewhere OPTIONS (SET table_name 'nowhere')});
($status, $stdout, $stderr) = $node->psql('postgres', q{CALL mlops_train('colour', 'elsewhere', exclude => '{id}')});
like($stderr, qr/relation "public.nowhere" does not exist/, 'an error of the other server is told');
is($node->safe_psql('postgres', q{SELECT status, sqlstate FROM mlops.run ORDER BY started_at DESC LIMIT 1}),
	'failed|42P01', '... and recorded');

# the caller's rights, not those of the server's owner
$node->safe_psql('postgres', q{
	CREATE ROLE analyst;
	GRANT CREATE ON SCHEMA mlops TO analyst;
	GRANT SELECT ON in_file TO analyst});
$node->safe_psql('postgres', q{SET ROLE analyst; CALL mlops_train('mine', 'in_file', 'y', exclude => '{id}')});
($status, $stdout, $stderr) = $node->psql('postgres', q{SET ROLE analyst; CALL mlops_train('mine', 'elsewhere', exclude => '{id}')});
like($stderr, qr/permission denied for foreign table elsewhere/, 'a foreign table that the caller may not read is refused');

$node->stop;
done_testing();
