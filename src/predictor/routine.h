/*
 * routine.h
 *		What every kind of predictor can do. One file a kind (linear.c, bayes.c,
 *		trees.c, centres.c, projection.c, network.c) fills in one MlPredictorRoutine;
 *		model/ calls nothing else of this room.
 *
 * Predicting allocates nothing: work is memory of work_size() doubles that the
 * caller keeps. A routine never trusts more than read() has checked.
 */
#ifndef ML_ROUTINE_H
#define ML_ROUTINE_H

#include "postgres.h"

#include "model/cursor.h"
#include "model/writer.h"
#include "predictor/predictor.h"
#include "recipe/recipe.h"

/*
 * A row of what mlops_coefficients() shows: the linear kind's estimates, class
 * means of bayes, centres of clusters, loadings of components.
 */
typedef struct MlTerm
{
	const char *output;			/* class, cluster or component; NULL: there is one output */
	const char *term;			/* design column, or "(intercept)" */
	const char *feature;		/* NULL for the intercept */
	const MlCoefficient *coefficient;
	double		ratio;			/* exp(estimate) where that is an odds or rate ratio; else NaN */
} MlTerm;

typedef void (*MlTermSink) (void *arg, const MlTerm *term);

/*
 * What a row loses by being replaced by what stands for it (the nearest centre,
 * its projection), by which kinds without a target are judged: squared
 * distances of standardised rows of the design.
 */
typedef struct MlLoss
{
	double		loss;			/* to what stands for it */
	double		spread;			/* to the mean of the training rows */
	double		silhouette;		/* of clusters: (b - a) / b from the distances to the two nearest centres; else NaN */
} MlLoss;

typedef struct MlPredictorRoutine
{
	const char *name;			/* "linear", "trees"...: what a model card says */

	/* ---- bytes: the payload of the section PRED, after the kind ---- */
	void		(*write) (MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor);

	/* raises ML004 for whatever does not suit the recipe; memory in proportion to the bytes read */
	MlPredictor *(*read) (MlCursor *c, const MlRecipe *recipe);

	/* ---- scoring ---- */

	/* fills in what scoring wants precomputed, in the current context; can be NULL */
	void		(*compile) (MlPredictor *predictor, const MlRecipe *recipe);
	int			(*noutputs) (const MlPredictor *predictor); /* 0: only transform */
	Size		(*work_size) (const MlPredictor *predictor, const MlRecipe *recipe);	/* doubles; NULL: 0 */
	void		(*predict) (const MlPredictor *predictor, const MlRecipe *recipe,
							const MlRow *row, double *work, double *output);

	/*
	 * output[i * noutputs + o] of the rows of a block, bit for bit what predict
	 * gives. NULL: the caller goes row by row.
	 */
	void		(*predict_block) (const MlPredictor *predictor, const MlRecipe *recipe,
								  const MlBlock *block, double *work, double *output);
	Size		(*block_work_size) (const MlPredictor *predictor, const MlRecipe *recipe, int nrows);

	/* of kinds without a target, with the work of predict_block; NULL: none */
	void		(*judge_block) (const MlPredictor *predictor, const MlRecipe *recipe,
								const MlBlock *block, double *work, MlLoss *loss);

	/* mlops_transform(): dimensions, and a name for each ("component 1"); NULL: none */
	int			(*ntransform) (const MlPredictor *predictor);
	void		(*transform) (const MlPredictor *predictor, const MlRecipe *recipe,
							  const MlRow *row, double *work, double *result);

	/* ---- looking ---- */

	/*
	 * contribution[f] of every feature to eta of an output; base + their sum is
	 * eta, before link and calibration. NULL: cannot be explained.
	 */
	void		(*explain) (const MlPredictor *predictor, const MlRecipe *recipe,
							const MlRow *row, int output, double *contribution, double *base);

	/* recipe->nfeatures values >= 0, in units of its own; NULL: none */
	void		(*importance) (const MlPredictor *predictor, const MlRecipe *recipe, double *importance);

	/* NULL: none */
	void		(*terms) (const MlPredictor *predictor, const MlRecipe *recipe, MlTermSink sink, void *arg);
} MlPredictorRoutine;

extern const MlPredictorRoutine *const ml_predictor_routines[ML_NPREDICTORS];

/* the kinds */
extern const MlPredictorRoutine ml_bayes_routine;
extern const MlPredictorRoutine ml_centres_routine;
extern const MlPredictorRoutine ml_grouped_routine;
extern const MlPredictorRoutine ml_linear_routine;
extern const MlPredictorRoutine ml_projection_routine;
extern const MlPredictorRoutine ml_trees_routine;
extern const MlPredictorRoutine ml_network_routine;

#define ML_ROUTINE(predictor) (ml_predictor_routines[(predictor)->kind])

/* link.c: n values of eta to outputs, in place; of several for SOFTMAX, else each */
extern void ml_link_apply(MlLink link, double *eta, int n);

/* calibration.c: probabilities in place; noutputs as the predictor has them */
extern double ml_calibration_log_odds(double probability);
extern void ml_calibration_apply(const MlCalibration *calibration, double *probability, int noutputs);

/*
 * design_row.c: the design of one encoded row, standardised: z[j] =
 * (x[j] - shift[j]) * scale[j], for the kinds that live on the design
 */
extern void ml_design_row(const MlRecipe *recipe, const MlRow *row,
						  const double *shift, const double *scale, double *z);

#endif							/* ML_ROUTINE_H */
