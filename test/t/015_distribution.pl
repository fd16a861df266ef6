# Rows on other servers: each server makes states of its own rows, the hub merges
# them, and what comes out is what one server with all rows would have found. The
# model is a row on the hub and travels as a value. Nothing but PostgreSQL's own
# postgres_fdw and dblink is needed.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $hub = PostgreSQL::Test::Cluster->new('hub');

$hub->init;
$hub->append_conf('postgresql.conf', "fsync = off\n");
$hub->start;
if ($hub->safe_psql('postgres',
		q{SELECT count(*) FROM pg_available_extensions WHERE name IN ('dblink', 'postgres_fdw')}) ne '2')
{
	$hub->stop;
	plan skip_all => 'dblink and postgres_fdw are not installed';
}

# ---- a table of 4000 rows on the hub, its halves on two more servers ----

my $rows = q{
	SELECT i AS id, sin(i) * 3 AS a, (i * 7 % 13)::float8 AS b, (ARRAY['basic', 'pro', NULL])[1 + i % 3] AS plan,
	       2 + 3 * sin(i) * 3 - (i * 7 % 13) + cos(i * i) AS y,
	       (sin(i) * 3 + (i * 7 % 13) - 6 + 5 * cos(i * 1.7) > 0)::int AS c
	  FROM generate_series(1, 4000) AS i};
my %half = (one => 'id <= 2000', two => 'id > 2000');
my %node;

$hub->safe_psql('postgres', qq{
	CREATE EXTENSION mlops;
	CREATE EXTENSION postgres_fdw;
	CREATE EXTENSION dblink;
	CREATE TABLE whole AS $rows;
	CREATE TABLE parts (LIKE whole) PARTITION BY RANGE (id);
});
foreach my $name (sort keys %half)
{
	my $from = $name eq 'one' ? 1 : 2001;
	my $to = $from + 2000;

	$node{$name} = PostgreSQL::Test::Cluster->new($name);
	$node{$name}->init;
	$node{$name}->append_conf('postgresql.conf', "fsync = off\n");
	$node{$name}->start;
	$node{$name}->safe_psql('postgres',
		"CREATE EXTENSION mlops; CREATE TABLE part AS SELECT * FROM ($rows) AS r WHERE $half{$name}; ANALYZE part");
	$hub->safe_psql('postgres', sprintf q{
		CREATE SERVER %1$s FOREIGN DATA WRAPPER postgres_fdw
			OPTIONS (host '%2$s', port '%3$s', dbname 'postgres', extensions 'mlops', async_capable 'true');
		CREATE USER MAPPING FOR CURRENT_USER SERVER %1$s;
		CREATE FOREIGN TABLE part_%1$s PARTITION OF parts FOR VALUES FROM (%4$d) TO (%5$d)
			SERVER %1$s OPTIONS (table_name 'part');
	}, $name, $node{$name}->host, $node{$name}->port, $from, $to);
}

sub sql { return $hub->safe_psql('postgres', $_[0]); }

# ---- training: one pass ----

my $coefficients = q{(says ->> 'intercept')::float8, (says -> 'coefficients' ->> 0)::float8, (says -> 'coefficients' ->> 1)::float8};
my $single = q{SELECT mlops.linear_regression(y, ARRAY[a, b]) AS says FROM whole};
my $states = join ' UNION ALL ', map { "SELECT mlops.linear_regression_state(y, ARRAY[a, b]) AS s FROM part_$_" } sort keys %half;

sub same_within
{
	my ($tolerance, $left, $right) = @_;

	return sql(qq{
		SELECT bool_and(abs(l - r) <= $tolerance * abs(r)) AND count(*) = 3
		  FROM ($left) AS x (says), LATERAL unnest(ARRAY[$coefficients]) WITH ORDINALITY AS lefts (l, n)
		  JOIN (SELECT r, n FROM ($right) AS y (says), LATERAL unnest(ARRAY[$coefficients]) WITH ORDINALITY AS u (r, n)) AS rights USING (n)});
}

is(same_within('1e-12', "SELECT mlops.final(mlops.merge(s)) AS says FROM ($states) AS q", $single),
	't', 'states of foreign tables merge to what one server finds');

