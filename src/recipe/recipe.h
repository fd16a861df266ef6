/*
 * recipe.h
 *		What was learned about the columns, and the only way from values to
 *		features: training, evaluation and scoring call the same functions
 *		below with the same recipe.
 *
 * A recipe turns the values of a row into an encoded row: doubles for what is
 * a number (a NULL is NaN, and so is a NaN that arrives when scoring) and
 * small integers for categories. Learners that want neither NaN nor
 * categories see the design: columns of doubles made from the encoded row
 * (numbers with missing ones filled, 0/1 columns for categories).
 *
 * A recipe never depends on settings: it holds the time zone of date parts.
 * It is immutable once learned and part of the artifact.
 */
#ifndef ML_RECIPE_H
#define ML_RECIPE_H

#include "postgres.h"

#include <math.h>

#include "frame/frame.h"
#include "frame/isotime.h"
#include "learn/param.h"

/* ---- what a feature is ---- */

/* one double of the encoded row made from a time */
typedef enum MlTimePart
{
	ML_PART_EPOCH,				/* seconds */
	ML_PART_HOUR_SIN, ML_PART_HOUR_COS,		/* time of day, period 24 hours */
	ML_PART_WEEK_SIN, ML_PART_WEEK_COS,		/* day of the week, period 7 days */
	ML_PART_YEAR_SIN, ML_PART_YEAR_COS		/* day of the year, period 365.2425 days */
} MlTimePart;

typedef struct MlFeature
{
	char	   *name;			/* of the column */
	MlKind		kind;
	char	   *type_name;		/* as declared in the source, for messages */
	bool		zoned;			/* TIME: timestamptz, so parts use the recipe's zone */

	/* NUMBER, TIME, ARRAY: doubles [first_number, first_number + nnumbers) of the encoded row */
	int			first_number;
	int			nnumbers;		/* 1 for NUMBER, array length for ARRAY, number of parts for TIME */
	MlTimePart *parts;			/* TIME: nnumbers of them */

	/* CATEGORY */
	int			category;		/* index of its code in the encoded row; -1 otherwise */
	int			nlevels;		/* levels with a place of their own, in C order */
	char	  **level;			/* terminated */
	int32	   *level_length;
	double	   *level_share;	/* share of the training rows, by weight */
	double		pool_share;		/* share of pooled rare values; 0: no pool */
	double		null_share;		/* share of NULL */
	struct MlLevelIndex *index; /* hash of the levels; private to recipe */
} MlFeature;

/* codes of a category besides 0 .. nlevels - 1 */
#define ML_CODE_POOL(feature)		((feature)->nlevels)	/* rare or unseen */
#define ML_CODE_MISSING(feature)	((feature)->nlevels + 1)	/* NULL */
#define ML_NCODES(feature)			((feature)->nlevels + 2)

/* one double of the encoded row */
typedef struct MlNumber
{
	char	   *name;			/* "tenure", "embedding[3]", "signup (hour sin)" */
	int			feature;
	double		fill;			/* stands for a missing value */
	double		mean;			/* over the training rows, missing ones left out, by weight */
	double		deviation;		/* standard deviation, likewise */
	double		minimum;
	double		maximum;
	double		null_share;
} MlNumber;

/* ---- the design: what learners without categories see ---- */

typedef enum MlDesignKind
{
	ML_DESIGN_NUMBER,			/* number, missing filled */
	ML_DESIGN_MISSING,			/* 1 if number is missing, else 0 */
	ML_DESIGN_LEVEL				/* the share that code has in this column: see below */
} MlDesignKind;

/*
 * A category's codes spread over its design columns: a level has 1 in its own
 * column and 0 in the others; the base level of treatment coding has 0 in all;
 * pooled and NULL values have a column if they occurred in training. A code
 * that has none (unseen value without a pool, NULL where training had none)
 * gets each column's share in the training rows, as a missing number gets the
 * mean.
 *
 * What tells nothing has no column: a number that is constant in training, a
 * category of which only one code occurs.
 */
typedef struct MlDesignColumn
{
	char	   *name;			/* "tenure", "tenure (missing)", "plan=pro", "plan=(other)", "plan=(null)" */
	MlDesignKind kind;
	int			feature;
	int			number;			/* NUMBER, MISSING: index into the encoded doubles; else -1 */
	int			code;			/* LEVEL: the code whose own column this is; else -1 */
} MlDesignColumn;

