/*
 * test_family.c
 *		exp and log against the C library's, and the families' deviances, scores
 *		and information against their definitions.
 */
#include "check.h"
#include "num/elementary.h"
#include "num/family.h"

#define N 259					/* more than a chunk, and not a multiple of the rows taken at a time */

static void
check_elementary(void)
{
	double		worst_exp = 0;
	double		worst_log = 0;

	for (int i = 0; i < 40000; i++)
	{
		double		a = (i - 20000) * 0.0349;
		double		x = exp(a) * (1 + i % 7 * 0.1);
		double		near = 1 + a * 1e-3;

		worst_exp = fmax(worst_exp, fabs(vec_exp(ML_SPLAT(a))[1] / exp(a) - 1));
		worst_log = fmax(worst_log, fabs(vec_log(ML_SPLAT(x))[2] - log(x)) / fmax(fabs(log(x)), 1e-3));
		if (near > 0)
			worst_log = fmax(worst_log, fabs(vec_log(ML_SPLAT(near))[0] - log(near)) / fmax(fabs(log(near)), 1e-3));
	}
	check_close(worst_exp, 0, 1e-15, "exp");
	check_close(worst_log, 0, 2e-15, "log");
	check_close(vec_log(ML_SPLAT(1.0))[3], 0, 0, "log 1");
}

static double
mean_of(MlFamilyLink link, double eta, double *slope)
{
	switch (link)
	{
		case ML_FAMILY_IDENTITY:
			*slope = 1;
			return eta;
		case ML_FAMILY_LOG:
			*slope = exp(eta);
			return exp(eta);
		case ML_FAMILY_LOGIT:
			*slope = exp(-eta) / ((1 + exp(-eta)) * (1 + exp(-eta)));
			return 1 / (1 + exp(-eta));
		case ML_FAMILY_PROBIT:
			*slope = exp(-eta * eta / 2) / sqrt(2 * 3.14159265358979323846);
			return 0.5 * erfc(-eta / sqrt(2));
		case ML_FAMILY_INVERSE:
			*slope = -1 / (eta * eta);
			return 1 / eta;
		case ML_FAMILY_SQRT:
			*slope = 2 * eta;
			return eta * eta;
	}
	return NAN;
}

static double
variance_of(MlFamily family, double mu)
{
	return family == ML_FAMILY_GAUSSIAN ? 1 : family == ML_FAMILY_POISSON ? mu :
		family == ML_FAMILY_GAMMA ? mu * mu : mu * (1 - mu);
}

static double
deviance_of(MlFamily family, double y, double mu)
{
	switch (family)
	{
		case ML_FAMILY_GAUSSIAN:
			return (y - mu) * (y - mu);
		case ML_FAMILY_POISSON:
			return 2 * ((y > 0 ? y * log(y / mu) : 0) - (y - mu));
		case ML_FAMILY_GAMMA:
			return 2 * ((y - mu) / mu - log(y / mu));
		case ML_FAMILY_BINOMIAL:
			return -2 * log(y > 0 ? mu : 1 - mu);
	}
	return NAN;
}

static void
check_family(MlFamily family, MlFamilyLink link, const char *name)
{
	double		eta[N];
	double		y[N];
	double		weight[N];
	double		residual[N];
	double		root[N];
	double		deviance = 0;
	double		pearson = 0;
	double		worst = 0;
	MlFamilySums sums;

	for (int i = 0; i < N; i++)
	{
		eta[i] = link == ML_FAMILY_LOGIT || link == ML_FAMILY_PROBIT || link == ML_FAMILY_LOG ? (i - N / 2) * 0.03 : 0.1 + i * 0.02;
		y[i] = family == ML_FAMILY_BINOMIAL ? i % 3 == 0 : family == ML_FAMILY_GAMMA ? 0.5 + i % 5 : i % 4;
		weight[i] = 0.5 + i % 3;
	}
	ml_family_block(family, link, N, eta, y, weight, residual, root, &sums);
	for (int i = 0; i < N; i++)
	{
		double		slope;
		double		mu = mean_of(link, eta[i], &slope);
		double		v = variance_of(family, mu);
		double		score = weight[i] * (y[i] - mu) * slope / v;
		double		information = weight[i] * slope * slope / v;

		worst = fmax(worst, fabs(residual[i] - score) / (fabs(score) + 1e-3));
		worst = fmax(worst, fabs(root[i] * root[i] - information) / information);
		deviance += weight[i] * deviance_of(family, y[i], mu);
		pearson += weight[i] * (y[i] - mu) * (y[i] - mu) / v;
	}
	check_close(worst, 0, 1e-11, name);
	check_close(sums.deviance, deviance, 1e-12, "its deviance");
	check_close(sums.pearson, pearson, 1e-11, "its chi-squared");
	check(sums.invalid == 0, "every row is valid");
}

int
main(void)
{
	double		eta[4] = {-1, 0, 1, NAN};
	double		y[4] = {1, 2, 3, 0};
	double		residual[4];
	double		root[4];
	MlFamilySums sums;

	check_elementary();
	check_family(ML_FAMILY_GAUSSIAN, ML_FAMILY_IDENTITY, "gaussian, identity");
	check_family(ML_FAMILY_GAUSSIAN, ML_FAMILY_LOG, "gaussian, log");
	check_family(ML_FAMILY_GAUSSIAN, ML_FAMILY_INVERSE, "gaussian, inverse");
	check_family(ML_FAMILY_POISSON, ML_FAMILY_LOG, "poisson, log");
	check_family(ML_FAMILY_POISSON, ML_FAMILY_IDENTITY, "poisson, identity");
	check_family(ML_FAMILY_POISSON, ML_FAMILY_SQRT, "poisson, sqrt");
	check_family(ML_FAMILY_GAMMA, ML_FAMILY_INVERSE, "gamma, inverse");
	check_family(ML_FAMILY_GAMMA, ML_FAMILY_LOG, "gamma, log");
	check_family(ML_FAMILY_GAMMA, ML_FAMILY_IDENTITY, "gamma, identity");
	check_family(ML_FAMILY_BINOMIAL, ML_FAMILY_LOGIT, "binomial, logit");
	check_family(ML_FAMILY_BINOMIAL, ML_FAMILY_PROBIT, "binomial, probit");

	ml_family_block(ML_FAMILY_POISSON, ML_FAMILY_SQRT, 4, eta, y, NULL, residual, root, &sums);
	check_close(sums.invalid, 3, 0, "rows out of the range are counted");
	ml_family_block(ML_FAMILY_GAUSSIAN, ML_FAMILY_INVERSE, 4, eta, y, NULL, residual, root, &sums);
	check_close(sums.invalid, 2, 0, "1 / 0 is no mean, nor is NaN");

	/* far in the tail of the normal distribution: the hazard tends to a + 1 / a */
	eta[0] = -50;
	y[0] = 1;
	ml_family_block(ML_FAMILY_BINOMIAL, ML_FAMILY_PROBIT, 1, eta, y, NULL, residual, root, &sums);
	check_close(residual[0], 50.0199840319022, 1e-9, "probit far on the wrong side");
	check_close(sums.deviance, 2509.66272227884, 1e-11, "its deviance");
	check(!ml_family_allows(ML_FAMILY_POISSON, ML_FAMILY_LOGIT) && ml_family_allows(ML_FAMILY_GAMMA, ML_FAMILY_LOG), "links of families");
	return checks_done();
}
