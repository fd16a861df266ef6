/*
 * driver.h
 *		The in-memory driver of folds, and what learners share.
 *
 * A learner allocates with ml_fit_alloc in start, which counts the memory
 * first; all of it belongs to the context "mlops fit", which the driver deletes
 * when the fit ends in whatever way. Only finish runs in the caller's context
 * and makes its result there.
 */
#ifndef ML_LEARN_DRIVER_H
#define ML_LEARN_DRIVER_H

#include "learn/algorithm.h"

extern MlFitted *ml_driver_fit(const MlAlgorithm *algorithm, const MlFit *fit);

/* count * size bytes, zeroed, from the budget, as of ml_aligned_alloc(); what is for the error message */
extern void *ml_fit_alloc(const MlFit *fit, Size count, Size size, const char *what);

/*
 * Zeroed bytes at the start of a cache line, in the current context. Kernels of BLAS that go
 * by the alignment of their operands (those for processors that they do not know) add up in another
 * order where it differs, so that all that BLAS sees begins like this. Freed by ml_aligned_free(), never by pfree().
 */
extern void *ml_aligned_alloc(Size size);
extern void ml_aligned_free(void *aligned);

/* ---- building a result, in the current context ---- */

/* without a predictor */
extern MlFitted *ml_fitted_make(void);

/* with a linear one: all estimates 0, all inference NaN */
extern MlFitted *ml_fitted_linear(MlLink link, int noutputs, int ncolumns);

static inline MlLinear *
ml_linear(MlFitted *fitted)
{
	return (MlLinear *) fitted->predictor;
}

extern void ml_fitted_fact(MlFitted *fitted, const char *name, double value);
extern void ml_fitted_series(MlFitted *fitted, const char *name, int n, const double *value);
extern void ml_fitted_note(MlFitted *fitted, const char *format,...) pg_attribute_printf(2, 3);

/*
 * Marks the columns that are not among the kept ones (ascending design column
 * numbers) as dropped, with a note that names them.
 */
extern void ml_fitted_drop(MlFitted *fitted, const MlDesignMatrix *rows, int nkept, const int *kept);

/* a list of quoted names for a message, cut after a few */
extern char *ml_column_list(const MlDesignMatrix *rows, int n, const int *columns);

/* refuses fewer rows than coefficients, ML002; rows->nrows -1: not known yet */
extern void ml_require_rows(const MlFit *fit, const char *algorithm, int64 ncoefficients);

/* refuses a result that overflowed, ML003 */
extern void ml_require_finite(const MlFitted *fitted, const MlDesignMatrix *rows, const MlAlgorithm *algorithm);

/* calibrate.c: see MlLearnApi */
extern void ml_calibrate_map(MlCalibrationKind kind, const MlCalibrationRows *rows, MlCalibrationMap *map);

/* the algorithms, NULL ends */
extern const MlAlgorithm *const ml_algorithms[];
extern const MlAlgorithm ml_baseline;
extern const MlAlgorithm ml_decision_tree;
extern const MlAlgorithm ml_gradient_boosting;
extern const MlAlgorithm ml_random_forest;
extern const MlAlgorithm ml_isolation_forest;
extern const MlAlgorithm ml_kmeans;
extern const MlAlgorithm ml_linear_regression;
extern const MlAlgorithm ml_logistic_regression;
extern const MlAlgorithm ml_glm;
extern const MlAlgorithm ml_linear_svm;
extern const MlAlgorithm ml_naive_bayes;
extern const MlAlgorithm ml_mlp;
extern const MlAlgorithm ml_pca;

#endif							/* ML_LEARN_DRIVER_H */
