# The calls that MADlib's own documentation and tests show, with its published
# results: least squares (P01, P02, P03) and logistic regression (P05), rows
# with NULL left out as MADlib does.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use RealData;
use Test::More;

my $folder = data_folder();
my %case = map { ($_->{id} => $_) } @{ data_json($folder, 'peer_cases.json')->{cases} };
my $node = data_server($folder, 'peers', 0);

# the table of a case, by column name
sub source
{
	my ($case, $list, $types) = @_;
	my $rows = join ', ', map { '(' . join(', ', map { defined $_ ? $_ : 'NULL' } @$_) . ')' } @{ $case->{rows} };
	my $columns = join ', ', map { "\"$_\"" } @{ $case->{columns} };

	return "SELECT $list FROM (VALUES $rows) AS t ($columns)";
}

sub fit
{
	my ($id, $list, $target, %more) = @_;

	train($node, lc $id, source($case{$id}, $list), $target,
		params => q{'{"impute": "drop"}'}, holdout => 0, %more);
	return coefficients($node, lc($id) . '/1');
}

# expected and recomputed hold the published figures and those of a second, independent calculation
sub compare
{
	my ($id, $what, $got, $terms, $index) = @_;
	my $case = $case{$id};

	for my $i (0 .. $#$terms)
	{
		is_relative($got->{ $terms->[$i] }[$index], $case->{expected}{$what}[$i], $case->{compare_tolerance},
			"$id: $what of $terms->[$i] as published") if $case->{expected}{$what};
		is_relative($got->{ $terms->[$i] }[$index], $case->{recomputed}{$what}[$i], 1e-6,
			"$id: $what of $terms->[$i] as recomputed") if $case->{recomputed}{$what};
	}
}

my $got = fit('P01', 'x1, x2, y', 'y');
compare('P01', 'coef', $got, [qw((intercept) x1 x2)], 0);
is_relative($got->{x2}[2], $case{P01}{recomputed}{p_x2}, 1e-6, 'P01: p-value of x2');
is($node->safe_psql('postgres', q{SELECT rows_used || ' of ' || rows_read FROM mlops.version WHERE model = 'p01'}),
	'17 of 20', 'P01: rows with NULL are left out and counted');

$got = fit('P02', 'x1, x2, y', 'y');
compare('P02', 'coef', $got, [qw((intercept) x1 x2)], 0);

$got = fit('P03', 'bedroom, bath, size, price', 'price');
for my $figure ([ coef => 0 ], [ std_err => 1 ], [ p_values => 2 ])
{
	compare('P03', $figure->[0], $got, [qw((intercept) bedroom bath size)], $figure->[1]);
}
my $facts = facts($node, 'p03', 1);
is_relative($facts->{r_squared}, $case{P03}{expected}{r2}, 1e-5, 'P03: R squared');
is_relative($facts->{condition_number}, $case{P03}{expected}{condition_no}, 1e-6, 'P03: condition number');

$got = fit('P05', 'second_attack = 1 AS second_attack, treatment, trait_anxiety', 'second_attack');
for my $figure ([ coef => 0 ], [ std_err => 1 ], [ p_values => 2 ])
{
	compare('P05', $figure->[0], $got, [qw((intercept) treatment trait_anxiety)], $figure->[1]);
}
is_relative(facts($node, 'p05', 1)->{log_likelihood}, $case{P05}{recomputed}{log_likelihood}, 1e-6, 'P05: log-likelihood');
is($node->safe_psql('postgres', q{SELECT rows_used || ' of ' || rows_read FROM mlops.version WHERE model = 'p05'}),
	'20 of 23', 'P05: rows with NULL are left out and counted');

$node->stop;
done_testing();
