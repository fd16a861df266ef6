/*
 * compare.h
 *		How far two pictures of a column are apart, and what that says.
 */
#ifndef ML_DRIFT_COMPARE_H
#define ML_DRIFT_COMPARE_H

#include "postgres.h"

#include "drift/profile.h"

/* what is not defined is NaN */
typedef struct MlDistance
{
	int64		rows;
	int64		rows_reference;
	double		psi;			/* population stability index */
	double		js;				/* Jensen-Shannon divergence, in nats */
	double		effect;			/* numbers: KS statistic; categories: total variation. 0 to 1 */
	double		wasserstein;	/* of order 1, in the column's unit */
	double		chi_square;
	int			df;
	double		p_value;		/* of KS or chi-square */
	double		missing;		/* shares */
	double		missing_reference;
	double		unseen;			/* share of the values that the reference does not have */
	double		mean;
	double		mean_reference;
} MlDistance;

extern void ml_drift_compare(const MlProfile *reference, const MlProfile *current, MlDistance *distance);

/*
 * Between numbers; current is what scale * value + offset makes of it, scale > 0.
 * sup |F - G|, and the area between F and G.
 */
extern double ml_drift_ks(const MlNumberProfile *reference, const MlNumberProfile *current, double scale, double offset,
						  double *wasserstein);

/* P(D >= d) if two samples of these sizes are of one continuous distribution, asymptotically */
extern double ml_drift_ks_tail(double d, double n, double m);

/* the value below which a share of the values lies, as far as the knots tell; NaN: there is none */
extern double ml_drift_quantile(const MlNumberProfile *number, double share);

/* over n bins; shares sum to 1 each */
extern double ml_drift_psi(const double *reference, const double *current, int n);
extern double ml_drift_js(const double *reference, const double *current, int n);

/* ---- what it says ---- */

typedef enum MlVerdict
{
	ML_VERDICT_OK,
	ML_VERDICT_UNKNOWN,			/* too few rows */
	ML_VERDICT_SHIFTED,
	ML_VERDICT_BROKEN
} MlVerdict;

typedef struct MlJudgement
{
	double		p_adjusted;
	MlVerdict	verdict;
	char	   *reason;			/* NULL: nothing to say */
	char	   *change;			/* the reason, should it be a shift; NULL of times */
} MlJudgement;

typedef struct MlDriftRule
{
	double		min_effect;		/* of PSI, and of KS or total variation: less is no shift */
	int64		min_rows;		/* fewer rows say nothing */
} MlDriftRule;

/* broken or not: verdict, reason and change, in the current context */
extern void ml_drift_find_fault(const MlProfile *reference, const MlProfile *current, const MlDistance *distance,
								const MlDriftRule *rule, MlJudgement *judgement);

/* what is not broken may have shifted; once p_adjusted is set */
extern void ml_drift_judge(MlKind kind, const MlDistance *distance, const MlDriftRule *rule, MlJudgement *judgement);

/* "cm" or "1000 times larger": another unit of the same quantity; NULL: it is none */
extern char *ml_drift_unit(const MlNumberProfile *reference, const MlNumberProfile *current, double ks);

/*
 * p values so adjusted that at most a share q of those below q are false discoveries;
 * NaN stays and does not count.
 */
extern void ml_drift_adjust(const double *p, int n, double *adjusted);

#endif							/* ML_DRIFT_COMPARE_H */
