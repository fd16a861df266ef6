/*
 * interval.h
 *		How sure a metric is: its interval of 95 %, and that of the difference of
 *		two on the same rows.
 *
 * Whatever can be linearised is: influence of a row is what one more unit of its
 * weight adds to the metric, so that the variance of the metric is the sum of
 * (weight x influence)^2 (Hampel et al., Robust Statistics, 1986; for weights of 1 /
 * inclusion probability Saerndal, Swensson & Wretman, Model Assisted Survey
 * Sampling, 1992, section 5.5). Differences of two versions take the
 * difference of the influences, row by row. All else is bootstrapped.
 */
#ifndef ML_INTERVAL_H
#define ML_INTERVAL_H

#include "postgres.h"

#include "metric/metric.h"

#define ML_NORMAL_975	1.959963984540054	/* quantile of the standard normal */
#define ML_NORMAL_80	0.8416212335729143

/* how an interval is found */
typedef enum MlIntervalKind
{
	ML_INTERVAL_BOOTSTRAP,		/* measured again and again; needs nothing of the metric */
	ML_INTERVAL_SHARE,			/* mean of row_values that are 0 or 1 */
	ML_INTERVAL_MEAN,			/* mean of row_values */
	ML_INTERVAL_TABLE,			/* a function of the weights of predicted and true classes */
	ML_INTERVAL_AREA,			/* chance of a positive row scoring higher than a negative one */
	ML_INTERVAL_INFLUENCE,		/* there is row_influence */
	ML_INTERVAL_NONE			/* an extreme: none can be given */
} MlIntervalKind;

typedef struct MlIntervalRule
{
	const MlMetric *metric;
	MlIntervalKind kind;

	/*
	 * SHARE of two classes: the value of a row by whether it is said to be positive and
	 * whether it is. NULL: it is no matter of these alone.
	 */
	const double (*of_cell)[2];

	/*
	 * SHARE, MEAN: the value of each row, NaN where it is not in question (a row
	 * predicted negative, for precision). transform, which rises, makes the metric of their
	 * mean; NULL: it is the mean.
	 */
	void		(*row_values) (const MlMeasurement *rows, double *value);
	double		(*transform) (double mean);

	/* INFLUENCE: what one more unit of a row's weight adds to the metric; returns the metric */
	double		(*row_influence) (const MlMeasurement *rows, double *influence);
} MlIntervalRule;

/* the kind for these rows: of many classes a table has too many cells, and is bootstrapped */
extern MlIntervalKind ml_interval_kind(const MlMetric *metric, const MlMeasurement *rows);

/* weights and their squares of rows of two classes, by said x is */
typedef struct MlCells
{
	double		weight[2][2];
	double		square[2][2];
} MlCells;

/* rules.c: that of a metric, never NULL */
extern const MlIntervalRule *ml_interval_rule(const MlMetric *metric);

/*
 * Rows that count: label and prediction are known, weights above 0. All
 * arrays have rows.n elements.
 */
typedef struct MlSample
{
	MlMeasurement rows;
	const uint64 *random;		/* a number of each row that those of the bootstrap are hashed from */
	uint64		seed;
	const uint32 *order;		/* AREA: the rows, ascending by prediction */

	const MlCells *cells;		/* of two classes; NULL: not counted yet */

	/* of one metric: its row_values; SHARE and MEAN cannot do without, unless ml_interval_by_cells */
	const double *value;
} MlSample;

typedef struct MlInterval
{
	double		value;			/* NaN: not defined on these rows */
	double		low;			/* NaN: no interval can be given */
	double		high;
	double		error;			/* standard error; NaN: likewise */
} MlInterval;

extern void ml_interval(const MlMetric *metric, const MlSample *sample, MlInterval *result);

/* does ml_interval, though not ml_interval_paired, need no more of the rows than their cells? */
extern bool ml_interval_by_cells(const MlMetric *metric, MlTask task);
extern void ml_interval_count_cells(const MlMeasurement *rows, MlCells *cells);

typedef struct MlPaired
{
	double		first;
	double		second;
	double		difference;		/* first - second */
	double		low;			/* NaN, all three: cannot be given */
	double		high;
	double		p_value;		/* of no difference, two-sided */
	double		needed;			/* rows by which one of this size would be told from none; NaN: not known */
	double		error;			/* standard error of the difference; NaN: not known */
} MlPaired;

/* two samples of the same rows: they differ in prediction, order, value and threshold */
extern void ml_interval_paired(const MlMetric *metric, const MlSample *first, const MlSample *second,
							   MlPaired *result);

/* the same of a difference whose standard error is known; df: of t, infinite for the normal */
extern void ml_paired_by_error(MlPaired *result, double error, double df, int64 n);

/*
 * ml_interval where rows belong together, as those of one customer do: what is
 * independent are clusters. cluster: of each row, from 0 to nclusters - 1. Random numbers of rows
 * that are bootstrapped must be those of the cluster.
 */
extern void ml_interval_clustered(const MlMetric *metric, const MlSample *sample, const uint32 *cluster,
								  int64 nclusters, MlInterval *result);

/* ml_interval_paired likewise */
extern void ml_interval_paired_clustered(const MlMetric *metric, const MlSample *first, const MlSample *second,
										 const uint32 *cluster, int64 nclusters, MlPaired *result);

/* ---- parts ---- */

/*
 * value -+ half on a scale that keeps the ends in the metric's range: logarithms from an
 * end, log odds between two. The ends alone are filled in.
 */
extern void ml_interval_on_scale(const MlMetric *metric, double value, double half, MlInterval *result);

/* Wilson's interval of a share of n, which need not be an integer */
extern void ml_wilson(double share, double n, double *low, double *high);

/* McNemar's two-sided p value: exact where no more than 25 rows are discordant, else with Edwards' correction */
extern double ml_mcnemar(double one, double other);

/*
 * Newcombe's interval of the difference of two shares of the same rows, which
 * are in four cells: both, first only, second only, neither.
 */
extern void ml_newcombe_paired(const double cell[4], double *low, double *high);

/* of TABLE: the slopes by cell, predicted class x true class, weights by cell; returns the metric */
extern double ml_table_slopes(const MlMetric *metric, const MlMeasurement *like, int n, double *weight, int64 rows,
							  double *slope);

/* the influence of every row; returns the metric, NaN if it is not defined or cannot be linearised */
extern double ml_influence(const MlMetric *metric, const MlSample *sample, double *influence);

/* the same for the area under the ROC curve (delong.c) */
extern double ml_delong(const MlSample *sample, double *influence);

/* the plain interval of the mean of value by weight, with no scale of its own */
extern void ml_interval_mean(const MlMeasurement *rows, const double *value, MlInterval *result);

/* bootstrap.c; how often a row counts in a replicate that the seed is of */
extern int	ml_bootstrap_draw(uint64 seed, uint64 random);
extern void ml_bootstrap(const MlMetric *metric, const MlSample *sample, MlInterval *result);
extern void ml_bootstrap_paired(const MlMetric *metric, const MlSample *first, const MlSample *second,
								MlPaired *result);

/* P(|Z| >= |z|) and P(|T| >= |t|); the quantile of t that 2.5 % are above */
extern double ml_tail_normal(double z);
extern double ml_tail_t(double t, double df);
extern double ml_quantile_t(double df);

#endif							/* ML_INTERVAL_H */
