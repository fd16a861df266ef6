# Rolling validation sets on real data and by simulation. elec2 (48 rows a day,
# an integer that counts half hours) and bike_hour are played in time order with
# weekly editions: every edition can be selected again with the fingerprint that it had, and
# a refresh after two years reads no more rows than the first ones did. Weighted
# counts of a sample are uniform over the window after 50 refreshes, with and
# without minimums.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use RealData;
use Test::More;

my $folder = data_folder();
my $node = data_server($folder, 'rolling', 1);

sub query
{
	return $node->safe_psql('postgres', "SET timezone = 'UTC'; SET client_min_messages = error; $_[0]");
}

# weekly editions of a set from one time to another
sub play
{
	my ($name, $set, $from, $to, $max_rows) = @_;
	my $weeks = query(
		"SELECT count((mlops_refresh_validation_set('$name', 'weekly', t)).edition) "
	  . "FROM generate_series(timestamptz '$from', timestamptz '$to', '7 days') AS t");

	cmp_ok($weeks, '>=', 100, "$name: $weeks weekly editions");
	is( query("SELECT count(*) FROM mlops.edition WHERE model = '$name' AND NOT mlops_verify_edition(model, validation_set, edition)"),
		'0', "$name: every edition has its fingerprint when it is selected again");
	is( query("SELECT count(*) FROM mlops.edition AS e WHERE model = '$name' AND rows > $max_rows"),
		'0', "$name: no edition has more than max_rows");
	is( query("SELECT count(*) FROM mlops.edition AS e WHERE model = '$name' AND edition % 20 = 0 "
		  . "AND rows <> (SELECT count(*) FROM mlops_edition(e.model, e.validation_set, e.edition))"),
		'0', "$name: and as many rows as it had");

	# the first ten after the window has filled, and the last ten
	my ($first, $last) = split /\|/, query(
		"SELECT max(rows_read) FILTER (WHERE edition BETWEEN 10 AND 19), max(rows_read) FILTER (WHERE edition > $weeks - 10) "
	  . "FROM mlops.edition WHERE model = '$name'");
	cmp_ok($last, '<=', $first * 1.1, "$name: the last refreshes read no more than the first ($last rows, $first)");
}

query(q{
	SELECT mlops_create_model('elec2', target => 'class_up');
	SELECT mlops_create_validation_set('elec2', 'weekly', 'SELECT * FROM ds.elec2', key => 'row_id', time_column => 'row_id',
		period => '56 days', time_unit => '30 minutes', time_origin => '1996-05-07', max_rows => 1000, slices => '{day}')});
play('elec2', 'weekly', '1996-06-04', '1998-11-24', 1000);

query(q{
	SELECT mlops_create_model('bikes', target => 'cnt', metric => 'rmse');
	SELECT mlops_create_validation_set('bikes', 'weekly', 'SELECT *, dteday::timestamp + hr * interval ''1 hour'' AS at FROM ds.bike_hour',
		key => 'instant', time_column => 'at', period => '56 days', max_rows => 1000)});
play('bikes', 'weekly', '2011-02-01', '2012-12-25', 1000);

# ---- is the sample one of the window? ----

# Chi-square of the weighted counts of twenty groups that the sampling knows nothing of. A row
# falls into each with probability 1/20, so that a group's count has the variance sum(w^2) / 20, nearly, and the
# squares of the distances from the mean over it add up to chi-square of 19 degrees of freedom.
sub uniform
{
	my ($name, $minimum) = @_;
	my $statistic = query(qq{
		WITH e AS (SELECT (e ->> 'grp')::int AS grp, (e ->> 'mlops_weight')::float8 AS w FROM mlops_edition('$name', 'recent') AS e),
		     t AS (SELECT sum(w) AS n, sum(w * w) AS v FROM e)
		SELECT sum((g.total - t.n / 20) ^ 2) / min(t.v / 20)
		  FROM (SELECT grp, (SELECT coalesce(sum(w), 0) FROM e WHERE e.grp = x.grp) AS total FROM generate_series(0, 19) AS x (grp)) AS g, t});

	# 43.8 is the upper 0.1 % point, 5.4 the lower
	cmp_ok($statistic, '<', 43.8, "$name: weighted counts are uniform over the window ($minimum)");
	cmp_ok($statistic, '>', 5.4, "$name: and not more uniform than chance makes them ($minimum)");
}

