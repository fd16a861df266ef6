/*
 * family.h
 *		Families and links of generalized linear models: the rows' part of a
 *		fit, a block at a time.
 */
#ifndef ML_NUM_FAMILY_H
#define ML_NUM_FAMILY_H

#include <stdbool.h>

/* the distribution of y about its mean mu, by the variance V(mu) */
typedef enum MlFamily
{
	ML_FAMILY_GAUSSIAN,			/* 1 */
	ML_FAMILY_POISSON,			/* mu */
	ML_FAMILY_GAMMA,			/* mu^2 */
	ML_FAMILY_BINOMIAL			/* mu (1 - mu); y is 0 or 1 */
} MlFamily;

/* eta of the mean */
typedef enum MlFamilyLink
{
	ML_FAMILY_IDENTITY, ML_FAMILY_LOG, ML_FAMILY_LOGIT, ML_FAMILY_PROBIT,
	ML_FAMILY_INVERSE, ML_FAMILY_SQRT
} MlFamilyLink;

/* what a block adds up to; of invalid rows nothing else counts */
typedef struct MlFamilySums
{
	double		deviance;		/* weighted sum of unit deviances */
	double		pearson;		/* of w (y - mu)^2 / V(mu) */
	double		ratio;			/* GAMMA: of w y / mu */
	double		log_ratio;		/* GAMMA: of w log(y / mu) */
	double		invalid;		/* rows whose eta has no mean in the family's range */
} MlFamilySums;

extern bool ml_family_allows(MlFamily family, MlFamilyLink link);
extern MlFamilyLink ml_family_canonical(MlFamily family);

/*
 * For n rows with linear predictor eta, target y and case weight (NULL: 1),
 * mu the mean and d its derivative by eta:
 *   residual = weight (y - mu) d / V(mu)      the score's part of eta
 *   root     = sqrt(weight d^2 / V(mu))       of the expected information's
 */
extern void ml_family_block(MlFamily family, MlFamilyLink link, int n, const double *eta,
							const double *y, const double *weight,
							double *residual, double *root, MlFamilySums *sums);

/*
 * eta of the means that a fit starts from: those of R's families, the target
 * itself a little off the border; for GAUSSIAN with another link than the
 * identity that of the mean of all rows.
 */
extern void ml_family_start(MlFamily family, MlFamilyLink link, int n, const double *y,
							double mean, double *eta);

#endif							/* ML_NUM_FAMILY_H */