my $plan = sql("EXPLAIN (VERBOSE, COSTS OFF) SELECT mlops.merge(s) FROM ($states) AS q");
my $sent = () = $plan =~ /Remote SQL: SELECT mlops\.linear_regression_state\(/g;
is($sent, 2, 'each server adds up its own rows');

my $connections = join "\n", map {
	sprintf q{SELECT dblink_connect('%1$s', 'host=%2$s port=%3$s dbname=postgres');
		SELECT dblink_send_query('%1$s', 'SELECT mlops.linear_regression_state(y, ARRAY[a, b]) FROM part');},
	  $_, $node{$_}->host, $node{$_}->port
} sort keys %half;
my $gathered = join ' UNION ALL ', map { "SELECT * FROM dblink_get_result('$_') AS r (s mlops.state)" } sort keys %half;

my $by_dblink = sql(qq{
	$connections
	CREATE TABLE by_dblink AS SELECT mlops.final(mlops.merge(s)) AS says FROM ($gathered) AS q;
	SELECT says ->> 'rows' FROM by_dblink});
like($by_dblink, qr/\n4000$/, 'dblink asks all servers at once');
is(same_within('1e-12', 'SELECT says FROM by_dblink', $single), 't', 'and gives the same');

# ---- training: passes until it is done ----

my $logistic = sub {
	my ($name, $parts) = @_;
	my $each = join ' UNION ALL ',
	  map { "SELECT mlops.logistic_regression_state(c, ARRAY[a, b], 1, \$1) AS s FROM $_" } @$parts;

	return qq{
		CREATE FUNCTION $name() RETURNS jsonb LANGUAGE plpgsql AS \$f\$
		DECLARE
			pass mlops.state := mlops.pass('logistic_regression');
			state mlops.state;
		BEGIN
			LOOP
				EXECUTE 'SELECT mlops.merge(s) FROM ($each) AS q' INTO state USING pass;
				pass := mlops.next(state);
				EXIT WHEN pass IS NULL;
			END LOOP;
			RETURN mlops.final(state);
		END
		\$f\$};
};
sql($logistic->('fit_whole', ['whole']));
sql($logistic->('fit_parts', [ 'part_one', 'part_two' ]));
is(same_within('1e-10', 'SELECT fit_parts() AS says', 'SELECT fit_whole() AS says'),
	't', 'a fit of several passes gives the same, whichever server has the rows');
sql(q{SELECT mlops_train_now('churn', 'SELECT a, b, c::text FROM whole', 'c', holdout => 0)});
is(sql(q{
		SELECT abs(estimate - (fit_parts() ->> 'intercept')::float8) < 1e-10 * abs(estimate)
		  FROM mlops_coefficients('churn/1') WHERE term = '(intercept)'}),
	't', 'and that is what mlops_train finds');

# ---- scoring where the rows are ----

sql(q{CALL mlops_train('value', 'SELECT a, b, plan, y FROM whole', 'y')});
sql(q{SELECT mlops_promote('value', 1)});
my $remote = q{SELECT sum(mlops_predict((SELECT mlops_bundle('value')), p)) FROM %s AS p};
my $local = sql(q{SELECT sum(mlops_predict('value', w)) FROM whole AS w});
my $there = sql('SELECT sum(s) FROM (' . join(' UNION ALL ', map { sprintf "$remote", "part_$_" } sort keys %half) . ') AS q (s)');

cmp_ok(abs($there - $local), '<', 1e-9 * abs($local), 'a bundle scores on other servers as the model does here');
like(sql('EXPLAIN (VERBOSE, COSTS OFF) ' . sprintf($remote, 'part_one')),
	qr/Remote SQL: SELECT sum\(mlops\.bundle_predict_columns\(\(?\$1::mlops\.bundle/, 'the call is sent with the bundle');
like(sql(q{EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM part_two AS p WHERE mlops_predict((SELECT mlops_bundle('value')), p) > 9}),
	qr/Remote SQL: .*WHERE .*bundle_predict_columns/, 'rows are chosen by their score there');
is(sql(q{SELECT count(*) FROM parts AS p WHERE mlops_predict((SELECT mlops_bundle('value')), p) > 9}),
	sql(q{SELECT count(*) FROM whole AS w WHERE mlops_predict('value', w) > 9}), 'as many as here');
is(sql(q{SELECT count(*) FROM parts AS p JOIN whole AS w USING (id)
	 WHERE mlops_predict((SELECT mlops_bundle('value')), p) IS DISTINCT FROM mlops_predict('value', w)}),
	'0', 'row by row to the bit');

is($node{one}->safe_psql('postgres', q{SELECT count(*) FROM mlops.model}), '0', 'the other servers have no model');

# without the cluster's own extension there is nothing to set up, as often as one asks
is(sql(q{SELECT mlops_citus_setup() || (SELECT ' ' || count(*) FROM mlops.version)}),
	'Citus is not installed in this database: nothing to set up 2', 'mlops_citus_setup does nothing without Citus');

$_->stop foreach values %node;
$hub->stop;

done_testing();
