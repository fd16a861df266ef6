/*
 * test_softmax.c
 *		The rows' part of a fit of several classes against the C library's
 *		functions, over the whole range of linear predictors.
 */
#include "check.h"
#include "num/logit.h"
#include "num/softmax.h"

#define N 512
#define K 5

static double eta[N * K];
static double y[N];
static double weight[N];
static double residual[N * K];
static double root[N * K];
static double work[N];

static void
compare(int nclasses, double size, const char *name)
{
	MlSoftmaxSums sums;
	double		worst = 0;
	double		log_likelihood = 0;
	double		least = INFINITY;

	for (int i = 0; i < N; i++)
	{
		y[i] = i * 7 % nclasses;
		weight[i] = i % 4;
		for (int c = 0; c < nclasses; c++)
			eta[c * N + i] = size * sin(i * 1.3 + c * 2.1);
	}
	ml_softmax_block(N, nclasses, eta, y, weight, residual, root, work, &sums);
	for (int i = 0; i < N; i++)
	{
		double		largest = -INFINITY;
		double		total = 0;

		for (int c = 0; c < nclasses; c++)
			largest = fmax(largest, eta[c * N + i]);
		for (int c = 0; c < nclasses; c++)
			total += exp(eta[c * N + i] - largest);
		for (int c = 0; c < nclasses; c++)
		{
			double		p = exp(eta[c * N + i] - largest) / total;

			worst = fmax(worst, fabs(residual[c * N + i] - weight[i] * ((y[i] == c) - p)));
			worst = fmax(worst, fabs(root[c * N + i] * root[c * N + i] - p));
			if (c != y[i] && weight[i] > 0)
				least = fmin(least, eta[(int) y[i] * N + i] - eta[c * N + i]);
		}
		log_likelihood += weight[i] * (eta[(int) y[i] * N + i] - largest - log(total));
	}
	check_close(worst, 0, 2e-15, name);
	check_close(sums.log_likelihood, log_likelihood, 1e-14, "log-likelihood");
	check_close(sums.least_margin, least, 0, "least margin");
}

int
main(void)
{
	MlSoftmaxSums sums;
	MlLogitSums two;
	double		zero[N * 2];
	double		r[N];
	double		q[N];

	compare(5, 1, "small predictors");
	compare(5, 40, "large predictors");
	compare(3, 1e5, "huge predictors");
	compare(2, 3, "two classes");

	/* two classes are a logistic regression */
	for (int i = 0; i < N; i++)
	{
		zero[i] = 0;
		zero[N + i] = eta[i];
		weight[i] = 1 + i % 3;
	}
	ml_softmax_block(N, 2, zero, y, weight, residual, root, work, &sums);
	ml_logit_block(N, eta, y, weight, r, q, &two);
	check_close(sums.log_likelihood, two.log_likelihood, 1e-14, "the log-likelihood of two classes is that of a logit");
	check_close(residual[N + 17], r[17], 1e-14, "and the residuals too");

	ml_column_product(N - 1, y, weight, eta, work);
	check_close(work[N - 3], y[N - 3] * weight[N - 3] * eta[N - 3], 0, "products");
	eta[3] = NAN;
	ml_softmax_block(N, 2, eta, y, weight, residual, root, work, &sums);
	check(isnan(sums.log_likelihood), "NaN stays NaN");
	return checks_done();
}