#define ML_COLUMN_BASE		(-1)	/* the code has 0 in every column */
#define ML_COLUMN_SHARES	(-2)	/* the code has share[] in the columns */

/*
 * Held in proportion to the levels, not to their square: a table of every code
 * in every column would let a small artifact ask for gigabytes.
 */
typedef struct MlCategoryDesign
{
	int			feature;
	int			first_column;	/* in the design */
	int			ncolumns;		/* may be 0: one level, treatment coding */
	int32	   *column;			/* ML_NCODES(feature): the code's own column, from 0, or ML_COLUMN_* */
	double	   *share;			/* ncolumns: share of the training rows, by weight */
} MlCategoryDesign;

/* what a code adds to a linear predictor; coefficient is that of first_column */
static inline double
ml_recipe_code_effect(const MlCategoryDesign *design, int code, const double *coefficient)
{
	double		sum = 0.0;

	if (design->column[code] >= 0)
		return coefficient[design->column[code]];
	if (design->column[code] == ML_COLUMN_BASE)
		return 0.0;
	for (int j = 0; j < design->ncolumns; j++)
		sum += design->share[j] * coefficient[j];
	return sum;
}

typedef enum MlImpute
{
	ML_IMPUTE_MEAN, ML_IMPUTE_MEDIAN,
	ML_IMPUTE_DROP				/* training drops rows with a NULL feature; such a row scores NULL */
} MlImpute;

typedef enum MlCoding
{
	ML_CODING_TREATMENT,		/* base level has no column: unpenalised models */
	ML_CODING_ONE_HOT			/* every level has one: penalised models */
} MlCoding;

/* parameters that every algorithm shares; laid out by ml_recipe_params[] */
typedef struct MlRecipeParams
{
	int			impute;			/* MlImpute */
	bool		missing_indicator;
	int64		max_categories; /* levels with a place of their own, per column */
	int64		min_category_rows;	/* rarer values are pooled */
} MlRecipeParams;

extern const MlParam ml_recipe_params[];	/* NULL name ends */

typedef enum MlTask
{
	ML_TASK_REGRESSION = 1, ML_TASK_BINARY = 2, ML_TASK_MULTICLASS = 4, ML_TASK_CLUSTER = 8,
	ML_TASK_ANOMALY = 16,		/* a score of how unusual a row is */
	ML_TASK_PROJECTION = 32		/* nothing is predicted: mlops_transform only */
} MlTask;

#define ML_LAST_TASK ML_TASK_PROJECTION

/* tasks without a target */
#define ML_TASKS_UNSUPERVISED (ML_TASK_CLUSTER | ML_TASK_ANOMALY | ML_TASK_PROJECTION)

typedef struct MlTarget
{
	char	   *name;			/* NULL: none */
	char	   *type_name;
	MlTask		task;
	int			nclasses;		/* 0 for regression */
	char	  **class_label;	/* in C order; numbers in numeric order; false before true */
	double	   *class_share;	/* share of the training rows, by weight */
	int			positive;		/* BINARY: index of the positive class */
} MlTarget;

typedef struct MlRecipe
{
	MemoryContext cxt;
	MlRecipeParams params;
	MlCoding	coding;
	char	   *time_zone;		/* IANA name, for the parts of timestamptz */
	struct pg_tz *zone;			/* looked up when learned or read */
	int			nfeatures;
	MlFeature  *features;
	int			nnumbers;		/* doubles of an encoded row */
	MlNumber   *numbers;
	int			ncategories;	/* codes of an encoded row */
	int			ndesign;
	MlDesignColumn *design;
	MlCategoryDesign *category_design;	/* ncategories of them */
	MlTarget	target;
	int64		ntrain;			/* rows it was learned from */

	/* a number that is added to eta as it is (glm's offset), not in the design; -1: none */
	int			offset_number;
	bool		offset_log;		/* its logarithm is (exposure) */

	/*
	 * The feature that rows are grouped by: a number or a category, whose levels
	 * are the groups large enough to be fitted alone. In the encoded row, but
	 * not in the design. NULL: none.
	 */
	const MlFeature *group;
	/* artifact of the model that makes the features; NULL: they are columns. Known while training only */
	const bytea *encoder;
	struct MlLevelIndex *feature_index; /* of the features' names; private to recipe */

	/* sentences about columns, of a recipe just learned; not part of the artifact */
	int			nwarnings;
	char	  **warnings;
} MlRecipe;

