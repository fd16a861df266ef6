/*
 * test_logit.c
 *		The rows' part of a logistic fit against the C library's functions,
 *		over the whole range of linear predictors.
 */
#include "check.h"
#include "num/logit.h"

#define N 1021					/* not a multiple of the rows taken at a time */

/* largest relative errors over the rows */
static void
compare(const double *eta, const double *y, const double *weight)
{
	double		residual[N];
	double		root[N];
	MlLogitSums sums;
	double		worst_residual = 0;
	double		worst_root = 0;
	double		log_likelihood = 0;
	double		least = INFINITY;

	ml_logit_block(N, eta, y, weight, residual, root, &sums);
	for (int i = 0; i < N; i++)
	{
		double		w = weight ? weight[i] : 1;
		double		m = (2 * y[i] - 1) * eta[i];
		double		e = exp(-fabs(eta[i]));
		double		other = m > 0 ? e / (1 + e) : 1 / (1 + e);	/* 1 - P(y) */
		double		variance = w * e / ((1 + e) * (1 + e));

		worst_residual = fmax(worst_residual, fabs(residual[i] - (2 * y[i] - 1) * w * other) / (w * other));
		worst_root = fmax(worst_root, fabs(root[i] - sqrt(variance)) / sqrt(variance));
		log_likelihood += w * (fmin(m, 0) - log1p(e));
		least = fmin(least, m);
	}
	check_close(worst_residual, 0, 2e-15, "residuals");
	check_close(worst_root, 0, 2e-15, "roots of the weights");
	check_close(sums.log_likelihood, log_likelihood, 1e-14, "log-likelihood");
	check_close(sums.least_margin, least, 0, "least margin");
}

int
main(void)
{
	double		eta[N];
	double		y[N];
	double		weight[N];
	double		residual[2];
	double		root[2];
	double		sum;
	double		squares;
	MlLogitSums sums;

	for (int i = 0; i < N; i++)
	{
		eta[i] = (i - N / 2) * 1.37;	/* -700 .. 700 */
		y[i] = (i * 7 % 3) == 0;
		weight[i] = 0.25 + i % 5;
	}
	compare(eta, y, NULL);
	compare(eta, y, weight);
	for (int i = 0; i < N; i++)
		eta[i] = (i - N / 2) * 1e-3;
	compare(eta, y, weight);

	eta[0] = 1e6;
	eta[1] = -1e6;
	y[0] = y[1] = 0;
	ml_logit_block(2, eta, y, NULL, residual, root, &sums);
	check_close(sums.log_likelihood, -1e6, 1e-15, "far on the wrong side");
	check_close(residual[0], -1, 1e-15, "residual far on the wrong side");
	check(isfinite(root[0]) && isfinite(root[1]), "weights stay finite");
	eta[0] = NAN;
	ml_logit_block(2, eta, y, NULL, residual, root, &sums);
	check(isnan(sums.log_likelihood), "NaN stays NaN");

	for (int i = 0; i < N; i++)
		eta[i] = i;
	ml_column_moments(N, eta, NULL, &sum, &squares);
	check_close(sum, (N - 1.0) * N / 2, 0, "sum");
	check_close(squares, (N - 1.0) * N * (2 * N - 1) / 6, 0, "sum of squares");
	ml_column_standardise(N, eta, 10, 0.5, eta);
	check_close(eta[N - 1], (N - 11) * 0.5, 0, "standardised");
	ml_column_multiply(N, weight, eta);
	check_close(eta[N - 1], (N - 11) * 0.5 * weight[N - 1], 0, "multiplied");
	return checks_done();
}
