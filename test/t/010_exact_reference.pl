# Linear and logistic fits give the coefficients, standard errors, p-values and
# log-likelihoods of R's lm and glm on real data to 1e-6 relative. Elec2 (E17)
# is a case on which undamped IRLS from zero diverges.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use RealData;
use Test::More;

my $folder = data_folder();
my $reference = data_json($folder, 'exact_reference.json');

# what each formula is in SQL; the target is the first column
my %source = (
	E01 => 'SELECT mpg, cylinders, displacement, horsepower, weight, acceleration, model_year FROM ds.auto_mpg',
	E02 => 'SELECT mpg, weight, model_year, origin FROM ds.auto_mpg',
	E03 => 'SELECT price, carat, depth, "table", x, y, z FROM ds.diamonds',
	E04 => 'SELECT ln(price) AS log_price, ln(carat) AS "log(carat)", cut, color, clarity FROM ds.diamonds',
	E06 => 'SELECT cnt, temp, hum, windspeed, workingday, yr FROM ds.bike_day',
	E07 => 'SELECT strength, cement, slag, ash, water, splast, coarse, fine, age FROM ds.concrete',
	E09 => 'SELECT rings, sex, length, diameter, height, whole_weight, shucked_weight, viscera_weight, shell_weight FROM ds.abalone',
	E10 => 'SELECT quality, color, fixed_acidity, volatile_acidity, citric_acid, residual_sugar, chlorides, free_sulfur_dioxide, total_sulfur_dioxide, density, ph, sulphates, alcohol FROM ds.wine_quality',
	E11 => 'SELECT body_mass_g, species, island, bill_length_mm, bill_depth_mm, flipper_length_mm, sex FROM ds.penguins',
	E13 => 'SELECT class = 2 AS bad, duration_months, credit_amount, installment_rate, age, existing_credits, dependents FROM ds.german_credit',
	E14 => q{SELECT churn = 'Yes' AS churn_yes, tenure, monthly_charges, contract, internet_service, paperless_billing, senior_citizen FROM ds.telco_churn},
	E17 => 'SELECT class_up = 1 AS class_up, nswprice, nswdemand, vicprice, vicdemand, transfer FROM ds.elec2',
	E24 => 'SELECT class = 1 AS is_class_1, a1, a2, a3, a4, a5, a6 FROM ds.mammography',);

my @cases = grep { $_->{family} =~ /^(gaussian|binomial\(logit\))$/ } @{ $reference->{cases} };
my $node = data_server($folder, 'exact', 1);

for my $case (@cases)
{
	my $id = $case->{id};
	my $sql = $source{$id};

	ok(defined $sql, "$id: the formula $case->{formula} is known here") or next;
	my ($target) = $sql =~ /^SELECT (?:.*? AS )?(\w+),/;
	my $version = train($node, lc $id, $sql, $target,
		params => q{'{"impute": "drop", "min_category_rows": 1}'},
		holdout => 0);
	my $got = coefficients($node, lc($id) . '/1');
	my $facts = facts($node, lc $id, $version);

	is($node->safe_psql('postgres', "SELECT rows_used FROM mlops.version WHERE model = '\L$id'"),
		$case->{n_used}, "$id: rows used");
	is(scalar(keys %$got), scalar(@{ $case->{terms} }), "$id: number of coefficients");
	for my $i (0 .. $#{ $case->{terms} })
	{
		my $term = $case->{terms}[$i];
		my ($ours) = grep { my $r = $_; $r =~ s/=//; $r eq $term || "(Intercept)" eq $term && $_ eq '(intercept)' } keys %$got;
		my $p = $case->{p}[$i];

		ok(defined $ours, "$id: $term is reported") or next;
		is_relative($got->{$ours}[0], $case->{coef}[$i], 1e-6, "$id: coefficient of $term");
		is_relative($got->{$ours}[1], $case->{std_err}[$i], 1e-6, "$id: standard error of $term");
		if ($p >= 1e-300)
		{
			is_relative($got->{$ours}[2], $p, 1e-6, "$id: p-value of $term");
		}
		else
		{
			ok($got->{$ours}[2] < 1e-300, "$id: p-value of $term is below 1e-300");
		}
	}
	is_relative($facts->{log_likelihood}, $case->{loglik}, 1e-6, "$id: log-likelihood");
	if ($case->{family} eq 'gaussian')
	{
		is_relative($facts->{r_squared}, $case->{r2}, 1e-6, "$id: R squared");
		is_relative($facts->{adjusted_r_squared}, $case->{adj_r2}, 1e-6, "$id: adjusted R squared");
		is_relative($facts->{residual_standard_error}, $case->{sigma}, 1e-6, "$id: residual standard error");
		is_relative($facts->{f_statistic}, $case->{f}, 1e-6, "$id: F statistic");
	}
	else
	{
		is_relative($facts->{deviance}, $case->{deviance}, 1e-6, "$id: deviance");
		is_relative($facts->{null_deviance}, $case->{null_deviance}, 1e-6, "$id: null deviance");
		is_relative($facts->{aic}, $case->{aic}, 1e-6, "$id: AIC");
	}
}

$node->stop;
done_testing();
