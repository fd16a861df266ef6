/*
 * live.h
 *		Live quality: logged predictions, their outcomes, and what metrics say of
 *		both by window, deployment or age of the version.
 *
 * An outcome belongs to the last prediction of its key, in a role, before it.
 * Where a prediction has several, the model's policy picks one. Memory is that
 * of the largest group of rows.
 */
#ifndef ML_LIVE_H
#define ML_LIVE_H

#include "postgres.h"

#include "budget.h"
#include "datatype/timestamp.h"
#include "metric/metric.h"
#include "nodes/pg_list.h"
#include "registry/registry.h"
#include "watch/outcome.h"

/* what the number of a group is */
typedef enum MlLiveBy
{
	ML_LIVE_BY_WINDOW,			/* of width, from 0 at the beginning */
	ML_LIVE_BY_DEPLOYMENT,		/* of predictions that served; others are left out */
	ML_LIVE_BY_AGE,				/* of the version, in widths; likewise */
	ML_LIVE_BY_AGE_POOLED		/* the same of all versions together, as version 0 */
} MlLiveBy;

typedef struct MlLiveRequest
{
	const char *model;
	MlLiveBy	by;
	TimestampTz from;
	TimestampTz until;			/* of the predictions */
	TimestampTz as_of;			/* of the outcomes */
	int64		width;			/* in microseconds */
	Datum		slices;			/* text[] of names of logged inputs; 0: none */
	bool		primary;		/* the model's metric alone */
} MlLiveRequest;

/* one metric of one group */
typedef struct MlLiveLine
{
	int			group;
	char	   *role;
	int			version;
	char	   *slice;			/* "": all rows */
	const char *metric;			/* NULL: the model has none */
	double		value;			/* NaN: not defined on these rows, or not known from the log; likewise below */
	double		low;			/* 95 % interval; none for metrics that would be bootstrapped */
	double		high;
	double		error;			/* standard error */
	int64		labelled;
	int64		predictions;
	double		median;			/* seconds until outcomes came */
	double		p90;
	double		agreement;		/* of several outcomes with the one that counts, a share */
} MlLiveLine;

typedef struct MlLive
{
	List	   *lines;			/* of MlLiveLine, by group, role, version, slice */
	double		usual_delay;	/* in which nine in ten outcomes came, whatever the group; NaN: there is none */
} MlLive;

/* in the current context. Checks no privilege */
extern void ml_live_measure(const MlLiveRequest *request, MlLive *result);

/*
 * The model's primary metric on what its version answered as the active one in a stretch of time;
 * NaN without outcomes. n: rows that it is of. Checks no privilege.
 */
extern double ml_live_value(const char *model, int version, TimestampTz from, TimestampTz until,
							TimestampTz as_of, int64 *n);

/* ---- between live_rows.c and live_measure.c ---- */

/* labelled rows of a group */
typedef struct MlLiveGroup
{
	int			group;
	char	   *role;
	int			version;
	char	   *slice;
	int64		predictions;
	int64		labelled;
	int64		capacity;
	double	   *prediction;		/* of labelled rows, here and below */
	double	   *label;
	int		   *class;			/* that was predicted */
	double	   *delay;			/* seconds */
	double		agreement;		/* sum over rows with several outcomes */
	int64		several;
} MlLiveGroup;

typedef struct MlLiveState
{
	const MlLiveRequest *request;
	MlOutcomeKind kind;
	const MlMetric *primary;	/* NULL: none */
	MemoryContext cxt;
	MlBudget	budget;
	MlLiveGroup group;
	bool		open;
	List	   *lines;
	double	   *delay;			/* of all rows, whatever the slice */
	int64		ndelays;
	int64		delay_capacity;
} MlLiveState;

/* reads the rows; each group is measured when it is complete */
extern void ml_live_read(MlLiveState *live, const char *policy);
extern void ml_live_measure_group(MlLiveState *live);

/* the least of sorted values that a share of them does not exceed; NaN: there are none */
extern double ml_live_quantile(const double *sorted, int64 n, double share);
extern int	ml_live_compare(const void *a, const void *b);

#endif							/* ML_LIVE_H */