/* what a value of the offset column adds to eta; NaN if it is missing */
static inline double
ml_recipe_offset(const MlRecipe *recipe, double value)
{
	return recipe->offset_log ? log(value) : value;
}

/* one encoded row; the caller owns the arrays */
typedef struct MlRow
{
	double	   *number;			/* recipe->nnumbers; NaN is missing */
	int32	   *code;			/* recipe->ncategories */
} MlRow;

/* ---- putting values into an encoded row: the one code path ---- */

static inline void
ml_recipe_put_number(const MlFeature *feature, double value, MlRow *row)
{
	row->number[feature->first_number] = value;
}

/* code of a value of a category; the bytes need no terminator */
extern int32 ml_recipe_code(const MlFeature *feature, const char *bytes, int length);
/* which calendar quantity a TIME feature holds */
extern MlTimeGroup ml_time_group(const MlFeature *feature);

extern void ml_recipe_put_time(const MlRecipe *recipe, const MlFeature *feature, int64 usec, MlRow *row);

/* a timestamp as ISO 8601 writes it, in UTC: by the offset given, else in the recipe's time zone */
extern int64 ml_recipe_utc(const MlRecipe *recipe, const MlIsoTime *time);

/* length must equal feature->nnumbers; the caller has checked */
extern void ml_recipe_put_array(const MlFeature *feature, const double *value, MlRow *row);
extern void ml_recipe_put_null(const MlFeature *feature, MlRow *row);

static inline void
ml_recipe_put_category(const MlFeature *feature, const char *bytes, int length, MlRow *row)
{
	row->code[feature->category] = ml_recipe_code(feature, bytes, length);
}

/* true if impute is 'drop' and something is missing: the row scores NULL */
extern bool ml_recipe_row_dropped(const MlRecipe *recipe, const MlRow *row);

/* index of the feature of that name, or -1 (hashed when there are many) */
extern int	ml_recipe_find(const MlRecipe *recipe, const char *name);

/* does a column of this type suit the feature? kinds must agree, and timestamptz with timestamptz only */
extern bool ml_feature_accepts(const MlFeature *feature, const MlValueType *type);

/* ---- learning it ---- */

#define ML_MAX_CLASSES	100

/* what to make of a frame's target; names are the user's, for messages */
typedef struct MlTargetRequest
{
	const char *model;
	const char *positive;		/* NULL: the last class in order */
	int			task;			/* MlTask asked for by the algorithm's tasks (bit set); 0: by the type */
	const char *group;			/* column that rows are grouped by, or NULL */
	int64		min_group_rows; /* of a group that is fitted alone */
	bool		features_optional;	/* the algorithm ignores features: constant or unusable ones are no error */
} MlTargetRequest;

/*
 * Task from the type: numbers are regression (if allowed_tasks has it, or is
 * 0), bool / category binary or multiclass by the number of distinct values.
 * Where the natural task is not among those allowed, a near one that is: bool
 * as 0 and 1 for regression, integers as classes without it, two classes as
 * multiclass. Raises 42804 (unusable type, or class labels where only numbers
 * will do) and ML002 (too many classes for the tasks allowed). Without a target
 * (-1) it is the first of the tasks allowed that need none.
 */
extern MlTask ml_target_task(const MlFrame *frame, int target, int allowed_tasks);

/*
 * The tasks, of those allowed, that the type of a target leaves possible: what
 * can be said before its values are known. Raises 42804.
 */
extern int	ml_target_tasks(const MlColumn *target, int allowed_tasks);

/* ML002 if the frame has no feature */
extern void ml_recipe_require_features(const MlFrame *frame);

/*
 * First half of learning, before the frame is arranged: which rows can train.
 * Fills keep[nrows] and the counts of rows skipped by reason. Raises ML002 for
 * a target that is all NULL, NaN or infinity in features or target (column,
 * count, first row), an exposure that is not positive, a negative or NULL
 * weight (22023), an offset that is no number among the features (42703, 42804).
 */
typedef struct MlSkipped
{
	int64		target_null;
	int64		feature_null;	/* impute => 'drop' */
	int64		weight_zero;
	int64		offset_null;
} MlSkipped;

