/*
 * model.h
 *		The artifact - recipe and parameters as bytes - and what it becomes in
 *		memory.
 *
 * docs/formats.md documents the bytes; format.c alone knows them. A reader
 * never trusts its input: whatever the bytes, it returns a model or raises
 * ML004, never reads past the end, and takes memory in proportion to the
 * length of the artifact.
 */
#ifndef ML_MODEL_H
#define ML_MODEL_H

#include "postgres.h"

#include "learn/algorithm.h"
#include "recipe/recipe.h"

#define ML_ARTIFACT_FORMAT	1
#define ML_SHA256_LENGTH	32
#define ML_ARTIFACT_PART	(1024 * 1024)	/* bytes of one stored part */
#define ML_ARTIFACT_MAX		(INT64CONST(1) << 30)	/* bytes */

/*
 * A model in memory; immutable. The linear predictor is held twice: as the
 * artifact has it (over design columns, for looking) and compiled over the
 * encoded row (for scoring).
 */
typedef struct MlModel
{
	MemoryContext cxt;			/* holds everything, the recipe's context included */
	Size		size;			/* bytes of cxt when loaded */
	uint8		sha256[ML_SHA256_LENGTH];
	char	   *algorithm;
	MlRecipe   *recipe;
	MlLink		link;
	bool		has_intercept;
	MlCoefficient intercept;
	MlCoefficient *coefficient; /* recipe->ndesign; NULL: a constant model */
	char	   *statistic_name; /* or NULL */
	double	   *class_share;	/* constant model of several classes; or NULL */
	int			nfacts;
	char	  **fact_name;
	double	   *fact_value;

	/* compiled: eta = base + sum number_weight[k] * v[k] (or number_missing[k] if NaN)
	 *               + sum category_weight[c][code] */
	double		base;
	double	   *number_weight;	/* recipe->nnumbers */
	double	   *number_missing;	/* recipe->nnumbers */
	double	  **category_weight;	/* recipe->ncategories, each ML_NCODES long */
} MlModel;

/* the bytes of a model, in the current context */
extern bytea *ml_model_write(const char *algorithm, const MlRecipe *recipe, const MlFitted *fitted);

/*
 * A model from bytes, in a new child of parent. ML004 with what was found
 * against what was expected: magic, format, lengths, counts, ranges, flags,
 * encodings.
 */
extern MlModel *ml_model_read(const char *bytes, Size length, MemoryContext parent);

/* the same after the checksum of the bytes has been verified: ML004 */
extern MlModel *ml_model_load(const uint8 *sha256, const bytea *artifact, MemoryContext parent);

extern void ml_sha256(const void *bytes, Size length, uint8 *digest);

/*
 * Regression value, or P(positive class) of a binary model. NaN when the row
 * is dropped (impute => 'drop' and something missing).
 */
extern double ml_model_predict(const MlModel *model, const MlRow *row);

/*
 * The same, bit for bit, of a recipe of numbers alone and a row whose number i
 * is the float8 in column[position[i]] (position NULL: in column[i]), without
 * encoding it first. NaN also stands for a row that has to be encoded: with a
 * NULL, NaN or infinity in it. Only where float8 is passed by value.
 */
extern double ml_model_predict_columns(const MlModel *model, const NullableDatum *column,
									   const int *position);

/* the same for rows [first, first + n) of a frame whose columns the recipe was learned from */
extern void ml_model_predict_frame(const MlModel *model, const MlFrame *frame,
								   int64 first, int64 n, double *prediction);

/* probability of every class, summing to 1; for BINARY from the prediction */
extern void ml_model_probabilities(const MlModel *model, double prediction, double *probability);

/* index of the class that a prediction stands for at a threshold (BINARY: >=), or the largest share */
extern int	ml_model_class(const MlModel *model, double prediction, double threshold);

/* standardised size of each feature's effect, for mlops_importance(): recipe->nfeatures values */
extern void ml_model_importance(const MlModel *model, double *importance);

/* ---- the session's cache of decoded models (cache.c), keyed by SHA-256 ---- */

/* brings the bytes of an artifact, palloc'd in the current context; called on a miss */
typedef bytea *(*MlArtifactLoader) (void *arg);

/*
 * The model of that checksum, loaded through loader on a miss (the bytes'
 * SHA-256 is verified then: ML004). It stays valid until owner is reset or
 * deleted; unpinned models are evicted, least recently used first, when the
 * cache exceeds mlops.artifact_cache.
 */
extern const MlModel *ml_model_acquire(const uint8 *sha256, MlArtifactLoader loader, void *arg,
									   MemoryContext owner);

/* are there more models than mlops.artifact_cache allows? */
extern bool ml_model_cache_is_full(void);

/* called before models are evicted: whoever pins one without need lets it go; raises nothing */
extern void (*ml_model_cache_pressure) (void);

#endif							/* ML_MODEL_H */
