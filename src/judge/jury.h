/*
 * jury.h
 *		What the files of the room share. Private to judge/.
 *
 * Rows of a jury have places: 0, 1, ... in canonical order. Its frame keeps them
 * as they arrived, since moving all columns would cost more than moving
 * what is made of them.
 */
#ifndef ML_JURY_H
#define ML_JURY_H

#include "postgres.h"

#include "judge/judge.h"
#include "metric/interval.h"

#define ML_JURY_MOST_ROWS	PG_INT32_MAX	/* places are 32 bits wide */
#define ML_JURY_SEED		42

typedef struct MlSlicer MlSlicer;	/* slices.c */

struct MlJudgeMetric
{
	const char *name;
	bool		higher_is_better;
	const MlMetric *metric;		/* NULL: a registered one */
	struct MlCustomMetric *custom;
};

/* where rows come from */
typedef struct MlJurySource
{
	const char *source;			/* with target and slices; or an edition */
	const char *target;			/* NULL: the model's */
	const char *weight;			/* NULL: all 1 */
	int			nslices;
	char	  **slice;			/* names of columns, or conditions */
	const MlEdition *edition;
} MlJurySource;

typedef struct MlPlaces
{
	MlJurySlice pub;
	bool		pinned;			/* its rows weigh 1 each */
	int64		nrows;
	uint32	   *place;			/* ascending; NULL: all */
} MlPlaces;

struct MlJury
{
	MemoryContext cxt;
	MlBudget	budget;
	const char *model;
	char	   *target;			/* as the model calls it; NULL: none */
	bool		renamed;		/* the source calls it otherwise */
	const char *key;			/* column that all versions know their training rows by, too; NULL: none, or it is not here */
	MlTask		task;
	List	   *metrics;
	bool		include_seen;
	uint64		seed;

	MlFrame    *frame;
	int64		nrows;
	int64	   *row;			/* the frame's row in each place */
	uint64	   *random;			/* of each place, for the bootstrap */
	double	   *weight;			/* of each place; NULL: all 1 */
	int			nslices;
	MlPlaces   *slice;			/* the first is of all rows */
};

/* memory that samples are gathered into, NULL until it is needed */
typedef struct MlBuffers
{
	void	   *label;
	void	   *prediction;
	void	   *loss;
	void	   *value;
	void	   *order;
} MlBuffers;

/*
 * Rows of a slice that count for one version, or for two. One a version, for one slice after the
 * other: memory fresh from the system would cost more than what is done in it.
 */
typedef struct MlGathered
{
	int			slice;
	const MlJudged *other;		/* NULL: for one */
	MlSample	sample;			/* of the one version */
	MlSample	other_sample;
	uint32	   *place;
	int64		seen;
	MlCells		cells;			/* of sample, where it says so */
	MlBuffers	buffers;
	MlBuffers	other_buffers;
	void	   *weight;
	void	   *random;
	void	   *index;
} MlGathered;

/* values of the rows of one metric, by place */
typedef struct MlJudgedValues
{
	const MlMetric *metric;
	double	   *value;
} MlJudgedValues;

struct MlJudged
{
	MlJury	   *jury;
	MemoryContext cxt;
	char	   *model;
	int			version;
	const MlModel *artifact;
	const MlTarget *target;
	int			width;			/* numbers of a prediction */
	double		threshold;
	double		mean_label;		/* of the training rows; NaN: not known */

	/* by place */
	double	   *label;
	double	   *prediction;
	MlLoss	   *loss;			/* without a target, instead of both */
	bool	   *counts;			/* label and prediction are known, and it may be judged by the row */
	bool	   *seen;			/* NULL: not known which rows it was trained on */
	uint32	   *order;			/* places by prediction, ascending; NULL: not yet needed */

	List	   *values;			/* of MlJudgedValues * */
	List	   *custom;			/* of what registered metrics said (custom.c) */
	MlGathered *gathered;		/* the last */
};

/* was either trained on the row in this place? Not known is no */
static inline bool
ml_judged_has_seen(const MlJudged *judged, const MlJudged *other, int64 at)
{
	return (judged->seen != NULL && judged->seen[at]) ||
		(other != NULL && other->seen != NULL && other->seen[at]);
}

/*
 * Does a row that a version was trained on count in the slice? A pinned one does:
 * what went wrong once must not go wrong again, whatever was learned from it.
 */
static inline bool
ml_jury_takes_seen(const MlJury *jury, const MlPlaces *slice)
{
	return jury->include_seen || slice->pinned;
}

/* memory from the budget of the jury, in cxt */
extern void *ml_jury_take(MlJury *jury, MemoryContext cxt, int64 n, Size size, const char *what);

extern MlJury *ml_jury_open(const MlJuryRequest *request, const MlJurySource *source);

/* ---- slices.c ---- */

/* the query with the conditions of the source as columns; columns: those of the query without them */
extern MlSlicer *ml_slicer_begin(MlJury *jury, const MlJurySource *source, const MlFrame *columns);
extern const char *ml_slicer_query(const MlSlicer *slicer);	/* instead of the source's */
extern void ml_slicer_tee(void *slicer, TupleDesc desc, TupleTableSlot *slot);
extern uint64 ml_slicer_hash(const MlSlicer *slicer, int64 row);	/* of the slices that a row is in */

/* place: of each row of the frame. Fills in the slices of the jury */
extern void ml_slicer_finish(MlSlicer *slicer, MlJury *jury, const uint32 *place);

/* ---- judged.c ---- */

/* rows of a slice that count for judged, and for other too where it is not NULL; kept until the next call */
extern MlGathered *ml_judged_gather(const MlJudged *judged, const MlJudged *other, int slice);

/* completes the samples for a metric: values of rows, order, random numbers */
extern void ml_judged_prepare(const MlJudged *judged, const MlMetric *metric, MlGathered *gathered);

/* no more than ml_interval needs */
extern void ml_judged_prepare_estimate(const MlJudged *judged, const MlMetric *metric, MlGathered *gathered);

/* the order of the sample by prediction, and random numbers */
extern void ml_judged_order(const MlJudged *judged, MlGathered *gathered);

/* ---- seen.c ---- */

/* which places the version was trained on; NULL: not known */
extern bool *ml_jury_seen(MlJury *jury, const MlResolved *resolved, const MlModel *model, MemoryContext cxt);

/* ---- estimate.c ---- */

/* ---- custom.c: registered metrics ---- */

extern List *ml_judge_custom_columns(List *metrics, List *names);
extern MlJudgeMetric *ml_judge_custom_metric(const char *model, MlTask task, const char *name);
extern void ml_judge_custom_estimate(const MlJudged *judged, const MlJudgeMetric *metric, int slice, MlEstimate *result);
extern void ml_judge_custom_compare(const MlJudged *candidate, const MlJudged *champion,
									const MlJudgeMetric *metric, int slice, MlDifference *result);

#endif							/* ML_JURY_H */
