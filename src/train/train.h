/*
 * train.h
 *		One training, in four phases that a caller may commit between:
 *		check, read, fit, register.
 *
 * Everything of a training lives in its context, which must outlive the
 * transactions between its phases. Only read needs a snapshot, and it takes
 * its own; fit touches no catalog, so that a caller that has committed before
 * it holds no snapshot, no transaction id and no lock while it runs.
 */
#ifndef ML_TRAIN_H
#define ML_TRAIN_H

#include "postgres.h"

#include "budget.h"
#include "frame/frame.h"
#include "metric/metric.h"
#include "learn/algorithm.h"
#include "model/model.h"
#include "recipe/recipe.h"
#include "registry/registry.h"
#include "train/common_params.h"
#include "train/spec.h"

typedef struct MlKept MlKept;	/* rows put aside for keep_rows; kept.c */

/* what the model was measured on; NULL metrics: not measured */
typedef struct MlMeasured
{
	Jsonb	   *training;
	Jsonb	   *holdout;
	Jsonb	   *baseline;		/* on the hold-out; without one, on the training part */
	const char *headline;		/* name of the model's metric */
	double		value;			/* of it, where the baseline was measured too */
	double		baseline_value;
	double		mean_label;		/* of the training part, by weight; not set without a target */
} MlMeasured;

/* labels and predictions, or losses, of rows that are elsewhere: training rows, then held-out ones */
typedef struct MlPredicted
{
	int64		ntrain;
	int64		nholdout;
	int			width;			/* predictions of a row */
	double	   *label;
	double	   *prediction;
	struct MlLoss *loss;		/* without a target: instead of these */
	double	   *weight;			/* NULL: all 1 */
} MlPredicted;

typedef struct MlTraining
{
	MemoryContext cxt;
	const char *model;
	const char *note;			/* or NULL */
	MlSpec		spec;
	bool		atomic;			/* everything in the caller's transaction */
	int			reproduced;		/* the version that mlops_reproduce trains again; 0: none */
	bool		from_kept;		/* from the rows that it kept */
	const char *by;				/* the role whose training it is, if not the current user's */

	/*
	 * Called at the start of a phase and every few blocks of a fit; checks for
	 * interrupts. May commit, but for the reading phase. NULL: nobody listens.
	 */
	void		(*report) (struct MlTraining *training, const char *phase,
						   int64 done, int64 total, double objective);
	pg_uuid_t	run;
	bool		has_run;
	TimestampTz reported_at;
	const char *reported_phase;

	/* check */
	MlModelRow *row;			/* NULL: the model is to be made */
	const MlAlgorithm *algorithm;	/* NULL until the target's type is known */
	void	   *params;			/* as the algorithm reads them */
	MlRecipeParams recipe_params;
	MlCommonParams common_params;
	Jsonb	   *params_json;	/* all of them, defaults filled in */
	MlModel    *encoder;		/* or NULL */
	bytea	   *encoder_artifact;
	char	   *encoder_name;	/* of its model */

	/* read */
	MlBudget	budget;
	MlFrame    *frame;
	MlKept	   *kept;			/* or NULL */
	Jsonb	   *columns;
	char	   *time_from;		/* or NULL */
	char	   *time_to;

	/* fit */
	MlSkipped	skipped;
	MlSplit		split;
	int64		ntrain;			/* rows of the training part: what was measured */
	int64		nholdout;
	MlRecipe   *recipe;			/* of the version: of all rows after a refit */
	MlFitted   *fitted;
	bytea	   *artifact;
	MlMeasured	measured;
	List	   *profiles;		/* of MlProfile *: what the rows and predictions look like */
	List	   *warnings;		/* of char * */
	bool		said_alone;		/* that no worker was to be had */
	bool		in_sql;			/* the rows stay where they are: frame has none; fold/sql.h */
	MlPredicted *predicted;		/* then: what is measured */

	/* seconds by phase */
	double		reading;
	double		preparing;
	double		fitting;
	double		measuring;

	int			version;		/* set by register */
} MlTraining;

/* a training with a default spec, in a new child of parent */
extern MlTraining *ml_training_begin(MemoryContext parent, const char *model);
extern void ml_training_end(MlTraining *training);

