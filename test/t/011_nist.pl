# Least squares against the certified values of NIST's Statistical Reference
# Datasets (https://www.itl.nist.gov/div898/strd/): at least 9 correct digits of
# every coefficient and standard error, and 7 on the Wampler sets, which are
# made to break normal equations. Where the certified standard error is 0, ours
# is below 1e-7 of the coefficient.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use RealData;
use Test::More;

my $folder = data_folder();
my $sets = data_json($folder, 'nist_strd.json')->{linear};
my $node = data_server($folder, 'nist', 0);

# the terms of the certified model, as SQL over the columns of the set
my %terms = (
	Norris => { B1 => 'x' },
	Pontius => { B1 => 'x', B2 => 'x ^ 2' },
	NoInt1 => { B1 => 'x' },
	Longley => { map { ("B$_" => "x$_") } 1 .. 6 },
	map { ($_ => { B1 => 'x', map { ("B$_" => "x ^ $_") } 2 .. 5 }) } qw(Wampler1 Wampler2 Wampler3));

for my $name (sort keys %terms)
{
	my $set = $sets->{$name};
	my $digits = $name =~ /^Wampler/ ? 7 : 9;
	my $values = join ', ', map { my $row = $_; '(' . join(', ', map { "float8 '$row->{$_}'" } @{ $set->{columns} }) . ')' } map { ref $_ eq 'HASH' ? $_ : row_of($set, $_) } @{ $set->{rows} };
	my $columns = join ', ', map { "\"$_\"" } @{ $set->{columns} };
	my $list = join ', ', map { "$terms{$name}{$_} AS \"$_\"" } sort keys %{ $terms{$name} };
	my $intercept = exists $set->{coef}{B0} ? 'true' : 'false';

	train($node, lc $name,
		"SELECT y, $list FROM (VALUES $values) AS t ($columns)", 'y',
		params => qq{'{"intercept": $intercept}'}, holdout => 0);
	my $got = coefficients($node, lc($name) . '/1');

	for my $term (sort keys %{ $set->{coef} })
	{
		my ($estimate, $error) = @{ $got->{ $term eq 'B0' ? '(intercept)' : $term } };

		is_relative($estimate, $set->{coef}{$term}, 0.5 * 10**-$digits, "$name: coefficient $term to $digits digits");
		if ($set->{se}{$term} != 0)
		{
			is_relative($error, $set->{se}{$term}, 0.5 * 10**-$digits, "$name: standard error of $term to $digits digits");
		}
		else
		{
			ok($error < 1e-7 * abs($estimate), "$name: standard error of $term is 0 to 1e-7 of the coefficient")
			  or diag("standard error $error, coefficient $estimate");
		}
	}
}

sub row_of
{
	my ($set, $row) = @_;
	my %named;

	@named{ @{ $set->{columns} } } = @$row;
	return \%named;
}

$node->stop;
done_testing();
