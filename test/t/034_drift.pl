# Drift of real data, against figures computed elsewhere: every distance of the
# reference to a relative 1e-9 between two queries, and within what its header
# states against the profile that a training keeps. Prices of an electricity market
# are found shifted, the quiet weather of a bicycle rental raises no alert; three faults that
# are put into it are told from shifts.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RealData;
use Test::More;

my $folder = data_folder();
my $reference = data_json($folder, 'drift_reference.json');
my $node = data_server($folder, 'drift', 1);

# how the reference orders the rows of each set
my %order = (elec2 => 'row_id', bike_hour => 'instant', seattle_weather => 'date', diamonds => 'ctid',
	hflights => 'year, month, dayof_month');

# halves of a set as two views of the columns that are compared; the first half has a number as well, to train for
sub halve
{
	my ($name, $set) = @_;
	my @numbers = sort keys %{ $set->{numeric} || {} };
	my @levels = sort keys %{ $set->{categorical} || {} };
	my $columns = join ', ', map({ "\"$_\"::float8 AS \"$_\"" } @numbers), map({ "\"$_\"::text AS \"$_\"" } @levels);
	my $order = $order{$name} || 'ctid';

	$node->safe_psql('postgres', "CREATE TABLE ordered_$name AS SELECT row_number() OVER (ORDER BY $order) AS place, $columns FROM ds.$name");
	$node->safe_psql('postgres', "CREATE VIEW then_$name AS SELECT * FROM ordered_$name WHERE place <= $set->{n_reference}; "
		  . "CREATE VIEW now_$name AS SELECT * FROM ordered_$name WHERE place > $set->{n_reference}");
	return (\@numbers, \@levels);
}

# { feature => row } of a call
sub drift
{
	my ($arguments) = @_;
	my $rows = decode_json($node->safe_psql('postgres', "SELECT json_agg(d) FROM mlops_drift($arguments) AS d"));

	return { map { $_->{role} eq 'feature' ? ($_->{feature} => $_) : ($_->{role} => $_) } @$rows };
}

sub compare_numbers
{
	my ($name, $exact, $kept, $want, $bound) = @_;

	is_relative($exact->{psi}, $want->{psi}, 1e-9, "$name: PSI");
	is_relative($exact->{ks}, $want->{ks_statistic}, 1e-9, "$name: KS");
	is_relative($exact->{wasserstein}, $want->{wasserstein}, 1e-9, "$name: Wasserstein");
	is_relative($exact->{js}, $want->{js_divergence_nats}, 1e-9, "$name: Jensen-Shannon");
	is_relative($exact->{mean}, $want->{mean_cur}, 1e-9, "$name: mean now");
	is_relative($exact->{mean_reference}, $want->{mean_ref}, 1e-9, "$name: mean then");

	# the profile's deciles are exact, its distribution function to one value in 256, the area to what its knots leave open
	is_relative($kept->{psi}, $want->{psi}, 1e-9, "$name: PSI against the profile");
	is_relative($kept->{js}, $want->{js_divergence_nats}, 1e-9, "$name: Jensen-Shannon against the profile");
	ok(abs($kept->{ks} - $want->{ks_statistic}) <= 1 / 256, "$name: KS against the profile")
	  or diag("$kept->{ks}, not $want->{ks_statistic}");
	ok(abs($kept->{wasserstein} - $want->{wasserstein}) <= $bound + 1e-9 * $want->{wasserstein}, "$name: Wasserstein against the profile")
	  or diag("$kept->{wasserstein}, not $want->{wasserstein}, bound $bound");
	note(sprintf("Wasserstein off by %.3g of the bound", abs($kept->{wasserstein} - $want->{wasserstein}) / $bound)) if $bound > 0;
}

# how far the area can be off, by the knots of the profile (docs/drift.md)
sub bound_of
{
	my ($name, $feature) = @_;

	return $node->safe_psql('postgres', "SELECT sum((knot[i + 1] - knot[i]) * (knot_upto[i + 1] - knot_equal[i + 1] - knot_upto[i])) / (2 * max(knot_upto[cardinality(knot)])) "
		  . "FROM mlops.training_profile, generate_series(1, cardinality(knot) - 1) AS i WHERE model = 'all_$name' AND role = 'feature' AND feature = '$feature'");
}

sub compare_levels
{
	my ($name, $exact, $kept, $want) = @_;

	for my $case ([ 'rows', $exact ], [ 'the profile', $kept ])
	{
		my ($against, $got) = @$case;

		is_relative($got->{psi}, $want->{psi}, 1e-9, "$name: PSI against $against");
		is_relative($got->{chi_square}, $want->{chi2_independence}, 1e-9, "$name: chi-square against $against");
		is($got->{df}, $want->{df}, "$name: degrees of freedom against $against");
		is_relative($got->{tvd}, $want->{tvd}, 1e-9, "$name: total variation against $against");
	}
}