query(q{
	CREATE TABLE event AS
	SELECT i AS id, timestamptz '2026-01-01' + i * interval '1 minute' AS at, (hashint4(i) & 2147483647) % 20 AS grp,
	       (hashint4(i + 1000000) & 2147483647) % 100 < 2 AS rare, (hashint4(i + 2000000) & 2147483647) % 10 AS kind
	  FROM generate_series(0, 149999) AS i;
	CREATE INDEX ON event (at)});
for my $min_rows (0, 200)
{
	for my $seed (1 .. 3)
	{
		my $name = "events_${min_rows}_$seed";

		query(qq{
			SELECT mlops_create_model('$name', target => 'rare');
			SELECT mlops_create_validation_set('$name', 'recent', 'event', key => 'id', time_column => 'at', period => '30 days',
				max_rows => 2000, slices => '{kind}', min_rows => $min_rows, seed => $seed);
			SELECT count(mlops_refresh_validation_set('$name', 'recent', timestamptz '2026-02-10' + i * interval '1 day'))
			  FROM generate_series(1, 50) AS i});
		uniform($name, $min_rows ? "minimum of $min_rows" : 'no minimum');

		# of the time as well: fifths of the window weigh the same
		my ($least, $most) = split /\|/, query(qq{
			SELECT min(n) / 8640, max(n) / 8640 FROM (SELECT sum((e ->> 'mlops_weight')::float8) AS n
			  FROM mlops_edition('$name', 'recent') AS e
			 GROUP BY floor(extract(epoch FROM timestamptz '2026-04-01' - (e ->> 'at')::timestamptz - interval '1 second') / (6 * 86400))) AS f});
		cmp_ok($least, '>', 0.97, "$name: no part of the window weighs too little");
		cmp_ok($most, '<', 1.03, "$name: none too much");
		my ($weight, $rare) = split /\|/, query(qq{
			SELECT sum((e ->> 'mlops_weight')::float8) FILTER (WHERE (e ->> 'rare')::boolean)
			       / (SELECT count(*) FROM event WHERE rare AND at >= timestamptz '2026-04-01' - interval '30 days' AND at < '2026-04-01'),
			       count(*) FILTER (WHERE (e ->> 'rare')::boolean)
			  FROM mlops_edition('$name', 'recent') AS e});
		cmp_ok($rare, '>=', $min_rows, "$name: the rare class has its minimum ($rare rows)") if $min_rows;
		cmp_ok(abs($weight - 1), '<', $min_rows ? 0.15 : 0.5, "$name: which weighs what it is");
		is(query("SELECT count(*) FROM mlops.edition WHERE model = '$name' AND rows > 2000"), '0', "$name: never more than max_rows");
		cmp_ok(query("SELECT min(rows) FROM mlops.edition WHERE model = '$name'"), '>', 1700, "$name: never much less");
	}
}

# ---- a refresh that is cancelled leaves the edition before ----

query(q{
	CREATE FUNCTION slow(x int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(CASE WHEN x = 60500 THEN 60 ELSE 0 END); RETURN x; END $$;
	SELECT mlops_create_model('slow', target => 'rare');
	SELECT mlops_create_validation_set('slow', 's', 'SELECT slow(id) AS id, at, rare FROM event', key => 'id', time_column => 'at', period => '1 day');
	SELECT mlops_refresh_validation_set('slow', 's', '2026-02-11')});
my ($code, $out, $err) = $node->psql('postgres',
	"SET statement_timeout = '1s'; SELECT mlops_refresh_validation_set('slow', 's', '2026-02-12 03:00+00')");
like($err, qr/canceling statement due to statement timeout/, 'a refresh can be cancelled');
is(query("SELECT max(edition) || ' ' || bool_and(mlops_verify_edition('slow', 's', edition)) FROM mlops.edition WHERE model = 'slow'"),
	'1 true', 'the edition before is intact');

$node->stop;
done_testing();
