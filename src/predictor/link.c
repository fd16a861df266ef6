/*
 * link.c
 *		From linear predictors to outputs.
 *
 * The inverses of the canonical and other usual links of generalized linear
 * models (McCullagh & Nelder, Generalized Linear Models, 2nd ed., section 2.2).
 */
#include "postgres.h"

#include "predictor/linear.h"

/* about the largest, so that exp cannot overflow */
static void
softmax(double *eta, int n)
{
	double		largest = eta[0];
	double		sum = 0;

	for (int i = 1; i < n; i++)
		largest = Max(largest, eta[i]);
	for (int i = 0; i < n; i++)
	{
		eta[i] = exp(eta[i] - largest);
		sum += eta[i];
	}
	for (int i = 0; i < n; i++)
		eta[i] /= sum;
}

static double
apply(MlLink link, double eta)
{
	switch (link)
	{
		case ML_LINK_IDENTITY:
		case ML_LINK_SOFTMAX:
			return eta;
		case ML_LINK_LOGIT:
			return ml_logistic(eta);
		case ML_LINK_LOG:
			return exp(eta);
		case ML_LINK_PROBIT:
			return 0.5 * erfc(-eta * M_SQRT1_2);
		case ML_LINK_INVERSE:
			return 1 / eta;
		case ML_LINK_SQRT:
			return eta * eta;
		case ML_LINK_HALVING:
			return exp2(-eta);
	}
	elog(ERROR, "unknown link %d", (int) link);
	return eta;					/* keep the compiler quiet */
}

void
ml_link_apply(MlLink link, double *eta, int n)
{
	if (link == ML_LINK_IDENTITY)
		return;
	if (link == ML_LINK_SOFTMAX)
		softmax(eta, n);
	else
		for (int i = 0; i < n; i++)
			eta[i] = apply(link, eta[i]);
}
