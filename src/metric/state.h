/*
 * state.h
 *		What rows add up to in a metric, as an SQL value: the type
 *		mlops.metric_state.
 *
 * A type beside mlops.state, because that one is a learner's: it cannot be read
 * without the library that holds the learners, which a query over predictions
 * must not load. A state of a metric is sums, a table, a sketch of scores or
 * points, with all that it takes to add rows to it and to merge it with
 * another; so it is made on one server and merged on another, and nothing is
 * kept beside it.
 *
 * Several metrics are functions of one kind of state: then a query that asks
 * for them adds its rows up once. A state that leaves an aggregate of states
 * carries the name of its metric, so that mlops.final() knows what is asked.
 *
 * In memory a state is an expanded object. docs/formats.md has its bytes.
 */
#ifndef ML_METRIC_STATE_H
#define ML_METRIC_STATE_H

#include "postgres.h"

#include "compat.h"
#include "fmgr.h"
#include "metric/walk.h"
#include "utils/expandeddatum.h"

#define ML_METRIC_STATE_TYPE "mlops.metric_state"
#define ML_METRIC_NAME	32		/* bytes of a name, with its end */

/* numbers are part of the format */
typedef enum MlStateKind
{
	ML_STATE_MEAN = 1,			/* of what a row costs, by unit */
	ML_STATE_MAXIMUM = 2,		/* of absolute errors */
	ML_STATE_MOMENTS = 3,		/* of labels and errors */
	ML_STATE_CELLS = 4,			/* two classes; parameter: threshold */
	ML_STATE_BINS = 5,			/* probabilities and outcomes in ten bins */
	ML_STATE_TABLE = 6,			/* classes by name */
	ML_STATE_RANKED = 7,		/* scores in order; parameter: share, or NaN */
	ML_STATE_CLUSTERS = 8,		/* centres of clusters */
	ML_STATE_POINTS = 9			/* points of clusters */
} MlStateKind;

#define ML_STATE_KINDS	9

/* of means; numbers are part of the format */
typedef enum MlUnit
{
	ML_UNIT_NONE = 0,
	ML_UNIT_LOG_LOSS = 1,
	ML_UNIT_BRIER = 2,
	ML_UNIT_TOP = 3,			/* parameter: k */
	ML_UNIT_SQUARED = 4,
	ML_UNIT_ABSOLUTE = 5,
	ML_UNIT_PERCENTAGE = 6,
	ML_UNIT_SYMMETRIC = 7,
	ML_UNIT_POISSON = 8,
	ML_UNIT_GAMMA = 9,
	ML_UNIT_PINBALL = 10		/* parameter: quantile */
} MlUnit;

#define ML_UNITS		10

typedef struct MlMetricState
{
	ExpandedObjectHeader hdr;
	MlStateKind kind;
	MlUnit		unit;
	double		parameter;		/* NaN: none */
	char		metric[ML_METRIC_NAME];	/* empty: not said */
	int64		nrows;			/* at least 1 in a value */
	const struct MlStateBody *body;
	void	   *data;			/* of the body, in the object's context */
	Size		flat_size;		/* as get_flat_size has told */
} MlMetricState;

/* what the kinds do in ways of their own; bytes are little-endian */
typedef struct MlStateBody
{
	void		(*begin) (MlMetricState *state);
	Size		(*size) (MlMetricState *state);
	void		(*write) (MlMetricState *state, char *at);
	void		(*read) (MlMetricState *state, const char *at, Size length);	/* ml_metric_state_refuse */
	void		(*merge) (MlMetricState *into, MlMetricState *other);
} MlStateBody;

extern const MlStateBody ml_state_sums;		/* state_sums.c: kinds 1 to 5 */
extern const MlStateBody ml_state_table;	/* state_table.c */
extern const MlStateBody ml_state_ranked;	/* sketch.c */
extern const MlStateBody ml_state_clusters; /* state_points.c */
extern const MlStateBody ml_state_points;

