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
#include "predictor/routine.h"
#include "recipe/recipe.h"

#define ML_SHA256_LENGTH	32
#define ML_ARTIFACT_PART	(1024 * 1024)	/* bytes of one stored part */

/* A model in memory; immutable. */
typedef struct MlModel
{
	MemoryContext cxt;			/* holds everything, the recipe's context included */
	Size		size;			/* bytes of cxt when loaded */
	uint8		sha256[ML_SHA256_LENGTH];
	char	   *algorithm;
	MlRecipe   *recipe;

	/*
	 * What makes the numbers of the recipe, all of them, from a row; NULL: a
	 * row is encoded by the recipe itself. It has no encoder.
	 */
	struct MlModel *encoder;
	MlPredictor *predictor;
	const MlPredictorRoutine *routine;	/* of its kind */
	MlCalibration *calibration; /* or NULL */
	int			noutputs;		/* 0: transform only */
	Size		work_size;		/* doubles of memory that ml_model_outputs wants */
	bool		direct;			/* ml_model_predict_columns can be called */
	int			nfacts;
	char	  **fact_name;
	double	   *fact_value;
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

/* fills in what follows from the predictor, in the current context; for the reader */
extern void ml_model_prepare(MlModel *model);

/* the recipe by which rows that are scored are encoded: where there is an encoder, its own */
static inline const MlRecipe *
ml_model_input_recipe(const MlModel *model)
{
	return model->encoder ? model->encoder->recipe : model->recipe;
}

/*
 * The row that the model's own recipe and predictor understand: the same
 * without an encoder; else own, with what the encoder makes of it, in work, of
 * model->work_size doubles. Its numbers are missing where the encoder drops the row.
 */
extern const MlRow *ml_model_own_row(const MlModel *model, const MlRow *row, double *work, MlRow *own);

/*
 * The outputs of a row, encoded by the input recipe (predictor.h says what they are by task), link and
 * calibration applied; they are in work, of model->work_size doubles. NULL
 * when the row is dropped (impute => 'drop' and something missing).
 */
extern const double *ml_model_outputs(const MlModel *model, const MlRow *row, double *work);

/* the first output; NaN when the row is dropped. Not for a model of transform only */
extern double ml_model_predict(const MlModel *model, const MlRow *row, double *work);

/*
 * The same, bit for bit, where model->direct, of a row whose number i is the
 * float8 in column[position[i]] (position NULL: in column[i]), without encoding
 * it first. NaN also stands for a row that has to be encoded: with a NULL, NaN
 * or infinity in it. Only where float8 is passed by value.
 */
extern double ml_model_predict_columns(const MlModel *model, const NullableDatum *column,
									   const int *position);

/*
 * The outputs of rows [first, first + n) of a frame whose columns the recipe
 * was learned from, or which the encoder takes: output[i * noutputs + o]; NaN where the row is dropped.
 */
extern void ml_model_predict_frame(const MlModel *model, const MlFrame *frame,
								   int64 first, int64 n, double *output);

/*
 * Scores rows of a frame of the model's input one at a time, as a query for one row does; palloc'd in the
 * current context. The outputs are in memory of the scorer's; NULL where the row is dropped.
 */
typedef struct MlPointScorer MlPointScorer;

extern MlPointScorer *ml_point_scorer_make(const MlModel *model, const MlFrame *frame);
extern const double *ml_point_scorer_outputs(MlPointScorer *scorer, int64 row);

/*
 * What rows [first, first + n) of a frame lose in a model without a target;
 * false: the kind has no measure of it.
 */
extern bool ml_model_judge_frame(const MlModel *model, const MlFrame *frame,
								 int64 first, int64 n, MlLoss *loss);

/* dimensions of ml_model_transform(); 0: the kind has none */
extern int	ml_model_ntransform(const MlModel *model);

/* false when the row is dropped */
extern bool ml_model_transform(const MlModel *model, const MlRow *row, double *work, double *result);

/* from the linear predictor, which explanations add up to, to the outputs; IDENTITY where a kind has none */
extern MlLink ml_model_link(const MlModel *model);

/* probability of every class, summing to 1, from the outputs */
extern void ml_model_probabilities(const MlModel *model, const double *output, double *probability);

/*
 * Index of the class that outputs stand for: BINARY at a threshold (>=), several
 * classes the largest, the first of equal ones
 */
extern int	ml_model_class(const MlModel *model, const double *output, double threshold);

/* size of each feature's effect, for mlops_importance(): recipe->nfeatures values; false: the kind has none */
extern bool ml_model_importance(const MlModel *model, double *importance);

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