/* a feature that is an offset: in the encoded row, but not in the design */
typedef struct MlOffset
{
	const char *column;			/* NULL: none */
	bool		logarithm;		/* an exposure: > 0 */
} MlOffset;

extern void ml_recipe_usable_rows(const MlFrame *frame, const MlRecipeParams *params,
								  const MlOffset *offset, const char *group,
								  bool *keep, MlSkipped *skipped);

/*
 * Second half: learns the recipe from rows [0, frame->ntrain). The recipe is
 * made in a child of the current context. Raises ML002 (target constant, of
 * too many classes for the tasks allowed, all features constant or unusable,
 * no rows) and 42804 (text with nearly as many values as rows; advice: exclude
 * it, or pool it with max_categories).
 */
extern MlRecipe *ml_recipe_learn(const MlFrame *frame, const MlRecipeParams *params,
								 MlCoding coding, const MlOffset *offset, const MlTargetRequest *target);

/*
 * Builds what is derived (level and name indexes, time zone, design) in
 * recipe->cxt after reading an artifact; the reader has checked counts, ranges
 * and flags. ML004 for a time zone that this server does not know.
 */
extern void ml_recipe_finish(MlRecipe *recipe);

/* are there enough integers in the range of a column for nearly all rows to differ? */
extern bool ml_number_may_identify(const MlRecipe *recipe, const MlNumber *number, MlReading reading);

/* adds what is to be said of a feature; distinct values of those present, 0: not counted, since no identifier */
extern void ml_recipe_warn_feature(MlRecipe *recipe, const MlFeature *feature, int64 distinct, int64 present);

/* the session's time zone becomes the recipe's, which takes it for its timestamptz features */
extern void ml_recipe_take_zone(MlRecipe *recipe);

extern const char *ml_time_part_name(MlTimePart part);	/* "hour sin" */

/* are times that far apart, in seconds, enough to see weeks, or years? */
extern bool ml_time_shows(MlTimePart part, double seconds);

/* ---- groups ---- */

#define ML_MAX_GROUPS	100000

/*
 * The recipe as it is within a group: the same encoded row and design, but the
 * group feature has no levels. In the current context; the recipe must outlive
 * it. Rows are masked for it: a number is NaN, a code the only one.
 */
extern MlRecipe *ml_recipe_within_group(const MlRecipe *recipe);

#define ML_GROUP_MASKED_CODE	0

/* ---- blocks of a frame ---- */

/*
 * The y of rows [first, first + n): the target for regression, the class index
 * for classes; for BINARY 1 for the positive class and 0 for the other. NaN
 * for NULL and for a label that the recipe does not know; 0 without a target.
 */
extern void ml_recipe_labels(const MlRecipe *recipe, const MlFrame *frame,
							 int64 first, int64 n, double *y);

/*
 * A recipe bound to the columns of a frame: of the same names and kinds, in
 * any order. 42703 if one is missing, 42804 if it is of another kind, 2202E
 * for arrays of another length. Lives in the current context; the recipe and
 * the frame must outlive it.
 */
typedef struct MlEncoder MlEncoder;

/* encoded rows, column by column */
typedef struct MlBlock
{
	int			n;
	const double **number;		/* recipe->nnumbers columns; in the frame itself where it holds them */
	bool	   *complete;		/* of each: no row of the frame lacks it */
	int32	   *code;			/* code[c * n + i] */
} MlBlock;

/* one row of a block */
static inline void
ml_block_row(const MlRecipe *recipe, const MlBlock *block, int i, MlRow *row)
{
	for (int j = 0; j < recipe->nnumbers; j++)
		row->number[j] = block->number[j][i];
	for (int j = 0; j < recipe->ncategories; j++)
		row->code[j] = block->code[(Size) j * block->n + i];
}

/* capacity: the most rows of a block */
extern MlEncoder *ml_encoder_make(const MlRecipe *recipe, const MlFrame *frame, int capacity);
extern void ml_encoder_free(MlEncoder *encoder);

/* rows [first, first + n), until the next call */
extern const MlBlock *ml_encoder_block(MlEncoder *encoder, int64 first, int n);

/* the design from encoded rows: x[j * n + i], j < recipe->ndesign */
extern void ml_recipe_design_block(const MlRecipe *recipe, const MlBlock *block, double *x);

#endif							/* ML_RECIPE_H */