/* ---- state.c ---- */

/* a state without rows, in a child of parent */
extern MlMetricState *ml_metric_state_make(MemoryContext parent, MlStateKind kind, MlUnit unit, double parameter);

/*
 * The state of a datum, flat or expanded: in place if it may be written, else a
 * copy in a child of parent. ML004 for bytes that are no state.
 */
extern MlMetricState *ml_metric_state_get(Datum datum, MemoryContext parent);
extern MlMetricState *ml_metric_state_copy(MlMetricState *state, MemoryContext parent);

/* into is the earlier rows; 22023 unless both are of one metric and parameter */
extern void ml_metric_state_merge(MlMetricState *into, MlMetricState *other);

ml_noreturn extern void ml_metric_state_refuse(const char *detail);

/* the context that states of this call belong to */
extern MemoryContext ml_metric_state_parent(FunctionCallInfo fcinfo);

/* ---- state_sums.c ---- */

extern void ml_state_add_mean(MlMetricState *state, double cost, double weight);
extern void ml_state_add_maximum(MlMetricState *state, double error);
extern void ml_state_add_moments(MlMetricState *state, double label, double error, double weight);
extern void ml_state_add_cell(MlMetricState *state, bool said, bool is, double weight);
extern void ml_state_add_bin(MlMetricState *state, double probability, bool outcome, double weight);

extern double ml_state_mean(const MlMetricState *state);
extern double ml_state_maximum(const MlMetricState *state);
extern double ml_state_r2(const MlMetricState *state);
extern double ml_state_explained_variance(const MlMetricState *state);
extern double ml_state_calibration_error(const MlMetricState *state);
extern void ml_state_cells(const MlMetricState *state, double *cell);	/* 4, as MlTable has them */

/* ---- state_table.c ---- */

#define ML_STATE_LABELS	1000	/* most classes of a table */

extern void ml_state_add_labels(MlMetricState *state, const char *said, int said_length,
								const char *is, int is_length, double weight);

/* the class that counts as positive; NULL: none. Set with the first row, and the same for all */
extern void ml_state_set_positive(MlMetricState *state, const char *positive, int length);

/* labels in C order and the table of weights; positive: index of the positive class, -1: none */
typedef struct MlLabelled
{
	int			n;
	const char **label;			/* terminated */
	double	   *cell;			/* n x n, as MlTable has them */
	int			positive;
} MlLabelled;

extern MlLabelled ml_state_labelled(const MlMetricState *state);

/* ---- sketch.c ---- */

extern void ml_state_add_ranked(MlMetricState *state, double score, bool positive, double weight);
extern MlWalk ml_state_walk(MlMetricState *state);
extern MlBounded ml_state_median(MlMetricState *state);

/* ---- state_points.c ---- */

#define ML_STATE_POINTS_MOST	20000	/* rows of an exact silhouette */

extern void ml_state_add_to_cluster(MlMetricState *state, int cluster, const double *x, int n, double weight);
extern void ml_state_add_point(MlMetricState *state, int cluster, const double *x, int n, double weight);
extern double ml_state_inertia(const MlMetricState *state);
extern double ml_state_silhouette(const MlMetricState *state);

/* ---- state_rows.c: what the transition functions of all signatures share ---- */

/* weight argument n, if the call has one; false: the row does not count. 22023 for a negative weight */
extern bool ml_metric_weight(FunctionCallInfo fcinfo, int n, double *weight);

/* the state of argument 0, or one that begins here; 22023 if its parameter is another */
extern MlMetricState *ml_metric_begin(FunctionCallInfo fcinfo, MlStateKind kind, MlUnit unit, double parameter);

/* 22003 if one of them is infinite */
extern void ml_metric_refuse_infinite(double prediction, double label);

/* argument 0 as it is after a row that does not count */
extern Datum ml_metric_skip(FunctionCallInfo fcinfo);

#endif							/* ML_METRIC_STATE_H */