/*
 * Everything that can be refused before a row is read: 42501, 22023, 42704,
 * 42601. Writes nothing.
 */
extern void ml_training_check(MlTraining *training);
extern void ml_training_read(MlTraining *training);
extern void ml_training_fit(MlTraining *training);

/* makes the model if need be, inserts version and kept rows, returns the number */
extern int	ml_training_register(MlTraining *training);

/* the NOTICE that sums up, and a WARNING for each of the version's */
extern void ml_training_tell(const MlTraining *training);

/* ---- parts of it ---- */

extern void ml_training_report(MlTraining *training, const char *phase,
							   int64 done, int64 total, double objective);
extern double ml_training_seconds(void);	/* of a clock that only goes forward */
extern void ml_training_warn(MlTraining *training, char *sentence);

/* the spec's parameters, for the algorithm that is chosen now */
extern void ml_training_take_params(MlTraining *training);

/* the column that the algorithm's parameters call an offset, if any */
extern MlOffset ml_training_offset(const MlTraining *training);

/* read.c: a value of the time column as text, usec as ml_value_usec gives it */
extern char *ml_training_time_text(const MlColumn *column, int64 usec);

/*
 * window.c: the type of the spec's time column, InvalidOid if there is none, as its author sees it;
 * whether it counts units of somebody's own; 42703 and 42804 if the spec's since and until cannot be of it
 */
extern Oid ml_window_column_type(const MlTraining *training);
extern bool ml_window_counts(Oid type);
extern void ml_window_check(const MlTraining *training, Oid type);

/* false: the algorithm learns from the features alone */
extern bool ml_training_has_target(const MlTraining *training);

extern Jsonb *ml_training_builds(void); /* server, extension, linear algebra */

/*
 * author.c: makes the author of the source, if somebody else, the current user
 * for reading it; the caller goes back to who it was. Under the spec's settings.
 */
extern void ml_training_become_author(const MlTraining *training);

/* the same for the role whose training it is */
extern void ml_training_become_trainer(const MlTraining *training);

/* fit.c: could the target be classes that are numbers? And what is said if it has two values */
extern bool ml_training_suspects_classes(const MlTraining *training);
extern void ml_training_tell_two_values(const MlTraining *training);

/* fit.c: divides the rows of the frame; learns, fits and writes the artifact from its training part */
extern void ml_training_arrange(MlTraining *training);
extern void ml_training_learn(MlTraining *training);

/* register.c: refuses a task that is not the model's or its metric's; row: NULL for none yet */
extern void ml_training_require_task(const MlTraining *training, const MlModelRow *row, int tasks);

/* measure.c: metrics of the model on both parts of the frame */
extern void ml_training_measure(MlTraining *training, const MlModel *model);

/* the same rows for a registered metric; whoever calls says where they are in the frame */
struct MlCustomMetric;
struct MlCustomRows;
extern void ml_training_custom_rows(const MlTraining *training, const MlModel *model,
									const MlMeasurement *measured, struct MlCustomRows *rows);

/* takes a snapshot if there is none */
extern double ml_training_measure_custom(const struct MlCustomMetric *metric, const struct MlCustomRows *rows);

/* NaN and a warning of the version instead of an error */
extern double ml_training_try_custom(MlTraining *training, const struct MlCustomMetric *metric,
									 const struct MlCustomRows *rows);


/* kept.c */
extern MlKept *ml_kept_begin(MlTraining *training);
extern void ml_kept_tee(void *kept, TupleDesc desc, TupleTableSlot *slot);
extern int64 ml_kept_insert(MlKept *kept, const char *model, int version);
extern void ml_kept_end(MlKept *kept);

/* procedure.c: runs all phases as the context allows; the version's number */
extern int	ml_training_run(MlTraining *training, bool dry, bool atomic);

/*
 * The same inside phases of another procedure, as atomic as the training says: NULL, or
 * its error, in the current context, with the run recorded as failed or cancelled.
 */
extern ErrorData *ml_training_attempt(MlTraining *training);

#endif							/* ML_TRAIN_H */
