# Generalized linear models give the figures of R's glm on real data: all the
# cases of the reference that are no least squares, and MADlib's published
# Poisson example (P08a, warpbreaks). Beside them the support vector machine and
# naive Bayes on the Wisconsin breast cancer data, against scikit-learn 1.2.1.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use RealData;
use Test::More;

my $folder = data_folder();
my %peer = map { ($_->{id} => $_) } @{ data_json($folder, 'peer_cases.json')->{cases} };

# what each formula is in SQL, with the target first, and the parameters of its family
my %source = (
	E13 => 'SELECT class = 2 AS bad, duration_months, credit_amount, installment_rate, age, existing_credits, dependents FROM ds.german_credit',
	E14 => q{SELECT churn = 'Yes' AS churn_yes, tenure, monthly_charges, contract, internet_service, paperless_billing, senior_citizen FROM ds.telco_churn},
	E17 => 'SELECT class_up = 1 AS class_up, nswprice, nswdemand, vicprice, vicdemand, transfer FROM ds.elec2',
	E19 => 'SELECT cnt, temp, hum, windspeed, workingday, yr FROM ds.bike_hour',
	E20 => 'SELECT cnt, temp, hum, windspeed, yr FROM ds.bike_day',
	E24 => 'SELECT class = 1 AS is_class_1, a1, a2, a3, a4, a5, a6 FROM ds.mammography',);
my %family = (
	'binomial(logit)' => '"family": "binomial"',
	'poisson(log)' => '"family": "poisson"',
	'Gamma(log)' => '"family": "gamma", "link": "log"',);

my @cases = grep { $_->{family} ne 'gaussian' } @{ data_json($folder, 'exact_reference.json')->{cases} };
my $node = data_server($folder, 'generalized', 1);

# R's Gamma fit stops 2e-8 short of the optimum, which its p-values magnify:
# Newton's method in long double gives ours (3.371225970e-131 for temp)
sub compare
{
	my ($id, $got, $i, $term, $case) = @_;
	my $tolerance = $case->{family} =~ /^Gamma/ ? 1e-5 : 1e-6;

	is_relative($got->[0], $case->{coef}[$i], 1e-6, "$id: coefficient of $term");
	is_relative($got->[1], $case->{std_err}[$i], 1e-6, "$id: standard error of $term");
	if ($case->{p}[$i] >= 1e-300)
	{
		is_relative($got->[2], $case->{p}[$i], $tolerance, "$id: p-value of $term");
	}
	else
	{
		ok($got->[2] < 1e-300, "$id: p-value of $term is below 1e-300");
	}
}