my $compared = 0;
for my $name (sort keys %{ $reference->{sets} })
{
	my $set = $reference->{sets}->{$name};
	my ($numbers, $levels);

	next unless $node->safe_psql('postgres', "SELECT to_regclass('ds.$name') IS NOT NULL") eq 't';
	($numbers, $levels) = halve($name, $set);

	# a model that knows all of the columns; what it predicts is of no matter here
	$node->safe_psql('postgres', "SELECT mlops_train_now('all_$name', 'SELECT *, (place % 2)::text AS half FROM then_$name', 'half', "
		  . "exclude => '{place}', algorithm => 'baseline', params => '{\"min_category_rows\": 1}', holdout => 0)");
	my $exact = drift("'all_$name/1', 'now_$name', 'then_$name'");
	my $kept = drift("'all_$name/1', 'now_$name'");

	compare_numbers("$name.$_", $exact->{$_}, $kept->{$_}, $set->{numeric}->{$_}, bound_of($name, $_)) for @$numbers;
	compare_levels("$name.$_", $exact->{$_}, $kept->{$_}, $set->{categorical}->{$_}) for @$levels;
	$compared += @$numbers + @$levels;
}
ok($compared >= 11, "$compared columns of the reference were compared");

# ---- prices have shifted, and matter ----

$node->safe_psql('postgres', "SELECT mlops_train_now('price_up', 'then_elec2', 'class_up', exclude => '{place}', algorithm => 'gradient_boosting', params => '{\"trees\": 50}')");
$node->safe_psql('postgres', "SELECT mlops_promote('price_up', 1)");
my $market = drift("'price_up', 'now_elec2'");
for my $feature (qw(nswprice vicprice transfer vicdemand))
{
	is($market->{$feature}->{verdict}, 'shifted', "$feature of the market has shifted");
	ok($market->{$feature}->{matters}, "and the model looks at it");
}
is($market->{nswdemand}->{verdict}, 'ok', 'demand is as it was, though no test of so many rows would say so');
ok($market->{nswdemand}->{p_value} < 0.001, 'which is why the size counts');
is($market->{all}->{verdict}, 'shifted', 'as a whole the market has shifted');

# ---- quiet features raise no alert ----

$node->safe_psql('postgres', "SELECT mlops_train_now('rented', 'then_bike_hour', 'cnt', exclude => '{place}', algorithm => 'gradient_boosting', params => '{\"trees\": 50}')");
$node->safe_psql('postgres', "SELECT mlops_promote('rented', 1)");
my $rental = drift("'rented', 'now_bike_hour'");
for my $feature (qw(temp hum windspeed weathersit))
{
	is($rental->{$feature}->{verdict}, 'ok', "$feature of the rental is ok");
	ok(!$rental->{$feature}->{matters}, 'and no matter');
}
is($rental->{target}->{verdict}, 'shifted', 'the number of rented bicycles, which rose from year to year, is not');

# ---- faults ----

my $whole = 'SELECT temp, hum, windspeed, weathersit FROM now_bike_hour';
my @faults = (
	[ 'a feed that goes NULL', 'hum', qr/^missing in 100 %/, ($whole =~ s/hum/NULL::float8 AS hum/r) ],
	[ 'a unit that changes by 1000', 'temp', qr/^unit changed: values are as if multiplied by 1000/, ($whole =~ s/temp/temp * 1000 AS temp/r) ],
	[ 'a category that vanishes', 'weathersit', qr/^"2" vanished/, "$whole WHERE weathersit <> '2'" ]);
for my $fault (@faults)
{
	my ($name, $feature, $reason, $query) = @$fault;
	my $found = drift("'rented', \$\$$query\$\$, min_impact => 0.001");
	my @broken = grep { $found->{$_}->{verdict} eq 'broken' && $_ ne 'all' } sort keys %$found;

	is_deeply(\@broken, [$feature], "$name is broken, and nothing else is");
	like($found->{$feature}->{reason}, $reason, 'and it says what it is');
	ok($found->{$feature}->{matters} && $found->{all}->{matters}, 'it matters');
	like($found->{all}->{reason}, qr/broken: $feature/, 'the whole names it');
}

# no fault is found in 20 parts of what the model was trained on
my $quiet = $node->safe_psql('postgres', "SELECT count(*) FROM generate_series(0, 19) AS part, "
	  . "LATERAL mlops_drift('rented', format('SELECT temp, hum, windspeed, weathersit, cnt FROM then_bike_hour WHERE place %% 20 = %s', part)) AS d WHERE d.matters");
is($quiet, 0, 'random parts of the training rows raise no alert');

# ---- the error of a model, as outcomes come in ----

# 5,000 labels that the model may well have learned, then every fourth one is another
my $change = $node->safe_psql('postgres', q{
	SELECT (a).changes || ' ' || ((a).found_at BETWEEN 5001 AND 5400)::text || ' ' || ((a).after - (a).before > 0.1)::text FROM (
		SELECT mlops_adwin((label <> CASE WHEN place > 20000 AND place % 4 = 0 THEN 1 - class_up::int ELSE class_up::int END)::int ORDER BY place) AS a
		  FROM (SELECT place, class_up, (mlops_predict('price_up', e) >= 0.5)::int AS label FROM ordered_elec2 AS e WHERE place > 15000 AND place <= 21000) AS e) AS s});
like($change, qr/^[1-9]\d* true true$/, 'a change of the error is found within 400 answers') or diag($change);

$node->stop;
done_testing();