for my $case (@cases)
{
	my $id = $case->{id};
	my $sql = $source{$id};

	ok(defined $sql && $family{ $case->{family} }, "$id: the formula $case->{formula} is known here") or next;
	my ($target) = $sql =~ /^SELECT (?:.*? AS )?(\w+),/;
	my $version = train($node, lc $id, $sql, $target,
		algorithm => "'glm'",
		params => qq{'{$family{ $case->{family} }, "impute": "drop", "min_category_rows": 1}'},
		holdout => 0);
	my $got = coefficients($node, lc($id) . '/1');
	my $facts = facts($node, lc $id, $version);

	is(scalar(keys %$got), scalar(@{ $case->{terms} }), "$id: number of coefficients");
	for my $i (0 .. $#{ $case->{terms} })
	{
		my $term = $case->{terms}[$i];
		my ($ours) = grep { my $r = $_; $r =~ s/=//; $r eq $term || "(Intercept)" eq $term && $_ eq '(intercept)' } keys %$got;

		ok(defined $ours, "$id: $term is reported") or next;
		compare($id, $got->{$ours}, $i, $term, $case);
	}
	is_relative($facts->{log_likelihood}, $case->{loglik}, 1e-9, "$id: log-likelihood");
	is_relative($facts->{deviance}, $case->{deviance}, 1e-9, "$id: deviance");
	is_relative($facts->{null_deviance}, $case->{null_deviance}, 1e-9, "$id: null deviance");
	is_relative($facts->{aic}, $case->{aic}, 1e-9, "$id: AIC");
}

my $case = $peer{P08a};
my $rows = join ', ', map { "($_->[0], '$_->[1]', '$_->[2]')" } @{ $case->{rows} };
train($node, 'p08a',
	"SELECT breaks, wool = 'B' AS wool_b, tension = 'M' AS tension_m, tension = 'H' AS tension_h FROM (VALUES $rows) AS t (breaks, wool, tension)",
	'breaks', algorithm => "'glm'", params => q{'{"family": "poisson"}'}, holdout => 0);
my $got = coefficients($node, 'p08a/1');
my @terms = qw((intercept) wool_b tension_m tension_h);
for my $i (0 .. $#terms)
{
	my ($estimate, $error) = @{ $got->{ $terms[$i] } };

	is_relative($estimate, $case->{expected}{coef}[$i], $case->{compare_tolerance}, "P08a: coefficient of $terms[$i] as published");
	is_relative($error, $case->{expected}{std_err}[$i], $case->{compare_tolerance}, "P08a: standard error of $terms[$i] as published");
	is_relative($estimate, $case->{recomputed}{coef}[$i], 1e-6, "P08a: coefficient of $terms[$i] as recomputed");
	is_relative($error, $case->{recomputed}{std_err}[$i], 1e-6, "P08a: standard error of $terms[$i] as recomputed");
	is_relative($estimate / $error, $case->{recomputed}{z_stats}[$i], 1e-6, "P08a: z of $terms[$i] as recomputed");
}
is_relative(facts($node, 'p08a', 1)->{log_likelihood}, $case->{recomputed}{log_likelihood}, 1e-9, 'P08a: log-likelihood');

# LinearSVC(C = 1 / l2, dual = False, tol = 1e-12, intercept_scaling = 1e4) over
# standardised columns: its objective divided by C
my %objective = (1 => 31.0322691912948, 100 => 74.3606543523273);
for my $l2 (sort keys %objective)
{
	my $version = train($node, 'machine', 'SELECT * FROM ds.breast_cancer_wdbc', 'target',
		algorithm => "'linear_svm'", params => qq{'{"l2": $l2}'}, holdout => 0);

	is_relative(facts($node, 'machine', $version)->{objective}, $objective{$l2}, 1e-12, "objective of linear_svm with l2 = $l2");
}

# GaussianNB().fit(X, y): log_loss and roc_auc_score of predict_proba on the same rows
train($node, 'bayes', 'SELECT * FROM ds.breast_cancer_wdbc', 'target', algorithm => "'naive_bayes'", holdout => 0);
my ($loss, $auc) = split /\|/, $node->safe_psql('postgres',
	q{SELECT training_metrics ->> 'log_loss', training_metrics ->> 'roc_auc' FROM mlops.version WHERE model = 'bayes'});
is_relative($loss, 0.520408121, 1e-6, 'log loss of naive_bayes');
is_relative($auc, 0.9890333491887321, 1e-12, 'AUC of naive_bayes');

# workers change no byte
$node->safe_psql('postgres', q{
	CREATE TABLE flat AS
	SELECT sin(i * 1.1) AS a, cos(i * 2.3) AS b, sin(i * 3.7) AS c, i % 7 AS d, CASE WHEN i % 5 > 0 THEN sqrt(i) END AS e,
	       (ARRAY['x', 'y', 'z'])[1 + i % 3] AS kind, (i % 4 + 1)::float8 AS w, 1 + i % 5 AS years,
	       abs(hashint4(i) % 9) AS n, hashint4(i) % 10 > 4 * sin(i * 1.1) + i % 3 AS label
	  FROM generate_series(1, 150000) i});
for my $workers (0, 2)
{
	$node->safe_psql('postgres', qq{
		SET mlops.training_workers = $workers;
		CALL mlops_train('rates', 'SELECT a, b, c, d, e, kind, w, years, n FROM flat', 'n', algorithm => 'glm',
		                 params => '{"family": "poisson", "exposure": "years"}', weight => 'w');
		CALL mlops_train('penalised', 'SELECT a, b, c, d, e, kind, n FROM flat', 'n', algorithm => 'glm',
		                 params => '{"family": "poisson", "l2": 3}');
		CALL mlops_train('margins', 'SELECT a, b, c, d, e, kind, w, label FROM flat', 'label', algorithm => 'linear_svm', weight => 'w')});
}
is($node->safe_psql('postgres', q{SELECT string_agg(format('%s %s %s', model, versions, artifacts), ', ' ORDER BY model)
	  FROM (SELECT model, count(*) AS versions, count(DISTINCT sha256) AS artifacts FROM mlops.version
	         WHERE model IN ('rates', 'penalised', 'margins') GROUP BY model) AS m}),
	'margins 2 1, penalised 2 1, rates 2 1', 'the same bytes with 0 and 2 workers');

$node->stop;
done_testing();
